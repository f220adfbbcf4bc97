/**
 * node-netflowv9's own record decode as the oracle for ours, on captures of real exporters and on v1 and v7 by hand.
 */

import { createRequire } from 'node:module';
import nf9PktDecode, { type TemplateTable } from 'node-netflowv9/js/nf9/nf9decode.js';
import tables from 'node-netflowv9/js/nf9/nftypes.js';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../src/flow/address.ts';
import { v1, v7 } from '../support/datagrams.ts';
import { collector, type Row } from '../support/decoding.ts';
import { readPcap } from '../support/pcap.ts';
import { haveVectors, readVectors } from '../support/vectors.ts';

type Fields = Record<string, string | number>;
type FixedDecode = (message: Buffer, exporter: object) => { flows: Fields[] };

const require = createRequire(import.meta.url);
const fixed: Readonly<Record<'v1' | 'v5' | 'v7', FixedDecode>> = {
  v1: require('node-netflowv9/js/nf1/nf1decode.js'),
  v5: require('node-netflowv9/js/nf5/nf5decode.js'),
  v7: require('node-netflowv9/js/nf7/nf7decode.js'),
};

/** Captures that the library cannot read without looping or throwing, or reads wrongly, and why. */
const BEYOND_THE_LIBRARY: Readonly<Record<string, string>> = {
  'logstash/netflow-9-cisco-aci': 'flowset of length 0: loops for ever',
  'logstash/netflow-9-palo-alto-1-flowset-in-large-zero-filled-packet': 'flowset of length 0: loops for ever',
  'logstash/netflow-9-h3c-netstream-with-varstring': 'variable length',
  'logstash/netflow-9-cisco-asa-2': 'what the responder sent is a row of its own here',
  'logstash/netflow-9-template-with-0-length-fields': 'counts in OUT where IN is zero, which is taken here',
  'bitkeks/v9-data-before-template-same-packet': 'data before its template',
  'bitkeks/v9-data-before-template-then-more': 'data before its template',
};

function libraryV9(): (message: Buffer, address: string, port: number) => Fields[] {
  const templates = new Map<string, TemplateTable>();
  const context = {
    nfTypes: Object.create(tables.nfTypes),
    nfScope: Object.create(tables.nfScope),
    nfInfoTemplates(exporter: { address: string; port: number }) {
      const key = `${exporter.address}:${exporter.port}`;
      const known = templates.get(key) ?? {};
      templates.set(key, known);
      return known;
    },
  };
  return (message, address, port) => {
    const domain = message.readUInt32BE(16);
    const { flows } = nf9PktDecode.call(context, message, { address: `${address}/${domain}`, port });
    return flows.filter((flow) => flow.isOption !== true) as Fields[];
  };
}

const NAMES = {
  src_addr: ['ipv4_src_addr', 'ipv6_src_addr'],
  dst_addr: ['ipv4_dst_addr', 'ipv6_dst_addr'],
  src_port: ['l4_src_port', 'ipv4_src_port'],
  dst_port: ['l4_dst_port', 'ipv4_dst_port'],
  protocol: ['protocol'],
  packets: ['in_pkts'],
  bytes: ['in_bytes'],
  tcp_flags: ['tcp_flags'],
} as const;

/** What of our row the library has a field for, next to what it says there. IPv6 comes from it as hex digits. */
function compared(row: Row, flow: Fields): { ours: Fields; library: Fields } {
  const ours: Fields = {};
  const library: Fields = {};
  for (const [column, names] of Object.entries(NAMES)) {
    const name = names.find((candidate) => flow[candidate] !== undefined);
    if (name === undefined) continue;
    const value = flow[name] as string | number;
    ours[column] = row[column as keyof typeof NAMES];
    library[column] = name.startsWith('ipv6') ? formatAddress(Buffer.from(String(value), 'hex')) : value;
  }
  return { ours, library };
}

function expectSame(rows: readonly Row[], flows: readonly Fields[]): void {
  expect(rows).toHaveLength(flows.length);
  for (const [i, flow] of flows.entries()) {
    const { ours, library } = compared(rows[i]!, flow);
    expect(ours).toEqual(library);
  }
}

describe('our reader against node-netflowv9', () => {
  // The library takes 48 bytes for a record of v1 and v7, which is 52, so it reads the first record of v1 only, and
  // always throws on v7. The first 48 bytes of a v7 record are those of v5.
  it.each([
    ['v1', v1([{ src: '10.9.8.7', flags: 2 }]), fixed.v1, 16],
    ['v7', v7([{ src: '10.9.8.7', flags: 2 }]), fixed.v5, 24],
  ] as const)('agrees on the first record of %s', (_, datagram, oracle, headerBytes) => {
    const { decode, rows } = collector();
    decode(datagram);
    const { flows } = oracle(Buffer.from(datagram.subarray(0, headerBytes + 48)), {});
    expectSame(rows(), flows);
    expect(flows).toMatchObject([{ ipv4_src_addr: '10.9.8.7', tcp_flags: 2 }]);
  });

  it('the library cannot read v7 at all', () => {
    expect(() => fixed.v7(v7([{}]), {})).toThrow(RangeError);
  });

  const captures = readVectors().filter(
    ({ name, version }) => (version === 'v9' || version === 'v5') && BEYOND_THE_LIBRARY[name] === undefined,
  );

  it.skipIf(!haveVectors).each(captures)(
    'agrees on $name (needs VECTORS_DIR or ../shared/vectors)',
    (vector) => {
      const { decode, rows } = collector({ templateScope: 'address_port' });
      const decodeV9 = libraryV9();
      const flows: Fields[] = [];
      for (const { payload, source, sourcePort } of readPcap(vector.path)) {
        decode(payload, { exporter: source, port: sourcePort });
        if (vector.version === 'v9') {
          flows.push(...decodeV9(payload, formatAddress(source), sourcePort));
        } else {
          const whole = payload.subarray(0, 24 + 48 * Math.floor((payload.length - 24) / 48));
          flows.push(...fixed.v5(whole, {}).flows);
        }
      }
      expectSame(rows(), flows);
    },
  );
});
