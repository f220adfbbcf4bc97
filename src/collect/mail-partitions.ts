/**
 * Divides a batch of mail flows by the internal host, so that each part belongs to one partition of the mail stream.
 *
 * The host is the end that `networks.internal` names; where both ends are internal or neither is, the numerically lower
 * address stands for the session. So both directions of a session always go the same way. Order within a part is kept.
 */

import { clearFlowBatch, createFlowBatch, type FlowBatch } from '../flow/batch.ts';
import { hostPartition } from '../flow/host-partition.ts';
import { createInsideAddresses } from '../flow/inside-address.ts';
import { createPrefixTable, type Prefix } from '../flow/prefix.ts';
import { gatherRows } from './mail-filter.ts';

/** Hands over the parts of a batch, one after the other; a part is only valid during its call. */
export type DivideMail = (batch: FlowBatch, take: (part: FlowBatch, partition: number) => void) => void;

export function createMailDivider(
  internal: readonly Prefix[],
  partitions: number,
  capacity: number,
  { ipv6Group = 128, nat = [] }: { readonly ipv6Group?: 64 | 128; readonly nat?: readonly Prefix[] } = {},
): DivideMail {
  if (partitions === 1) return (batch, take) => batch.length > 0 && take(batch, 0);
  const ours = createPrefixTable(internal);
  const pools = createPrefixTable(nat);
  const isOurs = (bytes: Uint8Array, at: number) => ours.lookup(bytes, at) >= 0;
  const inside = createInsideAddresses(isOurs, (bytes, at) => pools.lookup(bytes, at) >= 0);
  const part = createFlowBatch(capacity);
  const partitionOf = new Uint16Array(capacity);
  /** Rows in the order of their partitions, and where each partition ends in it. */
  const rows = new Uint32Array(capacity);
  const ends = new Uint32Array(partitions + 1);

  return (batch, take) => {
    const { columns } = batch;
    ends.fill(0);
    for (let row = 0; row < batch.length; row++) {
      const at = 16 * row;
      const source = inside.source(columns, row);
      const destination = inside.destination(columns, row);
      const isHost =
        isOurs(source, at) === isOurs(destination, at)
          ? isLower(source, destination, at)
          : isOurs(source, at);
      const partition = hostPartition(isHost ? source : destination, at, partitions, ipv6Group);
      partitionOf[row] = partition;
      ends[partition + 1]++;
    }
    for (let p = 0; p < partitions; p++) ends[p + 1] += ends[p];
    // A counting sort: `ends[p]` begins as the start of p and ends as its end.
    for (let row = 0; row < batch.length; row++) rows[ends[partitionOf[row]]++] = row;
    let from = 0;
    for (let p = 0; p < partitions; p++) {
      const count = ends[p] - from;
      if (count > 0) {
        gatherRows(batch, rows.subarray(from, from + count), count, part);
        take(part, p);
        clearFlowBatch(part);
      }
      from = ends[p];
    }
  };
}

/** True when the source is numerically not above the destination. */
function isLower(source: Uint8Array, destination: Uint8Array, at: number): boolean {
  for (let i = at; i < at + 16; i++) if (source[i] !== destination[i]) return source[i] < destination[i];
  return true;
}
