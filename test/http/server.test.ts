import { afterEach, describe, expect, it } from 'vitest';
import { createHttpServer, type HttpServerDependencies } from '../../src/http/server.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { startHttpServer as start, stopHttpServers } from '../support/http-server.ts';

afterEach(stopHttpServers);

describe('the HTTP server', () => {
  it('serves block lists per family, with a comment line so that an empty list is no failed download', async () => {
    const base = await start();
    const text = async (name: string) => (await fetch(`${base}/v1/lists/offenders.${name}.txt`)).text();
    expect(await text('v4')).toBe('# rogue-smtp: hosts blocked on TCP port 25\n192.0.2.55\n');
    expect(await text('v6')).toBe('# rogue-smtp: hosts blocked on TCP port 25\n2001:db8:1::55\n');
    expect(await text('all')).toContain('192.0.2.55\n2001:db8:1::55\n');
    expect((await fetch(`${base}/v1/lists/offenders.v5.txt`)).status).toBe(404);
  });

  it('serves the scripts that ipset, nft and RouterOS load, and refuses other forms', async () => {
    const base = await start();
    const get = (name: string) => fetch(`${base}/v1/lists/offenders.${name}`);
    const script = await (await get('v4.ipset')).text();
    expect(script.split('\n').slice(1)).toEqual([
      'create rogue-smtp4 hash:net family inet maxelem 262144 -exist',
      'create rogue-smtp4-new hash:net family inet maxelem 262144 -exist',
      'flush rogue-smtp4-new',
      'add rogue-smtp4-new 192.0.2.55',
      'swap rogue-smtp4-new rogue-smtp4',
      'destroy rogue-smtp4-new',
      '',
    ]);
    expect(await (await get('v6.nft')).json()).toMatchObject({ platform: 'nftables', family: '6' });
    expect(await (await get('v4.rsc')).json()).toMatchObject({ platform: 'mikrotik', kind: 'offenders' });
    expect((await get('all.ipset')).status).toBe(404);
    const head = await fetch(`${base}/v1/lists/offenders.v4.ipset`, { method: 'HEAD' });
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', expect.any(String)]);
  });

  it('answers 304 to a client that has the list already', async () => {
    const base = await start();
    const first = await fetch(`${base}/v1/lists/offenders.v4.txt`);
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/);
    const second = await fetch(`${base}/v1/lists/offenders.v4.txt`, { headers: { 'If-None-Match': etag } });
    expect([second.status, await second.text()]).toEqual([304, '']);
    const head = await fetch(`${base}/v1/acl/edge`, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag')?.length]).toEqual([200, 66]);
  });

  it('without a token serves only requests that name loopback, so that no web page can read it by DNS rebinding', async () => {
    const base = await start();
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${base}/api/v1/offenders`, { headers })).status;
    expect(await status({})).toBe(200);
    expect(await status({ Origin: 'http://evil.example' })).toBe(403);
    const { request } = await import('node:http');
    const rebound = await new Promise((resolve) => {
      request(`${base}/api/v1/offenders`, { headers: { Host: 'evil.example' } }, (response) =>
        resolve(response.statusCode),
      ).end();
    });
    expect(rebound).toBe(403);
  });

  it('with a token takes it as Bearer or as a Basic password, and lets nobody else in', async () => {
    const base = await start('correct-horse-battery');
    const status = async (authorization?: string) =>
      (
        await fetch(`${base}/metrics`, {
          headers: authorization === undefined ? {} : { Authorization: authorization },
        })
      ).status;
    expect(await status()).toBe(401);
    expect(await status('Bearer wrong')).toBe(401);
    expect(await status('Bearer correct-horse-battery')).toBe(200);
    expect(await status(`Basic ${btoa('router:correct-horse-battery')}`)).toBe(200);
    expect(await status(`Basic ${btoa('no-colon')}`)).toBe(401);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
  });

  it('says what is wrong with a request, and nothing of its insides', async () => {
    const base = await start();
    const get = async (path: string, init?: RequestInit) => {
      const response = await fetch(base + path, init);
      return [response.status, await response.json()];
    };
    expect(await get('/api/v1/alerts?limit=many')).toEqual([
      400,
      expect.objectContaining({ error: expect.stringContaining('limit') }),
    ]);
    expect(await get('/api/v1/incidents/x')).toEqual([
      404,
      {
        type: 'about:blank',
        title: 'Not found',
        status: 404,
        detail: 'there is no incident or host "x"',
        error: 'there is no incident or host "x"',
        code: 'not_found',
      },
    ]);
    expect(await get('/api/v1/acl/render?platform=cisco-ios&kind=all')).toEqual([400, expect.anything()]);
    expect(await get('/api/v1/status')).toEqual([
      500,
      expect.objectContaining({ error: 'internal error, see the log' }),
    ]);
    expect(await get('/nowhere')).toEqual([404, expect.objectContaining({ error: 'there is no /nowhere' })]);
    expect((await fetch(`${base}/nowhere`)).headers.get('content-type')).toBe('application/problem+json');
  });

  it('hands all that is under /clickhouse to the endpoint, which asks for the token itself', async () => {
    const base = await start('a-token-of-its-own');
    for (const path of ['/clickhouse', '/clickhouse/', '/clickhouse/?query=SELECT+1'])
      expect(await (await fetch(base + path)).text()).toBe('asked /');
    expect(await (await fetch(`${base}/clickhouse/ping`)).text()).toBe('asked /ping');
    expect((await fetch(`${base}/clickhousex`)).status).toBe(401);
  });

  it('hands on the body of a request, whatever Node made of it', async () => {
    const base = await start(undefined, {
      clickhouse: async (request) => new Response(`asked ${await request.text()}`),
    });
    const body = 'SELECT 1';
    const stream = new Blob([body]).stream();
    for (const init of [{ body }, { body: stream, duplex: 'half' }] as RequestInit[])
      expect(await (await fetch(`${base}/clickhouse/`, { method: 'POST', ...init })).text()).toBe(
        'asked SELECT 1',
      );
  });

  it('tells readiness with the reason', async () => {
    let waiting = ['the store'];
    const base = await start(undefined, { notReady: () => waiting });
    const first = await fetch(`${base}/readyz`);
    expect([first.status, await first.text()]).toEqual([503, 'not ready: the store\n']);
    waiting = [];
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
  });

  it('sends alerts as server-sent events, and forgets a client that has gone', async () => {
    let listener: ((alert: Alert) => void) | null = null;
    const base = await start(undefined, {
      onAlert: (call) => {
        listener = call;
        return () => {
          listener = null;
        };
      },
    });
    const gone = new AbortController();
    const response = await fetch(`${base}/events`, { signal: gone.signal });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toContain(': connected');
    listener!({ alert_id: 'a1', kind: 'opened', host: '192.0.2.55' } as Alert);
    expect((await reader.read()).value).toContain('event: opened\ndata: {"alert_id":"a1"');
    gone.abort();
    await expect.poll(() => listener).toBeNull();
  });

  it('says clearly when the address is taken', async () => {
    const base = await start();
    const second = createHttpServer(
      { listen: { host: '127.0.0.1', port: Number(new URL(base).port) } },
      {} as HttpServerDependencies,
    );
    await expect(second.start()).rejects.toThrow(/http\.listen: .*EADDRINUSE/);
  });
});
