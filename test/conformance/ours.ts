/**
 * Our decoder's reading of a capture: as the collector does it, data waiting for its template.
 */

import { createDecoder } from '../../src/decode/decoder.ts';
import {
  appendRow,
  clearFlowBatch,
  createFlowBatch,
  type FlowBatch,
  readWide,
} from '../../src/flow/batch.ts';
import { PRESENT } from '../../src/flow/columns.ts';
import { LIMITS } from '../support/decoding.ts';
import type { Capture } from './captures.ts';
import type { ComparedRecord, Reading } from './record.ts';

export interface OurReading extends Reading {
  readonly options: number;
  readonly templates: number;
  readonly records: readonly ComparedRecord[];
  /** Answers of biflows, which are rows of their own here and are told by nobody else. */
  readonly answers: number;
  readonly dropped: number;
  /** Sets whose template never came. */
  readonly unresolved: number;
  /** Units lost by the sequence numbers. */
  readonly lost: number;
}

/** Open vSwitch announces some 250 templates. */
const TEMPLATES = 4096;

export function readOurs({ datagrams, answer }: Capture): OurReading {
  const kept = createFlowBatch(1 << 15);
  const sink = {
    batch: createFlowBatch(64),
    flush() {
      for (let i = 0; i < sink.batch.length; i++) appendRow(kept, sink.batch, i);
      clearFlowBatch(sink.batch);
    },
  };
  const limits = { ...LIMITS, templatesPerExporter: TEMPLATES, templates: TEMPLATES };
  // Cases from the field are read as by default: some are about what an address alone does not tell apart.
  const templateScope = answer === null ? 'address_port' : 'address';
  const decoder = createDecoder({ templateScope, limits }, sink);
  for (const { payload, source, sourcePort, receivedAtMs } of datagrams)
    decoder.decode(payload, source, sourcePort, receivedAtMs);
  sink.flush();
  const dropped = Object.values(decoder.counters.dropped).reduce((sum, count) => sum + count, 0);
  const before = decoder.counters.dropped.no_template;
  decoder.expire(Number.POSITIVE_INFINITY);
  const rows = Array.from({ length: kept.length }, (_, row) => row);
  const forward = rows.filter((row) => isForward(kept, row));
  return {
    flows: forward.length,
    answers: rows.length - forward.length,
    options: decoder.counters.optionsRecords,
    templates: decoder.counters.templates,
    dropped,
    unresolved: decoder.counters.dropped.no_template - before,
    lost: [...decoder.exporters()].reduce((sum, { sequenceLost }) => sum + sequenceLost, 0),
    records: forward.map((row) => recordOf(kept, row)),
  };
}

/** The half of a biflow that stands first on the wire, whichever of them the exporter calls the reverse one. */
function isForward({ columns }: FlowBatch, row: number): boolean {
  if (row === 0) return true;
  const before = row - 1;
  return !(
    columns.record[row] === (columns.record[before] ?? 0) + 1 &&
    columns.sequence[row] === columns.sequence[before]
  );
}

function recordOf({ columns }: FlowBatch, row: number): ComparedRecord {
  const present = columns.present[row] ?? 0;
  const address = (column: Uint8Array) =>
    Buffer.from(column.subarray(16 * row, 16 * row + 16)).toString('hex');
  return {
    ...(present & PRESENT.SRC_ADDR && { src: address(columns.src_addr) }),
    ...(present & PRESENT.DST_ADDR && { dst: address(columns.dst_addr) }),
    ...(present & PRESENT.SRC_PORT && { src_port: columns.src_port[row] }),
    ...(present & PRESENT.DST_PORT && { dst_port: columns.dst_port[row] }),
    ...(present & PRESENT.PROTOCOL && { protocol: columns.protocol[row] }),
    ...(present & PRESENT.TCP_FLAGS && { flags: columns.tcp_flags[row] }),
    ...(present & PRESENT.PACKETS && { packets: readWide(columns.packets, row) }),
    ...(present & PRESENT.BYTES && { bytes: readWide(columns.bytes, row) }),
  };
}
