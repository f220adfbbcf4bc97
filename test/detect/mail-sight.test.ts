import { describe, expect, it } from 'vitest';
import { describeMailSight } from '../../src/detect/mail-sight.ts';
import { detect, MAIL_SERVER, OUTSIDE, ROGUE } from '../support/detecting.ts';
import { type Flow, replyTo } from '../support/flows.ts';

const PUBLIC = '203.0.113.200';

function sightOf(flows: readonly Flow[]) {
  const { detector } = detect(flows);
  const { mailFlows, ignored } = detector.counters;
  return describeMailSight({ flows: mailFlows, ignored, strangers: detector.strangers() });
}

describe('what could be judged', () => {
  it('is nothing where neither end of any mail flow is internal, in both directions, and the client is named', () => {
    const flow: Flow = { from: PUBLIC, to: OUTSIDE };
    const { isBlind, lines } = sightOf([flow, replyTo(flow), { from: '203.0.113.9', to: OUTSIDE }]);
    expect(isBlind).toBe(true);
    expect(lines.join('\n')).toContain('3 of 3 mail flows: neither end is in networks.internal');
    expect(lines.join('\n')).toContain(`Most of them are of ${PUBLIC}, 203.0.113.9.`);
  });

  it('is nothing where all mail is between internal hosts', () => {
    const { isBlind, lines } = sightOf([{ from: ROGUE, to: '10.0.0.99' }]);
    expect(isBlind).toBe(true);
    expect(lines.join('\n')).toContain('both ends are in networks.internal');
  });

  it('is everything where the internal hosts may send, or nobody sends at all', () => {
    expect(sightOf([{ from: MAIL_SERVER, to: OUTSIDE }])).toEqual({ isBlind: false, lines: [] });
    expect(sightOf([])).toEqual({ isBlind: false, lines: [] });
  });

  it('is a part where strangers are among the flows, and noise is not told', () => {
    const { isBlind, lines } = sightOf([
      { from: ROGUE, to: OUTSIDE },
      { from: PUBLIC, to: OUTSIDE, at: 1 },
    ]);
    expect(isBlind).toBe(false);
    expect(lines[0]).toContain('1 of 2 mail flows');
    expect(describeMailSight({ flows: 1000, ignored: { foreign: 3 }, strangers: [] }).lines).toEqual([]);
  });

  it('names the most frequent of many addresses', () => {
    const others = Array.from(
      { length: 300 },
      (_, i): Flow => ({ from: `198.18.${i >> 8}.${i & 255}`, to: OUTSIDE }),
    );
    const flows = others.flatMap((flow, i) => [
      { ...flow, at: i },
      { from: PUBLIC, to: OUTSIDE, fromPort: 20_000 + i, at: i },
    ]);
    expect(sightOf(flows).lines.join('\n')).toContain(`Most of them are of ${PUBLIC}`);
  });
});
