/** Gaps in what the collector sees: told once, in words, with the same id whenever computed, and never as a flood. */

import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createCoverageWatch, type ExporterSight, type Sight } from '../../src/detect/coverage.ts';
import { type Alert, alertSchema } from '../../src/messages/alert.ts';
import { HOUR, MINUTE, T0 } from '../support/flows.ts';

const config = configSchema.parse({}).coverage;

function watchOf(expected: string[] = []) {
  return createCoverageWatch({ config, policyVersion: 'abc', startedAtMs: T0, expected });
}

const exporter = (lastSeen: number, changes: Partial<ExporterSight> = {}): ExporterSight => ({
  address: '192.0.2.1',
  domain: 0,
  lastSeenMs: T0 + lastSeen,
  lost: 0,
  received: 0,
  ...changes,
});

const sight = (changes: Partial<Sight> = {}): Sight => ({
  exporters: [],
  kernelDrops: 0,
  datagrams: 0,
  spoolDropped: { flows: 0, mail: 0 },
  ...changes,
});

/** What is told when the watch looks once a minute, `at(minute)` being what it sees. */
function minutes(count: number, at: (minute: number) => Partial<Sight>, expected: string[] = []): Alert[] {
  const watch = watchOf(expected);
  const alerts: Alert[] = [];
  for (let minute = 1; minute <= count; minute++)
    alerts.push(...watch.observe(T0 + minute * MINUTE, sight(at(minute))));
  for (const alert of alerts) alertSchema.parse(JSON.parse(JSON.stringify(alert)));
  expect(new Set(alerts.map(({ alert_id }) => alert_id)).size).toBe(alerts.length);
  expect(watch.counters.alerts).toBe(alerts.length);
  return alerts;
}

const causes = (alerts: Alert[]) => alerts.map(({ coverage }) => coverage?.cause);

describe('an exporter', () => {
  it('that is silent for longer than configured is told once, and once more when it is back', () => {
    const alerts = minutes(90, (minute) => ({
      exporters: [exporter((minute < 20 || minute > 60 ? minute : 20) * MINUTE)],
    }));
    expect(alerts).toMatchObject([
      {
        kind: 'coverage',
        host: '',
        incident_id: '',
        grade: null,
        first_seen: '2026-03-01T10:20:00.000Z',
        emitted_at: '2026-03-01T10:30:00.000Z',
        exporters: [{ address: '192.0.2.1' }],
        coverage: { cause: 'exporter_silent', exporters: 1, lost: 0 },
      },
      { coverage: { cause: 'exporter_returned' }, emitted_at: '2026-03-01T11:01:00.000Z' },
    ]);
    expect(alerts[0].reasons[0]).toBe(
      'exporter 192.0.2.1 is silent since 2026-03-01T10:20:00.000Z: what passes there is not seen',
    );
    expect(alerts[1].reasons[0]).toContain('after 41 min of which nothing is known');
  });

  it('one of whose domains goes on is not silent', () => {
    expect(
      minutes(60, (minute) => ({ exporters: [exporter(0), exporter(minute * MINUTE, { domain: 1 })] })),
    ).toEqual([]);
  });

  it('that is on the allow-list by its address and never comes is told', () => {
    const alerts = minutes(30, () => ({}), ['192.0.2.9']);
    expect(causes(alerts)).toEqual(['exporter_silent']);
    expect(alerts[0].reasons[0]).toContain('192.0.2.9 was never heard');
  });

  it('that loses more than the share by its sequence numbers is told, with the figures of the interval', () => {
    const alerts = minutes(14, (minute) => ({
      exporters: [
        exporter(minute * MINUTE, { lost: minute > 5 ? 40 * (minute - 5) : 0, received: 960 * minute }),
        exporter(minute * MINUTE, { address: '192.0.2.2', lost: minute, received: 10_000 * minute }),
      ],
    }));
    expect(alerts).toMatchObject([{ coverage: { cause: 'sequence_loss', exporters: 1, lost: 200 } }]);
    expect(alerts[0].reasons[0]).toBe(
      'exporter 192.0.2.1 domain 0: 200 lost by its sequence numbers (4.0 %) in 5 min',
    );
  });

  it('of which a quarter of the datagrams comes late or twice may be two, and that is told', () => {
    const mixed = (share: number) => (minute: number) => ({
      exporters: [
        exporter(minute * MINUTE, {
          received: 100 * minute,
          datagrams: 100 * minute,
          reordered: Math.floor(share * 100 * minute),
        }),
      ],
    });
    expect(minutes(9, mixed(0.2))).toEqual([]);
    const [alert] = minutes(9, mixed(0.5));
    expect(alert).toMatchObject({ coverage: { cause: 'sequence_loss', exporters: 1, lost: 0 } });
    expect(alert?.reasons[0]).toMatch(
      /^exporter 192\.0\.2\.1 domain 0: 250 of 500 datagrams late or twice by their numbers in 5 min: a second exporter/,
    );
  });

  it('that loses a handful of a few is not worth an alert', () => {
    expect(
      minutes(60, (minute) => ({
        exporters: [exporter(minute * MINUTE, { lost: minute, received: minute })],
      })),
    ).toEqual([]);
  });
});

