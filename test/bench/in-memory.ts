/**
 * Decoding without a socket: flows a CPU-second, nanoseconds of the mail filter, and bytes allocated a datagram.
 *
 * All in one process after a warm-up, on datagrams that are in the processor's cache: the socket's share is elsewhere.
 */

import { Session } from 'node:inspector/promises';
import { createMailFilter } from '../../src/collect/mail-filter.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { encodeNative, nativeBytes } from '../../src/flow/native.ts';
import { LIMITS } from '../support/decoding.ts';
import type { ExportPool } from './exports.ts';
import { createObjectDecoder } from './node-netflowv9.ts';

const EXPORTER = parseAddress('127.0.0.1') ?? new Uint8Array(16);
const BATCH_ROWS = 8192;
const NOW_MS = 1_767_225_600_000;
const PORTS = [25];

export interface InMemoryResult {
  readonly pool: ExportPool;
  /** Flows a CPU-second: rows of mail only, rows of all; all with the mail filter and both Native blocks. */
  readonly mail: number;
  readonly all: number;
  readonly toNative: number;
  /** node-netflowv9's objects, where it knows the version. */
  readonly objects: number | null;
  /** Bytes that decoding allocates on the heap for a datagram, and for one with a single record. */
  readonly allocated: number;
  readonly allocatedForOne: number | null;
}

type DecodePool = () => void;

export async function benchInMemory(pool: ExportPool, seconds: number): Promise<InMemoryResult> {
  const one = singleRecord(pool);
  return {
    pool,
    mail: rate(pool, seconds, ours(pool, 'mail')),
    all: rate(pool, seconds, ours(pool, 'all')),
    toNative: rate(pool, seconds, ours(pool, 'native')),
    objects: pool.version === 'v5' || pool.version === 'v9' ? rate(pool, seconds, objectsOf(pool)) : null,
    allocated: await allocatedBytes(pool, ours(pool, 'all')),
    allocatedForOne: one === null ? null : await allocatedBytes(one, ours(one, 'all')),
  };
}

function ours(pool: ExportPool, work: 'mail' | 'all' | 'native'): DecodePool {
  const selectMail = createMailFilter(PORTS);
  const mail = createFlowBatch(BATCH_ROWS);
  const [mailBlock, block] = [0, 1].map(() => Buffer.alloc(nativeBytes(BATCH_ROWS)));
  const sink = {
    batch: createFlowBatch(BATCH_ROWS),
    flush() {
      if (work === 'native') {
        selectMail(sink.batch, mail);
        encodeNative(mail, mailBlock);
        encodeNative(sink.batch, block);
        clearFlowBatch(mail);
      }
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = createDecoder(
    { templateScope: 'address', limits: LIMITS, ...(work === 'mail' && { portsOnly: PORTS }) },
    sink,
  );
  for (const datagram of pool.templates) decoder.decode(datagram, EXPORTER, 2055, NOW_MS);
  let sequence = 0;
  let decoded = 0;
  return () => {
    for (const datagram of pool.datagrams) {
      datagram.writeUInt32BE(sequence, pool.sequenceOffset);
      sequence = (sequence + pool.sequenceStep) >>> 0;
      decoder.decode(datagram, EXPORTER, 2055, NOW_MS);
    }
    decoded += pool.records * pool.datagrams.length;
    if (decoder.counters.flows[pool.version] !== decoded)
      throw new Error(`${pool.name} is not decoded whole`);
  };
}

function objectsOf(pool: ExportPool): DecodePool {
  const decode = createObjectDecoder();
  for (const datagram of pool.templates) decode(datagram);
  return () => {
    for (const datagram of pool.datagrams) {
      if (decode(datagram) !== pool.records) throw new Error(`${pool.name} is not decoded whole`);
    }
  };
}

/** The same with one record a datagram, where that only takes a shorter length. */
function singleRecord(pool: ExportPool): ExportPool | null {
  if (pool.version === 'sflow') return null;
  const cut = (datagram: Buffer) => {
    const begin = pool.version === 'v5' ? 24 : pool.version === 'v9' ? 24 : 20;
    const record = Math.floor((datagram.length - begin) / pool.records);
    const out = Buffer.from(datagram.subarray(0, begin + record));
    if (pool.version === 'v5') out.writeUInt16BE(1, 2);
    else out.writeUInt16BE(4 + record, begin - 2);
    if (pool.version === 'ipfix') out.writeUInt16BE(out.length, 2);
    return out;
  };
  return {
    ...pool,
    records: 1,
    datagrams: pool.datagrams.map(cut),
    sequenceStep: pool.sequenceStep === pool.records ? 1 : pool.sequenceStep,
  };
}

/** Flows a CPU-second. */
function rate(pool: ExportPool, seconds: number, decode: DecodePool): number {
  const decodeFor = (cpuSeconds: number) => {
    const before = process.cpuUsage();
    for (let flows = 0; ; ) {
      decode();
      flows += pool.records * pool.datagrams.length;
      const { user, system } = process.cpuUsage(before);
      const spent = (user + system) / 1e6;
      if (spent >= cpuSeconds) return flows / spent;
    }
  };
  decodeFor(seconds / 2);
  return decodeFor(seconds);
}

/** Nanoseconds a row that the mail filter takes: to find one row in twenty, and to copy it. */
export function benchMailFilter(seconds: number): { readonly scan: number; readonly select: number } {
  const batchOf = (port: (row: number) => number) => {
    const batch = createFlowBatch(BATCH_ROWS);
    for (let row = 0; row < BATCH_ROWS; row++) {
      batch.columns.protocol[row] = 6;
      batch.columns.src_port[row] = 1024 + ((row * 7919) % 60_000);
      batch.columns.dst_port[row] = port(row);
    }
    batch.length = BATCH_ROWS;
    return batch;
  };
  const target = createFlowBatch(BATCH_ROWS);
  const selectMail = createMailFilter(PORTS);
  const [none, some] = [batchOf(() => 443), batchOf((row) => ((row * 31) % 20 === 0 ? 25 : 443))];
  const timeOf = (batch: typeof none) => {
    const begin = performance.now();
    let rows = 0;
    while (performance.now() - begin < seconds * 1000) {
      selectMail(batch, target);
      target.length = 0;
      rows += BATCH_ROWS;
    }
    return ((performance.now() - begin) * 1e6) / rows;
  };
  for (const batch of [none, some, none, some]) timeOf(batch);
  return { scan: timeOf(none), select: timeOf(some) };
}

const SAMPLED_POOLS = 2000;

interface ProfileNode {
  readonly selfSize: number;
  readonly children: readonly ProfileNode[];
}

/** V8's sampling heap profiler, with what the collector of garbage took already: bytes a datagram. */
async function allocatedBytes(pool: ExportPool, decode: DecodePool): Promise<number> {
  const session = new Session();
  session.connect();
  for (let i = 0; i < SAMPLED_POOLS / 4; i++) decode();
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 1024,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  for (let i = 0; i < SAMPLED_POOLS; i++) decode();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const sum = (node: ProfileNode): number =>
    node.selfSize + node.children.reduce((bytes, child) => bytes + sum(child), 0);
  return sum(profile.head) / (SAMPLED_POOLS * pool.datagrams.length);
}
