/**
 * Which of the addresses of a record are the ends of its flow as the inside of the network knows them.
 *
 * An exporter at a NAT, or outside of it, may name the translated address where hosts have theirs, and the inside one
 * in the post-NAT fields (IE 225 to 228, 230; NSEL). Collectors, which divide mail by host, and detectors must agree.
 * Without post-NAT fields the ends are what source and destination say. Where both addresses of an end are internal (the
 * public one is listed in networks.internal), the direction of the packet decides: a source is translated after it left
 * its host, a destination before it reaches its host.
 */

import type { FlowColumns } from './batch.ts';
import { PRESENT } from './columns.ts';

type Matches = (bytes: Uint8Array, offset: number) => boolean;

export interface InsideAddresses {
  /** The column that holds the address of the source, at 16 * row. */
  source(columns: FlowColumns, row: number): Uint8Array;
  destination(columns: FlowColumns, row: number): Uint8Array;
}

/** `isNatPool`: addresses that many hosts share; one is given up for an internal address that is none. */
export function createInsideAddresses(isInternal: Matches, isNatPool: Matches): InsideAddresses {
  const isHost: Matches = (bytes, at) => isInternal(bytes, at) && !isNatPool(bytes, at);

  return {
    source(columns, row) {
      if ((columns.present[row] & PRESENT.POST_NAT_SRC_ADDR) === 0) return columns.src_addr;
      if (isHost(columns.src_addr, 16 * row)) return columns.src_addr;
      return isHost(columns.post_nat_src_addr, 16 * row) ? columns.post_nat_src_addr : columns.src_addr;
    },
    destination(columns, row) {
      if ((columns.present[row] & PRESENT.POST_NAT_DST_ADDR) === 0) return columns.dst_addr;
      return isHost(columns.post_nat_dst_addr, 16 * row) ? columns.post_nat_dst_addr : columns.dst_addr;
    },
  };
}
