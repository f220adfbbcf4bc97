/**
 * sFlow v5 (sflow.org, "sFlow Version 5"): flow samples, one row for each sampled packet; and packets that the agent dropped
 * ("sFlow Dropped Packet Notification Structures").
 *
 * Everything is XDR: big-endian words of four bytes, opaque parts padded to four. Counts of samples and records are not
 * believed beyond the bytes that are there. A sample is one packet and has no duration: start and end are absent.
 * Counter samples and samples of other kinds carry no flow; they are counted, not read.
 */

import type { AddressBytes } from '../flow/address.ts';
import { PRESENT } from '../flow/columns.ts';
import { hasPorts, lacksPorts, writeIpv4, writeIpv6, writePacket } from './packet/packet-row.ts';
import { writePlainTcp } from './packet/plain-tcp.ts';
import { readPacket } from './packet/read-packet.ts';
import { LAYER, type Layer } from './packet/walk.ts';
import type { ReaderContext } from './reader-context.ts';
import type { RecordReader } from './record-reader.ts';
import { believedDrop } from './sflow-discards.ts';
import type { WritableColumns } from './writable-columns.ts';

export interface SflowHeader {
  /** 16 bytes, IPv4 mapped. */
  readonly agent: AddressBytes;
  subAgent: number;
  sequence: number;
  uptimeMs: number;
  samples: number;
  /** Offset of the first sample. */
  begin: number;
}

/** One for all datagrams: an object of its own for each would cost a tenth of what decoding it does. */
const HEADER: SflowHeader = {
  agent: new Uint8Array(16),
  subAgent: 0,
  sequence: 0,
  uptimeMs: 0,
  samples: 0,
  begin: 0,
};
const AGENT_WORDS = new Uint32Array(HEADER.agent.buffer);

/** The datagram's header, which holds until the next is read; null when it is cut or has no known kind of agent address. */
export function readSflowHeader(view: DataView): SflowHeader | null {
  if (view.byteLength < 8) return null;
  const kind = view.getUint32(4);
  const addressBytes = kind === 1 ? 4 : kind === 2 ? 16 : 0;
  const at = 8 + addressBytes;
  if (addressBytes === 0 || view.byteLength < at + 16) return null;
  for (let word = 0; word < 4; word++) {
    const isThere = addressBytes === 16 || word === 3;
    const filler = word === 2 ? 0xffff0000 : 0;
    AGENT_WORDS[word] = isThere ? view.getUint32(at - 16 + 4 * word, true) : filler;
  }
  HEADER.subAgent = view.getUint32(at);
  HEADER.sequence = view.getUint32(at + 4);
  HEADER.uptimeMs = view.getUint32(at + 8);
  HEADER.samples = view.getUint32(at + 12);
  HEADER.begin = at + 16;
  return HEADER;
}

export type SampleKind = 'flow' | 'expanded-flow' | 'discarded' | 'counters' | 'other';

/** Format numbers of enterprise 0. */
export function sampleKind(type: number): SampleKind {
  switch (type) {
    case 1:
      return 'flow';
    case 3:
      return 'expanded-flow';
    case 5:
      return 'discarded';
    case 2:
    case 4:
      return 'counters';
    default:
      return 'other';
  }
}

/** Bytes that an opaque part of `length` takes with its padding. */
export function padded(length: number): number {
  return length + (-length & 3);
}

/** Read one flow sample, `at` to `end` being its body. A sample without a packet gives no row. */
export const FLOW_SAMPLE: RecordReader = sampleReader(32, 0);
export const EXPANDED_FLOW_SAMPLE: RecordReader = sampleReader(44, 4);

/** `wider` is by how much a source or interface is wider than in the compact form. */
function sampleReader(minLength: number, wider: number): RecordReader {
  return {
    minLength,
    variable: true,
    unread: null,
    read: (view, at, end, max, row, columns, context) =>
      readSample(view, at, end, max, row, columns, context, wider, false),
    readReverse: (view, at, end, max, row, columns, context) =>
      readSample(view, at, end, max, row, columns, context, wider, true),
  };
}

/**
 * Reads a packet that the agent dropped: sequence number, source (two words), notifications that were lost, interfaces, reason,
 * records. No rate is told, since agents notify of as many as their limit allows: it is unknown.
 */
export const DISCARDED_PACKET: RecordReader = {
  minLength: 32,
  variable: true,
  unread: null,
  read: (view, at, end, max, row, columns, context) =>
    readDiscarded(view, at, end, max, row, columns, context, false),
  readReverse: (view, at, end, max, row, columns, context) =>
    readDiscarded(view, at, end, max, row, columns, context, true),
};

const FORMAT_DROPPED = 1;
const UNKNOWN_INTERFACE = 0x3fffffff;
/** Forwarding status 2, dropped, without a reason (RFC 7270 section 4.12). */
const DROPPED = 0x80;

