/**
 * Run by kill.test.ts in a process of its own: publishes without end, and prints the number of each message once it is
 * acknowledged. Arguments: directory, first number.
 */

import { writeSync } from 'node:fs';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';

const [directory, first] = process.argv.slice(2);
const quiet = { info() {}, warn() {}, error() {} };
const stream = createLocalStream({
  directory,
  maxBytesPerStream: 1 << 30,
  now: Date.now,
  log: quiet,
  streams: { mail: { sealMessages: 100, sealAgeMs: 5 }, incidents: { sealMessages: 20, sealBytes: 20_000 } },
});
await stream.start();
// A reader by segment makes seals, commits and removals happen all the time.
const subscription = await stream.subscribe({
  streams: ['mail'],
  group: 'store',
  unit: 'segment',
  onDelivery: async ({ firstOffset, lastOffset }) => {
    if (firstOffset % 3 === 0) await subscription.commit('mail', 0, lastOffset);
  },
});

async function publisher(lane: number): Promise<void> {
  for (let i = Number(first) + lane; ; i += 4) {
    const value = Buffer.from(`${i}`.padEnd(50 + (i % 300), '.'));
    await stream.publish('mail', [{ key: '', id: '', rows: 1, value }]);
    await stream.publish('incidents', [{ key: `lane${lane}`, id: '', rows: 1, value }]);
    writeSync(1, `${i}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(publisher));
