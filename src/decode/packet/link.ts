/**
 * One step through what lies below IP: Ethernet and its tags, LLC, PPP, Cisco HDLC, frame relay, 802.11, token ring.
 *
 * Each function expects its layer at `walk.at`. Everything is sampled and may be cut anywhere.
 */

import { ETHERTYPE, TYPES_WITHOUT_IP, VLAN_TYPES } from './ethertype.ts';
import { u16 } from './ip-packet.ts';
import { goOn, LAYER, type Layer, stop, type Walk } from './walk.ts';

/** The layer that an EtherType announces where it stands alone, as in GRE; null for one that is not known. */
export function layerOf(type: number): Layer | null {
  if (type === ETHERTYPE.IPV4 || type === ETHERTYPE.IPV6) return LAYER.IP;
  if (type === ETHERTYPE.MPLS || type === ETHERTYPE.MPLS_UPSTREAM) return LAYER.MPLS;
  if (type === ETHERTYPE.BRIDGED) return LAYER.ETHERNET;
  if (type === ETHERTYPE.PPP) return LAYER.PPP;
  return type === ETHERTYPE.NSH ? LAYER.NSH : null;
}

export function stepEthertype(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  // The longest jump below is over 8 bytes; what is behind the end stops the next step.
  if (at + 2 > end) return stop(walk, 'cut');
  const type = u16(bytes, at);
  const payload = at + 2;
  if (type === ETHERTYPE.IPV4 || type === ETHERTYPE.IPV6) return goOn(walk, LAYER.IP, payload);
  if (type <= 1500) {
    walk.end = Math.min(end, payload + type);
    return goOn(walk, LAYER.LLC, payload);
  }
  if (VLAN_TYPES.has(type)) return goOn(walk, LAYER.ETHERTYPE, payload + 2);
  const layer = layerOf(type);
  if (layer !== null) return goOn(walk, layer, payload);
  switch (type) {
    case ETHERTYPE.PPPOE_SESSION: // PPPoE session (RFC 2516): six bytes, then PPP without address and control
      return goOn(walk, LAYER.PPP, payload + 6);
    case ETHERTYPE.LARGE_LLC:
      return goOn(walk, LAYER.LLC, payload);
    case ETHERTYPE.BACKBONE_SERVICE: // 802.1ah: service tag of four bytes, then the customer's frame
      return goOn(walk, LAYER.ETHERNET, payload + 4);
    case ETHERTYPE.VN_TAG: // 802.1BR and VN-tag
      return goOn(walk, LAYER.ETHERTYPE, payload + 4);
    case ETHERTYPE.E_TAG: // 802.1BR E-tag
    case ETHERTYPE.CISCO_METADATA: // Cisco metadata (TrustSec)
      return goOn(walk, LAYER.ETHERTYPE, payload + 6);
    case ETHERTYPE.FABRIC_PATH: // FabricPath: tag of two bytes, then the frame
      return goOn(walk, LAYER.ETHERNET, payload + 2);
    case ETHERTYPE.TRILL: // TRILL (RFC 6325): six bytes and options in units of four, then the frame
      if (payload + 2 > end) return stop(walk, 'cut');
      return goOn(walk, LAYER.ETHERNET, payload + 6 + 4 * ((u16(bytes, payload) >> 6) & 31));
    case ETHERTYPE.MACSEC: // MACsec: readable when it only protects
      if (payload >= end) return stop(walk, 'cut');
      if ((bytes[payload] & 0x0c) !== 0) return stop(walk, 'encrypted');
      return goOn(walk, LAYER.ETHERTYPE, payload + ((bytes[payload] & 0x20) === 0 ? 6 : 14));
    default:
      return stop(walk, TYPES_WITHOUT_IP.has(type) ? 'not_ip' : 'unknown_protocol');
  }
}

const LLC_IP = 0x06;
const LLC_SNAP = 0xaa;
const LLC_ISO = 0xfe;

