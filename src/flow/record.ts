/**
 * A row of a FlowBatch as the object that users see: what `decode` prints, one JSON object a record.
 *
 * For the edges only. A flow on its way through the program is never an object; whoever needs many rows reads columns.
 */

import { formatAddress } from './address.ts';
import { type FlowBatch, readWide } from './batch.ts';
import { type FlowVersionName, flowVersionName, PRESENT } from './columns.ts';

/** A field that the record did not have is null. Names and their order are part of the outer contract. */
export interface FlowRecord {
  readonly received_at: string | null;
  readonly exporter: string;
  readonly domain: number;
  readonly version: FlowVersionName | 'unknown';
  readonly src_addr: string | null;
  readonly dst_addr: string | null;
  readonly src_port: number | null;
  readonly dst_port: number | null;
  readonly protocol: number | null;
  readonly tcp_flags: number | null;
  readonly packets: number | null;
  readonly bytes: number | null;
  readonly start: string | null;
  readonly end: string | null;
  readonly in_if: number;
  readonly out_if: number;
  /** One packet in N, 0 unknown. */
  readonly sampling_rate: number;
  readonly forwarding: number | null;
  readonly direction: 'ingress' | 'egress' | null;
  readonly vrf: number | null;
  readonly post_nat_src_addr?: string;
  readonly post_nat_dst_addr?: string;
  readonly post_nat_src_port?: number;
  readonly post_nat_dst_port?: number;
  /** Only in the second half of a biflow (RFC 5103). */
  readonly reverse?: true;
  /** Only where the packet was in a tunnel, and this is the packet inside. */
  readonly in_tunnel?: true;
}

/** The last millisecond that a JavaScript Date can hold. A record may claim any 64-bit time. */
const MAX_DATE_MS = 8.64e15;

const DIRECTIONS = ['ingress', 'egress'] as const;

/** Row `row` of the batch, which must be below its length. */
export function recordOf(batch: FlowBatch, row: number): FlowRecord {
  const c = batch.columns;
  const present = c.present[row];
  const has = (bit: number) => (present & bit) !== 0;
  return {
    received_at: isoTime(c.received_at, row),
    exporter: formatAddress(c.exporter, 16 * row),
    domain: c.domain[row],
    version: flowVersionName(c.version[row]),
    src_addr: has(PRESENT.SRC_ADDR) ? formatAddress(c.src_addr, 16 * row) : null,
    dst_addr: has(PRESENT.DST_ADDR) ? formatAddress(c.dst_addr, 16 * row) : null,
    src_port: has(PRESENT.SRC_PORT) ? c.src_port[row] : null,
    dst_port: has(PRESENT.DST_PORT) ? c.dst_port[row] : null,
    protocol: has(PRESENT.PROTOCOL) ? c.protocol[row] : null,
    tcp_flags: has(PRESENT.TCP_FLAGS) ? c.tcp_flags[row] : null,
    packets: has(PRESENT.PACKETS) ? readWide(c.packets, row) : null,
    bytes: has(PRESENT.BYTES) ? readWide(c.bytes, row) : null,
    start: has(PRESENT.START) ? isoTime(c.start, row) : null,
    end: has(PRESENT.END) ? isoTime(c.end, row) : null,
    in_if: c.in_if[row],
    out_if: c.out_if[row],
    sampling_rate: c.sampling_rate[row],
    forwarding: has(PRESENT.FORWARDING) ? c.forwarding[row] : null,
    direction: has(PRESENT.DIRECTION) ? (DIRECTIONS[c.direction[row]] ?? null) : null,
    vrf: has(PRESENT.VRF) ? c.vrf[row] : null,
    ...(has(PRESENT.POST_NAT_SRC_ADDR) && {
      post_nat_src_addr: formatAddress(c.post_nat_src_addr, 16 * row),
    }),
    ...(has(PRESENT.POST_NAT_DST_ADDR) && {
      post_nat_dst_addr: formatAddress(c.post_nat_dst_addr, 16 * row),
    }),
    ...(has(PRESENT.POST_NAT_SRC_PORT) && { post_nat_src_port: c.post_nat_src_port[row] }),
    ...(has(PRESENT.POST_NAT_DST_PORT) && { post_nat_dst_port: c.post_nat_dst_port[row] }),
    ...(c.reverse[row] !== 0 && { reverse: true as const }),
    ...(has(PRESENT.IN_TUNNEL) && { in_tunnel: true as const }),
  };
}

function isoTime(column: Uint32Array, row: number): string | null {
  const ms = readWide(column, row);
  return ms <= MAX_DATE_MS ? new Date(ms).toISOString() : null;
}