/** `outer`: writes the outermost header of a packet whose inner one is in the row before. */
function readSample(
  view: DataView,
  at: number,
  end: number,
  max: number,
  row: number,
  columns: WritableColumns,
  context: ReaderContext,
  wider: number,
  outer: boolean,
): number {
  context.at = end;
  context.second = -1;
  context.passedOver = 0;
  const expanded = wider > 0;
  const rateAt = at + 8 + wider;
  const recordsAt = rateAt + 20 + 2 * wider;
  context.overrun = at < end && recordsAt + 4 > end;
  if (max < 1 || recordsAt + 4 > end) return 0;
  let present = readRecords(view, recordsAt, end, columns, row, context, outer);
  if (present === NOTHING) return 0;

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
  if (outFormat === FORMAT_DROPPED && believedDrop(outValue)) {
    columns.forwarding[row] = DROPPED;
    present |= PRESENT.FORWARDING;
  }

  writeSample(at, row, columns, context, present, rate, outer);
  return 1;
}

function readDiscarded(
  view: DataView,
  at: number,
  end: number,
  max: number,
  row: number,
  columns: WritableColumns,
  context: ReaderContext,
  outer: boolean,
): number {
  context.at = end;
  context.second = -1;
  context.passedOver = 0;
  context.overrun = at < end && at + 32 > end;
  if (max < 1 || at + 32 > end) return 0;
  let present = readRecords(view, at + 28, end, columns, row, context, outer);
  if (present === NOTHING) return 0;
  const [input, output] = [view.getUint32(at + 16), view.getUint32(at + 20)];
  if (input < UNKNOWN_INTERFACE) columns.in_if[row] = input;
  if (output < UNKNOWN_INTERFACE) columns.out_if[row] = output;
  if (believedDrop(view.getUint32(at + 24))) {
    columns.forwarding[row] = DROPPED;
    present |= PRESENT.FORWARDING;
  }
  writeSample(at, row, columns, context, present, 0, outer);
  return 1;
}

/** What the rows of all kinds of samples have in common. */
function writeSample(
  at: number,
  row: number,
  columns: WritableColumns,
  context: ReaderContext,
  present: number,
  rate: number,
  outer: boolean,
): void {
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
  columns.record[row] = at - context.origin + (outer ? 1 : 0);
  columns.sampling_rate[row] = rate;
  columns.packets[2 * row] = 1;
  columns.present[row] = present | PRESENT.PACKETS;
  context.seenRate = rate;
  if (!outer && context.tunnels === 'both' && context.walk.count > 1) context.second = at;
}

const RAW_HEADER = 1;
const ETHERNET_FRAME = 2;
const IPV4 = 3;
const IPV6 = 4;
/** No record of the sample tells of a packet. */
const NOTHING = -1;

/**
 * Looks at all records of the sample that tell of the packet, and takes the best source of each fact: the packet's own
 * header, what the agent parsed out of it (some cut the header short of what they parsed), the frame's length.
 */
function readRecords(
  view: DataView,
  begin: number,
  end: number,
  columns: WritableColumns,
  row: number,
  context: ReaderContext,
  outer: boolean,
): number {
  let left = view.getUint32(begin);
  let at = begin + 4;
  let frame = 0;
  let raw = 0;
  let rawEnd = 0;
  let parsed = 0;
  let parsedAddressBytes = 0;
  for (; left > 0 && at + 8 <= end; left--) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    const body = at + 8;
    if (length > end - body) break;
    if (type === RAW_HEADER && length >= 16) {
      // Some agents give the packet twice, the one time as a part that does not tell its ends.
      if (raw === 0 || !tellsPorts(view, raw, rawEnd, context)) {
        if (raw === 0 || tellsPorts(view, body, body + length, context)) {
          raw = body;
          rawEnd = body + length;
        }
      }
    } else if (type === ETHERNET_FRAME && length >= 4) frame = body;
    else if ((type === IPV4 && length >= 32) || (type === IPV6 && length >= 56)) {
      parsed = body;
      parsedAddressBytes = type === IPV4 ? 4 : 16;
    }
    at = body + padded(length);
  }
  context.walk.count = 0;
  if (raw === 0 && parsed === 0 && frame === 0) return NOTHING;
  let present = 0;
  if (raw > 0 || frame > 0) {
    columns.bytes[2 * row] = view.getUint32(raw > 0 ? raw + 4 : frame);
    present = PRESENT.BYTES;
  }
  if (raw > 0) present |= readRawHeader(view, raw, rawEnd, columns, row, context, outer);
  if (parsed > 0) present |= readSampledIp(view, parsed, parsedAddressBytes, columns, row, present);
  if ((present & PRESENT.SRC_ADDR) === 0) context.unread(raw > 0 ? context.walk.reason : 'no_addresses');
  else if (context.walk.reason === 'cut' && raw > 0 && !outer) context.unread('cut');
  // The header ends before the ports: whether it is mail cannot be told.
  else if (raw > 0 && !outer && lacksPorts(present, columns, row)) context.unread('cut');
  else if (!outer) context.checkAddresses(columns, row);
  return present;
}

