/**
 * A run of all fuzzers: rounds, each with a seed of its own, until the time is over or something is found.
 *
 * Round k of seed S is round 0 of seed S + k, so that a finding is had again by its own seed. What a round leaves in
 * memory is measured after it: nothing may pile up over the run.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { formatMark } from '../../src/collect/sequence-file.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { corpusDatagrams, corpusFiles } from './corpus.ts';
import { createDecoderTarget, FIRST_MS, randomOptions } from './decoder-target.ts';
import {
  gzipped,
  nativeBlock,
  tryCapture,
  tryFlowLog,
  tryNative,
  trySequences,
  trySnapshot,
} from './file-targets.ts';
import { type DecoderInput, Finding } from './finding.ts';
import { flowLog } from './flow-log-grammar.ts';
import { createGrammar, type Grammar } from './grammar.ts';
import { mutate } from './mutate.ts';
import { createRandom, type Random } from './random.ts';

const DATAGRAMS_PER_ROUND = 10_000;
const FILES_PER_ROUND = 60;
const LOGS_PER_ROUND = 100;
const BLOCKS_PER_ROUND = 500;
/** Rounds before memory is taken as settled, and how far it may go beyond what it was then. */
const SETTLING_ROUNDS = 10;
const MAX_GROWTH_BYTES = 96 * 1024 * 1024;
/** Pauses of the exporters' clock stay under the hour after which an idle exporter may be forgotten. */
const MAX_PAUSE_MS = 600_000;

export interface FuzzFigures {
  rounds: number;
  datagrams: number;
  files: number;
  blocks: number;
  snapshots: number;
  sequences: number;
  flows: number;
  templates: number;
  options: number;
  capturedDatagrams: number;
  logs: number;
  loggedFlows: number;
  readonly dropped: Record<string, number>;
  maxDatagramMs: number;
  /** Processor time of all rounds, which on a machine with other work is much less than has passed. */
  cpuSeconds: number;
  /** Heap and buffers in use after a collection, the most of the first rounds and of all. */
  settledBytes: number;
  maxBytes: number;
}

export interface FuzzOptions {
  readonly seed: number;
  /** At least one round is done. */
  readonly untilMs: number;
  readonly maxRounds?: number;
  /** Called after each round. */
  readonly onRound?: (figures: FuzzFigures) => void;
}

