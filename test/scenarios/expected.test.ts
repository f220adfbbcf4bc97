/**
 * A network with programs that talk SMTP and are no senders, half a day of it: with what their owner declared of them, and
 * without. A bot among them is found either way.
 */

import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import { detect, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { type Flow, HOUR, MINUTE, replyTo, SECOND } from '../support/flows.ts';

const VERIFIER = '10.0.1.51';
const MONITOR = '10.0.1.9';
const SCANNER = '10.0.1.50';
const RELAY = '203.0.113.25';
const server = (i: number) => `198.51.100.${1 + (i % 250)}`;

let port = 20_000;
function session(from: string, to: string, at: number, sent: Partial<Flow>, answered: Partial<Flow>): Flow[] {
  const flow: Flow = { from, to, at, fromPort: port++, flags: 'FSPA', ...sent };
  return [flow, { ...replyTo(flow), ...answered }];
}
const repeat = (count: number, stepMs: number, one: (i: number, at: number) => Flow[]): Flow[] =>
  Array.from({ length: count }, (_, i) => one(i, i * stepMs)).flat();

const verification = repeat(240, 3 * SECOND, (i, at) =>
  session(VERIFIER, server(i), at, { packets: 9, bytes: 620 }, { packets: 8, bytes: 700 }),
);
const testMail = repeat(144, 5 * MINUTE, (_, at) =>
  session(MONITOR, RELAY, at, { packets: 14, bytes: 1400 }, { packets: 12, bytes: 1100 }),
);
const greetings = repeat(720, MINUTE, (_, at) =>
  session(MONITOR, OUTSIDE, at, { packets: 6, bytes: 345 }, { packets: 5, bytes: 400 }),
);
const scan = repeat(40, 2 * SECOND, (i, at) => [
  { from: SCANNER, to: server(i), at, fromPort: port++, flags: 'S', packets: 3, bytes: 180 },
]);
const bot = repeat(60, 20 * SECOND, (i, at) =>
  session(ROGUE, server(i), at, { packets: 20, bytes: 6000 }, { packets: 18, bytes: 1400 }),
);

const NETWORK = [...verification, ...testMail, ...greetings, ...scan, ...bot].sort(
  (a, b) => (a.at ?? 0) - (b.at ?? 0),
);
const DECLARED: ConfigInput = {
  ...STRICT,
  expected: [
    { name: 'verifier', hosts: [VERIFIER], does: 'verify' },
    { name: 'monitor', hosts: [MONITOR], does: 'check' },
    { name: 'monitor-test-mail', hosts: [MONITOR], does: 'send', to: [RELAY] },
    { name: 'scanner', hosts: [SCANNER], does: 'check' },
  ],
};

describe('programs that talk SMTP and are no senders', () => {
  it('are reported again and again, and blocked where they send, while nothing is declared', () => {
    const { of, kinds } = detect(NETWORK, { upTo: 12 * HOUR });
    expect(kinds(MONITOR).length).toBeGreaterThan(5);
    expect(of(MONITOR)?.block.state).toBe('published');
    expect(kinds(VERIFIER).length).toBeGreaterThan(1);
    expect(of(ROGUE)?.block.state).toBe('published');
  });

  it('are told once each when they are declared, and the bot is blocked', () => {
    const { of, kinds } = detect(NETWORK, { config: DECLARED, upTo: 12 * HOUR });
    for (const host of [VERIFIER, MONITOR, SCANNER]) {
      expect(kinds(host)).toEqual(['opened']);
      expect(of(host)?.flags).toEqual(['expected']);
      expect(of(host)?.block.state).not.toBe('published');
    }
    expect(of(ROGUE)).toMatchObject({ grade: 'bulk', block: { state: 'published' } });
  });

  it('are found out when one of them is taken over', () => {
    const taken = bot.map((flow) => ({
      ...flow,
      at: (flow.at ?? 0) + HOUR,
      ...(flow.from === ROGUE ? { from: VERIFIER } : { to: VERIFIER }),
    }));
    const { of } = detect([...NETWORK.filter(({ at = 0 }) => at < HOUR), ...taken], {
      config: DECLARED,
      upTo: 3 * HOUR,
    });
    expect(of(VERIFIER)).toMatchObject({ grade: 'bulk', block: { state: 'published' } });
    expect(of(VERIFIER)?.reasons[0]).toContain('deviates from expected "verifier"');
  });
});
