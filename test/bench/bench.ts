/**
 * `npm run bench`: what decoding and receiving cost, next to nfcapd and nfacctd on the same machine in the same minute.
 *
 * Figures of different runs or machines do not compare. `--quick` is a smoke test of the benchmark itself; `--write`
 * puts the result into README.md beside this file. Nothing leaves the loopback.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createPools, type ExportPool, poolFile, RECORDS } from './exports.ts';
import { benchInMemory, type InMemoryResult } from './in-memory.ts';
import { RECEIVERS, type ReceiverKind, startReceiver } from './receivers.ts';
import { createSender, type Sender } from './sender.ts';

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
});

/** Datagrams a second that are tried, and for how long each. */
const RATES = flags.quick ? [10_000] : [20_000, 40_000, 60_000, 80_000, 100_000, 120_000, 140_000];
const SEND_SECONDS = flags.quick ? 1 : 4;
const WARM_UP_SECONDS = flags.quick ? 0.3 : 2;
const DECODE_SECONDS = flags.quick ? 0.3 : 2;
const WARM_UP_RATE = 10_000;
const FIRST_PORT = 29_055;
/** How long a receiver may work on what its socket still holds. */
const SETTLE_MS = flags.quick ? 200 : 500;
const README = fileURLToPath(new URL('./README.md', import.meta.url));

interface Step {
  readonly rate: number;
  readonly sent: number;
  readonly dropped: number;
  readonly flowsPerCpuSecond: number;
}

interface ReceiverResult {
  readonly receiver: string;
  readonly version: string;
  readonly steps: readonly Step[];
  readonly skipped: string | null;
}

async function benchReceiver(
  kind: ReceiverKind,
  pool: ExportPool,
  sender: Sender,
  directory: string,
  port: number,
  receiveBuffer: number,
): Promise<ReceiverResult> {
  const head = { receiver: kind.name, version: pool.name };
  if (kind.missing !== null) return { ...head, steps: [], skipped: kind.missing };
  const poolPath = join(directory, `${pool.name}.pool`);
  await writeFile(poolPath, poolFile(pool));
  const running = await startReceiver(
    kind,
    join(directory, `${kind.name}-${pool.name}`),
    port,
    receiveBuffer,
  );
  const steps: Step[] = [];
  try {
    await sender.send(port, WARM_UP_RATE, WARM_UP_SECONDS, pool, poolPath);
    await sleep(SETTLE_MS);
    for (const rate of RATES) {
      const [cpuBefore, dropsBefore] = [running.cpuSeconds(), await running.drops()];
      const sent = await sender.send(port, rate, SEND_SECONDS, pool, poolPath);
      await sleep(SETTLE_MS);
      const cpu = running.cpuSeconds() - cpuBefore;
      const dropped = (await running.drops()) - dropsBefore;
      steps.push({
        rate,
        sent,
        dropped,
        flowsPerCpuSecond: ((sent - dropped) * RECORDS) / Math.max(cpu, 0.01),
      });
      say(`${kind.name} ${pool.name} ${rate}/s: ${sent} sent, ${dropped} dropped, ${cpu.toFixed(2)} s CPU`);
      if (dropped > sent / 10) break;
    }
  } finally {
    const said = await running.stop();
    if (kind.name === 'rogue-smtp') say(said.trim());
  }
  return { ...head, steps, skipped: null };
}

/** The highest rate up to which nothing was lost. */
function lossless(steps: readonly Step[]): Step | null {
  const firstLoss = steps.findIndex((step) => step.dropped > 0);
  return steps.at(firstLoss < 0 ? -1 : firstLoss - 1) ?? null;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

const millions = (value: number) => `${(value / 1e6).toFixed(1)} M`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function inMemoryTable(results: readonly InMemoryResult[]): string {
  return table(
    ['export', 'decoder alone', 'with mail filter and Native blocks'],
    results.map((result) => [result.version, millions(result.decode), millions(result.toNative)]),
  );
}

function receiverTable(results: readonly ReceiverResult[]): string {
  return table(
    [
      'receiver',
      'export',
      'lossless datagrams/s',
      'lossless flows/s',
      'flows per CPU-second there',
      'drops by rate',
    ],
    results.map((result) => {
      if (result.skipped !== null) return [result.receiver, result.version, result.skipped, '', '', ''];
      const best = result.steps[0]?.dropped === 0 ? lossless(result.steps) : null;
      const drops = result.steps
        .filter((step) => step.dropped > 0)
        .map((step) => `${step.rate}: ${((100 * step.dropped) / step.sent).toFixed(1)} %`);
      if (best === null)
        return [result.receiver, result.version, `none of ${RATES[0]}`, '', '', drops.join(', ')];
      return [
        result.receiver,
        result.version,
        `${best.rate}${drops.length === 0 ? ' and more' : ''}`,
        millions(best.rate * RECORDS),
        millions(best.flowsPerCpuSecond),
        drops.join(', '),
      ];
    }),
  );
}

async function receiveBufferLimit(): Promise<number> {
  const limit = Number(await readFile('/proc/sys/net/core/rmem_max', 'utf8').catch(() => ''));
  return Math.min(limit > 0 ? limit : 212_992, 64 * 1024 * 1024);
}

const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-bench-'));
try {
  const pools = createPools();
  const sender = await createSender(directory);
  const receiveBuffer = await receiveBufferLimit();
  const inMemory = pools.map((pool) => benchInMemory(pool, DECODE_SECONDS));
  const received: ReceiverResult[] = [];
  let port = FIRST_PORT;
  for (const pool of pools) {
    for (const kind of RECEIVERS)
      received.push(await benchReceiver(kind, pool, sender, directory, port++, receiveBuffer));
  }
  const report = [
    `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, Linux ${release()}, Node ${process.version},`,
    `${new Date().toISOString().slice(0, 10)}${flags.quick ? ', --quick: a smoke test, no measurement' : ''}.`,
    `${RECORDS} records a datagram; sender: ${sender.name}; receive buffer ${receiveBuffer} bytes for all;`,
    `${SEND_SECONDS} s at each rate: ${RATES.join(', ')} datagrams/s.`,
    '',
    'Decoding in memory, flows per CPU-second:',
    '',
    inMemoryTable(inMemory),
    'Receiving over the loopback:',
    '',
    receiverTable(received),
  ].join('\n');
  process.stdout.write(report);
  if (flags.write) {
    const intro = (await readFile(README, 'utf8')).split('## Results')[0];
    await writeFile(README, `${intro}## Results\n\n${report}`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
