/** Blocks that a person asks for: in every list until their end, with or without an incident, and never past an interlock. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { alertSchema } from '../../src/messages/alert.ts';
import { createServeRole } from '../../src/service/serve-role.ts';
import { detect, STRICT, sendersFrom } from '../support/detecting.ts';
import { createDrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { HOUR, MINUTE, T0 } from '../support/flows.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-hand-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const EVE = '10.0.0.77';
const ASKED = { hosts: [EVE], forMs: HOUR, by: 'ada', reason: 'a complaint' };
const UNTIL = new Date(T0 + 2 * HOUR).toISOString();
const file = (family: '4' | '6' = '4') => readFileSync(join(directory, 'acl', `edge.${family}.txt`), 'utf8');

const bots = (count: number): Incident[] => detect(sendersFrom(100, count), { config: STRICT }).incidents;

interface Begun {
  readonly incidents?: readonly Incident[];
  readonly kept?: readonly Uint8Array[];
  readonly config?: ConfigInput;
  readonly server?: (host: Uint8Array) => string | null;
}

/** A serve role an hour after T0, with a clock that the test sets. */
async function serve({ incidents = [], kept = [], config: input = {}, server }: Begun = {}) {
  const stream = createDrivenStream();
  stream.kept = incidents.map(jsonMessage);
  stream.keptDecisions = [...kept];
  const clock = { nowMs: T0 + HOUR };
  const configOf = (changes: ConfigInput) =>
    configSchema.parse({
      ...STRICT,
      acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
      data: directory,
      ...changes,
    });
  const role = createServeRole(configOf(input), {
    stream,
    log: createLogger('silent'),
    now: () => clock.nowMs,
    policyVersion: () => 'v',
    ...(server !== undefined && { probableServer: async (host) => server(host) }),
  });
  await role.start();
  onTestFinished(() => role.stop());
  await expect.poll(async () => (await role.desk.overview()).targets[0].revisions.length).toBeGreaterThan(0);
  return {
    role,
    desk: role.desk,
    clock,
    reload: (changes: ConfigInput) => role.reload(configOf({ ...input, ...changes })),
    kept: () => stream.published.filter((one) => one.stream === 'decisions').map((one) => one.message.value),
    rowOf: async (host: string) => (await role.desk.overview()).hosts.find((row) => row.host === host),
    told: () =>
      stream.published
        .filter((one) => one.stream === 'alerts')
        .map((one) => alertSchema.parse(JSON.parse(Buffer.from(one.message.value).toString()))),
  };
}

