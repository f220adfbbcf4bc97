/**
 * The state of a walk through the headers of one sampled packet, and the layers that it may meet.
 *
 * One object lives as long as its decoder and is filled anew for each packet, so that nothing is allocated on the way.
 * A step looks at the layer at `at`, and either moves on to what is behind it or stops with a reason.
 */

import { createIpPacket, type IpPacket } from './ip-packet.ts';

/** What lies at `Walk.at`. */
export const LAYER = {
  STOP: 0,
  /** Destination and source MAC, then an EtherType. */
  ETHERNET: 1,
  /** An EtherType (or a length, IEEE 802.3), then its payload. */
  ETHERTYPE: 2,
  /** IEEE 802.2, mostly SNAP (RFC 1042). */
  LLC: 3,
  /** PPP, with or without the address and control bytes of RFC 1662; also Cisco HDLC, which begins otherwise. */
  PPP: 4,
  /** RFC 2427, or Cisco's own form with an EtherType. */
  FRAME_RELAY: 5,
  /** RFC 3032 labels. */
  MPLS: 6,
  IP: 7,
  /** IEEE 802.11 MAC. */
  WIFI: 8,
  /** The same behind an A-MPDU delimiter. */
  AMPDU: 9,
  TOKEN_BUS: 10,
  TOKEN_RING: 11,
  /** RFC 2684: LLC, or IP without anything. */
  AAL5: 12,
  /** Network service header (RFC 8300). */
  NSH: 13,
  /** Behind the last label, or a session number: nothing says what it is. */
  UNTOLD: 14,
  /** RFC 2784 and 2890. */
  GRE: 15,
} as const;

export type Layer = (typeof LAYER)[keyof typeof LAYER];

/**
 * Why a packet or record has no address, or no port. `not_ip` is no gap: ARP and the like carry no mail. All others may hide it.
 */
export const UNREAD_REASONS = [
  /** The part that was sampled ends before the addresses do. */
  'cut',
  /** A protocol without IP addresses: ARP, spanning tree, LLDP, IS-IS. */
  'not_ip',
  /** A link type, EtherType or payload that this program does not know, or that could be several things. */
  'unknown_protocol',
  /** Encrypted or compressed below IP. */
  'encrypted',
  /** An IP header that cannot be. */
  'bad_header',
  /** The exporter gives traffic without addresses: layer 2 records, samples without a header. */
  'no_addresses',
  /** The exporter gives traffic with addresses, but without ports, or without the protocol that they are ports of. */
  'no_ports',
  /** Data whose template never came, or came too late. */
  'no_template',
  /** Data under an id for which two layouts come in turn. */
  'ambiguous_template',
] as const;

export type UnreadReason = (typeof UNREAD_REASONS)[number];

/** Those that a packet may have. */
export type PacketReason = Exclude<UnreadReason, 'no_template' | 'ambiguous_template'>;

/** Of an exporter: records that may be mail, and of which nobody knows whose. */
export function unreadFlows({
  unread,
}: {
  readonly unread?: Readonly<Record<UnreadReason, number>>;
}): number {
  if (unread === undefined) return 0;
  return UNREAD_REASONS.reduce((sum, reason) => sum + (reason === 'not_ip' ? 0 : unread[reason]), 0);
}

/** Why, for those that `unreadFlows` counts. */
export function unreadReasons({
  unread,
}: {
  readonly unread?: Readonly<Record<UnreadReason, number>>;
}): UnreadReason[] {
  return UNREAD_REASONS.filter((reason) => reason !== 'not_ip' && (unread?.[reason] ?? 0) > 0);
}

/** A count of each reason, all zero. */
export function noUnread(): Record<UnreadReason, number> {
  return {
    cut: 0,
    not_ip: 0,
    unknown_protocol: 0,
    encrypted: 0,
    bad_header: 0,
    no_addresses: 0,
    no_ports: 0,
    no_template: 0,
    ambiguous_template: 0,
  };
}

/** Headers of one packet that are kept: a tunnel in a tunnel in a tunnel, and what is in it. */
const MAX_HEADERS = 4;
/** Steps that one packet may take over all layers and all readings that were tried. */
const MAX_STEPS = 48;

export interface Walk {
  layer: Layer;
  /** Where the layer begins, where the bytes at hand end, and where the frame ended on the wire (-1: not known). */
  at: number;
  end: number;
  wireEnd: number;
  steps: number;
  /** IP headers, the outermost first; `count` of them are of this packet. */
  readonly headers: readonly IpPacket[];
  count: number;
  /** The IP packet has to be plausible: nothing but a port or a guess says that it is one. */
  doubtful: boolean;
  /** Why the walk ended; null when it ended at the innermost packet. */
  reason: PacketReason | null;
}

export function createWalk(): Walk {
  return {
    layer: LAYER.STOP,
    at: 0,
    end: 0,
    wireEnd: -1,
    steps: 0,
    headers: Array.from({ length: MAX_HEADERS }, createIpPacket),
    count: 0,
    doubtful: false,
    reason: null,
  };
}

export function beginWalk(walk: Walk, layer: Layer, at: number, end: number, wireEnd: number): void {
  walk.layer = layer;
  walk.at = at;
  walk.end = end;
  walk.wireEnd = wireEnd;
  walk.steps = MAX_STEPS;
  walk.count = 0;
  walk.doubtful = false;
  walk.reason = null;
}

/** Returns the layer, as every step does. */
export function goOn(walk: Walk, layer: Layer, at: number): Layer {
  walk.layer = layer;
  walk.at = at;
  return layer;
}

export function stop(walk: Walk, reason: PacketReason | null): Layer {
  walk.layer = LAYER.STOP;
  walk.reason = reason;
  return LAYER.STOP;
}