/** Throws a Finding with the seed of its round. */
export async function fuzz({ seed, untilMs, maxRounds, onRound }: FuzzOptions): Promise<FuzzFigures> {
  const corpus = { datagrams: corpusDatagrams(), files: corpusFiles() };
  const cpu = process.cpuUsage();
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-fuzz-'));
  const figures: FuzzFigures = {
    rounds: 0,
    datagrams: 0,
    files: 0,
    blocks: 0,
    snapshots: 0,
    sequences: 0,
    flows: 0,
    templates: 0,
    options: 0,
    capturedDatagrams: 0,
    logs: 0,
    loggedFlows: 0,
    dropped: {},
    maxDatagramMs: 0,
    cpuSeconds: 0,
    settledBytes: 0,
    maxBytes: 0,
  };
  try {
    do {
      const roundSeed = seed + figures.rounds;
      const random = createRandom(roundSeed);
      const kept = decoderRound(roundSeed, random, corpus.datagrams, figures);
      await logRound(roundSeed, random, directory, figures);
      await fileRound(roundSeed, random, corpus.files, directory, figures);
      blockRound(roundSeed, random, kept, figures);
      figures.rounds++;
      const { user, system } = process.cpuUsage(cpu);
      figures.cpuSeconds = Math.round((user + system) / 1e6);
      measureMemory(figures);
      onRound?.(figures);
      await setImmediate();
    } while (Date.now() < untilMs && figures.rounds < (maxRounds ?? Number.POSITIVE_INFINITY));
    return figures;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What a decoder leaves behind for the next start, as text. */
interface Kept {
  readonly snapshot: Buffer;
  readonly sequences: Buffer;
}

function decoderRound(seed: number, random: Random, corpus: readonly Buffer[], figures: FuzzFigures): Kept {
  const options = randomOptions(random);
  const capacity = random.pick([1, 2, 7, 64, 1024]);
  const target = createDecoderTarget(options, capacity, seed);
  // Of each datagram in memory of its own, which costs half as much again.
  const apart =
    seed % 8 === 0 ? createDecoderTarget(options, capacity, seed, createDecoder, (own) => own) : null;
  const grammar = createGrammar(random);
  const exporters = random.pick([2, 6, 300]);
  let nowMs = FIRST_MS;
  for (let i = 0; i < DATAGRAMS_PER_ROUND; i++) {
    nowMs = Math.max(0, nowMs + step(random));
    const exporter = 2 + random.below(random.oneIn(10) ? exporters : Math.min(4, exporters));
    const bytes = oneDatagram(random, grammar, corpus, exporter);
    const port = random.oneIn(4) ? 1024 + random.below(3) : 2055;
    const input = { exporter, port, at_ms: nowMs, hex: bytes.toString('hex') };
    const outcome = target.feed(input);
    if (apart !== null) expectSame(outcome, apart.feed(input), seed, input);
  }
  target.finish();
  apart?.finish();
  if (apart !== null) expectSame(target.decoder.snapshot(), apart.decoder.snapshot(), seed);
  const { counters } = target.decoder;
  figures.datagrams += counters.datagrams;
  for (const flows of Object.values(counters.flows)) figures.flows += flows;
  figures.templates += counters.templates;
  figures.options += counters.optionsRecords;
  for (const [reason, count] of Object.entries(counters.dropped))
    figures.dropped[reason] = (figures.dropped[reason] ?? 0) + count;
  figures.maxDatagramMs = Math.max(figures.maxDatagramMs, target.maxDatagramMs);
  return {
    snapshot: Buffer.from(JSON.stringify(target.decoder.snapshot())),
    sequences: Buffer.from(target.decoder.takeSequenceMarks().map(formatMark).join('')),
  };
}

/** What comes of datagrams side by side must be what comes of each in memory of its own. */
function expectSame(shared: unknown, apart: unknown, seed: number, ...inputs: DecoderInput[]): void {
  if (isDeepStrictEqual(shared, apart)) return;
  const reason = 'a datagram is read otherwise beside others, or something of it was kept without a copy';
  throw new Finding({ target: 'decoder', reason, seed, inputs });
}

function step(random: Random): number {
  if (random.oneIn(2000)) return random.below(MAX_PAUSE_MS);
  return random.oneIn(500) ? -random.below(10_000) : random.below(20);
}

/** Half by grammar, half from captures; of each half some damaged. */
function oneDatagram(random: Random, grammar: Grammar, corpus: readonly Buffer[], exporter: number): Buffer {
  if (random.oneIn(200)) return random.bytes(random.below(300));
  const made = random.oneIn(2) ? grammar.datagram(exporter) : random.pick(corpus);
  return random.oneIn(3) ? made : mutate(made, random.pick(corpus), random);
}

async function fileRound(
  seed: number,
  random: Random,
  corpus: readonly Buffer[],
  directory: string,
  figures: FuzzFigures,
): Promise<void> {
  for (let i = 0; i < FILES_PER_ROUND; i++) {
    const original = random.oneIn(3) ? asPcapng(random.pick(corpus)) : random.pick(corpus);
    const damaged = mutate(original, random.pick(corpus), random);
    const packed = random.oneIn(4) ? gzipped(damaged) : damaged;
    const bytes = packed !== damaged && random.oneIn(2) ? mutate(packed, damaged, random) : packed;
    figures.capturedDatagrams += await tryCapture(bytes, join(directory, 'capture'), seed);
    figures.files++;
  }
}

async function logRound(
  seed: number,
  random: Random,
  directory: string,
  figures: FuzzFigures,
): Promise<void> {
  for (let i = 0; i < LOGS_PER_ROUND; i++) {
    const log = flowLog(random);
    const damaged = random.oneIn(2) ? log : mutate(log, flowLog(random), random);
    const bytes = random.oneIn(5) ? gzipped(damaged) : damaged;
    figures.loggedFlows += await tryFlowLog(bytes, join(directory, 'log'), seed);
    figures.logs++;
  }
}

function blockRound(seed: number, random: Random, { snapshot, sequences }: Kept, figures: FuzzFigures): void {
  for (let i = 0; i < BLOCKS_PER_ROUND; i++) {
    const block = Buffer.concat(Array.from({ length: 1 + random.below(3) }, () => nativeBlock(random)));
    figures.blocks += tryNative(random.oneIn(5) ? block : mutate(block, block, random), seed);
  }
  for (let i = 0; i < 20; i++) {
    trySnapshot(i === 0 ? snapshot : mutate(snapshot, snapshot, random), seed);
    figures.snapshots++;
    figures.sequences += trySequences(i === 0 ? sequences : mutate(sequences, sequences, random), seed);
  }
}

function measureMemory(figures: FuzzFigures): void {
  if (globalThis.gc === undefined) return;
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const bytes = heapUsed + arrayBuffers;
  if (figures.rounds <= SETTLING_ROUNDS) figures.settledBytes = Math.max(figures.settledBytes, bytes);
  figures.maxBytes = Math.max(figures.maxBytes, bytes);
  if (figures.rounds > SETTLING_ROUNDS && bytes > figures.settledBytes + MAX_GROWTH_BYTES)
    throw new Error(
      `memory has grown to ${bytes} bytes in ${figures.rounds} rounds, from ${figures.settledBytes}`,
    );
}

/** The packets of a classic little-endian pcap as pcapng: one section, one interface, enhanced packet blocks. */
function asPcapng(pcap: Buffer): Buffer {
  const blocks = [
    block(0x0a0d0d0a, words(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff)),
    block(1, words(pcap.length > 24 ? pcap.readUInt32LE(20) & 0xffff : 1, 0)),
  ];
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    const packet = pcap.subarray(at + 16, at + 16 + length);
    const us = BigInt(pcap.readUInt32LE(at)) * 1_000_000n + BigInt(pcap.readUInt32LE(at + 4));
    const head = words(0, Number(us >> 32n), Number(us & 0xffffffffn), packet.length, length);
    blocks.push(block(6, Buffer.concat([head, packet, Buffer.alloc((4 - (packet.length % 4)) % 4)])));
    at += 16 + length;
  }
  return Buffer.concat(blocks);
}

function words(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) out.writeUInt32LE(value >>> 0, 4 * i);
  return out;
}

function block(type: number, body: Buffer): Buffer {
  const length = 12 + body.length;
  return Buffer.concat([words(type, length), body, words(length)]);
}
