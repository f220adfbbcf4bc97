/**
 * From an IP packet to the packet in it, when it is a tunnel.
 *
 * IP in IP, 6in4, GRE (with NVGRE, WCCP and PPTP), EtherIP, L2TP, MPLS and SRv6 in IP by their protocol numbers; VXLAN,
 * VXLAN-GPE, GENEVE, GTP-U, L2TP, LISP, Teredo, GUE, MPLS and GRE in UDP by port. A port proves nothing, so that what is
 * behind one has to be a plausible packet. Copies for analysis (ERSPAN, TZSP) are not the traffic: they stay as they are.
 */

import { ETHERTYPE } from './ethertype.ts';
import { type IpPacket, u16 } from './ip-packet.ts';
import { goOnByKind, layerOf } from './link.ts';
import { goOn, LAYER, type Layer, stop, type Walk } from './walk.ts';

const UDP = 17;

/** Goes on into what `packet`, the innermost header so far, carries; stops without a reason when it is no tunnel. */
export function stepTunnel(bytes: Buffer, walk: Walk, packet: IpPacket): Layer {
  if (packet.fragmentOffset > 0 || packet.protocol < 0) return stop(walk, null);
  const { start } = packet;
  switch (packet.protocol) {
    case 4:
    case 41:
    case 94:
      return goOn(walk, LAYER.IP, start);
    case 47:
      return goOn(walk, LAYER.GRE, start);
    case 97: // EtherIP (RFC 3378): version 3 and twelve zero bits
      return start + 2 <= walk.end && u16(bytes, start) === 0x3000
        ? goOn(walk, LAYER.ETHERNET, start + 2)
        : stop(walk, null);
    case 115:
      return l2tp3(bytes, walk, start);
    case 137:
      return goOn(walk, LAYER.MPLS, start);
    case 143: // RFC 8986: a frame behind the last segment
      return goOn(walk, LAYER.ETHERNET, start);
    case UDP:
      return udp(bytes, walk, start);
    default:
      return stop(walk, null);
  }
}

export function stepGre(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at + 4 > end) return stop(walk, 'cut');
  const flags = u16(bytes, at);
  const type = u16(bytes, at + 2);
  // RFC 1701's routing is not in use.
  if ((flags & 0x4000) !== 0 || (flags & 7) > 1) return stop(walk, null);
  let behind = at + 4;
  for (const bit of [0x8000, 0x2000, 0x1000, 0x0080]) if ((flags & bit) !== 0) behind += 4;
  if (type === ETHERTYPE.WCCP) {
    // WCCP: version 2 puts four bytes before the packet, version 1 none.
    return goOn(walk, LAYER.IP, behind < end && bytes[behind] >> 4 === 4 ? behind : behind + 4);
  }
  const layer = layerOf(type);
  // Keepalives have no type; ERSPAN (88be, 22eb) is a copy.
  return layer === null ? stop(walk, null) : goOn(walk, layer, behind);
}

/** By destination port, and where only one side has the port, by source port too. */
function udp(bytes: Buffer, walk: Walk, at: number): Layer {
  const { end } = walk;
  if (at + 8 > end) return stop(walk, null);
  const source = u16(bytes, at);
  const destination = u16(bytes, at + 2);
  const payload = at + 8;
  // Too short for the header of any tunnel: whether it is one cannot be said.
  if (payload + 8 > end) return stop(walk, null);
  const port = source === 1701 || source === 3544 ? source : destination;
  if (!isTunnelPort(port)) return stop(walk, null);
  walk.doubtful = true;
  const first = bytes[payload];
  switch (port) {
    case 4789: // VXLAN (RFC 7348); 8472 is Linux's, and OTV's
    case 8472:
      return (first & 0x08) === 0 || bytes[payload + 7] !== 0
        ? stop(walk, null)
        : goOn(walk, LAYER.ETHERNET, payload + 8);
    case 4790:
      return (first & 0x04) === 0
        ? goOn(walk, LAYER.ETHERNET, payload + 8)
        : goOnByKind(walk, bytes[payload + 3], payload + 8);
    case 6081: {
      // GENEVE (RFC 8926)
      const layer = first >> 6 === 0 ? layerOf(u16(bytes, payload + 2)) : null;
      return layer === null ? stop(walk, null) : goOn(walk, layer, payload + 8 + 4 * (first & 0x3f));
    }
    case 2152:
      return gtp(bytes, walk, payload);
    case 1701:
      return l2tp(bytes, walk, payload);
    case 3544:
      return teredo(bytes, walk, payload);
    case 4341: // LISP (RFC 9300)
      return goOn(walk, LAYER.IP, payload + 8);
    case 4754: // RFC 8086
      return goOn(walk, LAYER.GRE, payload);
    case 6635: // RFC 7510
      return goOn(walk, LAYER.MPLS, payload);
    default:
      return gue(bytes, walk, payload);
  }
}

