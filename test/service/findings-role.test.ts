import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { createLogger } from '../../src/logger.ts';
import { type Alert, alertSchema } from '../../src/messages/alert.ts';
import { createFindingsRole } from '../../src/service/findings-role.ts';
import { chdbInstalled, openTestStore, type TestStore, withoutChdb } from '../store/fixture.ts';
import { MAIL_SERVER, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, replyTo, T0 } from '../support/flows.ts';

const NOW = T0 + 30 * HOUR;
/** The mail server talks to two servers an hour for 28 hours, then to 60; a host answers four hosts from outside. */
const usual = Array.from({ length: 28 }, (_, hour) => [1, 2].map((n) => send(n, hour * HOUR))).flat(2);
const surge = Array.from({ length: 60 }, (_, n) => send(n + 1, 30 * HOUR)).flat();
const inbound = [1, 2, 3, 4].flatMap((n) => {
  const flow: Flow = { from: `203.0.113.${n}`, to: ROGUE, at: 29 * HOUR, fromPort: 5000 + n };
  return [flow, replyTo(flow)];
});

function send(n: number, at: number): Flow[] {
  const flow: Flow = { from: MAIL_SERVER, to: `198.51.100.${n}`, at, fromPort: 40_000 + n };
  return [flow, replyTo(flow)];
}

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'findings from the store' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
    const bytes = [encodeNative(batchOf([...usual, ...surge, ...inbound]))];
    await store.engine.insertNative('flows', { bytes }, { token: 'flows' });
  }, 120_000);
  afterAll(() => store.close());

  async function look(input: ConfigInput) {
    const config = configSchema.parse(input);
    const told: Alert[] = [];
    const role = createFindingsRole({
      engine: store.engine,
      tell: (alert) => told.push(alertSchema.parse(alert)),
      config: () => config,
      policy: () => compilePolicy(config),
      log: createLogger('silent'),
      now: () => NOW,
    });
    await role.look();
    await role.look();
    return told;
  }

  it('are off by default', async () => {
    expect(await look(STRICT)).toEqual([]);
  });

  it('an internal host that answers on 25 from outside and is no sender: told once, never a block', async () => {
    const alerts = await look({ ...STRICT, detection: { inbound: { alert: true } } });
    expect(alerts).toMatchObject([
      {
        kind: 'finding',
        host: ROGUE,
        finding: { type: 'open_relay_candidate' },
        sessions: 4,
        grade: null,
        block: { state: 'none' },
      },
    ]);
    expect(alerts[0].reasons[0]).toContain('4 hosts outside');
  });

  it('an authorised server whose destinations jump against its own past: told once, never a block', async () => {
    const alerts = await look({ ...STRICT, detection: { baseline: { alert: true } } });
    expect(alerts).toMatchObject([
      {
        kind: 'finding',
        host: MAIL_SERVER,
        finding: { type: 'destination_surge' },
        destinations: { count: 60 },
        block: { state: 'none' },
      },
    ]);
    expect(alerts[0].reasons[0]).toContain('at most 2');
  });

  it('says nothing of a server whose past is too short or whose jump is too small', async () => {
    const quiet = (baseline: object) =>
      look({ ...STRICT, detection: { baseline: { alert: true, ...baseline } } });
    expect(await quiet({ history: 48 })).toEqual([]);
    expect(await quiet({ min_destinations: 100 })).toEqual([]);
    expect(await quiet({ factor: 31 })).toEqual([]);
  });
});
