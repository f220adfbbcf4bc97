/** Hosts that do what their owner declared (`expected`), and more than that: flows in, alerts, incidents and blocks out. */

import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { detectorFor, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, replyTo, SECOND, T0 } from '../support/flows.ts';

const HOST = '10.0.0.70';
const DECLARED = '198.51.100.7';
const OTHER = '203.0.113.9';

type Entry = NonNullable<ConfigInput['expected']>[number];
const declaring = (entry: Partial<Entry> = {}, more: ConfigInput = {}): ConfigInput => ({
  ...STRICT,
  ...more,
  expected: [{ name: 'probe', hosts: [HOST], does: 'check', ...entry }],
});

function running(config: ConfigInput) {
  let detector: Detector = detectorFor(config);
  const alerts: Alert[] = [];
  const newest = new Map<string, Incident>();
  let offset = 0;
  const take = () => {
    const taken = detector.take();
    alerts.push(...taken.alerts);
    for (const incident of taken.incidents) newest.set(incident.host, incident);
  };
  return {
    alerts,
    kinds: () => alerts.map(({ kind }) => kind),
    of: (host = HOST) => newest.get(host),
    send(...flows: Flow[]) {
      for (const flow of flows) {
        detector.observe(batchOf([flow]), { partition: 0, offset: offset++ });
        take();
      }
    },
    advance(ms: number) {
      detector.advance(T0 + ms);
      take();
    },
    reload(input: ConfigInput) {
      const next = configSchema.parse(input);
      detector.reload({ policy: compilePolicy(next), detection: next.detection, block: next.block });
      take();
    },
    restart(input: ConfigInput) {
      detector = detectorFor(input);
      detector.resume(0, { from: offset, end: offset });
      for (const incident of newest.values()) detector.restore(JSON.parse(JSON.stringify(incident)));
      take();
    },
  };
}

let port = 30_000;
function session(sent: Partial<Flow>, answered: Partial<Flow>, at = 0, to = DECLARED): Flow[] {
  const flow: Flow = { from: HOST, to, fromPort: port++, at, flags: 'FSPA', ...sent };
  return [flow, { ...replyTo(flow), at, flags: 'FSPA', ...answered }];
}
const greeting = (at = 0, to = DECLARED) =>
  session({ packets: 6, bytes: 345 }, { packets: 5, bytes: 400 }, at, to);
const envelope = (at = 0, to = DECLARED) =>
  session({ packets: 9, bytes: 620 }, { packets: 8, bytes: 700 }, at, to);
/** A TLS check with a post-quantum hello: as large as a short mail. */
const largeCheck = (at = 0, to = DECLARED) =>
  session({ packets: 12, bytes: 2400 }, { packets: 12, bytes: 5000 }, at, to);
const mail = (at = 0, to = DECLARED) =>
  session({ packets: 20, bytes: 6000 }, { packets: 18, bytes: 1400 }, at, to);
const many = (one: (at: number, to?: string) => Flow[], count: number, stepMs: number, to?: string) =>
  Array.from({ length: count }, (_, i) => one(i * stepMs, to)).flat();
/** To another server each time. */
const spread = (one: (at: number, to: string) => Flow[], count: number, stepMs = SECOND) =>
  Array.from({ length: count }, (_, i) => one(i * stepMs, `198.51.100.${i + 1}`)).flat();

const firstReason = (alerts: readonly Alert[]) => alerts.at(-1)?.reasons[0] ?? '';

describe('a host that does what is declared', () => {
  it.each([
    ['check', 'greetings', many(greeting, 200, MINUTE)],
    ['check', 'greetings at many servers', spread(greeting, 60)],
    ['check', 'TLS checks as large as a short mail', many(largeCheck, 200, MINUTE)],
    [
      'check',
      'connections that fail',
      many((at) => [{ from: HOST, to: DECLARED, at, flags: 'S', packets: 3, bytes: 180 }], 5, HOUR),
    ],
    ['verify', 'addresses at many servers', spread(envelope, 150)],
    ['verify', 'greetings and addresses', [...many(greeting, 20, MINUTE), ...many(envelope, 20, MINUTE)]],
    ['send', 'a test mail every five minutes', many(mail, 300, 5 * MINUTE)],
  ] as const)('%s: %s are told once, whatever may be blocked', (does, _, flows) => {
    const run = running(
      declaring(
        { does, reason: 'on call' },
        { block: { mode: 'publish', grade: 'attempted', scanners: true } },
      ),
    );
    run.send(...flows);
    run.advance(72 * HOUR);
    expect(run.kinds()).toEqual(['opened']);
    expect(run.alerts[0].flags).toContain('expected');
    expect(firstReason(run.alerts)).toMatch(/^10\.0\.0\.70 is expected "probe": .* \(on call\)$/);
    expect(run.of()?.state).toBe('closed');
    expect(['none', 'refused']).toContain(run.of()?.block.state);
  });

  it('is not told again when it comes back after its incident closed, nor after a restart', () => {
    const run = running(declaring());
    run.send(...greeting());
    run.advance(48 * HOUR);
    run.send(...greeting(49 * HOUR));
    run.restart(declaring());
    run.send(...greeting(50 * HOUR));
    run.advance(100 * HOUR);
    run.send(...greeting(101 * HOUR));
    expect(run.kinds()).toEqual(['opened']);
  });
});

