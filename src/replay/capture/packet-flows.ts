/**
 * Packets of a plain capture of traffic, grouped into flows as a router's cache would do it (RFC 5470 section 5.1.1).
 *
 * A flow is one direction: addresses, protocol, ports. It ends by the active and the inactive timeout, by a FIN or RST
 * after a moment in which the last packets of the connection may come, or for want of room, all on the clock of the
 * capture. `received_at` of a row is when the flow was put out, so that rows come in the order of time. Bytes are those of
 * IP packets as their headers tell them, whatever was captured of them. A packet in a tunnel is read as that of an sFlow
 * sample is. The table is bounded in flows and fragments.
 */

import { type IpPacket, PROTOCOL_UDP, u16 } from '../../decode/packet/ip-packet.ts';
import { hasPorts } from '../../decode/packet/packet-row.ts';
import { createWalk } from '../../decode/packet/walk.ts';
import type { FlowSink } from '../../decode/types.ts';
import { writeWide } from '../../flow/batch.ts';
import { FLOW_VERSION, PRESENT } from '../../flow/columns.ts';
import type { ByteWindow } from './byte-window.ts';
import type { CaptureCounters, Frame, SkipReason } from './capture.ts';
import { looksLikeExport } from './export-look.ts';
import { readFrame } from './link-layer.ts';
import type { PacketFlowLimits } from './packet-flow-defaults.ts';
import { readFrames } from './read-capture.ts';

/** The last ACKs of a connection come within a round trip or two. */
const LINGER_MS = 1000;
/** First fragments whose others are waited for. */
const MAX_FRAGMENTED = 4096;
/** As LOG_DOMAIN of flow logs: what the capture saw does not add up with what another tool saw. */
const PACKETS_DOMAIN = 7;

const TCP = 6;
const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

/** Values of the `flow_end_reason` column. */
const IDLE = 1;
const ACTIVE = 2;
const ENDED = 3;
const FORCED = 4;
const NO_ROOM = 5;

interface PacketFlow {
  readonly key: string;
  /** 16 bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** -1 where there are none. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  startMs: number;
  endMs: number;
  packets: number;
  bytes: number;
  flags: number;
  /** A packet was captured too short to have its flags, or is a fragment without them. */
  flagsMissing: boolean;
  closed: boolean;
}

export interface PacketFlows {
  /** Takes a packet; flows whose time is over by it go to the sink. Counts what is no packet of a flow in `skipped`. */
  add(frame: Frame): void;
  /** All flows that are left. */
  end(): void;
  readonly flows: number;
  /** Flows put out because the table was full. */
  readonly evicted: number;
  /** Packets that look like datagrams of flow exports: perhaps the capture is one of those. */
  readonly exports: number;
}

