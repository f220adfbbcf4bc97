/** People decide: what is approved, released, rolled back, and what of it a restart remembers. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { alertSchema } from '../../src/messages/alert.ts';
import { type Decision, decisionSchema } from '../../src/messages/decision.ts';
import { createServeRole, type ServeRole } from '../../src/service/serve-role.ts';
import { decision, detect, STRICT, sendersFrom } from '../support/detecting.ts';
import { createDrivenStream, type DrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { SECOND, T0 } from '../support/flows.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-desk-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** The lists follow news a moment later, so that those that come together are written together. */
const PUBLISH_DELAY_MS = 250;
const ADA = { by: 'ada', reason: 'said so' };

function incidents(count: number, mode: 'propose' | 'publish' = 'publish'): Incident[] {
  return detect(sendersFrom(100, count), { config: { ...STRICT, block: { mode } } }).incidents;
}

async function serve(
  kept: readonly Incident[],
  input: ConfigInput = {},
  keptDecisions: readonly Decision[] = [],
) {
  const stream: DrivenStream = createDrivenStream();
  stream.kept = kept.map(jsonMessage);
  stream.keptDecisions = keptDecisions.map(jsonMessage);
  const seconds: number[] = [];
  const config = configSchema.parse({
    ...STRICT,
    acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
    data: directory,
    ...input,
  });
  const role: ServeRole = createServeRole(config, {
    stream,
    log: createLogger('silent'),
    now: () => T0 + 300 * SECOND,
    policyVersion: () => 'v',
    onBlocked: (one) => seconds.push(one),
  });
  await role.start();
  const settled = async () => {
    await expect
      .poll(async () => (await role.desk.overview()).targets[0].revisions.length)
      .toBeGreaterThan(0);
    await sleep(PUBLISH_DELAY_MS);
  };
  await settled();
  let offset = 0;
  return {
    role,
    stream,
    seconds,
    async deliver(...news: readonly Incident[]) {
      await stream.deliver('incidents', news.map(jsonMessage), offset);
      offset += news.length;
      await settled();
    },
  };
}

const file = () => readFileSync(join(directory, 'acl', 'edge.4.txt'), 'utf8');
const decisions = (stream: DrivenStream) =>
  stream.published
    .filter((entry) => entry.stream === 'decisions')
    .map(({ message }) => decisionSchema.parse(JSON.parse(Buffer.from(message.value).toString())));
const again = (incident: Incident, block: Partial<Incident['block']> = {}): Incident => ({
  ...incident,
  revision: incident.revision + 1,
  block: { ...incident.block, ...block },
});

