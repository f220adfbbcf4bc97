/**
 * What a record reader is given besides the bytes: the facts of the datagram, and the columns to write.
 *
 * One context lives as long as its decoder and is filled anew for every datagram, so that nothing is allocated per
 * */

import { PRESENT } from '../flow/columns.ts';
import { CounterHabits } from './counter-habits.ts';
import { countInList, flagsInList, type KnownTemplates, type ListKind } from './nested-list.ts';
import { lacksPorts, writeTransport } from './packet/packet-row.ts';
import { createJoinedSection, frameLayer, joinSection, readSection } from './packet/section.ts';
import { createWalk, type Layer, UNREAD_REASONS, type UnreadReason, type Walk } from './packet/walk.ts';
import { BYTES, PACKETS } from './reader-parts.ts';
import { RunningTotals } from './running-totals.ts';
import type { TunnelMode, WritableColumns } from './writable-columns.ts';

const TCP = 6;
/** Third word, in memory order, of an IPv4 address in mapped form. */
const MAPPED = 0xffff0000;

/** Looks up the sampling rate (one packet in N, 0 unknown) that an exporter told for a sampler or selector. */
export interface SamplerRates {
  /** The rate of records that name no sampler. */
  readonly defaultRate: number;
  /** Whether interfaces have rates of their own. */
  readonly hasInterfaces: boolean;
  samplerRate(id: number): number;
  selectorRate(id: number): number;
  interfaceRate(ingress: number, egress: number, direction: number): number;
}

export class ReaderContext {
  /** Receive time in ms as two words, low first. */
  receivedLow = 0;
  receivedHigh = 0;
  /** The exporter's address as four words in memory order. */
  exporter0 = 0;
  exporter1 = 0;
  exporter2 = 0;
  exporter3 = 0;
  exporterPort = 0;
  domain = 0;
  version = 0;
  sequence = 0;
  /** Position in the view of the datagram's first byte; negative when the view holds only a part of it. */
  origin = 0;
  /** The datagram's own time in ms since 1970, and the exporter's uptime in ms at that time, when known. */
  exportMs = 0;
  uptimeMs = 0;
  uptimeKnown = false;
  rates: SamplerRates;
  /** The rate of records of the set under way that nothing else tells the rate of. */
  rate = 0;
  /** By port, 1 where TCP records with it are wanted; only readers that pass over the others look at it. */
  ports: Uint8Array;
  /** The bytes that the view shows, for what is read out of the packets in them. */
  bytes: Buffer = Buffer.alloc(0);
  readonly tunnels: TunnelMode;
  readonly walk: Walk = createWalk();
  readonly joined = createJoinedSection();
  /** Of the domain under way: its templates, for records inside of records, and what its counters mean. */
  templates: KnownTemplates = new Map();
  habits = new CounterHabits();
  readonly totals = new RunningTotals();
  /** Records without an address since this was last emptied, by the order of UNREAD_REASONS. */
  readonly unreadCounts = new Uint32Array(UNREAD_REASONS.length);
  hasUnread = false;
  /** Set by the reader: position behind the last record read, whether the one there runs past the end, a rate seen. */
  at = 0;
  overrun = false;
  seenRate = 0;
  /** Set by readers that pass over records: how many of the last call left no row. */
  passedOver = 0;
  /** Set by readers that stop behind a record with a second row (see RecordReader.readReverse): where it begins, or -1. */
  second = -1;
  /** Of the record at `second`: it has no other row. Set by the reader, taken back by who called it. */
  lone = false;

  constructor(rates: SamplerRates, ports: Uint8Array, tunnels: TunnelMode) {
    this.rates = rates;
    this.ports = ports;
    this.tunnels = tunnels;
  }

  /** Before the sections of a record: what came of those of the record before does not count. */
  beginSection(): void {
    this.walk.count = 0;
    this.walk.reason = 'cut';
  }

  /**
   * Writes the packet in a section of a record into a row, and returns its PRESENT bits. `layer` is one of LAYER, or, not
   * above 0, the negative of IE 408; `offset` is how far into the frame the section begins, `size` the frame's length on
   * the wire, 0 if not told. From `otherBegin` to `otherEnd` is the section that belongs to this one, if any.
   */
  section(
    view: DataView,
    offset: number,
    layer: number,
    begin: number,
    end: number,
    otherBegin: number,
    otherEnd: number,
    size: number,
    outer: boolean,
    columns: WritableColumns,
    row: number,
  ): number {
    const { walk, joined } = this;
    let present = 0;
    if (size > 0) {
      columns.bytes[2 * row] = size;
      present = PRESENT.BYTES;
    }
    this.beginSection();
    if (offset !== 0) return present;
    const choice = outer ? 'outer' : this.tunnels;
    const first = layer > 0 ? (layer as Layer) : frameLayer(-layer);
    const { bytes } = this;
    if (otherBegin < otherEnd && joinSection(joined, first, bytes, begin, end, otherBegin, otherEnd)) {
      const { length } = joined;
      return (
        present |
        readSection(joined.bytes, joined.view, joined.layer, 0, length, 0, walk, choice, columns, row)
      );
    }
    return present | readSection(bytes, view, first, begin, end, size, walk, choice, columns, row);
  }

  /** Behind the sections and what the record itself tells: counts the packet of which ends or ports are still missing. */
  endSection(present: number, columns: WritableColumns, row: number): void {
    const { count, reason } = this.walk;
    if ((present & PRESENT.SRC_ADDR) === 0) this.unread(reason);
    else if (count > 0 && reason === 'cut') this.unread('cut');
    else if (lacksPorts(present, columns, row)) this.unread(count > 0 ? 'cut' : 'no_ports');
  }

  /** Writes ports and flags of a row without ports out of its packet's payload (IE 314); returns their PRESENT bits. */
  payload(
    view: DataView,
    begin: number,
    end: number,
    present: number,
    columns: WritableColumns,
    row: number,
  ): number {
    if ((present & PRESENT.SRC_PORT) !== 0 || columns.fragment_offset[row] !== 0) return 0;
    return writeTransport(view, columns.protocol[row], begin, end, columns, row);
  }

  /** Counts a row of which an address is zero, if it may be TCP: others, such as DHCP, have a reason for it. */
  checkAddresses({ src_addr, dst_addr, protocol }: WritableColumns, row: number): void {
    if (protocol[row] !== TCP && protocol[row] !== 0) return;
    if (isUnspecified(src_addr, row) || isUnspecified(dst_addr, row)) this.unread('no_addresses');
  }

  /** The TCP flags in a list of the record under way, -1 if it has none. */
  flagsInList(kind: ListKind, begin: number, end: number, reverse: boolean): number {
    return flagsInList(this.bytes, kind, begin, end, this.templates, reverse);
  }

  /** A counter in a list of the record under way, -1 if it has none: its octets, else its packets. */
  countInList(kind: ListKind, begin: number, end: number, octets: boolean): number {
    return countInList(this.bytes, kind, begin, end, this.templates, octets ? BYTES : PACKETS);
  }

  /** Counts a record whose addresses were not found. */
  unread(reason: UnreadReason | null): void {
    this.unreadCounts[UNREAD_REASONS.indexOf(reason ?? 'unknown_protocol')]++;
    this.hasUnread = true;
  }
}

/** True for 0.0.0.0, in mapped form, and for ::. */
function isUnspecified(words: Uint32Array, row: number): boolean {
  const at = 4 * row;
  return (
    words[at + 3] === 0 &&
    words[at] === 0 &&
    words[at + 1] === 0 &&
    (words[at + 2] === 0 || words[at + 2] === MAPPED)
  );
}