describe('a block by hand', () => {
  it('of a host without an incident is in the lists at once, in the audit log, and told', async () => {
    const { role, desk, rowOf, told } = await serve();
    expect(await desk.block(ASKED)).toEqual([`${EVE} is blocked on port 25 until ${UNTIL}`]);
    expect(file()).toContain(`deny tcp host ${EVE} any eq 25`);
    expect(role.hosts('4')).toEqual([EVE]);
    expect(await rowOf(EVE)).toMatchObject({
      grade: null,
      incident_id: null,
      by_hand: true,
      listed: true,
      waiting: false,
      block: { state: 'published', reason: 'blocked by ada: a complaint', until: UNTIL, approved_by: 'ada' },
    });
    expect(await desk.log(10)).toContainEqual(
      expect.objectContaining({ by: 'ada', what: 'block', why: 'a complaint', host: EVE }),
    );
    await expect
      .poll(() => told().map(({ reasons }) => reasons))
      .toEqual([[`${EVE} is blocked by ada until ${UNTIL}: a complaint`]]);
    expect(told()[0]).toMatchObject({ kind: 'finding', host: EVE, finding: { type: 'blocked_by_hand' } });
  });

  it('of a host whose incident is below the grade is written over it, and beside those that are blocked', async () => {
    const attempts = [0, 1, 2].map((i) => ({
      from: EVE,
      to: '198.51.100.7',
      fromPort: 4000 + i,
      flags: 'S',
      packets: 1,
      bytes: 60,
      at: i * MINUTE,
    }));
    const below = detect(attempts, { config: STRICT }).incidents;
    expect(below[0]?.block.state).toBe('none');
    const { role, desk, rowOf } = await serve({ incidents: [...below, ...bots(1)] });
    await desk.block(ASKED);
    expect(role.hosts('4')).toEqual([EVE, '10.0.0.100']);
    expect(await rowOf(EVE)).toMatchObject({ grade: 'attempted', by_hand: true, listed: true });
    expect(await rowOf('10.0.0.100')).toMatchObject({ by_hand: false, listed: true });
  });

  it('lasts over a restart, and ends by its own time', async () => {
    const first = await serve();
    await first.desk.block(ASKED);
    const second = await serve({ kept: first.kept() });
    expect(second.role.hosts('4')).toEqual([EVE]);
    expect(file()).toContain(EVE);
    second.clock.nowMs = Date.parse(UNTIL) - 1;
    expect(second.role.hosts('4')).toEqual([EVE]);
    second.clock.nowMs = Date.parse(UNTIL);
    expect(second.role.hosts('4')).toEqual([]);
    second.reload({});
    await expect.poll(() => file()).not.toContain(EVE);
    expect(second.role.troubles()).toEqual([]);
    expect(await second.rowOf(EVE)).toBeUndefined();
    // What began was told by the first.
    await expect
      .poll(() => second.told().map(({ reasons }) => reasons[0]))
      .toEqual([`${EVE} is in no list any more: it was blocked by ada until ${UNTIL}: a complaint`]);
    const third = await serve({ kept: first.kept() });
    third.clock.nowMs = Date.parse(UNTIL) + HOUR;
    third.reload({});
    await third.role.stop();
    expect(third.role.troubles()).toEqual([]);
  });

  it('is ended by a release, and a release is replaced by it', async () => {
    const { role, desk } = await serve();
    await desk.block(ASKED);
    await desk.release(ASKED);
    expect(role.hosts('4')).toEqual([]);
    expect(file()).not.toContain(EVE);
    await desk.block(ASKED);
    expect(role.hosts('4')).toEqual([EVE]);
    await expect(desk.reject(ASKED)).rejects.toThrow(`there is no incident of ${EVE}`);
  });

  it('stands in a list that is rolled back, and is not brought back by one after its end', async () => {
    const { role, desk, clock, reload } = await serve({ incidents: bots(1) });
    await desk.block(ASKED);
    const { revisions } = (await desk.overview()).targets[0];
    const [withEve, without] = revisions.map(({ revision }) => revision);
    await desk.rollback({ target: 'edge', family: '4', to: without, by: 'bob', reason: '' });
    expect(file()).toContain(EVE);
    expect(file()).toContain('10.0.0.100');
    await desk.rollback({ target: 'edge', family: '4', to: withEve, by: 'bob', reason: '' });
    clock.nowMs = Date.parse(UNTIL);
    reload({});
    await expect.poll(() => file()).not.toContain(EVE);
    expect(file()).toContain('10.0.0.100');
    expect(role.heldLists()).toHaveLength(1);
  });

  it.each<[string, string, string, Begun]>([
    ['an authorised sender', '10.0.0.25', 'is the authorised sender "mail"', {}],
    [
      'a never-blocked host',
      EVE,
      'never-block list',
      { config: { block: { mode: 'publish', never: [EVE] } } },
    ],
    ['an outside host', '198.51.100.1', 'is not an internal host', {}],
    ['a NAT pool', EVE, 'networks.nat', { config: { networks: { internal: ['10.0.0.0/8'], nat: [EVE] } } }],
    ['a network', '10.0.0.0/24', 'is a network', {}],
    ['an IPv6 network', '2001:db8:1:1::/64', 'is a network: name its addresses', {}],
    [
      'a wide IPv6 network',
      '2001:db8:1::/48',
      'wider than a /64',
      { config: { block: { mode: 'publish', ipv6: 'prefix' } } },
    ],
    ['no address', 'mail.example', 'is not an address', {}],
    ['a mail server', EVE, 'probably a mail server: it answers', { server: () => 'answers SMTP' }],
    ['anybody in mode observe', EVE, 'block.mode is observe', { config: { block: { mode: 'observe' } } }],
    ['anybody without senders', EVE, 'no senders are configured', { config: { senders: [] } }],
    [
      'anybody after the last sender',
      EVE,
      'no sender is in force',
      { config: { senders: [{ name: 'old', hosts: ['10.0.0.25'], until: '2020-01-01T00:00:00Z' }] } },
    ],
    [
      'one more than there is room for',
      EVE,
      'the list is full',
      { incidents: bots(1), config: { block: { mode: 'publish', max_entries: 1 } } },
    ],
  ])('is refused for %s', async (_who, host, why, begun) => {
    const { desk, role, kept } = await serve(begun);
    const before = begun.incidents === undefined ? [] : role.hosts('4');
    await expect(desk.block({ ...ASKED, hosts: [host] })).rejects.toThrow(why);
    expect(kept()).toEqual([]);
    expect(role.hosts('4')).toEqual(before);
  });

  it('is refused for all when it is for one of them', async () => {
    const { desk, kept } = await serve();
    await expect(desk.block({ ...ASKED, hosts: [EVE, '10.0.0.25'] })).rejects.toThrow('nothing was blocked');
    expect(kept()).toEqual([]);
  });

  it('is refused for a host that is held as a probable mail server', async () => {
    const [bot] = bots(1);
    const block = { ...bot.block, state: 'held' as const, reason: 'probable mail server: the host serves' };
    const { desk } = await serve({ incidents: [{ ...bot, block }] });
    await expect(desk.block({ ...ASKED, hosts: [bot.host] })).rejects.toThrow(
      'is held: probable mail server',
    );
  });

  it('rests while the configuration speaks for the host, and in mode observe', async () => {
    const { role, desk, reload, rowOf } = await serve();
    await desk.block(ASKED);
    reload({ block: { mode: 'publish', never: [EVE] } });
    expect(role.hosts('4')).toEqual([]);
    await expect.poll(() => file()).not.toContain(EVE);
    // A host is listed as long as it is in a file.
    await expect.poll(() => rowOf(EVE)).toMatchObject({ listed: false, block: { state: 'refused' } });
    reload({ block: { mode: 'observe' } });
    await expect.poll(() => rowOf(EVE)).toMatchObject({ listed: false, block: { state: 'observed' } });
    reload({ block: { mode: 'propose' } });
    await expect.poll(() => file()).toContain(EVE);
    await expect.poll(() => rowOf(EVE)).toMatchObject({ listed: true, waiting: false });
  });

  it('names an IPv6 /64 where block.ipv6 allows that, and any single IPv6 host', async () => {
    const { role, desk } = await serve({ config: { block: { mode: 'publish', ipv6: 'prefix' } } });
    await desk.block({ ...ASKED, hosts: ['2001:db8:1:1::/64', '2001:db8:1:2::5'] });
    expect(role.hosts('6')).toEqual(['2001:db8:1:1::/64', '2001:db8:1:2::5']);
  });

  it('wants the site of a host that has no incident where there are sites', async () => {
    const sites = ['north', 'south'].map((name, i) => ({ name, exporters: [`192.0.2.${i + 1}`] }));
    const { desk, rowOf } = await serve({ config: { networks: { internal: ['10.0.0.0/8'], sites } } });
    await expect(desk.block(ASKED)).rejects.toThrow(`say ${EVE}@north or ${EVE}@south`);
    await expect(desk.block({ ...ASKED, hosts: [`${EVE}@west`] })).rejects.toThrow('is no site');
    await desk.block({ ...ASKED, hosts: [`${EVE}@north`] });
    expect(await rowOf(EVE)).toMatchObject({ site: 'north', listed: true });
  });

  it('says which list has no place for the host', async () => {
    const targets = [{ name: 'rules', platform: 'nftables' as const }];
    const { desk } = await serve({
      config: { block: { mode: 'publish', ipv6: 'prefix' }, acl: { targets } },
    });
    expect(await desk.block({ ...ASKED, hosts: ['2001:db8:1:1::/64'] })).toEqual([
      `2001:db8:1:1::/64 is blocked on port 25 until ${UNTIL}`,
      '2001:db8:1:1::/64 is left out of the list rules: is not the address of a single host',
    ]);
  });

  it('has an end that a date can say', async () => {
    const { desk } = await serve();
    await expect(desk.block({ ...ASKED, forMs: 0 })).rejects.toThrow('say for how long');
    await expect(desk.block({ ...ASKED, forMs: 1e17 })).rejects.toThrow('ten years');
    await expect(desk.release({ ...ASKED, hosts: [EVE], forMs: MINUTE })).rejects.toThrow('no incident');
  });
});
