/**
 * What `acl list`, `diff`, `log`, `approve`, `reject`, `release` and `rollback` print and leave behind: asked of a running
 * instance, and on the data directory of one that has stopped. Both say the same.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { statedRevision } from '../../src/acl/revision.ts';
import { aclRenderCommand } from '../../src/cli/acl.ts';
import {
  aclApproveCommand,
  aclDiffCommand,
  aclListCommand,
  aclLogCommand,
  aclRejectCommand,
  aclReleaseCommand,
  aclRollbackCommand,
  blockCommand,
} from '../../src/cli/acl-desk.ts';
import type { ReportStreams } from '../../src/cli/reports.ts';
import { zoneName } from '../../src/cli/table.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/logger.ts';
import { alertSchema, type Incident } from '../../src/messages/alert.ts';
import { decisionSchema } from '../../src/messages/decision.ts';
import { incidentMessage } from '../../src/messages/encode.ts';
import { parseMessage } from '../../src/messages/parse-message.ts';
import { createServeRole } from '../../src/service/serve-role.ts';
import { createStream } from '../../src/stream/open-stream.ts';
import { NOW_MS, offender } from '../support/acl-requests.ts';
import { collected } from '../support/collected.ts';
import { startHttpServer, stopHttpServers } from '../support/http-server.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-desk-'));
});
afterEach(async () => {
  await stopHttpServers();
  rmSync(directory, { recursive: true, force: true });
});

const ME = userInfo().username;

interface Settings {
  readonly listen?: string;
  readonly targets?: string;
  readonly maxChange?: number;
  readonly mode?: 'propose' | 'publish';
}

/** Nothing answers at the address if no other is said. */
function configured({
  listen = '127.0.0.1:1',
  targets = '[{ name: edge, platform: cisco-ios }]',
  maxChange = 50,
  mode = 'propose',
}: Settings = {}): LoadedConfig {
  const file = join(directory, 'c.yaml');
  writeFileSync(
    file,
    `data: ${join(directory, 'data')}\nhttp: { listen: "${listen}" }\nlog: { level: fatal }\n` +
      'networks: { internal: [10.0.0.0/8, "2001:db8:1::/48"] }\nsenders: [{ name: mail, hosts: [10.0.0.25] }]\n' +
      `block: { mode: ${mode}, max_change: ${maxChange} }\nacl: { targets: ${targets} }\n`,
  );
  return loadConfig({ file });
}

const incident = (host: string, block: Partial<Incident['block']>): Incident =>
  offender(host, {
    incident_id: `of-${host}`,
    first_seen: '2026-03-01T10:00:00.000Z',
    block: { ...offender(host).block, ...block },
  });
const approved = (host: string) =>
  incident(host, { approved_by: 'ada', reason: 'the grade is conversed', until: '2099-01-01T00:00:00.000Z' });
const blocked = (host: string) => incident(host, { reason: 'the grade is conversed' });
const proposed = (host: string, reason = 'waits for approval') =>
  incident(host, { state: 'proposed', reason, since: null });

type Instance = 'a running instance' | 'the data of one that has stopped';
const INSTANCES: readonly Instance[] = ['a running instance', 'the data of one that has stopped'];

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
type Command<Args extends readonly unknown[]> = (
  loaded: LoadedConfig,
  ...args: [...Args, ReportStreams]
) => Promise<unknown>;

