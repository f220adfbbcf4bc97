/** Flow records for tests, said in few words; what is not said is what a plain v9 exporter would send. */

import { parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch, type FlowBatch, writeWide } from '../../src/flow/batch.ts';
import { FLOW_VERSION, PRESENT } from '../../src/flow/columns.ts';

export const T0 = Date.parse('2026-03-01T10:00:00.000Z');
export const SECOND = 1000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;

export interface Flow {
  /** Milliseconds after T0 when the collector received it. */
  readonly at?: number;
  readonly exporter?: string;
  readonly domain?: number;
  readonly sequence?: number;
  readonly record?: number;
  readonly version?: number;
  readonly from: string;
  readonly to: string;
  readonly fromPort?: number;
  readonly toPort?: number;
  readonly protocol?: number;
  /** Letters of FSRPA, or null for an exporter without the field. */
  readonly flags?: string | null;
  readonly packets?: number;
  readonly bytes?: number;
  readonly startAt?: number;
  readonly endAt?: number;
  readonly inIf?: number;
  readonly outIf?: number;
  readonly sampling?: number;
  readonly forwarding?: number;
  readonly firewallEvent?: number;
  readonly direction?: number;
  readonly reverse?: boolean;
  readonly fragmentOffset?: number;
  readonly vrf?: number;
  /** Post-NAT fields of the source and the destination. */
  readonly natFrom?: readonly [address: string, port: number];
  readonly natTo?: readonly [address: string, port: number];
}

const FLAG_BITS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16 };

export function tcpFlags(letters: string): number {
  let flags = 0;
  for (const letter of letters) flags |= FLAG_BITS[letter];
  return flags;
}

let nextSequence = 1;

/** A datagram of its own for each flow, unless `sequence` says otherwise. Fixes the sequence, so that it can be sent twice. */
export function sequenced(flows: readonly Flow[]): Flow[] {
  return flows.map((flow) => ({ ...flow, sequence: flow.sequence ?? nextSequence++ }));
}

export function batchOf(flows: readonly Flow[]): FlowBatch {
  const batch = createFlowBatch(Math.max(1, flows.length));
  flows.forEach((flow, row) => {
    const c = batch.columns;
    writeWide(c.received_at, row, T0 + (flow.at ?? 0));
    c.exporter.set(address(flow.exporter ?? '192.0.2.1'), 16 * row);
    c.exporter_port[row] = 2055;
    c.domain[row] = flow.domain ?? 0;
    c.version[row] = flow.version ?? FLOW_VERSION.v9;
    c.sequence[row] = flow.sequence ?? nextSequence++;
    c.record[row] = flow.record ?? 0;
    c.reverse[row] = flow.reverse === true ? 1 : 0;
    c.src_addr.set(address(flow.from), 16 * row);
    c.dst_addr.set(address(flow.to), 16 * row);
    c.src_port[row] = flow.fromPort ?? 40000;
    c.dst_port[row] = flow.toPort ?? 25;
    c.protocol[row] = flow.protocol ?? 6;
    let present =
      PRESENT.SRC_ADDR |
      PRESENT.DST_ADDR |
      PRESENT.SRC_PORT |
      PRESENT.DST_PORT |
      PRESENT.PROTOCOL |
      PRESENT.PACKETS |
      PRESENT.BYTES;
    if (flow.flags !== null) {
      present |= PRESENT.TCP_FLAGS;
      c.tcp_flags[row] = tcpFlags(flow.flags ?? 'FSPA');
    }
    c.fragment_offset[row] = flow.fragmentOffset ?? 0;
    writeWide(c.packets, row, flow.packets ?? 20);
    writeWide(c.bytes, row, flow.bytes ?? 6000);
    if (flow.startAt !== undefined) {
      present |= PRESENT.START;
      writeWide(c.start, row, T0 + flow.startAt);
    }
    if (flow.endAt !== undefined) {
      present |= PRESENT.END;
      writeWide(c.end, row, T0 + flow.endAt);
    }
    c.in_if[row] = flow.inIf ?? 1;
    c.out_if[row] = flow.outIf ?? 2;
    c.sampling_rate[row] = flow.sampling ?? 1;
    if (flow.forwarding !== undefined) {
      present |= PRESENT.FORWARDING;
      c.forwarding[row] = flow.forwarding;
    }
    c.firewall_event[row] = flow.firewallEvent ?? 0;
    if (flow.direction !== undefined) {
      present |= PRESENT.DIRECTION;
      c.direction[row] = flow.direction;
    }
    if (flow.vrf !== undefined) {
      present |= PRESENT.VRF;
      c.vrf[row] = flow.vrf;
    }
    if (flow.natFrom !== undefined) {
      present |= PRESENT.POST_NAT_SRC_ADDR | PRESENT.POST_NAT_SRC_PORT;
      c.post_nat_src_addr.set(address(flow.natFrom[0]), 16 * row);
      c.post_nat_src_port[row] = flow.natFrom[1];
    }
    if (flow.natTo !== undefined) {
      present |= PRESENT.POST_NAT_DST_ADDR | PRESENT.POST_NAT_DST_PORT;
      c.post_nat_dst_addr.set(address(flow.natTo[0]), 16 * row);
      c.post_nat_dst_port[row] = flow.natTo[1];
    }
    c.present[row] = present;
  });
  batch.length = flows.length;
  return batch;
}

function address(text: string): Uint8Array {
  const bytes = parseAddress(text);
  if (bytes === null) throw new Error(`${text} is not an address`);
  return bytes;
}

/** The reply of a flow: ends and interfaces swapped. */
export function replyTo(flow: Flow, changes: Partial<Flow> = {}): Flow {
  const { sequence: _, ...rest } = flow;
  return {
    ...rest,
    from: flow.to,
    to: flow.from,
    fromPort: flow.toPort ?? 25,
    toPort: flow.fromPort ?? 40000,
    inIf: flow.outIf ?? 2,
    outIf: flow.inIf ?? 1,
    ...changes,
  };
}
