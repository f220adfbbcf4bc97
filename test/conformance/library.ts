/**
 * node-netflowv9's own reading of a capture: its objects, its templates, its order.
 *
 * It loops for ever on some captures and throws on others, so that each datagram has a time limit, and what it could not
 * read is told. Templates are kept by address, port and source id, which is our key, not its own.
 */

import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import nf9PktDecode, { type TemplateTable } from 'node-netflowv9/js/nf9/nf9decode.js';
import tables from 'node-netflowv9/js/nf9/nftypes.js';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';
import type { Capture } from './captures.ts';
import type { ComparedField, ComparedRecord, Reading } from './record.ts';

type Fields = Readonly<Record<string, unknown>>;
type FixedDecode = (message: Buffer, exporter: object) => { flows: Fields[] };

const require = createRequire(import.meta.url);
const fixed: Readonly<Record<number, FixedDecode>> = {
  1: require('node-netflowv9/js/nf1/nf1decode.js'),
  5: require('node-netflowv9/js/nf5/nf5decode.js'),
  7: require('node-netflowv9/js/nf7/nf7decode.js'),
};
const V9 = 9;
const V5_HEADER_BYTES = 24;
const V5_RECORD_BYTES = 48;
/** It takes microseconds or for ever; a machine with other work may take a while to get to it. */
const MAX_DATAGRAM_MS = 2000;

export interface LibraryReading extends Reading {
  /** Datagrams that it never comes back from, and that it throws on. */
  readonly hung: number;
  readonly threw: number;
}

function knowsVersion(version: number): boolean {
  return version === V9 || fixed[version] !== undefined;
}

/** Null when the capture is of a version that it does not know. */
export function readWithLibrary({ datagrams, version }: Capture): LibraryReading | null {
  if (!knowsVersion(version)) return null;
  const decodeV9 = v9Decoder();
  const records: ComparedRecord[] = [];
  let options = 0;
  let hung = 0;
  let threw = 0;
  for (const { payload, source, sourcePort } of datagrams) {
    const run = () =>
      version === V9
        ? decodeV9(payload, `${formatAddress(source)} ${sourcePort}`)
        : decodeFixed(payload, version);
    try {
      const flows: readonly Fields[] = runInNewContext('run()', { run }, { timeout: MAX_DATAGRAM_MS });
      for (const flow of flows) {
        if (flow.isOption === true) options++;
        else records.push(recordOf(flow));
      }
    } catch (error) {
      // The error is one of the other realm, so that instanceof would not know it.
      if (String(error).includes('timed out')) hung++;
      else threw++;
    }
  }
  return { flows: records.length, options, templates: null, records, hung, threw };
}

function v9Decoder() {
  const templates = new Map<string, TemplateTable>();
  return (message: Buffer, exporter: string): readonly Fields[] => {
    const key = `${exporter} ${message.readUInt32BE(16)}`;
    const known = templates.get(key) ?? {};
    templates.set(key, known);
    const context = {
      nfTypes: Object.create(tables.nfTypes),
      nfScope: Object.create(tables.nfScope),
      nfInfoTemplates: () => known,
    };
    return nf9PktDecode.call(context, message, { address: key, port: 0 }).flows;
  };
}

/** Whole records only: it throws on a part of one, whatever the header counts. */
function decodeFixed(message: Buffer, version: number): readonly Fields[] {
  const decode = fixed[version];
  if (decode === undefined) return [];
  const whole = Math.floor((message.length - V5_HEADER_BYTES) / V5_RECORD_BYTES);
  const bytes = version === 5 ? message.subarray(0, V5_HEADER_BYTES + V5_RECORD_BYTES * whole) : message;
  return decode(bytes, {}).flows;
}

const NAMES: Readonly<Record<ComparedField, readonly string[]>> = {
  src: ['ipv4_src_addr', 'ipv6_src_addr'],
  dst: ['ipv4_dst_addr', 'ipv6_dst_addr'],
  src_port: ['l4_src_port', 'ipv4_src_port'],
  dst_port: ['l4_dst_port', 'ipv4_dst_port'],
  protocol: ['protocol'],
  packets: ['in_pkts'],
  bytes: ['in_bytes'],
  flags: ['tcp_flags'],
};

function recordOf(flow: Fields): ComparedRecord {
  const record: Partial<Record<ComparedField, string | number>> = {};
  for (const [field, names] of Object.entries(NAMES) as [ComparedField, readonly string[]][]) {
    const name = names.find((candidate) => flow[candidate] !== undefined);
    const value = name === undefined ? undefined : flow[name];
    if (typeof value === 'number') record[field] = value;
    // IPv6 comes as hex digits, IPv4 in dotted form.
    else if (typeof value === 'string' && name?.startsWith('ipv6')) record[field] = value;
    else if (typeof value === 'string') record[field] = hexOf(value);
  }
  return record;
}

/** An address as 32 hex digits; the text itself when it is none. */
export function hexOf(address: string): string {
  const bytes = parseAddress(address);
  return bytes === null ? address : Buffer.from(bytes).toString('hex');
}
