/**
 * A logged flow as rows of a FlowBatch: one for each direction in which packets went.
 *
 * The second row of a line is the reply, with source and destination swapped and `reverse` set, as of a biflow. A field
 * that the log does not tell stays absent.
 */

import type { FlowSink } from '../../decode/types.ts';
import { type FlowBatch, writeWide } from '../../flow/batch.ts';
import { FLOW_VERSION, PRESENT } from '../../flow/columns.ts';
import type { LoggedFlow, LoggedHalf } from './flow-log.ts';

/**
 * Appends the rows and returns their number. `sequence` and `record` are the identity of the line: both rows have the
 * same, and come as it were in one datagram.
 */
export function writeFlow(flow: LoggedFlow, sequence: number, record: number, sink: FlowSink): number {
  let rows = 0;
  if (flow.forward.seen) {
    writeHalf(flow, flow.forward, false, sequence, record, sink);
    rows++;
  }
  if (flow.reply.seen) {
    writeHalf(flow, flow.reply, true, sequence, record, sink);
    rows++;
  }
  return rows;
}

function writeHalf(
  flow: LoggedFlow,
  half: LoggedHalf,
  reverse: boolean,
  sequence: number,
  record: number,
  sink: FlowSink,
): void {
  const { batch } = sink;
  const c = batch.columns;
  const row = batch.length;
  let present = PRESENT.SRC_ADDR | PRESENT.DST_ADDR | PRESENT.PROTOCOL;
  writeWide(c.received_at, row, Math.floor(flow.receivedMs >= 0 ? flow.receivedMs : flow.endMs));
  c.exporter.set(flow.exporter, 16 * row);
  c.domain[row] = flow.domain;
  c.version[row] = FLOW_VERSION.log;
  c.sequence[row] = sequence;
  c.record[row] = record;
  c.reverse[row] = reverse ? 1 : 0;
  c.src_addr.set(reverse ? flow.destination : flow.source, 16 * row);
  c.dst_addr.set(reverse ? flow.source : flow.destination, 16 * row);
  c.protocol[row] = flow.protocol;
  const sourcePort = reverse ? flow.destinationPort : flow.sourcePort;
  const destinationPort = reverse ? flow.sourcePort : flow.destinationPort;
  if (sourcePort >= 0) {
    c.src_port[row] = sourcePort;
    present |= PRESENT.SRC_PORT;
  }
  if (destinationPort >= 0) {
    c.dst_port[row] = destinationPort;
    present |= PRESENT.DST_PORT;
  }
  if (half.flags > 0) {
    c.tcp_flags[row] = half.flags;
    present |= PRESENT.TCP_FLAGS;
  }
  if (half.packets >= 0) {
    writeWide(c.packets, row, half.packets);
    present |= PRESENT.PACKETS;
  }
  if (half.bytes >= 0) {
    writeWide(c.bytes, row, half.bytes);
    present |= PRESENT.BYTES;
  }
  if (flow.startMs >= 0) {
    writeWide(c.start, row, Math.floor(flow.startMs));
    present |= PRESENT.START;
  }
  if (flow.endMs >= 0) {
    writeWide(c.end, row, Math.floor(flow.endMs));
    present |= PRESENT.END;
  }
  c.in_if[row] = reverse ? flow.outIf : flow.inIf;
  c.out_if[row] = reverse ? flow.inIf : flow.outIf;
  c.sampling_rate[row] = flow.samplingRate;
  if (flow.forwarding >= 0) {
    c.forwarding[row] = flow.forwarding;
    present |= PRESENT.FORWARDING;
  }
  if (flow.direction >= 0) {
    c.direction[row] = flow.direction;
    present |= PRESENT.DIRECTION;
  }
  c.present[row] = present;
  commit(batch, sink);
}

function commit(batch: FlowBatch, sink: FlowSink): void {
  batch.length++;
  if (batch.length === batch.capacity) sink.flush();
}
