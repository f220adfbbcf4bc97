/**
 * Templates whose records describe the headers of a packet one behind the other: a tunnel's, then that of the packet in it.
 *
 * RFC 7011 section 8: an element that occurs again is that of the next header, outermost first. Exporters of SRv6, GRE and
 * L2TP mix families (IPv6 outside, IPv4 inside), so that even the addresses need not repeat. Fields may be sorted by header
 * or by kind, ports before or behind the addresses, and elements may be there for one header only. Decided once for a template.
 */

import type { RecordLayout, Slot } from './record-layout.ts';
import { IE, VMWARE_PEN } from './template-field.ts';

/** The elements of one header. */
export type HeaderSlots = ReadonlyMap<number, readonly Slot[]>;

const SOURCES: ReadonlySet<number> = new Set([IE.sourceIPv4Address, IE.sourceIPv6Address]);
const DESTINATIONS: ReadonlySet<number> = new Set([IE.destinationIPv4Address, IE.destinationIPv6Address]);

const PORTS: ReadonlySet<number> = new Set([
  IE.sourceTransportPort,
  IE.destinationTransportPort,
  IE.udpSourcePort,
  IE.udpDestinationPort,
  IE.tcpSourcePort,
  IE.tcpDestinationPort,
]);

/** Elements that belong to a header, and not to the flow as a whole. */
export const HEADER_ELEMENTS: ReadonlySet<number> = new Set([
  ...SOURCES,
  ...DESTINATIONS,
  ...PORTS,
  IE.protocolIdentifier,
  IE.ipClassOfService,
  IE.tcpControlBits,
  IE.fragmentOffset,
]);

/** What VMware's distributed switch calls the header inside of a VXLAN tunnel, and the element that it is. */
const TENANT_ELEMENTS: ReadonlyMap<number, number> = new Map([
  [880, IE.protocolIdentifier],
  [881, IE.sourceIPv4Address],
  [882, IE.destinationIPv4Address],
  [883, IE.sourceIPv6Address],
  [884, IE.destinationIPv6Address],
  [886, IE.sourceTransportPort],
  [887, IE.destinationTransportPort],
]);

/** One of the headers that the records describe. */
interface RecordHeader {
  /** The elements that stand for this header only. */
  readonly own: HeaderSlots;
  /**
   * What describes the packet when no header within this one is there. Ports, flags and the like that occur once are those
   * of the innermost packet, wherever they stand: the headers around it have none.
   */
  readonly innermost: HeaderSlots;
}

export interface RecordHeaders {
  /** The headers that have both addresses, outermost first; at least one. */
  readonly headers: readonly RecordHeader[];
  /**
   * Ports, protocol and addresses of a header within these of which an address is missing, each with the slot of the same
   * element in the header that has its addresses. Where one is neither zero nor the same, whose packet it is cannot be told.
   */
  readonly unaddressed: readonly (readonly [slot: Slot, other: Slot | undefined])[];
}

type Elements = RecordLayout['slots'];

/** Null for a template of one header. */
export function splitHeaders(layout: RecordLayout): RecordHeaders | null {
  const elements = layout.slots.filter(({ pen, id, slot }) => {
    const addressBytes = id === IE.sourceIPv4Address || id === IE.destinationIPv4Address ? 4 : 16;
    return pen === 0 && HEADER_ELEMENTS.has(id) && (!isAddress(id) || slot.length === addressBytes);
  });
  const tenant = tenantHeader(layout);
  const own = splitElements(elements);
  if (tenant === null) return own;
  const outer = own ?? { headers: [onlyHeader(allOf(elements))], unaddressed: [] };
  return { ...outer, headers: [...outer.headers, onlyHeader(tenant)] };
}

function splitElements(elements: Elements): RecordHeaders | null {
  const repeated = new Set(elements.map(({ id }) => id).filter((id) => countOf(elements, id) > 1));
  if (repeated.size === 0) return null;
  const groups = inOrder(elements);
  const complete = groups.every(hasPair) ? groups : byOccurrence(elements);
  if (complete !== null) return { headers: headersOf(complete, elements), unaddressed: [] };
  const isByKind = [...repeated].every((id) => isInOnePlace(elements, id));
  return ofOnePair(isByKind ? byRank(elements) : groups, elements);
}

/** Headers as they stand: the next begins where an element repeats, or where addresses follow a complete pair. */
function inOrder(elements: Elements): readonly HeaderSlots[] {
  const headers: Map<number, Slot[]>[] = [new Map()];
  for (const { id, slot } of elements) {
    const current = headers[headers.length - 1];
    if (current.has(id) || (isAddress(id) && hasPair(current))) headers.push(new Map([[id, [slot]]]));
    else current.set(id, [slot]);
  }
  return headers;
}

