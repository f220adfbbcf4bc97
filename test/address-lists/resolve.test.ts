import { describe, expect, it } from 'vitest';
import { type NameResolver, resolveName } from '../../src/address-lists/resolve.ts';
import type { ResolvedList } from '../../src/config/lists.ts';
import { type NameUse, whyNotAddress } from '../../src/config/names.ts';
import { configSchema } from '../../src/config/schema.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';

const NOW = Date.parse('2026-11-28T12:00:00Z');
const HOUR = 3_600_000;
const config = configSchema.parse({ networks: { internal: ['10.0.0.0/8', '2001:db8:1::/48'] } });

/** What is kept of a name. */
function kept(
  addresses: readonly string[],
  { use = 'outside' as NameUse, gone = {} as Record<string, number>, writtenMs = NOW - 60_000 } = {},
): ResolvedList {
  return {
    name: 'mail.example.org',
    file: '/nowhere',
    missing: addresses.length === 0,
    prefixes: addresses.map((text) => ({ bytes: parseAddress(text) ?? new Uint8Array(16), length: 128 })),
    writtenMs,
    staleMs: writtenMs,
    remote: {
      kind: 'name',
      hostname: 'mail.example.org',
      use,
      interval: 60_000,
      gone,
      servers: [],
      refuse: (address) => whyNotAddress(config, use, address),
    },
  };
}

type Reply = readonly string[] | 'ENOTFOUND' | 'ENODATA' | 'ESERVFAIL' | 'never';

function dns(v4: Reply, v6: Reply = 'ENODATA', ttl: number | (() => number) = 60): NameResolver {
  const cancels: ((error: Error) => void)[] = [];
  const answer = (reply: Reply) =>
    new Promise<{ address: string; ttl: number }[]>((resolve, reject) => {
      const fail = (code: string) => reject(Object.assign(new Error(code), { code }));
      if (reply === 'never') cancels.push(() => fail('ECANCELLED'));
      else if (typeof reply === 'string') fail(reply);
      else resolve(reply.map((address) => ({ address, ttl: typeof ttl === 'number' ? ttl : ttl() })));
    });
  return {
    resolve4: () => answer(v4),
    resolve6: () => answer(v6),
    cancel: () => {
      for (const cancel of cancels) cancel(new Error());
    },
  };
}

async function ask(known: ResolvedList, resolver: NameResolver, nowMs = NOW) {
  const resolved = await resolveName(known, resolver, nowMs, AbortSignal.timeout(200));
  return 'reason' in resolved ? resolved : { ...resolved, prefixes: resolved.prefixes.map(formatPrefix) };
}