describe('the collector itself', () => {
  it('tells what its bound cut at once, and then at most once an interval, in sum', () => {
    const alerts = minutes(12, (minute) => ({
      spoolDropped: { flows: minute >= 2 ? 10 * minute : 0, mail: 0 },
    }));
    expect(alerts.map(({ emitted_at, coverage }) => [emitted_at.slice(14, 16), coverage?.lost])).toEqual([
      ['02', 20],
      ['07', 50],
      ['12', 50],
    ]);
    expect(alerts[0].reasons[0]).toContain('20 rows of flows were not kept');
  });

  it('tells datagrams that the kernel dropped', () => {
    const alerts = minutes(6, (minute) => ({ kernelDrops: 100 * minute, datagrams: 900 * minute }));
    expect(alerts).toMatchObject([{ coverage: { cause: 'kernel_drops', lost: 500 } }]);
    expect(alerts[0].reasons[0]).toContain('500 datagrams (10.0 %)');
  });
});

describe('a flood of gaps', () => {
  it('is one alert for each cause and interval, whose words are bounded', () => {
    const many = Array.from({ length: 1000 }, (_, i) =>
      exporter(0, { address: `10.1.${i >> 8}.${i & 255}` }),
    );
    const alerts = minutes(60, () => ({ exporters: many }));
    expect(alerts).toHaveLength(1);
    expect(alerts[0].coverage).toEqual({ cause: 'exporter_silent', exporters: 1000, lost: 0 });
    expect(alerts[0].exporters).toHaveLength(16);
    expect(alerts[0].reasons).toHaveLength(17);
    expect(alerts[0].reasons[16]).toBe('and 984 exporters more');
  });

  it('has the same ids when it is computed again', () => {
    const at = (minute: number) => ({ exporters: [exporter(0)], spoolDropped: { flows: minute } });
    expect(minutes(40, at)).toEqual(minutes(40, at));
  });

  it('of an exporter that flaps makes two alerts an interval at most', () => {
    const alerts = minutes(240, (minute) => ({
      exporters: [exporter((minute - (minute % 12)) * MINUTE)],
    }));
    expect(alerts.length).toBeLessThanOrEqual((2 * 4 * HOUR) / config.interval);
    expect(alerts.length).toBeGreaterThan(10);
  });
});

describe('traffic whose addresses were not read', () => {
  const blind = (minute: number, share = 1) =>
    exporter(minute * MINUTE, {
      flows: 100 * minute,
      unread: Math.floor(100 * minute * share),
      unreadReasons: ['cut', 'unknown_protocol'],
    });

  it('is told once an interval, with what is new', () => {
    const alerts = minutes(7, (minute) => ({ exporters: [blind(Math.min(minute, 3))] }));
    expect(alerts).toMatchObject([
      { coverage: { cause: 'unread_addresses', exporters: 1, lost: 100 } },
      { coverage: { cause: 'unread_addresses', lost: 200 } },
    ]);
    expect(alerts[0]?.reasons).toEqual([
      'exporter 192.0.2.1 domain 0: of 100 records 100 have no address that could be read (cut, unknown_protocol): mail in them is not seen',
    ]);
  });

  it.each([
    [['no_ports'], 'carry no ports, or no protocol beside them'],
    [['cut', 'no_ports'], 'have no address or no port that could be read (cut, no_ports)'],
    [
      ['ambiguous_template'],
      '100 records or sets of records, beside 100 records that have rows, have no template that is theirs for sure (ambiguous_template)',
    ],
    [
      ['cut', 'no_template'],
      '100 records or sets of records, beside 100 records that have rows, have no address or no template that could be read (cut, no_template)',
    ],
  ])('for %s is told as what it is', (unreadReasons, words) => {
    const [alert] = minutes(2, (minute) => ({
      exporters: [exporter(minute * MINUTE, { flows: 100 * minute, unread: 100 * minute, unreadReasons })],
    }));
    expect(alert?.reasons[0]).toContain(`${words}: mail in them is not seen`);
  });

  it('is not told below the share of losses that is told', () => {
    expect(minutes(9, (minute) => ({ exporters: [blind(minute, 0.004)] }))).toEqual([]);
  });
});

describe('what forged datagrams can do to the tables of the collector', () => {
  it('is told once an interval: exporters that made room, and newcomers that found none', () => {
    const alerts = minutes(30, (minute) => ({
      exportersEvicted: minute < 5 ? 0 : 100 * minute,
      exportersRefused: minute < 20 ? 0 : 7,
    }));
    expect(causes(alerts).every((cause) => cause === 'exporters_full')).toBe(true);
    expect(alerts.length).toBeGreaterThan(1);
    expect(alerts.length).toBeLessThan(8);
    expect(alerts[0].reasons.join()).toContain('500 that were heard for a moment');
    expect(alerts.reduce((sum, { coverage }) => sum + (coverage?.lost ?? 0), 0)).toBe(7);
  });

  it('is told once: an exporter whose template changed its layout', () => {
    const alerts = minutes(30, (minute) => ({
      exporters: [exporter(minute * MINUTE, { templatesRedefined: minute < 12 ? 0 : 3 })],
    }));
    expect(alerts).toMatchObject([
      { coverage: { cause: 'template_redefined', exporters: 1 }, exporters: [{ address: '192.0.2.1' }] },
    ]);
    expect(alerts[0].reasons.join()).toContain('3 templates');
  });
});
