/**
 * A process that publishes alerts on a local stream and sends them as notifications: DIRECTORY URL COUNT. To be killed in
 * the middle; what it has published before it does not publish again.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { alertMessage } from '../../src/messages/encode.ts';
import { createMetrics } from '../../src/metrics.ts';
import { createBadMessages } from '../../src/service/bad-messages.ts';
import { createNotifying } from '../../src/service/notifying.ts';
import { createStream } from '../../src/stream/open-stream.ts';
import { alertOf } from './notifying.ts';

const [data, url, count] = process.argv.slice(2);
const config = configSchema.parse({
  data,
  notify: [{ type: 'webhook', name: 'hook', url, outbreak: { hosts: 1000 }, timeout: '2s' }],
});
const log = createLogger('silent');
const { stream } = createStream(config, false, log);
await stream.start();
const notifying = createNotifying({
  config,
  stream,
  log,
  now: Date.now,
  metrics: createMetrics(),
  badMessages: createBadMessages({ now: () => performance.now(), note: () => undefined }),
  version: 'test',
});
await notifying.start();
for (let i = 0; i < Number(count); i++) {
  const alert = { ...alertOf(`10.0.0.${i}`, {}, Date.now()), alert_id: `alert-${i}` };
  await stream.publish('alerts', [alertMessage(alert)]);
  await sleep(5);
}
