/**
 * `npm run bench`: what decoding and receiving cost, next to others on the same machine in the same minutes.
 *
 * Figures of different runs or machines do not compare. `--quick` is a smoke test of the benchmark itself; `--write`
 * puts the result into README.md beside this file; `--rounds N` and `--versions v5,v9` do more or less of it; `--limits
 * v5` looks for lossless rates of those versions only, `--limits none` of none; `--only receiving`, `detector`,
 * `pipeline` and `first-leg` measure, and write, one part. Nothing leaves the loopback.
 */

import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { writeSection } from '../support/readme-section.ts';
import {
  benchDetector,
  benchDetectorMemory,
  DETECTOR_MIXES,
  type DetectorMemory,
  type DetectorRate,
} from './detector.ts';
import { createPools, type ExportPool } from './exports.ts';
import { benchFirstLeg } from './first-leg.ts';
import { buildGoflow2, type Goflow2 } from './goflow2.ts';
import { benchInMemory, benchMailFilter, type InMemoryResult } from './in-memory.ts';
import { benchLatency, benchPipeline, type PipelineResult } from './pipeline.ts';
import { type Bench, losslessRate, measureAt, median, type Step } from './rates.ts';
import { type ReceiverKind, receiverKinds } from './receivers.ts';
import { createSender } from './sender.ts';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    versions: { type: 'string', default: '' },
    limits: { type: 'string', default: 'all' },
    only: { type: 'string', default: 'receiving,detector,pipeline,first-leg' },
  },
});

/** Datagrams a second: 2.4 M flows/s of 30-record exports. */
const RATE = flags.quick ? 10_000 : 80_000;
const ROUNDS = flags.quick ? 1 : Number(flags.rounds);
const LOSSLESS = { from: 20_000, to: 160_000, within: 5000 };
const DECODE_SECONDS = flags.quick ? 0.1 : 2;
const README = fileURLToPath(new URL('./README.md', import.meta.url));

interface ReceiverResult {
  readonly kind: ReceiverKind;
  readonly pool: ExportPool;
  readonly steps: Step[];
  /** Datagrams a second; null when not looked for. */
  lossless: number | null;
}

/** The kinds take turns, so that other work on the machine meets all of them. */
async function measureReceivers(
  bench: Bench,
  kinds: readonly ReceiverKind[],
  pools: readonly ExportPool[],
): Promise<readonly ReceiverResult[]> {
  const results: ReceiverResult[] = [];
  for (const pool of pools) {
    const able = kinds.filter((kind) => kind.missing === null && kind.versions.includes(pool.version));
    // The smoke test tries each receiver once, and ours with everything.
    const tried = flags.quick
      ? able.filter((kind) => kind.name === OURS || !results.some((result) => result.kind === kind))
      : able;
    const ofPool = tried.map((kind): ReceiverResult => ({ kind, pool, steps: [], lossless: null }));
    results.push(...ofPool);
    for (let round = 0; round < ROUNDS; round++) {
      for (const { kind, steps } of ofPool) {
        const step = await measureAt(bench, kind, pool, RATE).catch(failed);
        if (step === null) continue;
        steps.push(step);
        const cost = `${millions(step.flowsPerCpuSecond)} flows per CPU-second`;
        say(`${pool.name}, ${kind.name}: ${step.sent} sent, ${step.dropped} dropped, ${cost}`);
      }
    }
    if (flags.quick || !(flags.limits === 'all' || flags.limits.split(',').includes(pool.version))) continue;
    for (const result of ofPool) {
      result.lossless = await losslessRate(bench, result.kind, pool, LOSSLESS).catch(failed);
      say(`${pool.name}, ${result.kind.name}: lossless up to ${result.lossless} datagrams/s`);
    }
  }
  return results;
}

const OURS = 'rogue-smtp, archive: mail';

