/**
 * What is read from disks and brokers, damaged: captures, flow logs, Native blocks, snapshots of templates.
 *
 * A reader either reads, with an account that adds up, or says what is wrong in the way its contract names. It never
 * throws anything else, and never takes long.
 */

import { unlinkSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { formatMark, parseMark } from '../../src/collect/sequence-file.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { RogueSmtpError } from '../../src/errors.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES } from '../../src/flow/columns.ts';
import { decodeNative, encodeNative } from '../../src/flow/native.ts';
import { openByteWindow } from '../../src/replay/capture/byte-window.ts';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import { createFlowLogCounters } from '../../src/replay/flow-log/flow-log.ts';
import { readFlowLog } from '../../src/replay/flow-log/read-flow-log.ts';
import { v5 } from '../support/datagrams.ts';
import { LIMITS, NOW } from '../support/decoding.ts';
import { Finding } from './finding.ts';
import type { Random } from './random.ts';

/** Wall clock, in a machine that does other things too. */
const MAX_FILE_MS = 5000;

/** Reads a file of these bytes as a capture; `path` is where it may be written. */
export async function tryCapture(bytes: Buffer, path: string, seed: number): Promise<number> {
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding({ target: 'capture', reason, seed, hex: bytes.toString('hex') }, cause);
  };
  writeFileSync(path, bytes);
  const from = performance.now();
  const capture = readCapture(path);
  let datagrams = 0;
  let whole = true;
  try {
    for await (const { timeMs, payload, source } of capture) {
      datagrams++;
      if (source.length !== 16) fail('an address is not 16 bytes');
      if (!Number.isInteger(timeMs) || timeMs < 0) fail(`a datagram of the time ${timeMs}`);
      if (payload.length > 65_535) fail(`a datagram of ${payload.length} bytes`);
    }
  } catch (error) {
    if (error instanceof Finding) throw error;
    if (!(error instanceof RogueSmtpError)) fail(`reading threw ${String(error)}`, error);
    whole = false;
  } finally {
    unlinkSync(path);
  }
  const { counters } = capture;
  const skipped = Object.values(counters.skipped).reduce((sum, count) => sum + count, 0);
  const accounted = counters.datagrams + counters.joined + skipped;
  if (counters.datagrams !== datagrams) fail(`${datagrams} datagrams, ${counters.datagrams} counted`);
  if (whole ? counters.packets !== accounted : counters.packets < accounted)
    fail(`${counters.packets} packets, ${accounted} accounted for`);
  if (counters.bytes > bytes.length) fail(`${counters.bytes} bytes read of ${bytes.length}`);
  if (performance.now() - from > MAX_FILE_MS) fail('reading took too long');
  return datagrams;
}

/** Reads a file of these bytes as a flow log; returns the flows in it. */
export async function tryFlowLog(bytes: Buffer, path: string, seed: number): Promise<number> {
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding({ target: 'flow-log', reason, seed, hex: bytes.toString('hex') }, cause);
  };
  writeFileSync(path, bytes);
  const from = performance.now();
  const counters = createFlowLogCounters();
  let rows = 0;
  const sink = {
    batch: createFlowBatch(16),
    flush() {
      rows += sink.batch.length;
      clearFlowBatch(sink.batch);
    },
  };
  const window = await openByteWindow(path, () => {});
  try {
    for await (const _ of readFlowLog(path, window, sink, { file: 0, linesBefore: 0 }, counters))
      sink.flush();
  } catch (error) {
    if (!(error instanceof RogueSmtpError)) fail(`reading threw ${String(error)}`, error);
  } finally {
    await window.close();
    unlinkSync(path);
  }
  sink.flush();
  const others = [...Object.values(counters.skipped), ...Object.values(counters.rejected)];
  const accounted = others.reduce((sum, count) => sum + count, counters.flows);
  if (counters.lines !== accounted) fail(`${counters.lines} lines, ${accounted} accounted for`);
  if (counters.rows !== rows) fail(`${rows} rows, ${counters.rows} counted`);
  if (rows > 2 * counters.flows) fail(`${rows} rows of ${counters.flows} flows`);
  if (performance.now() - from > MAX_FILE_MS) fail('reading took too long');
  return counters.flows;
}

