/**
 * sFlow v5 (sflow.org, "sFlow Version 5"): flow samples, one row for each sampled packet.
 *
 * Everything is XDR: big-endian words of four bytes, opaque parts padded to four. Counts of samples and records are not
 * believed beyond the bytes that are there. A sample is one packet and has no duration: start and end are absent.
 * Counter samples and samples of other kinds carry no flow; they are counted, not read.
 */

import type { AddressBytes } from '../flow/address.ts';
import { PRESENT } from '../flow/columns.ts';
import { readEthernet, readIp, writeIpv4, writeIpv6 } from './packet-header.ts';
import type { ReaderContext, WritableColumns } from './reader-context.ts';
import type { RecordReader } from './record-reader.ts';

export interface SflowHeader {
  /** 16 bytes, IPv4 mapped. It holds until the next header is read. */
  readonly agent: AddressBytes;
  readonly subAgent: number;
  readonly sequence: number;
  readonly uptimeMs: number;
  readonly samples: number;
  /** Offset of the first sample. */
  readonly begin: number;
}

/** The datagram's header; null when it is cut or has no known kind of agent address. */
export function readSflowHeader(view: DataView): SflowHeader | null {
  if (view.byteLength < 8) return null;
  const kind = view.getUint32(4);
  const addressBytes = kind === 1 ? 4 : kind === 2 ? 16 : 0;
  const at = 8 + addressBytes;
  if (addressBytes === 0 || view.byteLength < at + 16) return null;
  return {
    agent: agentAddress(view, addressBytes),
    subAgent: view.getUint32(at),
    sequence: view.getUint32(at + 4),
    uptimeMs: view.getUint32(at + 8),
    samples: view.getUint32(at + 12),
    begin: at + 16,
  };
}

/** One for all datagrams: an array of its own for each would cost a tenth of what decoding it does. */
const AGENT = new Uint8Array(16);

function agentAddress(view: DataView, bytes: number): AddressBytes {
  for (let i = 0; i < 12; i++) AGENT[i] = bytes === 16 ? view.getUint8(8 + i) : i < 10 ? 0 : 0xff;
  for (let i = 12; i < 16; i++) AGENT[i] = view.getUint8(8 + i - (16 - bytes));
  return AGENT;
}

export type SampleKind = 'flow' | 'expanded-flow' | 'counters' | 'other';

/** Format numbers of enterprise 0. */
export function sampleKind(type: number): SampleKind {
  switch (type) {
    case 1:
      return 'flow';
    case 3:
      return 'expanded-flow';
    case 2:
    case 4:
      return 'counters';
    default:
      return 'other';
  }
}

/** Bytes that an opaque part of `length` takes with its padding. */
export function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** Read one flow sample, `at` to `end` being its body. A sample without a packet gives no row. */
export const FLOW_SAMPLE: RecordReader = {
  minLength: 32,
  variable: true,
  readReverse: null,
  read: (view, at, end, max, row, columns, context) =>
    readSample(view, at, end, max, row, columns, context, 0),
};

export const EXPANDED_FLOW_SAMPLE: RecordReader = {
  minLength: 44,
  variable: true,
  readReverse: null,
  read: (view, at, end, max, row, columns, context) =>
    readSample(view, at, end, max, row, columns, context, 4),
};

const FORMAT_DROPPED = 1;
const UNKNOWN_INTERFACE = 0x3fffffff;
/** Forwarding status 2, dropped, without a reason (RFC 7270 section 4.12). */
const DROPPED = 0x80;

