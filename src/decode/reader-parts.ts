/**
 * What a template's records mean for their reader, decided once: which counters are there and which directions they count,
 * whether the fields describe several headers, and whether a piece of a packet stands in for addresses.
 */

import type { HeaderSlots, RecordHeaders } from './record-headers.ts';
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
  readonly headers: RecordHeaders | null;
  readonly section: Sections | null;
  readonly tunnels: TunnelMode;
}

/** A piece of a packet in the record, as expressions of where it begins and ends. */
export interface Piece {
  readonly begin: string;
  readonly end: string;
}

/** The pieces of the packet that a record may carry: of one packet, and some continue where another ends. */
export interface Sections {
  /** From its frame's first byte (315, Cisco's 104). */
  readonly frame: Piece | null;
  /** Its IP header and perhaps more (313), and what is behind the header (314). */
  readonly header: Piece | null;
  readonly payload: Piece | null;
  /** MPLS labels (316), and what is behind them (317). */
  readonly labels: Piece | null;
  readonly labelled: Piece | null;
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

export const TCP_PORTS = [IE.tcpSourcePort, IE.tcpDestinationPort];
export const UDP_PORTS = [IE.udpSourcePort, IE.udpDestinationPort];
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

/** Both addresses: of one alone nobody knows who talked to whom. */
export function hasAddresses(layout: RecordLayout): boolean {
  const has = (id4: number, id6: number) =>
    layout.find(0, id4, 4, 4) !== undefined || layout.find(0, id6, 16, 16) !== undefined;
  return (
    has(IE.sourceIPv4Address, IE.sourceIPv6Address) &&
    has(IE.destinationIPv4Address, IE.destinationIPv6Address)
  );
}

export function hasPorts(layout: RecordLayout): boolean {
  return [...SOURCE_PORTS, ...DESTINATION_PORTS].some((id) => layout.find(0, id, 1, 8) !== undefined);
}

/** The protocol, or ports that are those of one protocol by their name. */
export function tellsProtocol(layout: RecordLayout): boolean {
  return [IE.protocolIdentifier, ...TCP_PORTS, ...UDP_PORTS].some(
    (id) => layout.find(0, id, 1, 8) !== undefined,
  );
}

export function countsTraffic(layout: RecordLayout): boolean {
  return [...PACKETS, ...BYTES].some((id) => layout.find(0, id, 1, 8) !== undefined);
}

/** Null when nothing of a packet is in the record that could tell its ends, or its ports. */
export function sectionsOf(layout: RecordLayout): Sections | null {
  const sections = {
    frame: pieceOf(layout, [IE.dataLinkFrameSection, IE.layer2PacketSectionData]),
    header: pieceOf(layout, [IE.ipHeaderPacketSection]),
    payload: pieceOf(layout, [IE.ipPayloadPacketSection]),
    labels: pieceOf(layout, [IE.mplsLabelStackSection]),
    labelled: pieceOf(layout, [IE.mplsPayloadPacketSection]),
  };
  const { frame, header, payload, labelled } = sections;
  const tellsEnds = frame !== null || header !== null || labelled !== null;
  return tellsEnds || (payload !== null && hasAddresses(layout)) ? sections : null;
}

function pieceOf(layout: RecordLayout, ids: readonly number[]): Piece | null {
  for (const id of ids) {
    const variable = layout.variables.findIndex((field) => field.pen === 0 && field.id === id);
    if (variable >= 0) return { begin: `p${variable + 1}-l${variable + 1}`, end: `p${variable + 1}` };
    const slot = layout.find(0, id, 1, 65_535);
    if (slot !== undefined) return { begin: place(slot), end: place(slot, slot.length) };
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

/** Whether a header of which an address is missing is there: something of it is neither zero nor that of the other header. */
export function isThere(unaddressed: RecordHeaders['unaddressed']): string {
  const differs = unaddressed.map(([slot, other]) => {
    const words = (of: Slot) =>
      of.length === 16 ? [0, 4, 8, 12].map((byte) => `v.getUint32(${place(of, byte)})`) : [low32(of)];
    const own = words(slot);
    const isSame =
      other === undefined || other.length !== slot.length
        ? '1'
        : own.map((word, k) => `(${word}^${words(other)[k]})`).join('|');
    return `((${own.join('|')})!==0&&(${isSame})!==0)`;
  });
  return differs.join('||');
}

export function first(ids: readonly number[], find: (id: number) => Slot | undefined): Slot | undefined {
  for (const id of ids) {
    const slot = find(id);
    if (slot) return slot;
  }
  return undefined;
}
