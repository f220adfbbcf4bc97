/**
 * What a template's records mean for their reader, decided once: which counters are there and which directions they count,
 * whether the fields describe several headers, and whether a piece of a packet stands in for addresses.
 */

import { SECTION_LAYERS } from './packet/section.ts';
import type { HeaderSlots } from './record-headers.ts';
import type { RecordLayout, Slot } from './record-layout.ts';
import { high32, low32, place } from './slot-source.ts';
import { IE, REVERSE_PEN } from './template-field.ts';
import type { TunnelMode } from './writable-columns.ts';

/**
 * Where the other direction's counters are: in RFC 5103's elements; in the responder's (231, 232, 298, 299 of firewalls);
 * in OUT (23, 24), if the exporter's own records show that it means that.
 */
export type Biflow = 'reverse' | 'responder' | 'out';

export interface ReaderParts {
  readonly layout: RecordLayout;
  readonly biflow: Biflow | null;
  readonly headers: readonly HeaderSlots[] | null;
  readonly section: Section | null;
  readonly tunnels: TunnelMode;
}

/** A piece of a packet in the record, as expressions of where it begins and ends. */
export interface Section {
  readonly id: number;
  readonly begin: string;
  readonly end: string;
  /** Which variable-length field it is, or null. */
  readonly variable: number | null;
}

/** Counters in the order of preference: of this interval before totals, of the IP layer before others. */
export const PACKETS = [
  IE.packetDeltaCount,
  IE.packetTotalCount,
  IE.initiatorPackets,
  IE.postPacketDeltaCount,
];
export const BYTES = [
  IE.octetDeltaCount,
  IE.octetTotalCount,
  IE.initiatorOctets,
  IE.layer2OctetDeltaCount,
  IE.layer2OctetTotalCount,
  IE.postOctetDeltaCount,
];
export const OUT_COUNTERS: readonly number[] = [IE.postPacketDeltaCount, IE.postOctetDeltaCount];
export const RESPONDER_COUNTERS: readonly number[] = [IE.responderPackets, IE.responderOctets];
/** Counters of the record's own direction: without them, initiator and responder are its two. */
const OWN_COUNTERS = [IE.packetDeltaCount, IE.octetDeltaCount, IE.packetTotalCount, IE.octetTotalCount];

/** 2^53 octets are 9 petabytes: a delta beyond is a negative number, or no number at all. */
export const ABSURD_HIGH = 0x200000;
/** In four bytes, and where there is another source: -1 and other small negative numbers. */
const ABSURD_32 = 0xffff0000;

export const SOURCE_PORTS = [IE.sourceTransportPort, IE.tcpSourcePort, IE.udpSourcePort];
export const DESTINATION_PORTS = [IE.destinationTransportPort, IE.tcpDestinationPort, IE.udpDestinationPort];

export function biflowOf(layout: RecordLayout): Biflow | null {
  const has = (pen: number, ids: readonly number[]) =>
    ids.some((id) => layout.find(pen, id, 1, 8) !== undefined);
  if (has(REVERSE_PEN, [...PACKETS, ...BYTES])) return 'reverse';
  const initiator = has(0, [IE.initiatorPackets, IE.initiatorOctets]);
  if (has(0, RESPONDER_COUNTERS) && (!initiator || !has(0, OWN_COUNTERS))) return 'responder';
  return has(0, [IE.packetDeltaCount]) && has(0, [IE.postPacketDeltaCount]) ? 'out' : null;
}

export function hasAddress(layout: RecordLayout): boolean {
  const ids = [IE.sourceIPv4Address, IE.destinationIPv4Address];
  const ids6 = [IE.sourceIPv6Address, IE.destinationIPv6Address];
  return (
    ids.some((id) => layout.find(0, id, 4, 4) !== undefined) ||
    ids6.some((id) => layout.find(0, id, 16, 16) !== undefined)
  );
}

export function countsTraffic(layout: RecordLayout): boolean {
  return [...PACKETS, ...BYTES].some((id) => layout.find(0, id, 1, 8) !== undefined);
}

export function sectionOf(layout: RecordLayout): Section | null {
  for (const id of SECTION_LAYERS.keys()) {
    const variable = layout.variables.findIndex((field) => field.pen === 0 && field.id === id);
    if (variable >= 0) {
      const index = variable + 1;
      return { id, begin: `p${index}-l${index}`, end: `p${index}`, variable };
    }
    const slot = layout.find(0, id, 1, 65_535);
    if (slot !== undefined) return { id, begin: place(slot), end: place(slot, slot.length), variable: null };
  }
  return null;
}

export interface CounterSource {
  readonly id: number;
  readonly slot: Slot;
}

export const TOTALS: ReadonlySet<number> = new Set([
  IE.packetTotalCount,
  IE.octetTotalCount,
  IE.layer2OctetTotalCount,
]);

/** Sets the two words of a counter. */
export function read(slot: Slot): string {
  return `w=${low32(slot)};h=${high32(slot)};`;
}

/** Whether what was just read of this slot, beside which there is another, cannot be a count. */
export function absurd(slot: Slot): string {
  if (slot.length === 4) return `w>=${ABSURD_32}`;
  return slot.length > 4 ? `h>=${ABSURD_HIGH}` : 'false';
}

/** All address words of a header or-ed: zero where there are none. */
export function addressWords(header: HeaderSlots): string {
  const words: string[] = [];
  for (const id of [IE.sourceIPv4Address, IE.destinationIPv4Address]) {
    for (const slot of header.get(id) ?? []) if (slot.length === 4) words.push(low32(slot));
  }
  for (const id of [IE.sourceIPv6Address, IE.destinationIPv6Address]) {
    for (const slot of header.get(id) ?? []) {
      if (slot.length === 16)
        for (const byte of [0, 4, 8, 12]) words.push(`v.getUint32(${place(slot, byte)})`);
    }
  }
  return words.length === 0 ? '0' : words.join('|');
}

export function first(ids: readonly number[], find: (id: number) => Slot | undefined): Slot | undefined {
  for (const id of ids) {
    const slot = find(id);
    if (slot) return slot;
  }
  return undefined;
}
