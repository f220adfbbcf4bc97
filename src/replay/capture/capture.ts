/**
 * The words of the capture readers: datagrams out, every packet that gives none counted under a reason.
 *
 * Kept apart from the readers so that they share one account. `packets` is always the sum of `datagrams`, `joined` and
 * all of `skipped`, fragments that still wait for the rest of their datagram excepted.
 */

import type { AddressBytes } from '../../flow/address.ts';

export interface CapturedDatagram {
  /** When it was captured, whole milliseconds since 1970 UTC. */
  readonly timeMs: number;
  /** Source address of the IP packet; ::ffff:0.0.0.0 for a raw IPFIX file, which does not tell. */
  readonly source: AddressBytes;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** The UDP payload. Its memory is never written to again, but keeps a whole chunk of the file alive. */
  readonly payload: Buffer;
}

/** Why a packet of a capture gave no datagram. */
export type SkipReason =
  /** Not IPv4 or IPv6 (ARP, LLDP, a deeper tag than we follow). */
  | 'not_ip'
  | 'not_udp'
  /** A link, EtherType or payload that is not known; or encrypted below IP. */
  | 'unknown_protocol'
  | 'encrypted'
  /** Captured shorter than it was, so that part of the datagram is missing (snap length). */
  | 'truncated'
  /** Header fields that contradict each other. */
  | 'bad_packet'
  /** A fragment whose datagram never became whole, or that overlaps another one (RFC 5722). */
  | 'fragment_incomplete'
  /** The link type of the interface is not one that we read. */
  | 'link_type'
  /** pcapng: a packet of an interface that was never described. */
  | 'unknown_interface'
  /** pcapng: a packet block larger than any packet can be. */
  | 'oversized'
  /** A time outside of 1970 to 2299, the range of a flow's time. */
  | 'bad_time'
  /** The file ends within the packet. */
  | 'cut_file';

export interface CaptureCounters {
  /** Bytes of the file read so far, as they lie on disk (compressed where they are). */
  bytes: number;
  packets: number;
  datagrams: number;
  /** Fragments beyond the first of each datagram that became whole. */
  joined: number;
  readonly skipped: Record<SkipReason, number>;
}

export function createCaptureCounters(): CaptureCounters {
  return {
    bytes: 0,
    packets: 0,
    datagrams: 0,
    joined: 0,
    skipped: {
      not_ip: 0,
      not_udp: 0,
      unknown_protocol: 0,
      encrypted: 0,
      truncated: 0,
      bad_packet: 0,
      fragment_incomplete: 0,
      link_type: 0,
      unknown_interface: 0,
      oversized: 0,
      bad_time: 0,
      cut_file: 0,
    },
  };
}

/** A packet as the file holds it: `bytes` from `start` to `end`, valid until the reader is asked for the next one. */
export interface Frame {
  timeMs: number;
  linkType: number;
  bytes: Buffer;
  start: number;
  end: number;
}

/** Link type of a frame that is an IPFIX message itself, not a packet that carries one. Not a LINKTYPE_ value. */
export const LINK_IPFIX_MESSAGE = -1;

/** What a FrameReader answers besides the number of bytes (above zero) that it has to see at once to go on. */
export const FRAME = 0;
/** Something that is no packet, or a packet that is already counted as skipped, has been passed over. */
export const PASSED = -1;

/**
 * Reads the next frame out of the window, without waiting: `FRAME`, `PASSED`, or how many bytes the window must hold
 * first. Throws RogueSmtpError `io` where the file cannot be followed any further.
 */
export type FrameReader = (frame: Frame) => number;

/** libpcap's MAXIMUM_SNAPLEN: no packet of a sane file is longer, so a longer one is damage. */
export const MAX_PACKET_BYTES = 262_144;

/** 2299-12-31T23:59:59.999Z, where ClickHouse's DateTime64 ends. */
export const MAX_TIME_MS = 10_413_791_999_999;