describe('a DNS name', () => {
  it('has the addresses of both families, each once, in order, with the least TTL', async () => {
    let n = 100;
    const resolver = dns(['198.51.100.9', '198.51.100.2', '198.51.100.9'], ['2001:db8:9::1'], () => n++);
    expect(await ask(kept([]), resolver)).toEqual({
      kind: 'fresh',
      prefixes: ['198.51.100.2', '198.51.100.9', '2001:db8:9::1'],
      header: { ttl: 100_000, gone: {} },
      partly: null,
    });
  });

  it.each([
    [0, 30_000],
    [29, 30_000],
    [31, 31_000],
    [3600, HOUR],
    [2 ** 31 - 1, HOUR],
  ])('with a TTL of %i s is asked for again after %i ms', async (ttl, ms) => {
    expect(await ask(kept([]), dns(['198.51.100.1'], 'ENODATA', ttl))).toMatchObject({ header: { ttl: ms } });
  });

  it('whose answers are shuffled is unchanged', async () => {
    const known = kept(['198.51.100.1', '198.51.100.2']);
    expect(await ask(known, dns(['198.51.100.2', '198.51.100.1']))).toMatchObject({
      kind: 'unchanged',
      header: { gone: {} },
    });
  });

  it.each<[string, Reply, Reply, RegExp]>([
    ['does not exist', 'ENOTFOUND', 'ENOTFOUND', /mail\.example\.org: there is no such name/],
    ['has no address', 'ENODATA', 'ENODATA', /the name has no address/],
    ['has an empty answer', [], [], /the name has no address/],
    ['is not answered', 'ESERVFAIL', 'ENODATA', /no answer \(ESERVFAIL\)/],
    ['is waited for too long', 'never', 'ENODATA', /no answer in time/],
  ])('that %s gives a reason, and nothing that could replace what is kept', async (_, v4, v6, reason) => {
    const resolved = await ask(kept(['198.51.100.1']), dns(v4, v6));
    expect(resolved).toMatchObject({ kind: 'failed', reason: expect.stringMatching(reason) });
    expect(resolved).not.toHaveProperty('prefixes');
  });

  it.each<[string, NameUse, readonly string[]]>([
    ['0.0.0.0', 'outside', ['0.0.0.0']],
    ['loopback', 'outside', ['127.0.0.1', '127.9.9.9']],
    ['multicast', 'any', ['224.0.0.1']],
    ['an internal address for `to`', 'outside', ['10.0.0.1']],
    ['an external address for `hosts`', 'inside', ['198.51.100.1']],
    [
      'hundreds of addresses',
      'outside',
      Array.from({ length: 300 }, (_, i) => `198.51.${i % 256}.${i >> 8}`),
    ],
  ])('with nothing but %s is refused', async (_, use, addresses) => {
    expect(await ask(kept(['10.0.0.9'], { use }), dns(addresses))).toMatchObject({ kind: 'refused' });
  });

  it('loses only the addresses of an answer that are refused, and says which', async () => {
    const resolved = await ask(kept([]), dns(['198.51.100.1', '127.0.0.1', '10.0.0.1'], ['::1']));
    expect(resolved).toMatchObject({ kind: 'fresh', prefixes: ['198.51.100.1'] });
    expect(resolved).toMatchObject({
      partly: expect.stringMatching(/10\.0\.0\.1 is inside.*127\.0\.0\.1 is a loopback.*::1/),
    });
  });

  it('keeps the addresses of a family that could not be asked for', async () => {
    const known = kept(['198.51.100.1', '2001:db8:9::1']);
    const resolved = await ask(known, dns(['198.51.100.2'], 'ESERVFAIL', 3000));
    expect(resolved).toMatchObject({
      prefixes: ['198.51.100.1', '198.51.100.2', '2001:db8:9::1'],
      header: { ttl: 30_000, gone: { '198.51.100.1': NOW - 60_000 } },
      partly: expect.stringContaining('ESERVFAIL'),
    });
    expect(Object.keys('header' in resolved ? resolved.header.gone : {})).toEqual(['198.51.100.1']);
  });

  it('keeps an address for an hour after the last answer with it, however often others come', async () => {
    let gone: Record<string, number> = {};
    let addresses = ['198.51.100.1'];
    let writtenMs = NOW;
    for (let minute = 1; minute <= 59; minute++) {
      const nowMs = NOW + minute * 60_000;
      const resolved = await ask(kept(addresses, { gone, writtenMs }), dns(['198.51.100.2']), nowMs);
      if ('reason' in resolved) throw new Error(resolved.reason);
      addresses = [...resolved.prefixes];
      gone = resolved.header.gone;
      writtenMs = nowMs;
      expect(addresses).toEqual(['198.51.100.1', '198.51.100.2']);
    }
    const last = await ask(kept(addresses, { gone, writtenMs }), dns(['198.51.100.2']), NOW + HOUR);
    expect(last).toMatchObject({ kind: 'fresh', prefixes: ['198.51.100.2'], header: { gone: {} } });
  });

  it('that comes with other addresses all the time stays within its bound, the newest first', async () => {
    const pool = Array.from({ length: 64 }, (_, i) => `198.51.100.${i}`);
    const gone = Object.fromEntries(pool.slice(1).map((text, i) => [text, NOW - 1000 * (i + 1)]));
    const resolved = await ask(kept(pool, { gone, writtenMs: NOW }), dns(['203.0.113.1', '203.0.113.2']));
    if ('reason' in resolved) throw new Error(resolved.reason);
    expect(resolved.prefixes).toHaveLength(64);
    expect(resolved.prefixes).toContain('198.51.100.0');
    expect(resolved.prefixes).not.toContain('198.51.100.63');
  });
});
