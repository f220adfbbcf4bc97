/** Where the exporter stands at or outside a NAT, and where internal addresses come in from outside. */

import { describe, expect, it } from 'vitest';
import { createMailDivider } from '../../src/collect/mail-partitions.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { detect, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, replyTo, SECOND } from '../support/flows.ts';

const PUBLIC = '203.0.113.1';
const POOL: ConfigInput = {
  ...STRICT,
  networks: { internal: ['10.0.0.0/8', '203.0.113.0/24'], nat: [PUBLIC] },
};

describe('an exporter at a NAT', () => {
  const forward: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 40000, natFrom: [PUBLIC, 61000] };
  const reply: Flow = {
    from: OUTSIDE,
    to: PUBLIC,
    fromPort: 25,
    toPort: 61000,
    natTo: [ROGUE, 40000],
    at: SECOND,
  };

  it.each([
    ['not configured as internal', STRICT],
    ['a configured NAT pool', POOL],
    ['listed as internal', { ...STRICT, networks: { internal: ['10.0.0.0/8', `${PUBLIC}/32`] } }],
  ])('that names the public address in replies: one session of the inside host (%s)', (_, config) => {
    const { of, incidents } = detect([forward, reply], { config, upTo: HOUR });
    expect(incidents).toHaveLength(1);
    expect(of(ROGUE)).toMatchObject({ sessions: 1, flags: [], missing: [] });
  });

  it('that names the public address as the source, and the inside one beside it', () => {
    const outside: Flow = { from: PUBLIC, to: OUTSIDE, fromPort: 61000, natFrom: [ROGUE, 40000] };
    const { of } = detect([outside, { ...outside, at: 1 }], { config: POOL });
    expect(of(ROGUE)).toMatchObject({ grade: 'conversed', block: { state: 'published' } });
  });

  it('that knows no inside host: the pool has an alert, and is never blocked', () => {
    const { of } = detect(
      [1, 2].map((n): Flow => ({ from: PUBLIC, to: OUTSIDE, at: n })),
      { config: POOL },
    );
    expect(of(PUBLIC)).toMatchObject({
      grade: 'conversed',
      block: { state: 'refused', reason: expect.stringContaining('NAT pool') },
    });
  });

  it('hides no offender behind a translated address that is the mail server', () => {
    const { of } = detect([{ from: ROGUE, to: OUTSIDE, natFrom: [MAIL_SERVER, 1] }]);
    expect(of(ROGUE)?.grade).toBe('conversed');
  });

  it('has both halves of a session in the partition of the inside host', () => {
    const { networks } = configSchema.parse(POOL);
    const divide = createMailDivider(networks.internal, 16, 4, { nat: networks.nat });
    const partitions: number[] = [];
    for (const flow of [forward, reply, { from: ROGUE, to: OUTSIDE }])
      divide(batchOf([flow]), (_, partition) => partitions.push(partition));
    expect(new Set(partitions).size).toBe(1);
  });
});

describe('an internal source that comes in by an outside interface', () => {
  const config: ConfigInput = {
    ...STRICT,
    networks: {
      internal: ['10.0.0.0/8'],
      interfaces: [{ exporters: ['192.0.2.0/24'], outside: [7] }],
    },
  };
  const flow: Flow = { from: ROGUE, to: OUTSIDE, inIf: 7 };

  it('is spoofed, and no evidence against the host', () => {
    const { incidents, detector } = detect([flow, { ...flow, at: 1 }], { config, upTo: HOUR });
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored.spoofed).toBe(2);
  });

  it.each([
    ['by an inside interface', { inIf: 1 }],
    ['by an interface that the exporter does not tell', { inIf: 0 }],
    ['at a router of which nothing is configured', { exporter: '198.18.0.1' }],
  ])('is believed %s', (_, changes) => {
    expect(detect([{ ...flow, ...changes }], { config }).of(ROGUE)?.grade).toBe('conversed');
  });

  it('does not make a session of the real host disappear: its replies still count', () => {
    const real: Flow = { from: ROGUE, to: OUTSIDE, inIf: 1, outIf: 7 };
    const { of } = detect([real, replyTo(real)], { config });
    expect(of(ROGUE)).toMatchObject({ sessions: 1, missing: [] });
  });
});
