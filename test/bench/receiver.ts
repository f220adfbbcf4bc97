/**
 * The collector by itself, on a stream that takes everything and keeps nothing; the benchmark measures this process.
 *
 * Arguments: data directory, UDP port, receive buffer in bytes, what of the flows goes out (`all` or `mail`), and how it
 * receives (`auto` or `node`).
 */

import pino from 'pino';
import { createCollector } from '../../src/collect/collector.ts';
import { configSchema } from '../../src/config/schema.ts';
import { allowHeapGrowth } from '../../src/service/heap-growth.ts';
import { createFakeStream } from '../support/fake-stream.ts';

const [directory, port, receiveBuffer, archive, receiver] = process.argv.slice(2);
const config = configSchema.parse({
  data: directory,
  collector: { listen: [`127.0.0.1:${port}`], receive_buffer: `${receiveBuffer}B`, archive, receiver },
});
// As the service does.
allowHeapGrowth();
const stream = createFakeStream();
stream.publish = async (_name, messages) => ({
  accepted: messages.reduce((sum, message) => sum + message.rows, 0),
  dropped: 0,
});
const collector = createCollector(config, {
  stream,
  log: pino({ level: 'silent' }),
  now: Date.now,
});
await collector.start();
process.on('SIGTERM', async () => {
  await collector.stop();
  const { datagrams, flows, published, recordsDropped } = collector.counters;
  process.stdout.write(`${JSON.stringify({ datagrams, flows, published, recordsDropped })}\n`);
  process.exit(0);
});
