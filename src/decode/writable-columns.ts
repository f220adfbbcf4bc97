/**
 * The columns of a batch as readers write them: addresses as 32-bit words, four a row in memory order, so that an address
 * takes four stores instead of sixteen.
 */

import type { FlowBatch } from '../flow/batch.ts';
import type { FlowColumn } from '../flow/columns.ts';

/** Which header of a tunnelled packet makes the row: that of the packet inside, the outermost, or each a row. */
export type TunnelMode = 'inner' | 'outer' | 'both';

type AddressColumn = 'exporter' | 'src_addr' | 'dst_addr' | 'post_nat_src_addr' | 'post_nat_dst_addr';

/** The columns of a batch as a reader writes them. */
export type WritableColumns = {
  readonly [C in FlowColumn]: C extends AddressColumn ? Uint32Array : FlowBatch['columns'][C];
};

/** The columns of `batch`, its address columns as words over the same memory. */
export function writableColumns(batch: FlowBatch): WritableColumns {
  const { columns } = batch;
  return {
    ...columns,
    exporter: words(columns.exporter),
    src_addr: words(columns.src_addr),
    dst_addr: words(columns.dst_addr),
    post_nat_src_addr: words(columns.post_nat_src_addr),
    post_nat_dst_addr: words(columns.post_nat_dst_addr),
  };
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
