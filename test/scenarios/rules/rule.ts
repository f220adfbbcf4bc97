/**
 * What the rules of others have in common: rows in, the first alert of each host out, on the same clock as ours.
 *
 * They are written anew from their public descriptions, to compare with. They see every row that our detector sees, and
 * the same list of mail servers where they have one.
 */

import type { Policy } from '../../../src/detect/policy.ts';
import { formatAddress } from '../../../src/flow/address.ts';
import type { FlowColumns } from '../../../src/flow/batch.ts';

export interface Rule {
  readonly name: string;
  observe(columns: FlowColumns, row: number, nowMs: number): void;
  /** Lets time pass; at least once a second. */
  advance(nowMs: number): void;
  /** When each host was told of first. */
  readonly alerts: ReadonlyMap<string, number>;
}

export const SMTP = 25;
const TCP = 6;

/** A TCP record towards port 25 of an internal host. */
export function isOutbound(policy: Policy, columns: FlowColumns, row: number): boolean {
  return (
    columns.protocol[row] === TCP &&
    columns.dst_port[row] === SMTP &&
    policy.isInternal(columns.src_addr, 16 * row)
  );
}

export const isListed = (policy: Policy, columns: FlowColumns, row: number, nowMs: number): boolean =>
  policy.isSender(columns.src_addr, 16 * row, nowMs);

export const source = (columns: FlowColumns, row: number): string =>
  formatAddress(columns.src_addr, 16 * row);
export const destination = (columns: FlowColumns, row: number): string =>
  formatAddress(columns.dst_addr, 16 * row);
