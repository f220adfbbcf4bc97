/** A collector on the sockets that were passed to this process; says on stdout what it listens on and receives. */

import pino from 'pino';
import { createCollector } from '../../src/collect/collector.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createFakeStream } from './fake-stream.ts';

const config = configSchema.parse({ data: process.argv[2], collector: { receive_buffer: '64KiB' } });
const collector = createCollector(config, {
  stream: createFakeStream(),
  log: pino({ level: 'silent' }),
  now: Date.now,
});
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);

say({ listen: await collector.start() });
setInterval(() => {
  const { flows, listeners } = collector.counters;
  say({ flows, listener: listeners[0].name });
}, 50);
