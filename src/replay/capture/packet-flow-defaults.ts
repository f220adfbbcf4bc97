/** How packets of a capture are grouped into flows; apart from the grouping, so that the command line loads no more. */

import type { TunnelMode } from '../../decode/writable-columns.ts';

export interface PacketFlowLimits {
  /** A flow that goes on is put out after this time. */
  readonly activeMs: number;
  /** A flow without a packet for this time has ended. */
  readonly inactiveMs: number;
  readonly maxFlows: number;
  /** Of packets with a tunnel: whether the packet inside makes the flow, the tunnel's own, or each one. */
  readonly tunnels: TunnelMode;
  /** Which of the files that are read together: the `record` of its rows. */
  readonly file: number;
}

/** What the command line tells of them. */
export type PacketFlowTimes = Omit<PacketFlowLimits, 'file' | 'tunnels'>;

export const PACKET_FLOW_DEFAULTS = {
  activeMs: 60_000,
  inactiveMs: 15_000,
  maxFlows: 262_144,
} as const;
