import { describe, expect, it } from 'vitest';
import { describeCoverage, isBlind } from '../../src/cli/coverage.ts';
import { describeAlert } from '../../src/cli/reports.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createCoverageWatch } from '../../src/detect/coverage.ts';
import type { ExporterRow } from '../../src/store/queries.ts';
import { HOUR, MINUTE, T0 } from '../support/flows.ts';

const config = configSchema.parse({}).coverage;
const row = (changes: Partial<ExporterRow> = {}): ExporterRow => ({
  exporter: '192.0.2.1',
  domain: 0,
  version: 'v9',
  first_seen: '2026-03-01 10:00:00.000',
  last_seen: '2026-03-01 10:00:00.000',
  flows_stored: 1,
  flows: 1,
  datagrams: 1,
  sequence_lost: 3,
  sequence_reordered: 0,
  sequence_resets: 0,
  sampling_rates: [],
  clock_skew_ms: null,
  unread: 0,
  unread_reasons: [],
  out_counters: null,
  ...changes,
});

describe('the coverage statement', () => {
  it('says that nothing was seen rather than that nothing is there', () => {
    expect(describeCoverage([], [], config, T0)).toEqual([
      'No router has exported anything yet: this says nothing about the network.',
    ]);
  });

  it('names traffic whose addresses were not read, and how much makes an empty list say nothing', () => {
    const blind = row({ flows: 40, unread: 40, unread_reasons: ['unknown_protocol'] });
    expect(describeCoverage([blind], [], config, T0)).toContain(
      'Not read: 40 of 40 records of 192.0.2.1 domain 0 have no address that could be read (unknown_protocol). Mail in them is not seen.',
    );
    const layout = row({ flows: 5, unread: 40, unread_reasons: ['ambiguous_template'] });
    expect(describeCoverage([layout], [], config, T0)).toContain(
      'Not read: 40 records or sets of records, beside 5 records, of 192.0.2.1 domain 0 have no template that is theirs for sure (ambiguous_template). Mail in them is not seen.',
    );
    expect(isBlind([row(), layout], config)).toBe(true);
    expect(isBlind([row(), blind], config)).toBe(true);
    expect(isBlind([row({ flows: 100_000, unread: 3 })], config)).toBe(false);
    expect(isBlind([row()], config)).toBe(false);
  });

  it('names a silent exporter, losses, and what sampling hides', () => {
    const other = row({
      exporter: '192.0.2.2',
      last_seen: '2026-03-01 10:59:00.000',
      sampling_rates: [1000],
    });
    expect(describeCoverage([row(), other], [], config, T0 + HOUR)).toEqual([
      'Seen through 2 exporter(s); 6 lost flows or datagrams by their sequence numbers.',
      'Nothing from 192.0.2.1 since 2026-03-01 10:00:00 (UTC).',
      'Sampling up to 1:1000: a host is seen with 95 % probability only after about 273 mails.',
    ]);
  });

  it('repeats the newest coverage alert, which a person can read', () => {
    const watch = createCoverageWatch({
      config,
      policyVersion: '',
      startedAtMs: T0,
      expected: ['192.0.2.9'],
    });
    const alerts = watch.observe(T0 + 10 * MINUTE, {
      exporters: [],
      kernelDrops: 0,
      datagrams: 0,
      spoolDropped: {},
    });
    expect(describeCoverage([row()], alerts, config, T0).at(-1)).toBe(
      '1 coverage alert(s) in the last day, the newest: exporter 192.0.2.9 was never heard since the start at 2026-03-01T10:00:00.000Z.',
    );
    expect(describeAlert(alerts[0])).toBe(
      '2026-03-01 10:10:00 coverage: exporter 192.0.2.9 was never heard since the start at 2026-03-01T10:00:00.000Z',
    );
  });
});
