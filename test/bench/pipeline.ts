/**
 * The whole path in one process: `rogue-smtp run` with its defaults, from UDP to the embedded store and to alerts.
 *
 * What counts is what is in the store and when, as the service itself tells and as the table holds; datagrams that the
 * kernel dropped are told beside it. Alerts are timed from the sending of a host's first datagram until a client that
 * follows them has read it.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLoad, MAIL_SERVER, startNewcomers } from '../support/network-load.ts';
import { cpuSecondsOf, diskBytesOf, peakMemoryOf } from '../support/processes.ts';
import { type RunningService, startService } from '../support/service.ts';
import type { Sender } from './sender.ts';

export interface PipelineResult {
  readonly archive: 'all' | 'mail';
  /** Flows offered a second, and for how long. */
  readonly offered: number;
  readonly seconds: number;
  readonly sent: number;
  readonly kernelDropped: number;
  readonly received: number;
  readonly stored: number;
  /** Flows a second until the last one was stored. */
  readonly storedPerSecond: number;
  /** From the end of sending until everything was stored. */
  readonly drainSeconds: number;
  /** Share of a core, of all its processes, while it was sent to and until all was stored. */
  readonly cores: number;
  readonly peakMemory: number;
  /** Of the store on disk, for each stored flow. */
  readonly bytesAFlow: number;
}

const RECORDS = 30;
/** So often the number of stored flows is the same, so long apart, before it counts as final. */
const SETTLED_LOOKS = 15;
const LOOK_MS = 200;

async function withService<Result>(
  archive: 'all' | 'mail',
  work: (service: RunningService, directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-pipeline-'));
  const service = await startService({
    directory,
    config: `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: ["${MAIL_SERVER}"] }]
log: { level: error }
`,
    env: { ROGUE_SMTP__COLLECTOR__ARCHIVE: archive },
  });
  try {
    return await work(service, join(directory, 'data'));
  } finally {
    await service.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Offers `offered` flows a second of v5 for so many seconds and waits until everything is stored. */
export function benchPipeline(
  sender: Sender,
  archive: 'all' | 'mail',
  offered: number,
  seconds: number,
): Promise<PipelineResult> {
  return withService(archive, async (service, directory) => {
    const pid = service.process.pid ?? 0;
    const load = createLoad().v5;
    const cpuBefore = cpuSecondsOf(pid);
    const started = performance.now();
    const datagrams = await sender.send(service.udpPort, offered / RECORDS, seconds, load);
    const sentAt = performance.now();
    let stored = -1;
    let storedAt = sentAt;
    for (let same = 0; same < SETTLED_LOOKS; ) {
      const now = Number((await service.ask('SELECT count() FROM flows', 'TSV')).trim());
      if (now === stored) same++;
      else {
        same = 0;
        stored = now;
        storedAt = performance.now();
      }
      await sleep(LOOK_MS);
    }
    const received = await service.metric('rogue_smtp_flows_decoded_total');
    return {
      archive,
      offered,
      seconds,
      sent: datagrams * RECORDS,
      kernelDropped: (await service.metric('rogue_smtp_kernel_drops_total')) * RECORDS,
      received,
      stored,
      storedPerSecond: (archive === 'all' ? stored : received) / ((storedAt - started) / 1000),
      drainSeconds: (storedAt - sentAt) / 1000,
      cores: (cpuSecondsOf(pid) - cpuBefore) / ((performance.now() - started) / 1000),
      peakMemory: peakMemoryOf(pid),
      bytesAFlow: diskBytesOf(join(directory, 'store')) / Math.max(1, stored),
    };
  });
}

export interface LatencyResult {
  readonly offered: number;
  readonly hosts: number;
  readonly alerted: number;
  /** Milliseconds, ascending. */
  readonly waits: readonly number[];
}

/** Under a load of `offered` flows a second, hosts that begin to send mail: how long until their alert is read. */
export function benchLatency(sender: Sender, offered: number, seconds: number): Promise<LatencyResult> {
  return withService('all', async (service) => {
    const first = new Map<string, number>();
    const stop = new AbortController();
    const alerts = await service.client.follow(stop.signal);
    const following = (async () => {
      for await (const alert of alerts)
        if (alert.host !== null && !first.has(alert.host)) first.set(alert.host, Date.now());
    })().catch(() => undefined);
    const newcomers = startNewcomers(service.udpPort, 100);
    await sender.send(service.udpPort, offered / RECORDS, seconds, createLoad().v5);
    // Hosts of the last moment, without load, would flatter.
    const hosts = [...newcomers.begun].filter(([, at]) => at < Date.now() - 2000);
    await newcomers.stop();
    await sleep(2000);
    stop.abort();
    await following;
    const waits = hosts
      .flatMap(([host, from]) => {
        const until = first.get(host);
        return until === undefined ? [] : [until - from];
      })
      .sort((a, b) => a - b);
    return { offered, hosts: hosts.length, alerted: waits.length, waits };
  });
}
