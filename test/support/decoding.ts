/**
 * A decoder with a sink that keeps everything, and rows as objects to compare with.
 */

import { createDecoder } from '../../src/decode/decoder.ts';
import type { DecodeOutcome, Decoder, DecoderOptions } from '../../src/decode/types.ts';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';
import {
  appendRow,
  clearFlowBatch,
  createFlowBatch,
  type FlowBatch,
  KIND_ELEMENTS,
  readWide,
} from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS, type FlowColumn } from '../../src/flow/columns.ts';

export const LIMITS: DecoderOptions['limits'] = {
  exporters: 64,
  templatesPerExporter: 64,
  templates: 256,
  fieldsPerTemplate: 256,
  pendingBytes: 1 << 20,
  pendingAgeMs: 60_000,
};

export const EXPORTER = parseAddress('192.0.2.1') as Uint8Array;
/** 2026-01-01T00:00:00Z */
export const NOW = 1_767_225_600_000;

export type Row = Record<FlowColumn, number | string>;

function rowOf(batch: FlowBatch, row: number): Row {
  const out: Partial<Row> = {};
  for (const name of FLOW_COLUMN_NAMES) {
    const column = batch.columns[name];
    const kind = FLOW_COLUMNS[name];
    if (column instanceof Uint32Array && KIND_ELEMENTS[kind] === 2) out[name] = readWide(column, row);
    else if (kind === 'address' && column instanceof Uint8Array) out[name] = formatAddress(column, 16 * row);
    else out[name] = column[row];
  }
  return out as Row;
}

export interface Collected {
  readonly decoder: Decoder;
  /** All rows so far. */
  rows(): Row[];
  decode(payload: Buffer, at?: { exporter?: Uint8Array; port?: number; nowMs?: number }): DecodeOutcome;
}

/** `capacity` is that of the sink's batch: small ones make it flush in the middle of sets. */
export function collector(
  options: Partial<Omit<DecoderOptions, 'limits'>> & { limits?: Partial<DecoderOptions['limits']> } = {},
  capacity = 64,
): Collected {
  const kept = createFlowBatch(1 << 14);
  const sink = {
    batch: createFlowBatch(capacity),
    flush() {
      for (let i = 0; i < sink.batch.length; i++) appendRow(kept, sink.batch, i);
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = createDecoder(
    { templateScope: 'address', ...options, limits: { ...LIMITS, ...options.limits } },
    sink,
  );
  return {
    decoder,
    rows() {
      sink.flush();
      return Array.from({ length: kept.length }, (_, i) => rowOf(kept, i));
    },
    decode: (payload, { exporter = EXPORTER, port = 4000, nowMs = NOW } = {}) =>
      decoder.decode(payload, exporter, port, nowMs),
  };
}
