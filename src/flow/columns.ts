/**
 * The columns of a flow record, declared once.
 *
 * FlowBatch memory, the Native codec, the ClickHouse `flows` table, the targets of the record reader and the fields
 * that `decode` prints all derive from this table. Append to it only at the end: blocks written by older versions are
 * read by column name, and missing columns read as zero.
 */

/**
 * How a column lies in memory and on the wire (both little endian, so that encoding is a copy):
 * - `u8` `u16` `u32`: one element a row;
 * - `u64`: two 32-bit words a row, low word first;
 * - `time`: as `u64`, milliseconds since 1970-01-01 UTC, never negative;
 * - `address`: 16 bytes a row in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2).
 */
export type ColumnKind = 'u8' | 'u16' | 'u32' | 'u64' | 'time' | 'address';

export interface ColumnArrays {
  u8: Uint8Array;
  u16: Uint16Array;
  u32: Uint32Array;
  u64: Uint32Array;
  time: Uint32Array;
  address: Uint8Array;
}

/** Bytes a row of each kind takes, in memory and on the wire. */
export const KIND_BYTES: Readonly<Record<ColumnKind, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  time: 8,
  address: 16,
};

/** The ClickHouse type of each kind. */
export const KIND_CLICKHOUSE: Readonly<Record<ColumnKind, string>> = {
  u8: 'UInt8',
  u16: 'UInt16',
  u32: 'UInt32',
  u64: 'UInt64',
  time: "DateTime64(3, 'UTC')",
  address: 'IPv6',
};

export const FLOW_COLUMNS = {
  /** When the collector received the datagram. Every window of the detector runs on this clock. */
  received_at: 'time',
  /** Source address of the export datagram. */
  exporter: 'address',
  exporter_port: 'u16',
  /** Observation domain (IPFIX), source id (v9), engine type * 256 + engine id (v5, v7), sub-agent id (sFlow). */
  domain: 'u32',
  /** A value of FLOW_VERSION. */
  version: 'u8',
  /** Sequence number of the datagram as sent, and where in the datagram the record begins (byte offset; one more for
   * the second half of a biflow): with `exporter` and `domain` the identity of a record, the same however often it is
   * delivered, and whether or not it had to wait for its template. v1 has a hash in place of the sequence number. */
  sequence: 'u32',
  record: 'u16',
  /** Bits of PRESENT: which of the optional fields the record really had. */
  present: 'u32',
  /** 1 for the second half of a biflow (RFC 5103), whose source and destination are already swapped. */
  reverse: 'u8',
  src_addr: 'address',
  dst_addr: 'address',
  src_port: 'u16',
  dst_port: 'u16',
  /** IANA protocol number; 6 is TCP. */
  protocol: 'u8',
  /** Cumulative TCP flags (IE 6): FIN 1, SYN 2, RST 4, PSH 8, ACK 16. Valid with PRESENT.TCP_FLAGS. */
  tcp_flags: 'u16',
  /** Non-zero for a non-first fragment, which has no ports (IE 88). */
  fragment_offset: 'u16',
  /** As exported, not multiplied by the sampling rate. */
  packets: 'u64',
  bytes: 'u64',
  start: 'time',
  end: 'time',
  in_if: 'u32',
  out_if: 'u32',
  /** One packet in N; 1 is unsampled, 0 is unknown. */
  sampling_rate: 'u32',
  /** Forwarding status (IE 89): the two high bits are 0 unknown, 1 forwarded, 2 dropped, 3 consumed. */
  forwarding: 'u8',
  /** 0 ingress, 1 egress (IE 61). */
  direction: 'u8',
  /** IE 136: 1 idle timeout, 2 active timeout, 3 end detected, 4 forced, 5 lack of resources; 0 not told. */
  flow_end_reason: 'u8',
  /** IE 233: 1 created, 2 deleted, 3 denied, 5 update; 0 not told. */
  firewall_event: 'u8',
  vrf: 'u32',
  post_nat_src_addr: 'address',
  post_nat_dst_addr: 'address',
  post_nat_src_port: 'u16',
  post_nat_dst_port: 'u16',
} as const satisfies Record<string, ColumnKind>;

export type FlowColumn = keyof typeof FLOW_COLUMNS;

export const FLOW_COLUMN_NAMES = Object.keys(FLOW_COLUMNS) as readonly FlowColumn[];

/**
 * Bits of the `present` column. A field whose bit is not set holds zero and says nothing. IN_TUNNEL stands for no field:
 * addresses, ports and the rest are those of a packet that was in a tunnel.
 */
export const PRESENT = {
  SRC_ADDR: 1 << 0,
  DST_ADDR: 1 << 1,
  TCP_FLAGS: 1 << 2,
  START: 1 << 3,
  END: 1 << 4,
  FORWARDING: 1 << 5,
  DIRECTION: 1 << 6,
  VRF: 1 << 7,
  POST_NAT_SRC_ADDR: 1 << 8,
  POST_NAT_DST_ADDR: 1 << 9,
  POST_NAT_SRC_PORT: 1 << 10,
  POST_NAT_DST_PORT: 1 << 11,
  SRC_PORT: 1 << 12,
  DST_PORT: 1 << 13,
  PROTOCOL: 1 << 14,
  PACKETS: 1 << 15,
  BYTES: 1 << 16,
  IN_TUNNEL: 1 << 17,
} as const;

/** Values of the `version` column, and the names that users see. */
export const FLOW_VERSION = {
  v1: 1,
  v5: 5,
  v7: 7,
  v9: 9,
  ipfix: 10,
  sflow: 50,
  log: 100,
} as const;

export type FlowVersionName = keyof typeof FLOW_VERSION;

const VERSION_NAMES = new Map<number, FlowVersionName>(
  Object.entries(FLOW_VERSION).map(([name, value]) => [value, name as FlowVersionName]),
);

/** The name of a `version` value; `unknown` for one that this build does not know. */
export function flowVersionName(version: number): FlowVersionName | 'unknown' {
  return VERSION_NAMES.get(version) ?? 'unknown';
}

/** Bytes of one row over all columns. */
export const FLOW_ROW_BYTES = FLOW_COLUMN_NAMES.reduce(
  (sum, name) => sum + KIND_BYTES[FLOW_COLUMNS[name]],
  0,
);