export function gzipped(bytes: Buffer): Buffer {
  return gzipSync(bytes, { level: 1 });
}

/** A block of random rows. */
export function nativeBlock(random: Random): Buffer {
  const batch = createFlowBatch(1 + random.below(20));
  for (const name of FLOW_COLUMN_NAMES) {
    const column = batch.columns[name];
    for (let i = 0; i < column.length; i++) column[i] = random.below(0x7fffffff) * 2;
  }
  batch.length = batch.capacity;
  return encodeNative(batch);
}

/** Reads blocks as long as there are any; returns their number. */
export function tryNative(bytes: Buffer, seed: number): number {
  const fail = (reason: string, cause?: unknown): never => {
    throw new Finding({ target: 'native', reason, seed, hex: bytes.toString('hex') }, cause);
  };
  let at = 0;
  let blocks = 0;
  while (at < bytes.length) {
    let block: ReturnType<typeof decodeNative>;
    try {
      block = decodeNative(bytes, at);
    } catch (error) {
      return fail(`decodeNative threw ${String(error)}`, error);
    }
    if (!block.ok) break;
    if (block.next <= at || block.next > bytes.length) fail(`a block ends at ${block.next}`);
    if (block.batch.length > bytes.length) fail(`${block.batch.length} rows in ${bytes.length} bytes`);
    const again = encodeNative(block.batch);
    const same = block.batch.length === 0 || decodeNative(again).ok;
    if (!same) fail('what was read cannot be written and read again');
    blocks++;
    at = block.next;
  }
  return blocks;
}

/** A snapshot of templates as text, damaged or not, into a new decoder; returns the templates it took over. */
export function trySnapshot(bytes: Buffer, seed: number): number {
  let snapshot: unknown;
  try {
    snapshot = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 0;
  }
  const sink = { batch: createFlowBatch(64), flush: () => clearFlowBatch(sink.batch) };
  const decoder = createDecoder({ templateScope: 'address', limits: LIMITS }, sink);
  try {
    const restored = decoder.restore(snapshot, NOW);
    const held = [...decoder.exporters()].reduce((sum, { templates }) => sum + templates, 0);
    if (held > restored) throw new RangeError(`${held} templates held, ${restored} restored`);
    return restored;
  } catch (error) {
    const reason = `restore: ${String(error)}`;
    throw new Finding({ target: 'snapshot', reason, seed, hex: bytes.toString('hex') }, error);
  }
}

/**
 * The file of sequences as text, damaged or not: each line is a mark or is none, and what is one is taken by a decoder,
 * which then reads on. Returns the number of marks.
 */
export function trySequences(bytes: Buffer, seed: number): number {
  const sink = { batch: createFlowBatch(64), flush: () => clearFlowBatch(sink.batch) };
  const decoder = createDecoder({ templateScope: 'address', limits: LIMITS }, sink);
  try {
    const marks = bytes
      .toString('utf8')
      .split('\n')
      .flatMap((line) => parseMark(line) ?? []);
    decoder.resumeSequences(marks);
    for (const { address } of marks) {
      if (decoder.decode(v5([{}]), address, 0, NOW).flows !== 1)
        throw new RangeError('a flow was not decoded');
    }
    for (const mark of decoder.takeSequenceMarks()) {
      if (parseMark(formatMark(mark).trimEnd()) === null) throw new RangeError('a mark cannot be read back');
    }
    return marks.length;
  } catch (error) {
    const reason = `sequences: ${String(error)}`;
    throw new Finding({ target: 'sequences', reason, seed, hex: bytes.toString('hex') }, error);
  }
}