/** An instance that has been told of the incidents in so many rounds, and has written its lists after each. */
async function prepared(
  instance: Instance,
  rounds: readonly (Incident | readonly Incident[])[],
  settings: Settings = {},
) {
  let loaded = configured(settings);
  const log = createLogger('silent');
  const { stream } = createStream(loaded.config, false, log);
  await stream.start();
  const role = createServeRole(loaded.config, {
    stream,
    log,
    now: () => NOW_MS,
    policyVersion: () => 'v',
  });
  const stop = async () => {
    await role.stop();
    await stream.stop();
  };
  await role.start();
  await role.assigned;
  for (const round of rounds.map((one) => [one].flat())) {
    const known = role.incidents().length;
    const messages = round.map((one) => ({ ...incidentMessage(one), partition: 0 }));
    await stream.publish('incidents', messages);
    await expect.poll(() => role.incidents().length).toBe(known + round.length);
    const isDone = async () =>
      (await role.desk.overview()).hosts.every(
        ({ block, listed, held_since }) => (listed || held_since !== null) === (block.state === 'published'),
      );
    await expect.poll(isDone).toBe(true);
  }
  if (instance === 'a running instance') {
    onTestFinished(stop);
    const base = await startHttpServer(undefined, { desk: role.desk });
    loaded = configured({ ...settings, listen: new URL(base).host });
  } else {
    await stop();
  }
  const run = async <Args extends readonly unknown[]>(
    command: Command<Args>,
    ...args: Args
  ): Promise<Result> => {
    const [stdout, stderr] = [collected(), collected()];
    const code = await command(loaded, ...args, { stdout: stdout.stream, stderr: stderr.stream });
    return { code: typeof code === 'number' ? code : 0, stdout: stdout.text(), stderr: stderr.text() };
  };
  return { run, stop };
}

const file = (family: '4' | '6') =>
  readFileSync(join(directory, 'data', 'acl', `edge.${family}.txt`), 'utf8');
const timeless = (text: string) => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'YYYY-MM-DD hh:mm:ss');
const said = (stdout: string): Result => ({ code: 0, stdout, stderr: '' });

