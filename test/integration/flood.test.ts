/**
 * A flood of hostile datagrams: a million random mutations of good exports, and malformed captures where they are at hand.
 * The process stays up within its memory bound, every datagram and every drop is counted, and good exports are still read.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import { type RunningService, sendDatagrams, startService } from '../support/service.ts';

const MUTATIONS = 1_000_000;
const BURST = 4000;
const MEMORY_BOUND_BYTES = 700 * 1024 * 1024;
const CAPTURES = new URL('../fixtures/captures/', import.meta.url).pathname;
const MALFORMED = join(
  process.env.VECTORS_DIR ?? new URL('../../../shared/vectors', import.meta.url).pathname,
  'malformed',
);

let directory: string;
let service: RunningService;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-flood-'));
  service = await startService({
    directory,
    config: 'networks: { internal: [192.0.2.0/24] }\nlog: { level: warn }\n',
  });
});
afterAll(async () => {
  await service.end('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

async function payloads(file: string): Promise<Buffer[]> {
  const out: Buffer[] = [];
  for await (const datagram of readCapture(file)) out.push(Buffer.from(datagram.payload));
  return out;
}

/** xorshift32: the same mutations in every run. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function* mutations(good: readonly Buffer[], count: number): Generator<Buffer> {
  const random = generator(20261124);
  for (let i = 0; i < count; i++) {
    const datagram = Buffer.from(good[random() % good.length]);
    for (let changes = random() % 4; changes >= 0; changes--) {
      const at = random() % datagram.length;
      if (random() % 3 === 0 && at + 1 < datagram.length)
        datagram.writeUInt16BE([0, 1, 4, 0xffff, datagram.length][random() % 5], at);
      else datagram[at] = random();
    }
    yield random() % 8 === 0 ? datagram.subarray(0, random() % datagram.length) : datagram;
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

async function settled(): Promise<number> {
  for (let before = -1; ; await sleep(300)) {
    const received = await service.metric('rogue_smtp_datagrams_received_total');
    if (received === before) return received;
    before = received;
  }
}

/** Sends no faster than is received: what the kernel drops tests nothing. */
async function sendPaced(datagrams: Generator<Buffer>): Promise<number> {
  let sent = 0;
  for (let burst = take(datagrams, BURST); burst.length > 0; burst = take(datagrams, BURST)) {
    sent += await sendDatagrams(service.udpPort, burst);
    for (;;) {
      const received = await service.metric('rogue_smtp_datagrams_received_total');
      if (received + (await service.metric('rogue_smtp_kernel_drops_total')) >= sent) break;
      await sleep(5);
    }
  }
  return sent;
}

function take(datagrams: Generator<Buffer>, count: number): Buffer[] {
  const out: Buffer[] = [];
  for (let next = datagrams.next(); !next.done; next = datagrams.next()) {
    if (out.push(next.value) === count) break;
  }
  return out;
}

describe('a flood of hostile datagrams', () => {
  it('leaves the process up, within its memory, with every datagram accounted for', async () => {
    const names = readdirSync(CAPTURES).filter((name) => /softflowd|pmacctd/.test(name));
    const good = (await Promise.all(names.map((name) => payloads(join(CAPTURES, name))))).flat();
    let sent = await sendPaced(mutations(good, MUTATIONS));
    const malformed = (() => {
      try {
        return readdirSync(MALFORMED).filter((name) => name.endsWith('.pcap'));
      } catch {
        console.log('the malformed captures are not at hand: mutations only');
        return [];
      }
    })();
    for (const name of malformed)
      sent += await sendDatagrams(service.udpPort, await payloads(join(MALFORMED, name)));

    const received = await settled();
    const lost = await service.metric('rogue_smtp_kernel_drops_total');
    expect(service.process.exitCode).toBeNull();
    const resident = residentBytes(service.process.pid ?? 0);
    console.log(
      `sent ${sent}, received ${received}, kernel drops ${lost}, resident ${Math.round(resident / 1e6)} MB`,
    );
    expect(lost).toBeLessThan(sent / 100);
    expect(resident).toBeLessThan(MEMORY_BOUND_BYTES);
    await expect
      .poll(async () => received + (await service.metric('rogue_smtp_kernel_drops_total')), {
        timeout: 20_000,
      })
      .toBe(sent);
    expect(await service.metric('rogue_smtp_records_dropped_total')).toBeGreaterThan(0);
  });

  it('still reads good exports, and every decoded flow is published or counted', async () => {
    const before = await service.metric('rogue_smtp_flows_decoded_total', 'version="v5"');
    await sendDatagrams(service.udpPort, await payloads(join(CAPTURES, 'softflowd-v5.pcap')));
    await settled();
    expect(await service.metric('rogue_smtp_flows_decoded_total', 'version="v5"')).toBeGreaterThan(before);
    await expect
      .poll(async () => {
        const decoded = await service.metric('rogue_smtp_flows_decoded_total');
        const published = await service.metric('rogue_smtp_flows_published_total', 'stream="flows"');
        const backlog = await service.metric('rogue_smtp_records_dropped_total', 'reason="stream_backlog"');
        const cut = await service.metric('rogue_smtp_spool_dropped_flows_total');
        return decoded - published - backlog - cut;
      })
      .toBe(0);
  });
});
