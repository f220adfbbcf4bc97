/** What is said about a collector that receives nothing, reads nothing, or loses some. */

import { describe, expect, it } from 'vitest';
import { collectionTroubles, formatSpan } from '../../src/api/collection.ts';
import { collectionOf, liveExporter } from '../support/collection.ts';

const HOUR_MS = 3_600_000;
const troubles = (given: Parameters<typeof collectionOf>[0], upMs = HOUR_MS) =>
  collectionTroubles(collectionOf(given), upMs);
const about = (given: Parameters<typeof liveExporter>[0]) => troubles({ exporters: [liveExporter(given)] });

describe('what is said about a collector', () => {
  it('is nothing while all is well', () => {
    expect(troubles({})).toEqual([]);
  });

  it('names the port to look at when no datagram arrives, and waits a minute with that', () => {
    const silent = {
      listeners: [{ name: '[::]:4739', datagrams: 0, kernel_drops: 0 }],
      exporters: [],
    };
    expect(troubles(silent)[0]).toMatch(/^No datagram has arrived on UDP \[::\]:4739\..*udp port 4739/);
    // What the instance sends to itself is no export.
    const canaries = {
      listeners: [{ name: '[::]:4739', datagrams: 5, kernel_drops: 0 }],
      canaries: 5,
      exporters: [],
    };
    expect(troubles(canaries)[0]).toMatch(/^No datagram has arrived/);
    expect(troubles(silent, 5000)).toEqual([
      'No datagram has arrived yet on UDP [::]:4739; the instance started 5 s ago.',
    ]);
  });

  it('names senders that collector.exporters does not have', () => {
    const lines = troubles({
      exporters: [],
      not_decoded: { exporter_not_allowed: 12 },
      refused: [{ exporter: '198.51.100.7', datagrams: 12 }],
    });
    expect(lines[0]).toBe('12 datagrams were refused: collector.exporters does not have 198.51.100.7.');
  });

  it('tells a missing template from one that came late', () => {
    expect(about({ flows: 0, templates: 0 }).join('\n')).toMatch(
      /no flow has been decoded yet\.\n192\.0\.2\.1 domain 0 \(v9\): it has sent no template/,
    );
    expect(about({ unread: { no_template: 3 } })).toEqual([
      '192.0.2.1 domain 0 (v9): 3 sets of data came without their template.',
    ]);
    // Versions without templates need none.
    expect(about({ version: 'v5', templates: null })).toEqual([]);
  });

  it('tells a wrong clock, silence, records without addresses and numbers that never change', () => {
    expect(about({ clock_skew_ms: 400_000 })[0]).toContain('its clock is 7 min behind that of this machine');
    expect(about({ clock_skew_ms: -12_000 })[0]).toContain('its clock is 12 s ahead of that of this machine');
    expect(about({ last_seen: '2026-03-01T09:30:00.000Z' })[0]).toContain('it has sent nothing for 30 min');
    expect(about({ unread: { no_ports: 9 } })[0]).toContain(
      '9 records have no readable addresses or ports (no ports)',
    );
    expect(about({ counting: 'nothing' })[0]).toContain('losses are not known');
  });

  it('has words for each reason that the collector counts', () => {
    const reasons = {
      not_an_export: 1,
      exporter_limit: 1,
      truncated: 1,
      bad_length: 1,
      pending_limit: 1,
      ambiguous_template: 1,
      bad_template: 1,
      template_limit: 1,
      bad_record: 1,
      rate_limited: 1,
      decoder_failed: 1,
    };
    const lines = troubles({ not_decoded: { ...reasons, no_template: 1, unsupported: 1 } });
    expect(lines).toHaveLength(Object.keys(reasons).length);
    for (const line of lines) expect(line).toMatch(/^Not decoded, 1 time\(s\): .*[.?]$/);
  });

  it('says that the kernel dropped some, and what to raise', () => {
    expect(troubles({ listeners: [{ name: '0.0.0.0:2055', datagrams: 9, kernel_drops: 4 }] })[0]).toMatch(
      /^The kernel dropped 4 datagrams.*net\.core\.rmem_max/,
    );
  });

  it('shows lengths of time in one unit', () => {
    expect([95_000, 720_000, 108_000_000, 400_000_000].map(formatSpan)).toEqual([
      '95 s',
      '12 min',
      '30 h',
      '5 d',
    ]);
  });
});
