/** A collector that says on stdout how it receives and where, and that it has decoded a flow, and then ends. */

import pino from 'pino';
import { createCollector } from '../../src/collect/collector.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createFakeStream } from './fake-stream.ts';

const config = configSchema.parse({ data: process.argv[2], collector: { listen: ['127.0.0.1:0'] } });
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
const log = pino(
  { level: 'info' },
  {
    write(line: string) {
      const { msg, oneByOne = null } = JSON.parse(line);
      if (msg === 'receiving flow exports') say({ oneByOne });
    },
  },
);
const collector = createCollector(config, { stream: createFakeStream(), log, now: Date.now });
const [{ port }] = await collector.start();
say({ port });
while (collector.counters.flows === 0) await new Promise((resolve) => setTimeout(resolve, 10));
say({ flows: collector.counters.flows });
await collector.stop();