export function createPacketFlows(
  limits: PacketFlowLimits,
  counters: CaptureCounters,
  sink: FlowSink,
): PacketFlows {
  const walk = createWalk();
  const { skipped } = counters;
  /** In the order of their last packets. Flows that a FIN or RST closed are in `closing`. */
  const open = new Map<string, PacketFlow>();
  const closing = new Map<string, PacketFlow>();
  const fragmented = new Map<string, PacketFlow['key']>();
  /** The clock of the capture, which does not go back. */
  let nowMs = 0;
  let flows = 0;
  let evicted = 0;
  let exports = 0;

  function putOut(flow: PacketFlow, reason: number): void {
    open.delete(flow.key);
    closing.delete(flow.key);
    writeRow(flow, reason);
    flows++;
  }

  function writeRow(flow: PacketFlow, reason: number): void {
    const { columns: c, length: row } = sink.batch;
    let present =
      PRESENT.SRC_ADDR |
      PRESENT.DST_ADDR |
      PRESENT.PROTOCOL |
      PRESENT.PACKETS |
      PRESENT.BYTES |
      PRESENT.START |
      PRESENT.END;
    writeWide(c.received_at, row, nowMs);
    c.domain[row] = PACKETS_DOMAIN;
    c.version[row] = FLOW_VERSION.log;
    c.sequence[row] = flows;
    c.record[row] = limits.file;
    c.src_addr.set(flow.source, 16 * row);
    c.dst_addr.set(flow.destination, 16 * row);
    c.protocol[row] = flow.protocol;
    if (flow.sourcePort >= 0) {
      c.src_port[row] = flow.sourcePort;
      c.dst_port[row] = flow.destinationPort;
      present |= PRESENT.SRC_PORT | PRESENT.DST_PORT;
    }
    // Flags of some of the packets say what happened; that something did not happen, they would say wrongly.
    if (flow.protocol === TCP && (!flow.flagsMissing || flow.flags !== 0)) {
      c.tcp_flags[row] = flow.flags;
      present |= PRESENT.TCP_FLAGS;
    }
    writeWide(c.packets, row, flow.packets);
    writeWide(c.bytes, row, flow.bytes);
    writeWide(c.start, row, flow.startMs);
    writeWide(c.end, row, flow.endMs);
    c.sampling_rate[row] = 1;
    c.flow_end_reason[row] = reason;
    c.present[row] = present;
    sink.batch.length++;
    if (sink.batch.length === sink.batch.capacity) sink.flush();
  }

  function expire(): void {
    for (const flow of open.values()) {
      if (nowMs - flow.endMs < limits.inactiveMs) break;
      putOut(flow, IDLE);
    }
    for (const flow of closing.values()) {
      if (nowMs - flow.endMs < LINGER_MS) break;
      putOut(flow, ENDED);
    }
  }

  function makeRoom(): void {
    while (open.size + closing.size >= limits.maxFlows) {
      const [oldest] = closing.size > 0 ? closing.values() : open.values();
      putOut(oldest, NO_ROOM);
      evicted++;
    }
  }

  function count(flow: PacketFlow, bytes: number, flags: number): void {
    flow.packets++;
    flow.bytes += bytes;
    flow.endMs = nowMs;
    if (flags >= 0) flow.flags |= flags;
    else flow.flagsMissing = true;
    flow.closed ||= flags >= 0 && (flags & (FIN | RST)) !== 0;
    // Behind all others, in the order of time.
    open.delete(flow.key);
    closing.delete(flow.key);
    (flow.closed ? closing : open).set(flow.key, flow);
  }

  function find(key: string, flags: number): PacketFlow | undefined {
    const flow = open.get(key) ?? closing.get(key);
    if (flow === undefined) return undefined;
    const opensAnew = flow.closed && flags >= 0 && (flags & (SYN | ACK)) === SYN;
    if (opensAnew) putOut(flow, ENDED);
    else if (nowMs - flow.startMs >= limits.activeMs) putOut(flow, ACTIVE);
    else return flow;
    return undefined;
  }

  /** Adds the packets of a frame that `tunnels` asks for; the reason when it counts as skipped. */
  function addFrame(frame: Frame): SkipReason | null {
    const skip = readFrame(frame, walk);
    if (skip !== null) return skip;
    const { headers, count: depth, reason } = walk;
    const { tunnels } = limits;
    const inner = tunnels === 'outer' ? 0 : depth - 1;
    const missed = addPacket(frame.bytes, headers[inner], frame.end);
    if (tunnels === 'both' && depth > 1) addPacket(frame.bytes, headers[0], frame.end);
    // The packet in the tunnel was not captured as far as its addresses.
    if (missed === null && reason === 'cut' && tunnels !== 'outer') return 'truncated';
    return missed;
  }

  function addPacket(bytes: Buffer, packet: IpPacket, frameEnd: number): SkipReason | null {
    const { protocol, start, total, addresses } = packet;
    if (protocol < 0) return packet.truncated ? 'truncated' : 'bad_packet';
    const length = total || frameEnd - addresses + (packet.version === 4 ? 12 : 8);
    if (packet.fragmentOffset > 0) return addFragment(fragmentKeyOf(bytes, packet), length);
    const withPorts = hasPorts(protocol);
    const here = packet.end - start;
    if (withPorts && here < 4) return packet.truncated ? 'truncated' : 'bad_packet';
    const sourcePort = withPorts ? u16(bytes, start) : -1;
    const destinationPort = withPorts ? u16(bytes, start + 2) : -1;
    const flags = protocol !== TCP || here < 14 ? -1 : bytes[start + 13];
    if (protocol === PROTOCOL_UDP && here >= 8) {
      if (looksLikeExport(bytes, start + 8, packet.end, u16(bytes, start + 4) - 8)) exports++;
    }
    const key = `${protocol}/${sourcePort}/${destinationPort}/${addressesOf(bytes, packet)}`;
    let flow = find(key, flags);
    if (flow === undefined) {
      makeRoom();
      flow = createFlow(key, bytes, packet, sourcePort, destinationPort, nowMs);
    }
    count(flow, length, flags);
    // The fragmented packet may be the tunnel around this one.
    for (let i = 0; i < walk.count; i++) {
      if (walk.headers[i].moreFragments) rememberFragmented(fragmentKeyOf(bytes, walk.headers[i]), key);
    }
    return null;
  }

  function rememberFragmented(fragmentKey: string, key: string): void {
    if (fragmented.size >= MAX_FRAGMENTED)
      for (const [oldest] of fragmented) if (fragmented.delete(oldest)) break;
    fragmented.set(fragmentKey, key);
  }

  /** A later fragment has no ports: it belongs to the flow of the first one, if that came before. */
  function addFragment(fragmentKey: string, length: number): SkipReason | null {
    const key = fragmented.get(fragmentKey);
    const flow = key === undefined ? undefined : (open.get(key) ?? closing.get(key));
    if (flow === undefined) return 'fragment_incomplete';
    // One packet in several pieces: its bytes are all told, and it is one packet still.
    flow.bytes += length;
    return null;
  }

  return {
    add(frame) {
      nowMs = Math.max(nowMs, frame.timeMs);
      expire();
      const skip = addFrame(frame);
      if (skip === null) counters.datagrams++;
      else skipped[skip]++;
    },
    end() {
      for (const flow of [...closing.values(), ...open.values()].sort((a, b) => a.endMs - b.endMs)) {
        const reason = flow.closed ? ENDED : FORCED;
        putOut(flow, reason);
      }
    },
    get flows() {
      return flows;
    },
    get evicted() {
      return evicted;
    },
    get exports() {
      return exports;
    },
  };
}

