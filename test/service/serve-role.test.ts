import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { createServeRole, type ServeRole } from '../../src/service/serve-role.ts';
import { detect, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { createDrivenStream, type DrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { HOUR, SECOND, T0 } from '../support/flows.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-serve-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const TARGETS: ConfigInput['acl'] = {
  targets: [
    { name: 'edge', platform: 'cisco-ios', kind: 'offenders', interface: 'Gi0/1' },
    { name: 'wall', platform: 'nftables', kind: 'policy' },
  ],
};

const bot = detect(
  [1, 2, 3].map((n) => ({
    from: ROGUE,
    to: OUTSIDE,
    fromPort: 40_000 + n,
    toPort: 25,
    flags: 'SPAF',
    packets: 20,
    bytes: 4000,
    at: n * SECOND,
  })),
);
const incident: Incident = bot.incidents[0];
const alert: Alert = bot.alerts[0];

interface Served {
  readonly role: ServeRole;
  readonly stream: DrivenStream;
  readonly logged: { readonly level: string; readonly text: string }[];
  clock: number;
}

async function serve(
  input: ConfigInput = {},
  kept: Uint8Array[] = [],
  assigned = Promise.resolve(),
): Promise<Served> {
  const stream = createDrivenStream();
  stream.kept = kept;
  stream.assigned = assigned;
  const logged: { level: string; text: string }[] = [];
  const log = createLogger('silent');
  for (const level of ['info', 'warn', 'error'] as const)
    log[level] = (fields: unknown, text?: string) => {
      logged.push({ level, text: `${text} ${JSON.stringify(fields)}` });
    };
  const served = { stream, logged, clock: T0 + 10 * SECOND };
  const config = configSchema.parse({ ...STRICT, acl: TARGETS, data: directory, ...input });
  const role = createServeRole(config, {
    stream,
    log,
    now: () => served.clock,
    policyVersion: () => 'v',
  });
  await role.start();
  return Object.assign(served, { role });
}

const fileText = (name: string) => readFileSync(join(directory, 'acl', name), 'utf8');

describe('the serve role', () => {
  it('writes a published block into its lists, and commits what it has taken in', async () => {
    const { role, stream } = await serve();
    expect(incident.block.state).toBe('published');
    await stream.deliver('incidents', [jsonMessage(incident)], 0);
    await role.stop();
    expect(stream.journal).toEqual(['commit incidents 0']);
    expect(role.blocked().map(({ host }) => host)).toEqual([ROGUE]);
    expect(fileText('edge.4.txt')).toContain(`deny tcp host ${ROGUE} any eq 25`);
    expect(fileText('edge.6.txt')).not.toContain('deny tcp');
    expect(fileText('wall.4.txt')).toContain(MAIL_SERVER);
  });

  it('knows after a restart what was blocked before, without a new message', async () => {
    const { role } = await serve({}, [jsonMessage(incident), Buffer.from('{')]);
    await role.stop();
    expect(fileText('edge.4.txt')).toContain(`deny tcp host ${ROGUE} any eq 25`);
  });

  it('gives no list and takes no decision before all incidents are known, and leaves the files as they are', async () => {
    const before = await serve({}, [jsonMessage(incident)]);
    await before.role.stop();
    let assign = () => {};
    const assigned = new Promise<void>((resolve) => {
      assign = resolve;
    });
    const ended = { ...incident, block: { ...incident.block, state: 'expired' as const } };
    const { role } = await serve({}, [jsonMessage(ended)], assigned);
    const unknown = /still being read/;
    const ADA = { by: 'ada', reason: '' };
    expect(() => role.hosts('4')).toThrow(unknown);
    expect(() => role.blocked()).toThrow(unknown);
    await expect(role.targetText('edge', '4')).rejects.toThrow(unknown);
    await expect(role.desk.overview()).rejects.toThrow(unknown);
    await expect(role.desk.approve({ hosts: [], ...ADA })).rejects.toThrow(unknown);
    await expect(role.desk.reject({ hosts: [ROGUE], ...ADA })).rejects.toThrow(unknown);
    await expect(role.desk.rollback(ADA)).rejects.toThrow(unknown);
    await expect(role.desk.follow({ targets: [], ...ADA })).rejects.toThrow(unknown);
    expect(fileText('edge.4.txt')).toContain(ROGUE);
    assign();
    await role.assigned;
    expect(role.hosts('4')).toEqual([]);
    await role.stop();
    expect(fileText('edge.4.txt')).not.toContain(ROGUE);
  });

  it('takes a host off the lists when its block ends, by its own clock', async () => {
    const served = await serve({}, [jsonMessage(incident)]);
    served.clock = T0 + 25 * HOUR;
    expect(served.role.blocked()).toEqual([]);
    await served.role.stop();
    expect(fileText('edge.4.txt')).not.toContain(ROGUE);
  });

  it('takes over other senders and targets at once, and says which files it no longer writes', async () => {
    const { role, stream, logged } = await serve();
    await stream.deliver('incidents', [jsonMessage(incident)], 0);
    role.reload(
      configSchema.parse({
        ...STRICT,
        senders: [{ name: 'mail', hosts: [MAIL_SERVER, ROGUE] }],
        acl: { targets: [{ name: 'core', platform: 'cisco-ios', kind: 'policy' }] },
        data: directory,
      }),
    );
    await role.stop();
    expect(fileText('core.4.txt')).toContain(ROGUE);
    expect(logged.filter(({ text }) => text.includes('no longer written'))).toHaveLength(2);
    await expect(role.targetText('edge', '4')).rejects.toThrow('no ACL target');
  });

  it('leaves an unchanged list alone', async () => {
    const first = await serve({}, [jsonMessage(incident)]);
    await first.role.stop();
    const before = statSync(join(directory, 'acl', 'edge.4.txt'), { bigint: true });
    const second = await serve({}, [jsonMessage(incident)]);
    await second.role.stop();
    const after = statSync(join(directory, 'acl', 'edge.4.txt'), { bigint: true });
    expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
  });

  it.each([
    ['the mode is observe', { block: { mode: 'observe' } }],
    ['the mode is propose', { block: { mode: 'propose' } }],
    ['no sender is configured', { senders: [] }],
  ] satisfies [string, ConfigInput][])(
    'blocks nobody while %s, whatever a message says',
    async (_why, input) => {
      const { role } = await serve(input, [jsonMessage(incident)]);
      await role.stop();
      expect(role.blocked()).toEqual([]);
      expect(role.incidents()).toHaveLength(1);
      expect(fileText('edge.4.txt')).not.toContain(ROGUE);
    },
  );

  it('refuses a policy without a sender: no file, and the reason in the log once', async () => {
    const { role, logged } = await serve({ senders: [] });
    await role.stop();
    expect(readdirSync(join(directory, 'acl')).sort()).toEqual(['.history', 'edge.4.txt', 'edge.6.txt']);
    const refusals = logged.filter(
      ({ text }) => text.includes('no sender is configured') && text.includes('"4"'),
    );
    expect(refusals.map(({ level }) => level)).toEqual(['warn']);
    await expect(role.targetText('wall', '4')).rejects.toThrow('no sender is configured');
    await expect(role.targetText('nobody', '4')).rejects.toThrow('there is no ACL target "nobody"');
  });

  it('keeps running, with the lists that can be written, when one cannot', async () => {
    const { role, logged } = await serve(
      {
        acl: {
          targets: [
            { name: 'lost', platform: 'cisco-ios', path: '/dev/null/acl' },
            { name: 'edge', platform: 'cisco-ios' },
          ],
        },
      },
      [jsonMessage(incident)],
    );
    await role.stop();
    expect(role.troubles()).toEqual(
      ['4', '6'].map((family) =>
        expect.stringMatching(`the list lost.${family} is left as it was: .*ENOTDIR`),
      ),
    );
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(2);
    expect(fileText('edge.4.txt')).toContain(`deny tcp host ${ROGUE} any eq 25`);
  });

  it('hands each alert once to whoever listens, keeps the newest, and passes over what is none', async () => {
    const { role, stream } = await serve();
    const heard: string[] = [];
    const stop = role.onAlert(({ alert_id }) => heard.push(alert_id));
    const once = jsonMessage(alert);
    await stream.deliver('alerts', [once, Buffer.from('?'), jsonMessage({ a: 1 }), once], 0);
    stop();
    const others = Array.from({ length: 600 }, (_, i) => ({ ...alert, alert_id: `another ${i}` }));
    await stream.deliver('alerts', others.map(jsonMessage), 4);
    await role.stop();
    expect(heard).toEqual([alert.alert_id]);
    expect(role.recentAlerts()).toHaveLength(500);
    expect(stream.journal).toEqual(['commit alerts 3', 'commit alerts 603']);
  });
});