/** The layer that the header begins with, by `header_protocol` of the specification; STOP for those without IP. */
const HEADER_LAYERS: readonly Layer[] = [
  LAYER.STOP,
  LAYER.ETHERNET,
  LAYER.TOKEN_BUS,
  LAYER.TOKEN_RING,
  // FDDI: one control byte and two addresses, as token bus has them.
  LAYER.TOKEN_BUS,
  LAYER.FRAME_RELAY,
  LAYER.STOP,
  LAYER.PPP,
  LAYER.STOP,
  LAYER.AAL5,
  LAYER.IP,
  LAYER.IP,
  LAYER.IP,
  LAYER.MPLS,
  LAYER.PPP,
  LAYER.WIFI,
  LAYER.AMPDU,
  LAYER.ETHERNET,
];

/** `header_protocol` of Ethernet. */
const ETHERNET_HEADER = 1;

function walkRawHeader(view: DataView, at: number, end: number, { walk, bytes }: ReaderContext): void {
  const header = at + 16;
  const layer = HEADER_LAYERS[view.getUint32(at)] ?? LAYER.STOP;
  readPacket(bytes, layer, header, rawHeaderEnd(view, at, end), header + view.getUint32(at + 4), walk);
}

function rawHeaderEnd(view: DataView, at: number, end: number): number {
  return Math.min(end, at + 16 + view.getUint32(at + 12));
}

/** Whether the packet in a raw header is read as far as its ports, where it has any. */
function tellsPorts(view: DataView, at: number, end: number, context: ReaderContext): boolean {
  const { walk } = context;
  walkRawHeader(view, at, end, context);
  if (walk.count === 0 || walk.reason === 'cut') return false;
  const { protocol, fragmentOffset, start, end: packetEnd } = walk.headers[walk.count - 1];
  return protocol >= 0 && (!hasPorts(protocol) || fragmentOffset > 0 || start + 4 <= packetEnd);
}

function readRawHeader(
  view: DataView,
  at: number,
  end: number,
  columns: WritableColumns,
  row: number,
  context: ReaderContext,
  outer: boolean,
): number {
  const { walk } = context;
  const header = at + 16;
  if (view.getUint32(at) === ETHERNET_HEADER) {
    const present = writePlainTcp(view, header, rawHeaderEnd(view, at, end), columns, row);
    if (present !== 0) {
      walk.count = 1;
      walk.reason = null;
      return present;
    }
  }
  walkRawHeader(view, at, end, context);
  if (walk.count === 0) return 0;
  const chosen = outer || context.tunnels === 'outer' ? 0 : walk.count - 1;
  const present = writePacket(view, walk.headers[chosen], columns, row);
  return chosen > 0 ? present | PRESENT.IN_TUNNEL : present;
}

/**
 * Sampled IPv4 and IPv6: length, protocol, two addresses, two ports, TCP flags, type of service. `present` is what the
 * packet's own header told already; this fills in the rest when it is of the same two ends. Returns all the bits.
 */
function readSampledIp(
  view: DataView,
  at: number,
  addressBytes: number,
  columns: WritableColumns,
  row: number,
  present: number,
): number {
  const { SRC_ADDR, DST_ADDR, SRC_PORT, DST_PORT, TCP_FLAGS, PROTOCOL, BYTES } = PRESENT;
  const all = SRC_ADDR | DST_ADDR | SRC_PORT | DST_PORT | TCP_FLAGS | PROTOCOL | BYTES;
  const known = (present & SRC_ADDR) !== 0;
  const destination = at + 8 + addressBytes;
  if (known) {
    if ((present & all) === all) return present;
    const last = 4 * row + 3;
    const same =
      columns.src_addr[last] === view.getUint32(destination - 4, true) &&
      columns.dst_addr[last] === view.getUint32(destination + addressBytes - 4, true);
    if (!same) return present;
  } else {
    if (addressBytes === 4) {
      writeIpv4(columns.src_addr, row, view.getUint32(at + 8, true));
      writeIpv4(columns.dst_addr, row, view.getUint32(destination, true));
    } else {
      writeIpv6(columns.src_addr, row, view, at + 8);
      writeIpv6(columns.dst_addr, row, view, destination);
    }
    columns.bytes[2 * row] = view.getUint32(at);
  }
  const ports = destination + addressBytes;
  if ((present & PROTOCOL) === 0) columns.protocol[row] = view.getUint32(at + 4);
  // A later fragment has none, whatever the agent made of its first bytes.
  if (columns.fragment_offset[row] !== 0) return present | (all & ~(SRC_PORT | DST_PORT | TCP_FLAGS));
  if ((present & SRC_PORT) === 0) {
    columns.src_port[row] = view.getUint32(ports);
    columns.dst_port[row] = view.getUint32(ports + 4);
  }
  if ((present & TCP_FLAGS) === 0) columns.tcp_flags[row] = view.getUint32(ports + 8);
  return present | all;
}