describe('a host that does more than is declared', () => {
  it.each([
    ['check', {}, 'told', envelope, 'tells servers addresses'],
    ['check', {}, 'sent', mail, 'sends messages'],
    ['verify', {}, 'sent', mail, 'sends messages'],
    ['send', { to: [DECLARED] }, 'sent elsewhere', (at: number) => mail(at, OTHER), 'not declared'],
    ['check', { to: [DECLARED] }, 'greeted elsewhere', (at: number) => greeting(at, OTHER), 'not declared'],
    ['check', { until: '2026-03-01T12:00:00Z' }, 'went on', (at: number) => greeting(at), 'ended at'],
  ] as const)('%s %j: is reported when it %s', (does, more, _, deviation, words) => {
    const run = running(declaring({ does, ...more } as Partial<Entry>));
    run.send(...(does === 'send' ? mail() : greeting()));
    run.send(...deviation(3 * HOUR));
    expect(run.kinds().slice(0, 2)).toEqual(['opened', expect.stringMatching(/escalated|updated/)]);
    const reason = firstReason(run.alerts);
    expect(reason).toContain('deviates from expected "probe"');
    expect(reason).toContain(words);
    expect(run.of()?.flags).not.toContain('expected');
  });

  it('may be blocked for what was not declared', () => {
    const run = running(declaring({ does: 'send', to: [DECLARED] }));
    run.send(...many(mail, 10, MINUTE));
    expect(run.of()?.block.state).not.toBe('published');
    run.send(...mail(HOUR, OTHER), ...mail(HOUR + MINUTE, OTHER));
    expect(run.of()?.block.state).toBe('published');
    expect(firstReason(run.alerts)).toContain('deviates');
  });

  it('is not blocked for what was declared, before a small deviation or after it', () => {
    const run = running(declaring({ does: 'send', to: [DECLARED] }));
    run.send(...many(mail, 10, MINUTE), ...greeting(20 * MINUTE, OTHER));
    run.send(...Array.from({ length: 10 }, (_, i) => mail((30 + i) * MINUTE)).flat());
    expect(run.of()?.flags).not.toContain('expected');
    expect(run.of()?.block.state).toBe('none');
  });

  it('that sends in bulk is blocked, also to what is declared', () => {
    const run = running(declaring({ does: 'send', to: ['198.51.100.0/24'] }));
    run.send(...spread(mail, 40));
    expect(run.of()).toMatchObject({ grade: 'bulk', block: { state: 'published' } });
    expect(firstReason(run.alerts)).toContain('in bulk');
  });

  it('several sessions that only messages explain are a deviation of a check', () => {
    const likely = (at: number) => session({ packets: 22, bytes: 3500 }, { packets: 22, bytes: 6000 }, at);
    const run = running(declaring());
    run.send(...largeCheck(), ...likely(MINUTE));
    expect(run.kinds()).toEqual(['opened']);
    run.send(...likely(2 * MINUTE), ...likely(3 * MINUTE));
    expect(run.of()?.grade).toBe('conversed');
    expect(firstReason(run.alerts)).toContain('sends messages');
    expect(run.of()?.block.state).toBe('published');
  });

  it('stays reported after a restart', () => {
    const run = running(declaring());
    run.send(...greeting(), ...envelope(MINUTE));
    run.restart(declaring());
    run.send(...greeting(3 * HOUR));
    expect(run.of()?.flags).not.toContain('expected');
    expect(run.of()?.reasons[0]).toContain('deviates');
    expect(run.kinds()).toEqual(['opened', 'updated', 'updated']);
  });

  it('another host is none of it', () => {
    const run = running(declaring());
    run.send(
      ...mail().map((flow) => ({
        ...flow,
        ...(flow.from === HOST ? { from: '10.0.0.71' } : { to: '10.0.0.71' }),
      })),
    );
    expect(run.of('10.0.0.71')).toMatchObject({ flags: [], block: { state: 'published' } });
  });
});

describe('a declaration that comes while the incident is open', () => {
  it.each(['reload', 'restart'] as const)('by %s: told once, its block lifted, then silent', (how) => {
    const run = running(STRICT);
    run.send(...many(mail, 3, MINUTE));
    expect(run.of()?.block.state).toBe('published');
    const before = run.alerts.length;
    run[how](declaring({ does: 'send', to: [DECLARED] }));
    expect(run.alerts.slice(before)).toMatchObject([{ kind: 'updated', block: { state: 'refused' } }]);
    expect(firstReason(run.alerts)).toContain('is expected "probe"');
    run.send(...Array.from({ length: 5 }, (_, i) => mail((i + 2) * HOUR)).flat());
    expect(run.alerts.length).toBe(before + 1);
  });

  it('that does not cover what it did changes nothing but the words', () => {
    const run = running(STRICT);
    run.send(...many(mail, 3, MINUTE));
    run.reload(declaring({ does: 'check' }));
    expect(run.of()?.block.state).toBe('published');
    expect(run.of()?.flags).not.toContain('expected');
  });

  it.each(['reload', 'restart'] as const)('taken back by %s, the host is judged like any other', (how) => {
    const run = running(declaring({ does: 'send', to: [DECLARED] }));
    run.send(...many(mail, 3, MINUTE));
    run[how](STRICT);
    expect(firstReason(run.alerts)).toContain('is no configured sender');
    run.send(...mail(HOUR), ...mail(HOUR + MINUTE));
    expect(run.of()?.block.state).toBe('published');
  });
});

describe('the version of the policy', () => {
  it('changes with what is declared, not with who declared it', () => {
    const version = (config: ConfigInput) => compilePolicy(configSchema.parse(config)).version;
    const variants = [
      STRICT,
      ...[
        {},
        { does: 'verify' as const },
        { to: [DECLARED] },
        { hosts: ['10.0.0.71'] },
        { until: '2027-01-01T00:00:00Z' },
      ].map((entry) => declaring(entry)),
    ];
    expect(new Set(variants.map(version)).size).toBe(variants.length);
    expect(version(declaring({ owner: 'ada', reason: 'monitoring' }))).toBe(version(declaring()));
  });
});