describe('the desk', () => {
  it('publishes what was decided on the stream of decisions, and notes it', async () => {
    const proposed = incidents(2, 'propose');
    const { role, stream } = await serve(proposed, { block: { mode: 'propose' } });
    expect((await role.desk.overview()).hosts.map(({ waiting, listed }) => [waiting, listed])).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(await role.desk.approve({ hosts: ['10.0.0.100'], ...ADA })).toEqual(['10.0.0.100 is approved']);
    await role.desk.approve({ hosts: [], ...ADA });
    await role.desk.reject({ hosts: ['10.0.0.101'], ...ADA });
    await role.desk.release({ hosts: ['10.0.0.101'], forMs: 3_600_000, ...ADA });
    expect(decisions(stream).map(({ action, host, by }) => [action, host, by])).toEqual([
      ['approve', '10.0.0.100', 'ada'],
      ['approve', '10.0.0.100', 'ada'],
      ['approve', '10.0.0.101', 'ada'],
      ['reject', '10.0.0.101', 'ada'],
      ['release', '10.0.0.101', 'ada'],
    ]);
    expect(decisions(stream).at(-1)?.until).toBe(new Date(T0 + 3900 * SECOND).toISOString());
    const log = await role.desk.log(100);
    expect(log.filter(({ what }) => what === 'approve')).toHaveLength(3);
    expect(log.at(-1)).toMatchObject({ by: 'ada', what: 'release', why: 'said so', host: '10.0.0.101' });
    await role.stop();
  });

  it('decides about a host of one site, and leaves its namesake of another in the list of that one', async () => {
    const [one] = incidents(1);
    const north = { ...one, site: 'north' };
    const south = { ...one, site: 'south', incident_id: `${one.incident_id}-s` };
    const targets = [
      { name: 'edge', platform: 'cisco-ios', site: 'north' },
      { name: 'south', platform: 'cisco-ios', site: 'south' },
    ] as const;
    const { role, stream } = await serve([north, south], {
      networks: {
        ...STRICT.networks,
        sites: [
          { name: 'north', vrf: 1 },
          { name: 'south', vrf: 2 },
        ],
      },
      acl: { targets: [...targets] },
    });
    const southFile = () => readFileSync(join(directory, 'acl', 'south.4.txt'), 'utf8');
    expect([file(), southFile()].every((text) => text.includes(`host ${one.host}`))).toBe(true);
    const ask = (host: string) => role.desk.release({ hosts: [host], forMs: 3_600_000, ...ADA });
    await expect(ask(one.host)).rejects.toThrow(
      `${one.host} is a host of several sites: say ${one.host}@north or ${one.host}@south`,
    );
    await expect(ask(`${one.host}@west`)).rejects.toThrow(/no incident/);
    expect((await ask(`${one.host}@north`))[0]).toMatch(`${one.host}@north is released`);
    expect(decisions(stream).map(({ host, site }) => [host, site])).toEqual([[one.host, 'north']]);
    const released = (await role.desk.log(100)).find(({ what }) => what === 'release');
    expect(released?.host).toBe(`${one.host}@north`);
    expect([file(), southFile()].map((text) => text.includes(`host ${one.host}`))).toEqual([false, true]);
    await role.stop();
  });

  it('answers a second release with who made the first, and when; only a longer one changes something', async () => {
    const { role, stream } = await serve(incidents(1));
    const hosts = ['10.0.0.100'];
    const release = (by: string, forMs: number) => role.desk.release({ hosts, forMs, by, reason: 'said so' });
    const first = new Date(T0 + 300 * SECOND).toISOString();
    const until = (ms: number) => new Date(T0 + 300 * SECOND + ms).toISOString();
    expect(await release('ada', 3_600_000)).toEqual([
      `10.0.0.100 is released, and not blocked before ${until(3_600_000)}`,
    ]);
    expect(await release('bob', 3_600_000)).toEqual([
      `10.0.0.100 was released already at ${first} by ada, and is not blocked before ${until(3_600_000)}: nothing was changed`,
    ]);
    expect(await release('bob', 7_200_000)).toEqual([
      `10.0.0.100 was released already at ${first} by ada; it is not blocked before ${until(7_200_000)} now (it was ${until(3_600_000)})`,
    ]);
    expect(await release('eve', 60_000)).toEqual([
      `10.0.0.100 was released already at ${first} by ada, and is not blocked before ${until(7_200_000)}: nothing was changed`,
    ]);
    expect(decisions(stream).map(({ by }) => by)).toEqual(['ada', 'bob']);
    await role.desk.reject({ hosts, ...ADA });
    expect((await release('bob', 60_000))[0]).toContain('is released, and not blocked before');
    await role.stop();
  });

  it('notes no decision that could not be published', async () => {
    const { role, stream } = await serve(incidents(1, 'propose'), { block: { mode: 'propose' } });
    for (const answer of ['fail', 'refuse'] as const) {
      stream.answers.decisions = answer;
      await expect(role.desk.approve({ hosts: ['10.0.0.100'], ...ADA })).rejects.toThrow();
    }
    expect((await role.desk.log(100)).filter(({ what }) => what === 'approve')).toEqual([]);
    await role.stop();
  });

  it('notes once what others published, and what a process before it published and had no time to note', async () => {
    const [one, two] = incidents(2);
    const earlier = decision('release', one, { decision_id: 'earlier' });
    const others = decision('reject', two, { decision_id: 'others', by: 'bob' });
    for (const start of ['first', 'second']) {
      const { role, stream } = await serve([one, two], {}, [earlier]);
      await role.desk.reject({ hosts: [one.host], by: 'ada', reason: start });
      const own = decisions(stream).map(jsonMessage);
      await stream.deliver('decisions', [jsonMessage(others), ...own, Buffer.from('{')], 0);
      await role.stop();
    }
    const { role } = await serve([one, two]);
    const log = (await role.desk.log(100)).filter(({ decision_id }) => decision_id !== undefined);
    expect(log.map(({ what, by, host, why }) => [what, by, host, why])).toEqual([
      ['release', 'ada', one.host, 'looked at it'],
      ['reject', 'ada', one.host, 'first'],
      ['reject', 'bob', two.host, 'looked at it'],
      ['reject', 'ada', one.host, 'second'],
    ]);
    await role.stop();
  });

  it('lists in mode propose who was approved, and nobody else', async () => {
    const [one, two] = incidents(2, 'propose');
    const { role, deliver } = await serve([one, two], { block: { mode: 'propose' } });
    expect(file()).not.toContain('10.0.0.100');
    await deliver(again(one, { state: 'published', approved_by: 'ada' }), again(two, { state: 'published' }));
    await expect.poll(file).toContain('host 10.0.0.100');
    expect(file()).not.toContain('host 10.0.0.101');
    await role.stop();
  });

  it('says at once what cannot be approved', async () => {
    const { role } = await serve(incidents(1), { block: { mode: 'observe' } });
    await expect(role.desk.approve({ hosts: [], ...ADA })).rejects.toThrow('block.mode is observe');
    await expect(role.desk.reject({ hosts: ['10.9.9.9'], ...ADA })).rejects.toThrow(
      'no incident of 10.9.9.9',
    );
    await expect(role.desk.reject({ hosts: ['$(id)'], ...ADA })).rejects.toThrow('is not an address');
    await role.stop();
  });

  it('leaves the lists as they are while a list of prefixes that is used is missing', async () => {
    const config: ConfigInput = { block: { mode: 'publish' } };
    const [one, two] = incidents(2);
    const { role, deliver } = await serve([one], config);
    const before = file();
    const data = { ...STRICT, acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] }, data: directory };
    role.reload({ ...configSchema.parse({ ...data, ...config }), missingLists: ['provider'] });
    await deliver(two);
    expect(file()).toBe(before);
    expect(() => role.hosts('4')).toThrow(/"provider" could not be had/);
    expect((await role.desk.overview()).targets[0].trouble).toMatch(/provider/);
    expect(role.troubles().join()).toMatch(/provider/);
    // A name that cannot be resolved is told in the same places, but the service is ready.
    role.reload({ ...configSchema.parse({ ...data, ...config }), missingNames: ['mail.example.org'] });
    await deliver(again(two));
    expect(file()).toBe(before);
    expect((await role.desk.overview()).targets[0].trouble).toMatch(
      /"mail\.example\.org" could not be resolved/,
    );
    expect(role.troubles()).toEqual([]);
    await role.stop();
    expect(file()).toBe(before);
  });

  it('shows what the lists would change to if everything were approved', async () => {
    const { role } = await serve(incidents(1, 'propose'), { block: { mode: 'propose' } });
    const diff = await role.desk.diff();
    expect(diff).toContain('--- edge.4 published\n+++ edge.4 with everything approved\n');
    expect(diff).toMatch(/^\+ 10 deny tcp host 10\.0\.0\.100 any eq 25$/m);
    await expect(role.desk.diff('nobody')).rejects.toThrow('no ACL target');
    await role.stop();
  });
});