/** `wider` is by how much a source or interface is wider than in the compact form. */
function readSample(
  view: DataView,
  at: number,
  end: number,
  max: number,
  row: number,
  columns: WritableColumns,
  context: ReaderContext,
  wider: number,
): number {
  context.at = end;
  context.passedOver = 0;
  const expanded = wider > 0;
  const rateAt = at + 8 + wider;
  const recordsAt = rateAt + 20 + 2 * wider;
  context.overrun = at < end && recordsAt + 4 > end;
  if (max < 1 || recordsAt + 4 > end) return 0;
  let present = readPacket(view, recordsAt, end, columns, row);
  if (present === null) return 0;

  const rate = view.getUint32(rateAt);
  const inAt = rateAt + 12;
  const outAt = inAt + 4 + wider;
  const inFormat = expanded ? view.getUint32(inAt) : view.getUint32(inAt) >>> 30;
  const inValue = expanded ? view.getUint32(inAt + 4) : view.getUint32(inAt) & UNKNOWN_INTERFACE;
  const outFormat = expanded ? view.getUint32(outAt) : view.getUint32(outAt) >>> 30;
  const outValue = expanded ? view.getUint32(outAt + 4) : view.getUint32(outAt) & UNKNOWN_INTERFACE;
  if (inFormat === 0 && inValue !== UNKNOWN_INTERFACE && inValue !== 0xffffffff) columns.in_if[row] = inValue;
  if (outFormat === 0 && outValue !== UNKNOWN_INTERFACE && outValue !== 0xffffffff)
    columns.out_if[row] = outValue;
  if (outFormat === FORMAT_DROPPED) {
    columns.forwarding[row] = DROPPED;
    present |= PRESENT.FORWARDING;
  }

  columns.received_at[2 * row] = context.receivedLow;
  columns.received_at[2 * row + 1] = context.receivedHigh;
  columns.exporter[4 * row] = context.exporter0;
  columns.exporter[4 * row + 1] = context.exporter1;
  columns.exporter[4 * row + 2] = context.exporter2;
  columns.exporter[4 * row + 3] = context.exporter3;
  columns.exporter_port[row] = context.exporterPort;
  columns.domain[row] = context.domain;
  columns.version[row] = context.version;
  columns.sequence[row] = context.sequence;
  columns.record[row] = at - context.origin;
  columns.sampling_rate[row] = rate;
  columns.packets[2 * row] = 1;
  columns.present[row] = present | PRESENT.PACKETS;
  context.seenRate = rate;
  return 1;
}

const RAW_HEADER = 1;
const ETHERNET_FRAME = 2;
const IPV4 = 3;
const IPV6 = 4;

/** Finds the record that tells of the packet, and reads it into the row. Null when there is none. */
function readPacket(
  view: DataView,
  begin: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number | null {
  let left = view.getUint32(begin);
  let at = begin + 4;
  let frame = 0;
  for (; left > 0 && at + 8 <= end; left--) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    const body = at + 8;
    if (length > end - body) break;
    if (type === ETHERNET_FRAME && length >= 4) frame = body;
    const present = readRecord(view, type, body, body + length, columns, row);
    if (present !== null) return present;
    at = body + padded(length);
  }
  if (frame === 0) return null;
  // Nothing but the link layer is known of the packet: a row without addresses.
  columns.bytes[2 * row] = view.getUint32(frame);
  return PRESENT.BYTES;
}

function readRecord(
  view: DataView,
  type: number,
  at: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number | null {
  switch (type) {
    case RAW_HEADER:
      return end - at < 16 ? null : readRawHeader(view, at, end, columns, row);
    case IPV4:
      return end - at < 32 ? null : readSampledIp(view, at, 4, columns, row);
    case IPV6:
      return end - at < 56 ? null : readSampledIp(view, at, 16, columns, row);
    default:
      return null;
  }
}

const HEADER_ETHERNET = 1;
const HEADER_IPV4 = 11;
const HEADER_IPV6 = 12;

function readRawHeader(
  view: DataView,
  at: number,
  end: number,
  columns: WritableColumns,
  row: number,
): number {
  const protocol = view.getUint32(at);
  columns.bytes[2 * row] = view.getUint32(at + 4);
  const header = at + 16;
  const headerEnd = Math.min(end, header + view.getUint32(at + 12));
  let present: number = PRESENT.BYTES;
  if (protocol === HEADER_ETHERNET) present |= readEthernet(view, header, headerEnd, columns, row);
  else if (protocol === HEADER_IPV4 || protocol === HEADER_IPV6) {
    present |= readIp(view, header, headerEnd, columns, row);
  }
  return present;
}

/** Sampled IPv4 and IPv6: length, protocol, two addresses, two ports, TCP flags, type of service. */
function readSampledIp(
  view: DataView,
  at: number,
  addressBytes: number,
  columns: WritableColumns,
  row: number,
): number {
  columns.bytes[2 * row] = view.getUint32(at);
  columns.protocol[row] = view.getUint32(at + 4);
  const write = addressBytes === 4 ? writeIpv4 : writeIpv6;
  write(columns.src_addr, row, view, at + 8);
  write(columns.dst_addr, row, view, at + 8 + addressBytes);
  const ports = at + 8 + 2 * addressBytes;
  columns.src_port[row] = view.getUint32(ports);
  columns.dst_port[row] = view.getUint32(ports + 4);
  columns.tcp_flags[row] = view.getUint32(ports + 8);
  const { SRC_ADDR, DST_ADDR, SRC_PORT, DST_PORT, TCP_FLAGS, PROTOCOL, BYTES } = PRESENT;
  return SRC_ADDR | DST_ADDR | SRC_PORT | DST_PORT | TCP_FLAGS | PROTOCOL | BYTES;
}