describe.each(INSTANCES)('on %s', (instance) => {
  it('acl list shows who waits, who is in the lists and since when, and every list', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), proposed('10.0.0.67')]);
    const { code, stdout, stderr } = await run(aclListCommand, {});
    expect([code, stderr]).toEqual([0, '']);
    const [four, six] = (['4', '6'] as const).map((family) => statedRevision(file(family)));
    expect(timeless(stdout).split('\n')).toEqual([
      'Mode propose. 1 host(s) in the lists, 1 waiting for approval.',
      '',
      'HOST       GRADE      BLOCK      IN LISTS  UNTIL                  AFTER  WHY                     EFFECT',
      '10.0.0.67  conversed  proposed                                           waits for approval',
      '10.0.0.66  conversed  published  yes       YYYY-MM-DD hh:mm:ss  120 min  the grade is conversed',
      '',
      'LIST    PLATFORM   KIND       REVISION  SINCE                EARLIER   HELD  TROUBLE',
      expect.stringMatching(
        new RegExp(`^edge\\.4  cisco-ios  offenders  ${four}  YYYY-MM-DD hh:mm:ss  [0-9a-f]{8}$`),
      ),
      `edge.6  cisco-ios  offenders  ${six}  YYYY-MM-DD hh:mm:ss`,
      '',
      `Times are in ${zoneName(Date.now())}.`,
      '',
    ]);
  });

  it('acl list shows who is held back for coming with too many others; they can be approved', async () => {
    const together = ['10.0.0.67', '10.0.0.68'].map(blocked);
    const settings = { maxChange: 1, mode: 'publish' } as const;
    const { run } = await prepared(instance, [blocked('10.0.0.66'), together], settings);
    const { stdout } = await run(aclListCommand, {});
    expect(stdout).toMatch(/^Mode publish\. 1 host\(s\) in the lists, 2 waiting for approval\.$/m);
    expect(stdout.match(/^10\..* published .*$/gm)).toEqual([
      expect.stringMatching(/^10\.0\.0\.6[78] .* held back .* the grade is conversed$/),
      expect.stringMatching(/^10\.0\.0\.6[78] .* held back /),
      expect.stringMatching(/^10\.0\.0\.66 .* yes .*120 min /),
    ]);
    expect(await run(aclApproveCommand, ['10.0.0.68'], {})).toEqual(said('10.0.0.68 is approved\n'));
  });

  it('acl list --json is one line for a program', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66')]);
    const { stdout } = await run(aclListCommand, { json: true });
    expect(stdout.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({
      mode: 'propose',
      hosts: [{ host: '10.0.0.66', listed: true, waiting: false, time_to_block_ms: 7_200_000 }],
      targets: [{ target: 'edge', family: '4', pin: null, trouble: null }, { family: '6' }],
    });
  });

  it('acl list is short where nothing is', async () => {
    const { run } = await prepared(instance, [], { targets: '[]' });
    expect(await run(aclListCommand, {})).toEqual(
      said('Mode propose. 0 host(s) in the lists, 0 waiting for approval.\n'),
    );
  });

  it('no command lets through what could move a cursor', async () => {
    const block = { state: 'published', reason: 'a\u001b[2J\r', approved_by: 'ada' } as const;
    const { run } = await prepared(instance, [incident('10.0.0.66', block)]);
    const { stdout: list } = await run(aclListCommand, {});
    const { stdout: answer } = await run(aclApproveCommand, ['10.0.0.66'], {});
    expect(list).toContain('a?[2J?');
    expect(answer).toContain('(a?[2J?)');
    expect((list + answer).replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  });

  it.each([
    ['moves a cursor', 'b\u009b2J', 'use no line breaks or control characters'],
    ['is a page', 'b'.repeat(201), '<=200'],
  ])('a reason that %s is refused, since no detector would take the decision', async (_what, reason, why) => {
    const { run } = await prepared(instance, [proposed('10.0.0.66')]);
    const refused = { code: 'usage', message: expect.stringMatching(`^reason: .*${why}`) };
    await expect(run(aclApproveCommand, ['10.0.0.66'], { reason })).rejects.toMatchObject(refused);
    await expect(run(aclRollbackCommand, undefined, { reason, yes: true })).rejects.toMatchObject(refused);
    expect((await run(aclLogCommand, { limit: 100 })).stdout).not.toMatch(/ approve | rollback /);
  });

  it('acl diff prints what an approval of all would change and ends with 1, without a difference with 0', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), proposed('10.0.0.67')]);
    const { code, stdout, stderr } = await run(aclDiffCommand, undefined);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^--- edge\.4 published\n\+\+\+ edge\.4 with everything approved\n@@ /);
    expect(stdout.match(/^[+-] \d+ deny .*$/gm)).toEqual(['+ 20 deny tcp host 10.0.0.67 any eq 25']);
    expect(stdout).not.toContain('edge.6');
    expect(await run(aclDiffCommand, 'edge')).toEqual({ code, stdout, stderr });
    await expect(run(aclDiffCommand, 'nowhere')).rejects.toThrow('there is no ACL target "nowhere"');
  });

  it('acl diff says that nothing waits', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66')]);
    expect(await run(aclDiffCommand, undefined)).toEqual({
      code: 0,
      stdout: '',
      stderr: 'Nothing waits: every list would stay as it is.\n',
    });
  });

  it('acl approve tells what came of each host, and the log who said so and why', async () => {
    const { run } = await prepared(instance, [
      approved('10.0.0.66'),
      proposed('10.0.0.67'),
      proposed('10.0.0.68'),
    ]);
    expect(await run(aclApproveCommand, ['10.0.0.67', '10.0.0.66'], { reason: 'a bot' })).toEqual(
      said(
        '10.0.0.67 is approved\n' +
          '10.0.0.66 does not wait for approval: its block is published (the grade is conversed)\n',
      ),
    );
    const all = await run(aclApproveCommand, [], {});
    expect(all.stdout.split('\n').sort()).toEqual(['', '10.0.0.67 is approved', '10.0.0.68 is approved']);
    await expect(run(aclApproveCommand, ['10.0.0.99'], {})).rejects.toThrow(
      'there is no incident of 10.0.0.99',
    );
    const { stdout } = await run(aclLogCommand, { limit: 3 });
    expect(timeless(stdout).split('\n')[0]).toBe(`YYYY-MM-DD hh:mm:ss ${ME} approve 10.0.0.67: a bot`);
    const { stdout: json } = await run(aclLogCommand, { limit: 1, json: true });
    expect(JSON.parse(json)).toMatchObject({ by: ME, what: 'approve', why: '' });
  });

  it('acl approve says so when nobody waits', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66')]);
    expect(await run(aclApproveCommand, [], {})).toEqual(said('Nothing to do.\n'));
  });

  it('acl reject and acl release tell for how long', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), proposed('10.0.0.67')]);
    expect(await run(aclRejectCommand, ['10.0.0.67'], { reason: 'ours' })).toEqual(
      said('10.0.0.67 is rejected, as long as this incident lasts\n'),
    );
    const { stdout } = await run(aclReleaseCommand, ['10.0.0.66'], { for: 3_600_000 });
    expect(stdout).toMatch(/^10\.0\.0\.66 is released, and not blocked before \d{4}-\d\d-\d\dT[\d:.]+Z\n$/);
    await expect(run(aclRejectCommand, ['mail.example'], {})).rejects.toThrow(
      '"mail.example" is not an address',
    );
  });

  it('block denies a host that nobody has seen, acl list says who asked for it, and acl release ends it', async () => {
    const { run } = await prepared(instance, [blocked('10.0.0.66')], { mode: 'publish' });
    const ask = { for: 3_600_000, reason: 'a complaint' };
    const until = new Date(NOW_MS + 3_600_000).toISOString();
    const { stdout } = await run(blockCommand, ['10.0.0.67'], ask);
    // Without a service the clock is that of the machine.
    if (instance === 'a running instance')
      expect(stdout).toBe(`10.0.0.67 is blocked on port 25 until ${until}\n`);
    expect(file('4')).toContain('host 10.0.0.67');
    const list = await run(aclListCommand, {});
    expect(list.stdout).toMatch(/10\.0\.0\.67 +by hand +published +yes .*blocked by .+: a complaint/);
    const { stdout: log } = await run(aclLogCommand, { limit: 10 });
    expect(log).toContain(`${ME} block 10.0.0.67: a complaint`);
    await expect(run(blockCommand, ['192.168.1.1'], ask)).rejects.toThrow('is not an internal host');
    await expect(run(blockCommand, ['10.0.0.67'], { ...ask, reason: ' ' })).rejects.toThrow('say why');
    await run(aclReleaseCommand, ['10.0.0.67'], { for: 3_600_000 });
    expect(file('4')).not.toContain('host 10.0.0.67');
  });

  it('acl rollback holds a list at the revision before, as acl list and the file show, until it is let go', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), approved('10.0.0.67')]);
    const now = file('4');
    expect(now).toContain('host 10.0.0.67');
    await expect(run(aclRollbackCommand, 'edge', {})).rejects.toThrow('nobody can be asked; add --yes');
    expect(file('4')).toBe(now);
    const done = await run(aclRollbackCommand, 'edge', { reason: 'a customer', yes: true });
    const held = statedRevision(file('4'));
    expect(done.stdout).toMatch(
      new RegExp(`^--- edge\\.4 published\n\\+\\+\\+ edge\\.4 rolled back to ${held}\n@@ `),
    );
    expect(done.stdout.match(/^[+-] \d+ deny .*$/gm)).toEqual(['- 20 deny tcp host 10.0.0.67 any eq 25']);
    const answer =
      `edge.4 is held at revision ${held}\n` +
      'the plain lists under /v1/lists are not rolled back: they follow the incidents\n';
    expect(done.stdout.endsWith(answer)).toBe(true);
    expect(file('4')).toContain('host 10.0.0.66');
    expect(file('4')).not.toContain('host 10.0.0.67');
    const { stdout: list } = await run(aclListCommand, {});
    expect(list).toMatch(new RegExp(`^edge\\.4 .* ${held} .*  at ${held} by ${ME}: a customer$`, 'm'));
    expect(list).toMatch(/^edge\.6 .*:\d\d$/m);

    expect(await run(aclRollbackCommand, 'edge', { release: true })).toEqual(
      said('edge.4 follows the incidents again\n'),
    );
    expect(file('4')).toBe(now);
    expect(await run(aclRollbackCommand, undefined, { release: true })).toEqual(said('Nothing to do.\n'));
    expect(await run(aclRollbackCommand, 'edge', { to: held, family: '4', yes: true })).toEqual(done);
  });

  it('acl list says who is in the lists and until when while one is held, and since when once it is let go', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), approved('10.0.0.67')]);
    const rows = async () => {
      const { stdout } = await run(aclListCommand, { json: true });
      const { hosts } = JSON.parse(stdout) as {
        hosts: { host: string; listed: boolean; listed_at: string | null }[];
      };
      return new Map(hosts.map((row) => [row.host, row]));
    };
    const before = await rows();
    expect(before.get('10.0.0.67')?.listed).toBe(true);
    await run(aclRollbackCommand, 'edge', { yes: true });
    const held = await rows();
    expect(held.get('10.0.0.67')).toMatchObject({ listed: false, listed_at: null });
    expect(held.get('10.0.0.66')).toEqual(before.get('10.0.0.66'));
    await run(aclRollbackCommand, 'edge', { release: true });
    const after = await rows();
    expect(after.get('10.0.0.67')?.listed).toBe(true);
    expect(Date.parse(after.get('10.0.0.67')?.listed_at ?? '')).toBeGreaterThanOrEqual(
      Date.parse(before.get('10.0.0.67')?.listed_at ?? ''),
    );
  });

  it('acl list, log, rollback, its diff and the file show one id of a revision', async () => {
    const { run } = await prepared(instance, [approved('10.0.0.66'), approved('10.0.0.67')]);
    const shown = async () => {
      const { stdout } = await run(aclListCommand, { json: true });
      const { targets } = JSON.parse(stdout) as {
        targets: { family: string; revisions: { revision: string; current: boolean }[] }[];
      };
      return targets.find(({ family }) => family === '4')?.revisions.find(({ current }) => current)?.revision;
    };
    expect(await shown()).toBe(statedRevision(file('4')));
    const { stdout } = await run(aclRollbackCommand, 'edge', { yes: true, family: '4' });
    const id = statedRevision(file('4'));
    expect(await shown()).toBe(id);
    expect(stdout).toContain(`rolled back to ${id}\n`);
    expect(stdout).toContain(`edge.4 is held at revision ${id}\n`);
    const log = await run(aclLogCommand, { limit: 10, json: true });
    const entries = log.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { what: string; revision?: string });
    expect(entries.filter(({ what }) => what === 'rollback').map(({ revision }) => revision)).toEqual([id]);
    expect(entries.filter(({ what }) => what === 'publish').at(-1)?.revision).toBe(id);
  });

  it('acl rollback refuses what is not kept, and a target that is none', async () => {
    const { run } = await prepared(instance, []);
    await expect(run(aclRollbackCommand, undefined, { yes: true })).rejects.toThrow(
      'an earlier revision with its rules is not kept',
    );
    await expect(run(aclRollbackCommand, 'edge', { to: '0123abcd', yes: true })).rejects.toThrow(
      'a revision "0123abcd" with its rules is not kept',
    );
    await expect(run(aclRollbackCommand, 'nowhere', { yes: true })).rejects.toThrow(
      'there is no ACL target "nowhere"',
    );
  });
});