function isTunnelPort(port: number): boolean {
  switch (port) {
    case 1701:
    case 2152:
    case 3544:
    case 4341:
    case 4754:
    case 4789:
    case 4790:
    case 6080:
    case 6081:
    case 6635:
    case 8472:
      return true;
    default:
      return false;
  }
}

/** GTP-U (3GPP TS 29.281 section 5): version 1, message 255, then options and extension headers. */
function gtp(bytes: Buffer, walk: Walk, at: number): Layer {
  const { end } = walk;
  const flags = bytes[at];
  if ((flags & 0xf0) !== 0x30 || bytes[at + 1] !== 0xff) return stop(walk, null);
  let behind = at + 8;
  if ((flags & 7) !== 0) {
    behind += 4;
    for (let i = 0; (flags & 4) !== 0 && i < 8; i++) {
      if (behind > end) return stop(walk, 'cut');
      if (bytes[behind - 1] === 0) break;
      if (behind >= end) return stop(walk, 'cut');
      if (bytes[behind] === 0) return stop(walk, null);
      behind += 4 * bytes[behind];
    }
  }
  return goOn(walk, LAYER.UNTOLD, behind);
}

/** Version 2 (RFC 2661) carries PPP behind a header of optional parts; version 3 (RFC 3931) has a word before its own. */
function l2tp(bytes: Buffer, walk: Walk, at: number): Layer {
  const flags = u16(bytes, at);
  if ((flags & 0x8000) !== 0) return stop(walk, null);
  if ((flags & 15) === 3) return l2tp3(bytes, walk, at + 4);
  if ((flags & 15) !== 2) return stop(walk, null);
  let behind = at + 6;
  if ((flags & 0x4000) !== 0) behind += 2;
  if ((flags & 0x0800) !== 0) behind += 4;
  if ((flags & 0x0200) !== 0) {
    if (behind + 2 > walk.end) return stop(walk, 'cut');
    behind += 2 + u16(bytes, behind);
  }
  return goOn(walk, LAYER.PPP, behind);
}

/** Session 0 is control. A cookie of 0, 4 or 8 bytes and a sublayer follow that only the two ends know of. */
function l2tp3(bytes: Buffer, walk: Walk, at: number): Layer {
  if (at + 4 > walk.end || bytes.readUInt32BE(at) === 0) return stop(walk, null);
  return goOn(walk, LAYER.UNTOLD, at + 4);
}

/** RFC 4380 section 5.1.1: authentication and origin, each if there, then IPv6. */
function teredo(bytes: Buffer, walk: Walk, begin: number): Layer {
  let at = begin;
  if (u16(bytes, at) === 1) at += 13 + bytes[at + 2] + bytes[at + 3];
  if (at + 2 <= walk.end && u16(bytes, at) === 0) at += 8;
  return at < walk.end && bytes[at] >> 4 === 6 ? goOn(walk, LAYER.IP, at) : stop(walk, null);
}

/** Generic UDP encapsulation: version 0 has a header and a protocol number, version 1 is IP itself. */
function gue(bytes: Buffer, walk: Walk, at: number): Layer {
  const first = bytes[at];
  if (first >> 6 === 1) return goOn(walk, LAYER.IP, at);
  if (first >> 5 !== 0) return stop(walk, null);
  const protocol = bytes[at + 1];
  const behind = at + 4 + 4 * (first & 31);
  if (protocol === 4 || protocol === 41) return goOn(walk, LAYER.IP, behind);
  return protocol === 47 ? goOn(walk, LAYER.GRE, behind) : stop(walk, null);
}
