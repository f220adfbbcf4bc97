/**
 * A process of its own (node --expose-gc): lets a subscription wait thousands of times and prints how many bytes each
 * wait left in memory after full collections. Argument: a directory.
 */

import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import { keptLog } from './support.ts';

const WARM_UP = 1500;
const WAITS = 4000;
/** Large, so that the newest messages in memory (Tail) reach their bound while it warms up. */
const VALUE = Buffer.alloc(100_000, 'x');

const { gc } = globalThis;
if (gc === undefined) throw new Error('to be run with --expose-gc');

const stream = createLocalStream({
  directory: process.argv[2],
  maxBytesPerStream: 1 << 30,
  now: () => 0,
  log: keptLog(),
});
await stream.start();
let taken: () => void = () => undefined;
const subscription = await stream.subscribe({
  streams: ['mail'],
  group: 'detect',
  unit: 'message',
  async onDelivery({ partition, lastOffset }) {
    await subscription.commit('mail', partition, lastOffset);
    taken();
  },
});

/** One message at a time, so that the reader waits for each. */
async function waits(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const delivered = new Promise<void>((resolve) => {
      taken = resolve;
    });
    await stream.publish('mail', [{ key: '', id: '', value: VALUE, rows: 1 }]);
    await delivered;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function alive(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().heapUsed;
}

await waits(WARM_UP);
const before = await alive();
await waits(WAITS);
const after = await alive();
process.stdout.write(`${(after - before) / WAITS}\n`);
await stream.stop();