describe('lists', () => {
  it('hold back too many new hosts at once, say so, and take them in when they are approved; over a restart, too', async () => {
    const all = incidents(6);
    const limit: ConfigInput = { block: { mode: 'publish', max_change: 3 } };
    const { role, stream, deliver } = await serve(all.slice(0, 1), limit);
    await deliver(...all.slice(1));
    await expect.poll(() => role.blocked().length).toBe(1);
    await expect.poll(() => stream.published.filter((entry) => entry.stream === 'alerts').length).toBe(1);
    const [told] = stream.published.filter((entry) => entry.stream === 'alerts');
    expect(alertSchema.parse(JSON.parse(Buffer.from(told.message.value).toString()))).toMatchObject({
      kind: 'coverage',
      coverage: { cause: 'acl_held' },
    });
    await role.stop();
    expect(file()).toContain('host 10.0.0.100');
    expect(file()).not.toContain('host 10.0.0.101');

    const next = await serve(all.slice(0, 4), limit);
    expect(next.role.blocked()).toHaveLength(1);
    expect((await next.role.desk.overview()).hosts.filter(({ waiting }) => waiting)).toHaveLength(3);
    await next.deliver(again(all[1], { approved_by: 'ada' }));
    await next.role.stop();
    expect(file()).toContain('host 10.0.0.101');
    expect(file()).not.toContain('host 10.0.0.102');
  });

  it('go back to an earlier revision and stay there, over a restart and new incidents, until they are let go', async () => {
    const [one, two, three] = incidents(3);
    const first = await serve([one]);
    await first.deliver(two);
    await expect.poll(file).toContain('host 10.0.0.101');
    expect(await first.role.desk.rollback({ target: 'edge', ...ADA })).toMatchObject([
      expect.stringContaining('edge.4 is held at revision'),
      expect.stringContaining('are not rolled back'),
    ]);
    expect(file()).not.toContain('host 10.0.0.101');
    await first.role.stop();

    const second = await serve([one, two, three]);
    expect(file()).not.toContain('host 10.0.0.101');
    const [list] = (await second.role.desk.overview()).targets;
    expect(list.pin).toMatchObject({ by: 'ada', reason: 'said so', revision: list.revisions[0].revision });
    expect(await second.role.desk.follow({ targets: ['edge'], ...ADA })).toHaveLength(1);
    expect(file()).toContain('host 10.0.0.102');
    const log = await second.role.desk.log(100);
    expect(log.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['publish', 'rollback', 'rollback_end']),
    );
    await second.role.stop();
  });

  it('do not bring back by a rollback a host that is held since', async () => {
    const [one, two] = incidents(2);
    const first = await serve([one]);
    await first.deliver(two);
    await expect.poll(file).toContain('host 10.0.0.101');
    await first.deliver(again(two, { state: 'held', reason: 'probable mail server: the host takes mail' }));
    await expect.poll(file).not.toContain('host 10.0.0.101');
    await first.role.desk.rollback({ target: 'edge', ...ADA });
    expect(file()).toContain('host 10.0.0.100');
    expect(file()).not.toContain('host 10.0.0.101');
    await first.role.stop();
  });

  it('leave in the audit log who or what changed them, when, to which revision, and for which hosts', async () => {
    const [one, two] = incidents(2);
    const { role, deliver } = await serve([one]);
    await deliver(two);
    await expect.poll(file).toContain('host 10.0.0.101');
    await role.desk.rollback({ target: 'edge', ...ADA });
    const { revisions } = (await role.desk.overview()).targets[0];
    // The one id of a list: what the router is told is what people are shown.
    expect(file()).toContain(`revision ${revisions[0].revision}`);
    expect(file()).toContain(`SMTP-OFFENDERS-${revisions[0].revision}`);
    const log = (await role.desk.log(100)).filter(({ family }) => family !== '6');
    const at = new Date(T0 + 300 * SECOND).toISOString();
    expect(log).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          at,
          by: 'detector',
          what: 'publish',
          target: 'edge',
          added: ['10.0.0.101'],
        }),
        expect.objectContaining({ at, by: 'ada', what: 'rollback', target: 'edge.4', why: 'said so' }),
        expect.objectContaining({
          by: 'ada',
          what: 'publish',
          revision: revisions[0].revision,
          removed: ['10.0.0.101'],
        }),
      ]),
    );
    await role.stop();
  });

  it('of a platform with one list for both IP versions are the same in both files, rolled back, too', async () => {
    const [one, two] = incidents(2);
    const { role, deliver } = await serve([one], {
      acl: { targets: [{ name: 'edge', platform: 'cisco-asa' }] },
    });
    const other = () => readFileSync(join(directory, 'acl', 'edge.6.txt'), 'utf8');
    await deliver(two);
    await expect.poll(file).toContain('host 10.0.0.101');
    await expect.poll(other).toBe(file());
    await role.desk.rollback({ target: 'edge', ...ADA });
    expect(file()).not.toContain('host 10.0.0.101');
    expect(file()).toContain('host 10.0.0.100');
    expect(other()).toBe(file());
    await role.stop();
  });

  it('brought back pass the interlocks of today', async () => {
    const [one, two] = incidents(2);
    const first = await serve([one, two]);
    const [revision] = (await first.role.desk.overview()).targets[0].revisions;
    await first.role.stop();
    const never: ConfigInput = { block: { mode: 'publish', never: ['10.0.0.100'] } };
    const second = await serve([one, two], never);
    expect(file()).not.toContain('host 10.0.0.100');
    await second.role.desk.rollback({ target: 'edge', to: revision.revision, ...ADA });
    expect(file()).not.toContain('host 10.0.0.100');
    expect(file()).toContain('host 10.0.0.101');
    await expect(second.role.desk.rollback({ to: '00000000', ...ADA })).rejects.toThrow('is not kept');
    await second.role.stop();
  });

  it.each(['release', 'reject'] as const)(
    'never name a host after its %s: not rolled back, not before the detector acts, not after a restart',
    async (action) => {
      const all = incidents(3);
      const [one, two, three] = all;
      const first = await serve(all);
      await first.deliver(again(three, { state: 'expired' }));
      await expect.poll(file).not.toContain('host 10.0.0.102');
      const asked = { hosts: ['10.0.0.100'], forMs: 3_600_000, ...ADA };
      await first.role.desk[action](asked);
      expect(file()).not.toContain('host 10.0.0.100');
      expect(first.role.hosts('4')).toEqual(['10.0.0.101']);
      const kept = decisions(first.stream);

      const oldest = (await first.role.desk.overview()).targets[0].revisions.at(-1)?.revision;
      const preview = await first.role.desk.rollbackDiff({ target: 'edge', to: oldest });
      expect(preview).toContain('host 10.0.0.102');
      await first.role.desk.rollback({ target: 'edge', family: '4', to: oldest, ...ADA });
      expect(file()).toContain('host 10.0.0.102');
      expect(file()).not.toContain('host 10.0.0.100');
      await first.role.desk[action]({ ...asked, hosts: ['10.0.0.102'] });
      expect(file()).not.toContain('host 10.0.0.102');
      expect(first.role.heldLists()).toEqual([expect.stringMatching(/^edge\.4 is held at revision /)]);
      await first.role.stop();

      const second = await serve([one, two, three], {}, kept);
      expect(file()).not.toContain('host 10.0.0.100');
      expect(file()).toContain('host 10.0.0.101');
      await second.role.stop();
    },
  );

  it('name a released host again when its time has passed', async () => {
    const [one] = incidents(1);
    const ended = decision('release', one, { until: new Date(T0).toISOString() });
    const { role } = await serve([one], {}, [ended]);
    expect(file()).toContain('host 10.0.0.100');
    await role.stop();
  });

  it('say so when what was decided about them could not be written', async () => {
    const [one, two] = incidents(2);
    const { role, deliver } = await serve([one]);
    await deliver(two);
    await expect.poll(file).toContain('host 10.0.0.101');
    await role.desk.rollback({ target: 'edge', ...ADA });
    const data = { ...STRICT, acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] }, data: directory };
    role.reload({ ...configSchema.parse(data), missingLists: ['provider'] });
    const [line] = await role.desk.follow({ targets: ['edge'], ...ADA });
    expect(line).toMatch(/^edge.4 follows the incidents again, but its file is left as it was: .*"provider"/);
    expect(file()).not.toContain('host 10.0.0.101');
    role.reload(configSchema.parse(data));
    await role.stop();
    expect(file()).toContain('host 10.0.0.101');
  });

  it('measure the time from the first record to the block', async () => {
    const { role, seconds } = await serve(incidents(1));
    expect(seconds).toEqual([300]);
    expect(await role.blocks()).toMatchObject([{ listed: true, time_to_block_ms: 300_000 }]);
    await role.stop();
  });

  it('take everybody in the first time, also after what is remembered of them could not be written', async () => {
    const obstacle = join(directory, 'lists.json.tmp');
    mkdirSync(obstacle);
    const config = configSchema.parse({
      ...STRICT,
      block: { mode: 'publish', max_change: 1 },
      acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
      data: directory,
    });
    const stream = createDrivenStream();
    stream.kept = incidents(3).map(jsonMessage);
    const tried: string[] = [];
    const log = createLogger('silent');
    log.error = ((_fields: object, text: string) => void tried.push(text)) as typeof log.error;
    const role = createServeRole(config, { stream, log, now: () => T0, policyVersion: () => 'v' });
    await role.start();
    await expect.poll(() => tried).toEqual(['the lists are left as they were']);
    expect(role.hosts('4')).toEqual([]);
    rmSync(obstacle, { recursive: true });
    role.reload(config);
    await expect.poll(() => role.hosts('4')).toEqual(['10.0.0.100', '10.0.0.101', '10.0.0.102']);
    expect((await role.desk.overview()).hosts.filter(({ held_since }) => held_since !== null)).toEqual([]);
    await role.stop();
  });

  it('are left as they are when what is remembered of them is damaged', async () => {
    const first = await serve(incidents(1));
    await first.role.stop();
    const before = file();
    writeFileSync(join(directory, 'lists.json'), '{');
    const stream = createDrivenStream();
    const role = createServeRole(
      configSchema.parse({
        ...STRICT,
        acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
        data: directory,
      }),
      { stream, log: createLogger('silent'), now: () => T0, policyVersion: () => 'v' },
    );
    await role.start();
    await role.stop();
    expect(file()).toBe(before);
    expect(() => role.hosts('4')).toThrow('not there yet');
    await expect(role.desk.overview()).rejects.toThrow('not there yet');
  });
});
