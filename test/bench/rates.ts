/**
 * What is measured of a receiver at a rate: CPU, drops, memory; and the highest rate that it takes without a drop.
 *
 * A receiver is started anew for each measurement, so that none inherits the state of another.
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExportPool } from './exports.ts';
import { type ReceiverKind, type RunningReceiver, startReceiver } from './receivers.ts';
import type { Sender } from './sender.ts';

export interface Bench {
  readonly directory: string;
  readonly sender: Sender;
  readonly receiveBuffer: number;
  readonly warmUpSeconds: number;
  readonly sendSeconds: number;
  /** How long a receiver may work on what it holds when its socket is empty. */
  readonly settleMs: number;
}

export interface Step {
  readonly rate: number;
  readonly sent: number;
  readonly dropped: number;
  readonly flowsPerCpuSecond: number;
  readonly peakMemory: number;
}

/** A rate that is kept for so long without a drop is called lossless. */
const LIMIT_SECONDS = 2;
const MAX_SETTLE_MS = 10_000;
const WARM_UP_RATE = 20_000;
const FIRST_PORT = 29_055;
let ports = 0;

/** At one rate in datagrams a second. */
export async function measureAt(
  bench: Bench,
  kind: ReceiverKind,
  pool: ExportPool,
  rate: number,
): Promise<Step> {
  const [step] = await withReceiver(bench, kind, pool, async (send) => [await send(rate)]);
  return step;
}

/** The highest rate without a drop between two rates, by bisection to within `within`; 0 when the lower one drops. */
export async function losslessRate(
  bench: Bench,
  kind: ReceiverKind,
  pool: ExportPool,
  { from, to, within }: { readonly from: number; readonly to: number; readonly within: number },
): Promise<number> {
  return withReceiver(bench, kind, pool, async (send) => {
    let [good, bad] = [0, to];
    for (let rate = from; bad - good > within && rate >= from; rate = Math.round((good + bad) / 2)) {
      const { dropped, sent } = await send(rate, LIMIT_SECONDS);
      // A sender that does not get there itself says nothing of the receiver.
      if (dropped === 0 && sent >= 0.97 * rate * LIMIT_SECONDS) good = rate;
      else bad = rate;
    }
    return good;
  });
}

async function withReceiver<T>(
  bench: Bench,
  kind: ReceiverKind,
  pool: ExportPool,
  work: (send: (rate: number, seconds?: number) => Promise<Step>) => Promise<T>,
): Promise<T> {
  const port = FIRST_PORT + ports++;
  const running = await startReceiver(kind, {
    directory: join(bench.directory, `receiver-${port}`),
    port,
    receiveBuffer: bench.receiveBuffer,
    sflow: pool.version === 'sflow',
  });
  try {
    await bench.sender.send(port, WARM_UP_RATE, bench.warmUpSeconds, pool);
    await sleep(bench.settleMs);
    return await work((rate, seconds = bench.sendSeconds) => step(bench, running, port, pool, rate, seconds));
  } finally {
    await running.stop();
  }
}

async function step(
  { sender, settleMs }: Bench,
  running: RunningReceiver,
  port: number,
  pool: ExportPool,
  rate: number,
  seconds: number,
): Promise<Step> {
  const [cpuBefore, dropsBefore] = [running.cpuSeconds(), await running.drops()];
  const sent = await sender.send(port, rate, seconds, pool);
  // What waits in the socket is neither dropped nor received yet; on a busy machine that takes a while.
  for (let waited = 0; running.queued() > 0 && waited < MAX_SETTLE_MS; waited += 50) await sleep(50);
  await sleep(settleMs);
  const cpu = running.cpuSeconds() - cpuBefore;
  const dropped = (await running.drops()) - dropsBefore;
  return {
    rate,
    sent,
    dropped,
    flowsPerCpuSecond: ((sent - dropped) * pool.records) / Math.max(cpu, 0.01),
    peakMemory: running.peakMemory(),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