/** Elements sorted by kind, with at least two pairs of addresses. Missing ones are missing of the outer headers. */
function byOccurrence(elements: Elements): readonly HeaderSlots[] | null {
  const sources = elements.filter(({ id }) => SOURCES.has(id));
  const destinations = elements.filter(({ id }) => DESTINATIONS.has(id));
  const count = Math.min(sources.length, destinations.length);
  if (count < 2) return null;
  return Array.from({ length: count }, (_, k) => {
    const header = new Map<number, Slot[]>([
      [sources[k].id, [sources[k].slot]],
      [destinations[k].id, [destinations[k].slot]],
    ]);
    for (const id of HEADER_ELEMENTS) {
      if (isAddress(id)) continue;
      const found = elements.filter((element) => element.id === id);
      const chosen = found[k - Math.max(0, count - found.length)];
      if (chosen !== undefined) header.set(id, [chosen.slot]);
    }
    return header;
  });
}

/** Elements sorted by kind: the first of each, the second of each, and so on. */
function byRank(elements: Elements): readonly HeaderSlots[] {
  const headers: Map<number, Slot[]>[] = [];
  for (const [i, { id, slot }] of elements.entries()) {
    const rank = countOf(elements.slice(0, i), id);
    headers[rank] ??= new Map();
    headers[rank].set(id, [slot]);
  }
  return headers;
}

function headersOf(groups: readonly HeaderSlots[], elements: Elements): RecordHeader[] {
  const isOnce = (id: number) => !isAddress(id) && countOf(elements, id) === 1;
  return groups.map((group, k) => {
    const own = new Map([...group].filter(([id]) => !isOnce(id)));
    const innermost = new Map(own);
    const isBare = [...own.keys()].every(isAddress);
    // Where the headers within are zero, what stands beside their addresses is of this one: two families, of which one applies.
    const others = [...groups.slice(k + 1), ...(isBare ? groups.slice(0, k).reverse() : [])];
    for (const other of [...others, ...groups]) {
      for (const [id, slots] of other) {
        if (isAddress(id) || innermost.has(id)) continue;
        if (others.includes(other) || isOnce(id)) innermost.set(id, slots);
      }
    }
    return { own, innermost };
  });
}

/**
 * Several headers, and addresses of one of them only. Headers around it do not matter. One within it makes its ports
 * somebody else's, and is for the reader to count.
 */
function ofOnePair(groups: readonly HeaderSlots[], elements: Elements): RecordHeaders | null {
  const at = groups.findIndex(hasPair);
  if (at < 0) return null;
  const header = headersOf(groups, elements)[at];
  const unaddressed = groups.slice(at + 1).flatMap((group) =>
    [...group].flatMap(([id, [slot]]) => {
      const other = groups[at].get(id)?.[0];
      const tells = isAddress(id) || ((PORTS.has(id) || id === IE.protocolIdentifier) && other !== undefined);
      return tells ? [[slot, other] as const] : [];
    }),
  );
  return { headers: [header], unaddressed };
}

function onlyHeader(slots: HeaderSlots): RecordHeader {
  return { own: slots, innermost: slots };
}

function isInOnePlace(elements: Elements, id: number): boolean {
  const first = elements.findIndex((element) => element.id === id);
  return elements.findLastIndex((element) => element.id === id) - first + 1 === countOf(elements, id);
}

function countOf(elements: Elements, id: number): number {
  return elements.filter((element) => element.id === id).length;
}

function isAddress(id: number): boolean {
  return SOURCES.has(id) || DESTINATIONS.has(id);
}

function hasPair(header: HeaderSlots): boolean {
  const ids = [...header.keys()];
  return ids.some((id) => SOURCES.has(id)) && ids.some((id) => DESTINATIONS.has(id));
}

function allOf(elements: Elements): HeaderSlots {
  const header = new Map<number, Slot[]>();
  for (const { id, slot } of elements) header.set(id, [...(header.get(id) ?? []), slot]);
  return header;
}

function tenantHeader(layout: RecordLayout): HeaderSlots | null {
  const header = new Map<number, Slot[]>();
  for (const { pen, id, slot } of layout.slots) {
    const element = pen === VMWARE_PEN ? TENANT_ELEMENTS.get(id) : undefined;
    if (element !== undefined) header.set(element, [slot]);
  }
  return hasPair(header) ? header : null;
}