/** Half an hour of measuring is not thrown away over one receiver; the smoke test has nothing to lose. */
function failed(error: unknown): null {
  if (flags.quick) throw error;
  say(messageOf(error));
  return null;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const millions = (value: number) => `${(value / 1e6).toFixed(1)} M`;
const nanoseconds = (flowsPerSecond: number) => `${(1e9 / flowsPerSecond).toFixed(0)} ns`;
const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function inMemoryTable(results: readonly InMemoryResult[]): string {
  return table(
    ['export', 'mail only', 'every flow', 'with mail filter and Native blocks', 'node-netflowv9, objects'],
    results.map(({ pool, mail, all, toNative, objects }) => [
      pool.name,
      ...[mail, all, toNative].map((rate) => `${millions(rate)}, ${nanoseconds(rate)}`),
      objects === null ? 'does not know it' : `${millions(objects)}, ${nanoseconds(objects)}`,
    ]),
  );
}

function allocationTable(results: readonly InMemoryResult[]): string {
  return table(
    ['export', 'bytes a datagram', 'records in it', 'bytes a datagram with one record'],
    results.map(({ pool, allocated, allocatedForOne }) => [
      pool.name,
      allocated.toFixed(0),
      String(pool.records),
      allocatedForOne === null ? '' : allocatedForOne.toFixed(0),
    ]),
  );
}

function receiverTable(results: readonly ReceiverResult[]): string {
  return table(
    [
      'export',
      'receiver',
      'flows per CPU-second (each round)',
      'us of CPU a datagram',
      'dropped',
      'lossless datagrams/s',
      'lossless flows/s',
      'memory',
    ],
    results.map(({ kind, pool, steps, lossless }) => {
      if (steps.length === 0) return [pool.name, kind.name, 'failed', '', '', '', '', ''];
      const all = steps.map((step) => step.flowsPerCpuSecond);
      const middle = median(all);
      const [sent, dropped] = [steps.map((step) => step.sent), steps.map((step) => step.dropped)].map(median);
      return [
        pool.name,
        kind.name,
        `**${millions(middle)}** (${all.map((value) => (value / 1e6).toFixed(1)).join(', ')})`,
        ((1e6 * pool.records) / middle).toFixed(1),
        percent(dropped, sent),
        lossless === null ? '' : lossless === 0 ? `under ${LOSSLESS.from}` : String(lossless),
        lossless === null || lossless === 0 ? '' : millions(lossless * pool.records),
        `${(median(steps.map((step) => step.peakMemory)) / 2 ** 20).toFixed(0)} MiB`,
      ];
    }),
  );
}

function detectorTable(rates: readonly DetectorRate[]): string {
  return table(
    ['records', 'flows per CPU-second', 'time a flow', 'alerts in 1,000 flows'],
    rates.map(({ name, flowsPerCpuSecond, alerts, flows }) => [
      name,
      `**${(flowsPerCpuSecond / 1e6).toFixed(2)} M**`,
      nanoseconds(flowsPerCpuSecond),
      ((1000 * alerts) / flows).toFixed(2),
    ]),
  );
}

function memoryTable(result: DetectorMemory): string {
  const { hosts, sessions, flows, peak, resident, empty, restored, restoreSeconds } = result;
  const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return table(
    ['what', 'measured'],
    [
      [`resident before the first flow`, mebibytes(empty)],
      [
        `resident with ${hosts} open incidents, ${sessions} sessions, after ${flows} flows`,
        mebibytes(resident),
      ],
      ['most while it filled', mebibytes(peak)],
      ['bytes a host, with its session and destination', ((resident - empty) / hosts).toFixed(0)],
      [
        `restart with ${restored} open incidents, from the bytes of their messages`,
        `${restoreSeconds.toFixed(1)} s`,
      ],
    ],
  );
}

async function receiveBufferLimit(): Promise<number> {
  const limit = Number(await readFile('/proc/sys/net/core/rmem_max', 'utf8').catch(() => ''));
  return Math.min(limit > 0 ? limit : 212_992, 64 * 1024 * 1024);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

/** Of the whole machine, with what the benchmark makes itself. */
const loads: number[] = [];
const noteLoad = () => loads.push(loadavg()[0]);
setInterval(noteLoad, 5000).unref();
noteLoad();

const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-bench-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

const machine = () => [
  `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, Linux ${release()}, Node ${process.version},`,
  `${new Date().toISOString().slice(0, 10)}${flags.quick ? ', --quick: a smoke test, no measurement' : ''}.`,
  `Load of the machine: ${loads[0].toFixed(1)} before, ${median(loads).toFixed(1)} in the median, ${Math.max(...loads).toFixed(1)} at most`,
];

let goflow2: Promise<Goflow2> | null = null;

/** Built once, which takes a minute or two. */
async function goflow2IfWanted(): Promise<Goflow2> {
  if (flags.quick) return { kind: 'missing', why: 'left out by --quick' };
  goflow2 ??= buildGoflow2(directory);
  return goflow2;
}

async function reportReceiving(): Promise<string> {
  const wanted = flags.versions === '' ? null : flags.versions.split(',');
  const pools = createPools().filter((pool) => wanted === null || wanted.includes(pool.version));
  const kinds = receiverKinds(await goflow2IfWanted());
  const sender = await createSender(directory);
  const receiveBuffer = await receiveBufferLimit();
  const filter = benchMailFilter(DECODE_SECONDS);
  const inMemory: InMemoryResult[] = [];
  for (const pool of pools) inMemory.push(await benchInMemory(pool, DECODE_SECONDS));
  const bench: Bench = {
    directory,
    sender,
    receiveBuffer,
    warmUpSeconds: flags.quick ? 0.1 : 2,
    sendSeconds: flags.quick ? 0.3 : 4,
    settleMs: flags.quick ? 100 : 500,
  };
  const received = await measureReceivers(bench, kinds, pools);
  const skipped = kinds
    .filter((kind) => kind.missing !== null)
    .map((kind) => `${kind.name}: ${kind.missing}`);
  return [
    ...machine(),
    '(1 is a busy core; the benchmark itself makes about 1.5).',
    `Sender: ${sender.name}; receive buffer ${receiveBuffer} bytes.`,
    ...(skipped.length === 0 ? [] : [`Not measured: ${skipped.join('; ')}.`]),
    '',
    `### Receiving over the loopback, ${RATE} datagrams/s offered`,
    '',
    `Median of ${ROUNDS} rounds of ${bench.sendSeconds} s, all receivers in turn.`,
    '',
    receiverTable(received),
    '### Decoding in memory, flows per CPU-second and time a flow',
    '',
    inMemoryTable(inMemory),
    `Mail filter: ${filter.scan.toFixed(1)} ns a flow where none is mail, ${filter.select.toFixed(1)} ns where one in 20 is copied.`,
    '',
    '### Allocated on the heap by decoding',
    '',
    allocationTable(inMemory),
  ].join('\n');
}

async function reportDetector(): Promise<string> {
  const rates: DetectorRate[] = [];
  for (const mix of DETECTOR_MIXES) {
    rates.push(benchDetector(mix, flags.quick ? 0.2 : 5));
    say(`${mix.name}: ${((rates.at(-1)?.flowsPerCpuSecond ?? 0) / 1000).toFixed(0)} k flows per CPU-second`);
  }
  const memory = await benchDetectorMemory(flags.quick ? 5000 : 1_000_000, flags.quick ? 1000 : 100_000);
  return [
    ...machine(),
    '(1 is a busy core; the benchmark itself makes 1).',
    '',
    '### Policy, sessions and grades: flows per CPU-second of one detector',
    '',
    detectorTable(rates),
    '### Memory and restart of a process with one detector',
    '',
    memoryTable(memory),
  ].join('\n');
}

async function reportPipeline(): Promise<string> {
  const sender = await createSender(directory);
  // A minute at the rate that is aimed at: merging what was stored is work that comes later.
  const rates: readonly (readonly ['all' | 'mail', number, number])[] = flags.quick
    ? [['all', 30_000, 3]]
    : [
        ['all', 300_000, 20],
        ['all', 500_000, 60],
        ['all', 700_000, 20],
        ['all', 900_000, 20],
        ['mail', 1_500_000, 20],
        ['mail', 2_000_000, 60],
        ['mail', 2_500_000, 20],
        ['mail', 3_000_000, 20],
      ];
  const results: PipelineResult[] = [];
  for (const [archive, offered, seconds] of rates) {
    const result = await benchPipeline(sender, archive, offered, seconds);
    results.push(result);
    say(
      `archive: ${archive}, ${offered} flows/s offered: ${Math.round(result.storedPerSecond)} flows/s to the store`,
    );
  }
  const latency = await benchLatency(sender, flags.quick ? 20_000 : 100_000, flags.quick ? 6 : 60);
  const quantile = (q: number) =>
    latency.waits[Math.min(latency.waits.length - 1, Math.floor(q * latency.waits.length))];
  return [
    ...machine(),
    '(1 is a busy core; sender and service share the cores).',
    `Receive buffer ${await receiveBufferLimit()} bytes, of the 64 MiB that the service asks for.`,
    '',
    '### `rogue-smtp run`: from UDP into the embedded store',
    '',
    `v5, 4000 different datagrams round and round; one flow in 15 is on port 25. With \`archive: mail\` only those are stored, and the rate is that of all that were looked at.`,
    '',
    table(
      [
        'archive',
        'flows/s offered',
        'for',
        'dropped by the kernel',
        'stored',
        'flows/s until all was stored',
        'stored so long after the last datagram',
        'cores',
        'memory',
        'bytes a flow on disk',
      ],
      results.map((result) => [
        result.archive,
        millions(result.offered),
        `${result.seconds} s`,
        percent(result.kernelDropped, result.sent),
        String(result.stored),
        `**${(result.storedPerSecond / 1e6).toFixed(2)} M**`,
        `${result.drainSeconds.toFixed(1)} s`,
        result.cores.toFixed(1),
        `${(result.peakMemory / 2 ** 20).toFixed(0)} MiB`,
        result.bytesAFlow.toFixed(1),
      ]),
    ),
    '### From the first datagram of a host to its alert in the hands of a client',
    '',
    `${latency.offered} flows/s, ten new rogue hosts a second, ${latency.alerted} of ${latency.hosts} alerted: median ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, p99 ${quantile(0.99)} ms, at most ${quantile(1)} ms.`,
    '',
  ].join('\n');
}

async function reportFirstLeg(): Promise<string> {
  const sender = await createSender(directory);
  const seconds = flags.quick ? 2 : 20;
  const rates = flags.quick ? [30_000] : [100_000, 300_000, 600_000];
  const leg = await benchFirstLeg(sender, await goflow2IfWanted(), rates, seconds);
  if (leg.kind === 'missing') return `Not measured: ${leg.why}.\n`;
  return [
    ...machine(),
    '(1 is a busy core; sender, collector and broker share the cores).',
    ...(leg.missing === null ? [] : [`Not measured: goflow2: ${leg.missing}.`]),
    '',
    `One broker of Kafka 4.3.1, 4000 different v5 datagrams of 30 records round and round, ${seconds} s of each rate, all in turn.`,
    '',
    table(
      [
        'collector',
        'flows/s offered',
        'dropped by the kernel',
        'acknowledged by the broker, of those sent',
        "collector's CPU a flow",
        "broker's CPU a flow",
        'bytes a flow in the topics',
      ],
      leg.results.map((result) => [
        result.collector,
        String(result.offered),
        percent(result.kernelDropped, result.sent),
        `${result.acknowledged} (${percent(result.acknowledged, result.sent)})`,
        `**${result.collectorCpu.toFixed(2)} us**`,
        `${result.brokerCpu.toFixed(2)} us`,
        result.bytesAFlow.toFixed(1),
      ]),
    ),
  ].join('\n');
}

/** Heading of each part's section of the README, in the order in which they stand there. */
const PARTS = [
  { name: 'receiving', heading: '## Results', report: reportReceiving },
  { name: 'detector', heading: '## Results of the detector', report: reportDetector },
  { name: 'pipeline', heading: '## Results of the whole path', report: reportPipeline },
  { name: 'first-leg', heading: '## Results of the first leg, into Kafka', report: reportFirstLeg },
];

for (const { name, heading, report } of PARTS) {
  if (!flags.only.split(',').includes(name)) continue;
  const text = await report();
  process.stdout.write(`${heading}\n\n${text}\n`);
  if (flags.write) await writeSection(README, heading, text);
}
