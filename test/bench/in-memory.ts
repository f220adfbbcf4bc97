/** Decoding without a socket: how many flows a CPU-second decodes, alone and with all that the collector does. */

import { createMailFilter } from '../../src/collect/mail-filter.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { encodeNative, nativeBytes } from '../../src/flow/native.ts';
import { LIMITS } from '../support/decoding.ts';
import type { ExportPool } from './exports.ts';

const EXPORTER = parseAddress('127.0.0.1') ?? new Uint8Array(16);
const BATCH_ROWS = 8192;

export interface InMemoryResult {
  readonly version: string;
  /** Flows a CPU-second: the decoder alone; and with the mail filter and both Native blocks. */
  readonly decode: number;
  readonly toNative: number;
}

export function benchInMemory(pool: ExportPool, seconds: number): InMemoryResult {
  return {
    version: pool.name,
    decode: measure(pool, seconds, false),
    toNative: measure(pool, seconds, true),
  };
}

function measure(pool: ExportPool, seconds: number, whole: boolean): number {
  const selectMail = createMailFilter([25]);
  const mail = createFlowBatch(BATCH_ROWS);
  const [mailBlock, block] = [0, 1].map(() => Buffer.alloc(nativeBytes(BATCH_ROWS)));
  let encoded = 0;
  const sink = {
    batch: createFlowBatch(BATCH_ROWS),
    flush() {
      if (whole) {
        selectMail(sink.batch, mail);
        encoded += encodeNative(mail, mailBlock).length + encodeNative(sink.batch, block).length;
        clearFlowBatch(mail);
      }
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = createDecoder({ templateScope: 'address', limits: LIMITS }, sink);
  let sequence = 0;
  const decodeFor = (cpuSeconds: number) => {
    const before = process.cpuUsage();
    const from = decoder.counters.flows[pool.name];
    while (true) {
      for (const datagram of pool.datagrams) {
        datagram.writeUInt32BE(sequence, pool.sequenceOffset);
        sequence = (sequence + pool.sequenceStep) >>> 0;
        decoder.decode(datagram, EXPORTER, 2055, 1_767_225_600_000);
      }
      const { user, system } = process.cpuUsage(before);
      const spent = (user + system) / 1e6;
      if (spent >= cpuSeconds) return (decoder.counters.flows[pool.name] - from) / spent;
    }
  };
  for (const datagram of pool.templates) decoder.decode(datagram, EXPORTER, 2055, 1_767_225_600_000);
  decodeFor(seconds / 4);
  const rate = decodeFor(seconds);
  if (whole && encoded === 0) throw new Error('nothing was encoded');
  return rate;
}
