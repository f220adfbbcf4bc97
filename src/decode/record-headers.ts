/**
 * Templates whose records describe the headers of a packet one behind the other: a tunnel's, then that of the packet in it.
 *
 * RFC 7011 section 8: an element that occurs again is that of the next header, outermost first. Exporters of SRv6, GRE and
 * L2TP mix families (IPv6 outside, IPv4 inside), so that even the addresses need not repeat. Decided once for a template.
 */

import type { RecordLayout, Slot } from './record-layout.ts';
import { IE, VMWARE_PEN } from './template-field.ts';

/** The elements of one header. */
export type HeaderSlots = ReadonlyMap<number, readonly Slot[]>;

const SOURCES: ReadonlySet<number> = new Set([IE.sourceIPv4Address, IE.sourceIPv6Address]);
const DESTINATIONS: ReadonlySet<number> = new Set([IE.destinationIPv4Address, IE.destinationIPv6Address]);

/** Elements that belong to a header, and not to the flow as a whole. */
export const HEADER_ELEMENTS: ReadonlySet<number> = new Set([
  ...SOURCES,
  ...DESTINATIONS,
  IE.protocolIdentifier,
  IE.ipClassOfService,
  IE.tcpControlBits,
  IE.sourceTransportPort,
  IE.destinationTransportPort,
  IE.udpSourcePort,
  IE.udpDestinationPort,
  IE.tcpSourcePort,
  IE.tcpDestinationPort,
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

/** The headers, outermost first, at least two; null for a template of one header. */
export function splitHeaders(layout: RecordLayout): readonly HeaderSlots[] | null {
  const tenant = tenantHeader(layout);
  const repeats = layout.slots.some(
    ({ pen, id }, i) =>
      pen === 0 &&
      HEADER_ELEMENTS.has(id) &&
      layout.slots.findIndex((other) => other.pen === 0 && other.id === id) < i,
  );
  const own = repeats ? (inOrder(layout) ?? byOccurrence(layout)) : null;
  if (tenant === null) return own;
  return [...(own ?? [allOf(layout)]), tenant];
}

/** Headers as they stand: the next begins where an element repeats, or where addresses follow a complete pair. */
function inOrder(layout: RecordLayout): readonly HeaderSlots[] | null {
  const headers: Map<number, Slot[]>[] = [new Map()];
  for (const { pen, id, slot } of layout.slots) {
    if (pen !== 0 || !HEADER_ELEMENTS.has(id)) continue;
    const current = headers[headers.length - 1];
    const isAddress = SOURCES.has(id) || DESTINATIONS.has(id);
    if (current.has(id) || (isAddress && hasPair(current))) headers.push(new Map([[id, [slot]]]));
    else current.set(id, [slot]);
  }
  return headers.length > 1 && headers.every(hasPair) ? headers : null;
}

/** Elements sorted by kind: the first of each is that of the outer header; what occurs once is that of the innermost. */
function byOccurrence(layout: RecordLayout): readonly HeaderSlots[] | null {
  const sources = slotsOf(layout, SOURCES);
  const destinations = slotsOf(layout, DESTINATIONS);
  const count = Math.min(sources.length, destinations.length);
  if (count < 2) return null;
  return Array.from({ length: count }, (_, k) => {
    const header = new Map<number, Slot[]>([
      [sources[k].id, [sources[k].slot]],
      [destinations[k].id, [destinations[k].slot]],
    ]);
    for (const id of HEADER_ELEMENTS) {
      if (SOURCES.has(id) || DESTINATIONS.has(id)) continue;
      const found = slotsOf(layout, new Set([id]));
      const chosen = found.length >= count ? found[k] : k === count - 1 ? found[found.length - 1] : undefined;
      if (chosen !== undefined) header.set(id, [chosen.slot]);
    }
    return header;
  });
}

function slotsOf(layout: RecordLayout, ids: ReadonlySet<number>) {
  return layout.slots.filter(({ pen, id }) => pen === 0 && ids.has(id));
}

function hasPair(header: HeaderSlots): boolean {
  const ids = [...header.keys()];
  return ids.some((id) => SOURCES.has(id)) && ids.some((id) => DESTINATIONS.has(id));
}

function allOf(layout: RecordLayout): HeaderSlots {
  const header = new Map<number, Slot[]>();
  for (const { pen, id, slot } of layout.slots) {
    if (pen === 0 && HEADER_ELEMENTS.has(id)) header.set(id, [...(header.get(id) ?? []), slot]);
  }
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