describe('without a running instance', () => {
  it('a decision waits on its stream for the detector of the next one', async () => {
    const { run } = await prepared('the data of one that has stopped', [proposed('10.0.0.67')]);
    await run(aclApproveCommand, ['10.0.0.67'], { reason: 'a bot' });
    const { stream } = createStream(configured().config, false, createLogger('silent'));
    await stream.start();
    onTestFinished(() => stream.stop());
    const decisions = [];
    for await (const { value } of stream.latest('decisions', [0]))
      decisions.push(parseMessage(decisionSchema, { value }));
    expect(decisions).toMatchObject([
      { action: 'approve', host: '10.0.0.67', incident_id: 'of-10.0.0.67', by: ME, reason: 'a bot' },
    ]);
  });

  it('a block by hand of a host without an incident is told once the service runs', async () => {
    const { run } = await prepared('the data of one that has stopped', [], { mode: 'publish' });
    await run(blockCommand, ['10.0.0.67'], { for: 3_600_000, reason: 'a complaint' });
    const { stream } = createStream(configured().config, false, createLogger('silent'));
    await stream.start();
    onTestFinished(() => stream.stop());
    const told: string[] = [];
    const subscription = await stream.subscribe({
      streams: ['alerts'],
      group: 'notify',
      unit: 'message',
      onDelivery: async ({ messages }) => {
        for (const one of messages) told.push(...(parseMessage(alertSchema, one)?.reasons ?? []));
      },
    });
    await expect
      .poll(() => told)
      .toEqual([expect.stringMatching(/^10\.0\.0\.67 is blocked by .*: a complaint$/)]);
    await subscription.stop();
  });

  it('a decision is pending, with the time when it was made, until a detector has acted on it', async () => {
    const { run } = await prepared('the data of one that has stopped', [
      approved('10.0.0.66'),
      proposed('10.0.0.67'),
    ]);
    const start = Date.now();
    await run(aclReleaseCommand, ['10.0.0.66'], { for: 3_600_000, reason: 'cleaned' });
    await run(aclApproveCommand, ['10.0.0.67'], {});
    expect(file('4')).not.toContain('10.0.0.66');
    const { stdout } = await run(aclListCommand, { json: true });
    const { hosts } = JSON.parse(stdout) as {
      hosts: { host: string; pending: { decided_at: string } | null }[];
    };
    const of = (host: string) => hosts.find((row) => row.host === host);
    expect(of('10.0.0.66')).toMatchObject({
      listed: false,
      listed_at: null,
      block: { state: 'published' },
      pending: { action: 'release', by: ME, reason: 'cleaned' },
    });
    expect(of('10.0.0.67')).toMatchObject({ pending: { action: 'approve', by: ME } });
    expect(Date.parse(of('10.0.0.66')?.pending?.decided_at ?? '')).toBeGreaterThanOrEqual(start - 1000);
    const table = await run(aclListCommand, {});
    expect(table.stdout).toMatch(
      new RegExp(`10\\.0\\.0\\.66 .*; pending since .*: release by ${ME}: cleaned`),
    );
    expect(table.stdout).toMatch(/^Mode propose\. 0 host\(s\) in the lists/);
  });

  const OFFENDERS = { platform: 'cisco-ios', kind: 'offenders', family: '4' } as const;

  it('acl render names whom the lists name, and nobody who was released while no detector ran', async () => {
    const instance = 'the data of one that has stopped';
    const { run } = await prepared(instance, [approved('10.0.0.66'), approved('10.0.0.67')]);
    const denied = (text: string) => [...text.matchAll(/deny tcp host (\S+)/g)].map(([, host]) => host);
    const { stdout: before } = await run(aclRenderCommand, OFFENDERS);
    expect(denied(before)).toEqual(['10.0.0.66', '10.0.0.67']);
    await run(aclReleaseCommand, ['10.0.0.66'], { for: 3_600_000, reason: 'cleaned' });
    await run(blockCommand, ['10.0.0.68'], { for: 3_600_000, reason: 'a complaint' });
    const { stdout, stderr } = await run(aclRenderCommand, OFFENDERS);
    expect(denied(stdout)).toEqual(['10.0.0.67', '10.0.0.68']);
    expect(stdout).toBe(file('4'));
    expect(stderr).toContain('left out: 10.0.0.66: was released by');
  });

  it('acl render makes no list where the decisions cannot be read', async () => {
    const { run } = await prepared('the data of one that has stopped', [approved('10.0.0.66')]);
    const { stream } = createStream(configured().config, false, createLogger('silent'));
    await stream.start();
    await expect(run(aclRenderCommand, OFFENDERS)).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('whom people have released is not known'),
    });
    await stream.stop();
  });

  it('a rollback holds nobody back where the state of the lists was removed, as damage asks for', async () => {
    const hosts = ['10.0.0.66', '10.0.0.67'].map(blocked);
    const { run } = await prepared('the data of one that has stopped', hosts, {
      maxChange: 1,
      mode: 'publish',
    });
    rmSync(join(directory, 'data', 'lists.json'));
    await run(aclRollbackCommand, 'edge', { yes: true });
    const { stdout } = await run(aclListCommand, {});
    // The list that is held has one of them.
    expect(stdout).toMatch(/^Mode publish\. 1 host\(s\) in the lists, 0 waiting for approval\.$/m);
  });

  it('nothing is done where there is no data, and none is made', async () => {
    const streams = { stdout: collected().stream, stderr: collected().stream };
    const data = join(directory, 'data');
    await expect(aclListCommand(configured(), {}, streams)).rejects.toMatchObject({
      code: 'unavailable',
      message: `no running instance answers, and there is no data in ${data}; start one with: rogue-smtp run`,
    });
    expect(existsSync(data)).toBe(false);
  });

  it('nothing is done beside one that runs and does not answer', async () => {
    await prepared('a running instance', [proposed('10.0.0.67')]);
    const streams = { stdout: collected().stream, stderr: collected().stream };
    await expect(aclApproveCommand(configured(), ['10.0.0.67'], {}, streams)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  });
});
