/**
 * Datagrams that broke other collectors, built from their reports.
 */

import { describe, expect, it } from 'vitest';
import { ipfix, set, TUPLE, template, tuple, u16, v9 } from '../support/datagrams.ts';
import { collector } from '../support/decoding.ts';

describe('what broke other collectors', () => {
  it('pmacct #934: a template that gives an IPv4 address 50 bytes has no address, and overruns nothing', () => {
    const { decode, rows } = collector();
    const wide = template(256, [
      [8, 50],
      [12, 4],
      [11, 2],
    ]);
    decode(v9([set(0, wide), set(256, Buffer.alloc(50, 7), tuple().subarray(4, 8), u16(25))]));
    expect(rows()[0]).toMatchObject({ src_addr: '::', dst_addr: '192.0.2.25', dst_port: 25 });
  });

  it('nfdump 051340ed: field lengths whose sum passes 65535 are refused', () => {
    const { decode, decoder } = collector();
    const huge = template(256, [[8, 4], ...Array.from({ length: 3 }, () => [5000, 30000] as const)]);
    for (const datagram of [v9([set(0, huge)]), ipfix([set(2, huge)])]) {
      expect(decode(datagram)).toMatchObject({ templates: 0, dropped: 1 });
    }
    expect(decoder.counters.dropped.bad_template).toBe(2);
  });

  it('pmacct #100: a variable length that points past the set drops the record and leaves no row', () => {
    const { decode, decoder, rows } = collector();
    decode(ipfix([set(2, template(256, [...TUPLE, [371, 65535]]))]));
    for (const length of [[200], [255], [255, 0xff], [255, 0xff, 0xff]]) {
      decode(ipfix([set(256, tuple(), Buffer.from(length))]));
    }
    expect(decoder.counters.dropped.bad_record).toBe(4);
    expect(rows()).toEqual([]);
  });

  it('pmacct #100: the records before the broken one are kept', () => {
    const { decode, rows } = collector();
    const name = Buffer.from('\x03bob');
    decode(ipfix([set(2, template(256, [...TUPLE, [371, 65535]]))]));
    decode(ipfix([set(256, tuple(), name, tuple('10.0.0.2'), Buffer.from([3]), Buffer.from('bo'))]));
    expect(rows().map((row) => row.src_addr)).toEqual(['10.0.0.1']);
  });

  it('nfdump #171: a template set that leaves one to three bytes is whole', () => {
    for (const left of [1, 2, 3]) {
      const { decode } = collector();
      const outcome = decode(ipfix([set(2, template(256, TUPLE), Buffer.alloc(left)), set(256, tuple())]));
      expect(outcome).toMatchObject({ templates: 1, flows: 1, dropped: 0 });
    }
  });

  it('Telegraf #14370: zero-length fields in a template take no room', () => {
    const { decode, rows } = collector();
    decode(
      ipfix([set(2, template(256, [[150, 0], ...TUPLE, [151, 0]])), set(256, tuple(), tuple('10.0.0.2'))]),
    );
    expect(rows()).toMatchObject([
      { src_addr: '10.0.0.1', start: 0 },
      { src_addr: '10.0.0.2', end: 0 },
    ]);
  });
});