function fragmentKeyOf(bytes: Buffer, packet: IpPacket): string {
  return `${packet.fragmentId}/${packet.protocol}/${addressesOf(bytes, packet)}`;
}

function addressesOf(bytes: Buffer, { version, addresses }: IpPacket): string {
  return bytes.toString('latin1', addresses, addresses + (version === 4 ? 8 : 32));
}

function createFlow(
  key: string,
  bytes: Buffer,
  packet: IpPacket,
  sourcePort: number,
  destinationPort: number,
  startMs: number,
): PacketFlow {
  const size = packet.version === 4 ? 4 : 16;
  const address = (at: number) => {
    const out = new Uint8Array(16);
    if (size === 4) out.fill(0xff, 10, 12);
    out.set(bytes.subarray(at, at + size), 16 - size);
    return out;
  };
  return {
    key,
    source: address(packet.addresses),
    destination: address(packet.addresses + size),
    protocol: packet.protocol,
    sourcePort,
    destinationPort,
    startMs,
    endMs: startMs,
    packets: 0,
    bytes: 0,
    flags: 0,
    flagsMissing: false,
    closed: false,
  };
}

/** Frames between two moments at which the reader of a capture may empty the sink. */
const FRAMES_A_TURN = 1024;

/**
 * Reads the capture in the window into the sink as flows, and yields now and then, when the sink may be emptied. Throws
 * RogueSmtpError `io` as readOpenCapture does. Of `counters`, `datagrams` are the packets that went into flows.
 */
export async function* readPacketFlows(
  path: string,
  window: ByteWindow,
  sink: FlowSink,
  limits: PacketFlowLimits,
  counters: CaptureCounters,
): AsyncGenerator<void, PacketFlows> {
  const flows = createPacketFlows(limits, counters, sink);
  let frames = 0;
  const take = (frame: Frame): true | null => {
    flows.add(frame);
    return ++frames % FRAMES_A_TURN === 0 ? true : null;
  };
  for await (const _ of readFrames(path, window, counters, take, flows.end)) yield;
  yield;
  return flows;
}
