/**
 * What a record reader is given besides the bytes: the facts of the datagram, and the columns to write.
 *
 * One context lives as long as its decoder and is filled anew for every datagram, so that nothing is allocated per
 * record. Address columns are seen as 32-bit words, four a row in memory order: four stores instead of sixteen.
 */

import type { FlowBatch } from '../flow/batch.ts';
import type { FlowColumn } from '../flow/columns.ts';

/** Looks up the sampling rate (one packet in N, 0 unknown) that an exporter told for a sampler or selector. */
export interface SamplerRates {
  /** The rate of records that name no sampler. */
  readonly defaultRate: number;
  /** Whether interfaces have rates of their own. */
  readonly hasInterfaces: boolean;
  samplerRate(id: number): number;
  selectorRate(id: number): number;
  interfaceRate(ingress: number, egress: number, direction: number): number;
}

export class ReaderContext {
  /** Receive time in ms as two words, low first. */
  receivedLow = 0;
  receivedHigh = 0;
  /** The exporter's address as four words in memory order. */
  exporter0 = 0;
  exporter1 = 0;
  exporter2 = 0;
  exporter3 = 0;
  exporterPort = 0;
  domain = 0;
  version = 0;
  sequence = 0;
  /** Position in the view of the datagram's first byte; negative when the view holds only a part of it. */
  origin = 0;
  /** The datagram's own time in ms since 1970, and the exporter's uptime in ms at that time, when known. */
  exportMs = 0;
  uptimeMs = 0;
  uptimeKnown = false;
  rates: SamplerRates;
  /** The rate of records of the set under way that nothing else tells the rate of. */
  rate = 0;
  /** By port, 1 where TCP records with it are wanted; only readers that pass over the others look at it. */
  ports: Uint8Array;
  /** Set by the reader: position behind the last record read, whether the one there runs past the end, a rate seen. */
  at = 0;
  overrun = false;
  seenRate = 0;
  /** Set by readers that pass over records: how many of the last call left no row. */
  passedOver = 0;

  constructor(rates: SamplerRates, ports: Uint8Array) {
    this.rates = rates;
    this.ports = ports;
  }
}

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