export function stepLlc(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at + 3 > end) return stop(walk, 'cut');
  const sap = bytes[at];
  if (sap !== bytes[at + 1] || bytes[at + 2] !== 3) return stop(walk, 'not_ip');
  if (sap === LLC_SNAP) return snap(bytes, walk, at + 3);
  if (sap === LLC_IP) return goOn(walk, LAYER.IP, at + 3);
  if (sap === LLC_ISO) return networkLayerId(bytes, walk, at + 3);
  return stop(walk, 'not_ip');
}

/** Organization and type (RFC 1042); of 802.1's own (0080c2) the ones that carry a whole frame (RFC 2684, RFC 2427). */
function snap(bytes: Buffer, walk: Walk, at: number): Layer {
  if (at + 5 > walk.end) return stop(walk, 'cut');
  const organization = bytes.readUIntBE(at, 3);
  const type = u16(bytes, at + 3);
  if (organization === 0 || organization === 0xf8) {
    if (type <= 1500) return stop(walk, 'not_ip');
    return goOn(walk, LAYER.ETHERTYPE, at + 3);
  }
  if (organization === 0x80c2 && (type === 1 || type === 7)) {
    // ATM pads with two zeros. No MAC begins so that is in use.
    const padded = at + 7 <= walk.end && u16(bytes, at + 5) === 0;
    return goOn(walk, LAYER.ETHERNET, at + (padded ? 7 : 5));
  }
  return stop(walk, 'not_ip');
}

/** ISO/IEC TR 9577, as RFC 2427 and RFC 2684 use it. */
function networkLayerId(bytes: Buffer, walk: Walk, at: number): Layer {
  if (at >= walk.end) return stop(walk, 'cut');
  switch (bytes[at]) {
    case 0xcc:
    case 0x8e:
      return goOn(walk, LAYER.IP, at + 1);
    case 0x80:
      return snap(bytes, walk, at + 1);
    case 0xcf:
      return goOn(walk, LAYER.PPP, at + 1);
    default:
      return stop(walk, 'not_ip');
  }
}

export function stepFrameRelay(bytes: Buffer, walk: Walk): Layer {
  const { end } = walk;
  let at = walk.at;
  // Q.922 address of two to four bytes: the lowest bit marks the last.
  for (let i = 0; i < 4 && at < end && (bytes[at] & 1) === 0; i++) at++;
  at++;
  if (at + 2 > end) return stop(walk, 'cut');
  if (bytes[at] !== 3) return goOn(walk, LAYER.ETHERTYPE, at);
  return networkLayerId(bytes, walk, bytes[at + 1] === 0 ? at + 2 : at + 1);
}

/** Cisco HDLC: unicast or multicast, a zero, an EtherType. */
const CISCO_UNICAST = 0x0f;
const CISCO_MULTICAST = 0x8f;

export function stepPpp(bytes: Buffer, walk: Walk): Layer {
  let { at } = walk;
  const { end } = walk;
  if (at + 2 > end) return stop(walk, 'cut');
  if ((bytes[at] === CISCO_UNICAST || bytes[at] === CISCO_MULTICAST) && bytes[at + 1] === 0)
    return goOn(walk, LAYER.ETHERTYPE, at + 2);
  if (u16(bytes, at) === 0xff03) at += 2;
  if (at + 2 > end) return stop(walk, 'cut');
  // RFC 1661 section 6.5: an odd first byte is the whole number.
  const short = (bytes[at] & 1) === 1;
  const protocol = short ? bytes[at] : u16(bytes, at);
  const payload = at + (short ? 1 : 2);
  switch (protocol) {
    case 0x0021:
    case 0x0057:
      return goOn(walk, LAYER.IP, payload);
    case 0x0281:
    case 0x0283:
      return goOn(walk, LAYER.MPLS, payload);
    case 0x003d: // multilink (RFC 1990): only the first fragment has the protocol
      if (payload >= end) return stop(walk, 'cut');
      return (bytes[payload] & 0x80) === 0 ? stop(walk, 'cut') : goOn(walk, LAYER.PPP, payload + 4);
    case 0x0031: // bridged (RFC 3518): flags, MAC type 1, the frame
      if (payload + 2 > end) return stop(walk, 'cut');
      return bytes[payload + 1] === 1
        ? goOn(walk, LAYER.ETHERNET, payload + 2)
        : stop(walk, 'unknown_protocol');
    case 0x0053:
    case 0x0055:
    case 0x00fb:
    case 0x00fd:
    case 0x002d:
    case 0x002f:
      return stop(walk, 'encrypted');
    default:
      // Control protocols, and network layers that are not IP.
      return stop(
        walk,
        protocol >= 0x4000 || (protocol > 0x0021 && protocol < 0x0057) ? 'not_ip' : 'unknown_protocol',
      );
  }
}

