/**
 * Canary datagrams on their way to the mail stream: through the socket and a decoder as every other, and past the archive
 * and the account of the exporters, which must not know of them.
 *
 * They are taken from this machine only. Anything else that looks like one goes the usual way.
 */

import { createDecoder } from '../decode/decoder.ts';
import type { DecoderOptions } from '../decode/types.ts';
import { parseAddress } from '../flow/address.ts';
import { clearFlowBatch, createFlowBatch, type FlowBatch } from '../flow/batch.ts';
import { CANARY_DOMAIN, isCanaryBatch } from '../flow/canary.ts';

/** Version, count, uptime, seconds, sequence, source id (RFC 3954 section 5.1). */
const V9_HEADER_BYTES = 20;
const SOURCE_ID_AT = 16;
const ROWS = 16;

export interface CanaryLane {
  /** True when the datagram was a canary, and is dealt with. */
  take(bytes: Buffer, address: string, port: number): boolean;
  /** Canaries that went on to the mail stream. */
  readonly counters: { taken: number };
}

/** `own`: addresses that datagrams of this machine may come from, besides loopback. `send` must copy the batch. */
export function createCanaryLane(
  options: DecoderOptions,
  own: ReadonlySet<string>,
  now: () => number,
  send: (batch: FlowBatch) => void,
): CanaryLane {
  const counters = { taken: 0 };
  const isOwn = (address: string) =>
    address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.') || own.has(address);

  return {
    counters,
    take(bytes, address, port) {
      if (bytes.length < V9_HEADER_BYTES || bytes.readUInt32BE(SOURCE_ID_AT) !== CANARY_DOMAIN) return false;
      const exporter = isOwn(address) ? parseAddress(address) : null;
      if (exporter === null) return false;
      const batch = createFlowBatch(ROWS);
      const sink = { batch, flush: () => clearFlowBatch(batch) };
      // A decoder for each: nothing is left behind, and no sequence number can seem lost.
      createDecoder(options, sink).decode(bytes, exporter, port, now());
      if (!isCanaryBatch(batch)) return false;
      counters.taken++;
      send(batch);
      return true;
    },
  };
}