export function stepTokenRing(bytes: Buffer, walk: Walk, controlBytes: number): Layer {
  const behind = walk.at + controlBytes + 12;
  if (behind >= walk.end) return stop(walk, 'cut');
  // The highest bit of the source says that a route follows, whose first byte holds its length.
  const routed = (bytes[walk.at + controlBytes + 6] & 0x80) !== 0;
  return goOn(walk, LAYER.LLC, behind + (routed ? bytes[behind] & 31 : 0));
}

const SNAP_HEAD = 0xaaaa03;

/** IEEE 802.11-2020 section 9.2 and 9.3.2: data frames; the payload is LLC, or Ethernet-like parts of an A-MSDU. */
export function stepWifi(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at + 24 > end) return stop(walk, 'cut');
  const control = bytes[at];
  const flags = bytes[at + 1];
  const isData = ((control >> 2) & 3) === 2;
  const isEmpty = (control & 0x40) !== 0;
  if (!isData || isEmpty) return stop(walk, 'not_ip');
  let payload = at + 24 + ((flags & 3) === 3 ? 6 : 0);
  let aggregated = false;
  if ((control & 0x80) !== 0) {
    if (payload >= end) return stop(walk, 'cut');
    aggregated = (bytes[payload] & 0x80) !== 0;
    payload += (flags & 0x80) === 0 ? 2 : 6;
  }
  if ((flags & 0x40) === 0) return goOn(walk, aggregated ? LAYER.ETHERNET : LAYER.LLC, payload);
  // Access points sample what they have decrypted, and leave the mark, with or without the vector of 8 or 4 bytes.
  for (const vector of [0, 8, 4]) {
    const begin = payload + vector;
    if (begin + 3 <= end && bytes.readUIntBE(begin, 3) === SNAP_HEAD) return goOn(walk, LAYER.LLC, begin);
  }
  return stop(walk, 'encrypted');
}

export function stepAmpdu(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at + 4 > end) return stop(walk, 'cut');
  // The delimiter ends with the character N.
  return goOn(walk, LAYER.WIFI, bytes[at + 3] === 0x4e ? at + 4 : at);
}

export function stepAal5(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at >= end) return stop(walk, 'cut');
  const first = bytes[at];
  return goOn(walk, first === LLC_SNAP || first === LLC_ISO ? LAYER.LLC : LAYER.IP, at);
}

/** RFC 8300: length in words in six bits of the second byte, the payload's kind in the fourth. */
export function stepNsh(bytes: Buffer, walk: Walk): Layer {
  const { at, end } = walk;
  if (at + 4 > end) return stop(walk, 'cut');
  const behind = at + 4 * (bytes[at + 1] & 0x3f);
  if (behind === at) return stop(walk, 'bad_header');
  return goOnByKind(walk, bytes[at + 3], behind);
}

/** The kinds that NSH and VXLAN-GPE share: 1 and 2 IP, 3 Ethernet, 4 NSH, 5 MPLS. */
export function goOnByKind(walk: Walk, kind: number, at: number): Layer {
  if (kind === 1 || kind === 2) return goOn(walk, LAYER.IP, at);
  if (kind === 3) return goOn(walk, LAYER.ETHERNET, at);
  if (kind === 4) return goOn(walk, LAYER.NSH, at);
  return kind === 5 ? goOn(walk, LAYER.MPLS, at) : stop(walk, 'unknown_protocol');
}
