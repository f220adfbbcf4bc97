/** What `check` says of addresses that the service is to listen on. */

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listening } from '../../src/cli/check.ts';
import { configSchema } from '../../src/config/schema.ts';

async function takenUdp(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  onTestFinished(() => void socket.close());
  return socket.address().port;
}

async function takenTcp(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('check', () => {
  it('says which of its addresses are taken, and gives the others back', async () => {
    const [udp, tcp] = [await takenUdp(), await takenTcp()];
    const config = configSchema.parse({
      collector: { listen: ['127.0.0.1:0', `127.0.0.1:${udp}`] },
      http: { listen: `127.0.0.1:${tcp}` },
      clickhouse: { listen: '127.0.0.1:0' },
    });
    for (const time of ['first', 'second'])
      expect([time, ...(await listening(config))]).toEqual([
        time,
        { level: 'ok', text: 'collector.listen: UDP 127.0.0.1:0 is free' },
        { level: 'FAIL', text: expect.stringContaining(`UDP 127.0.0.1:${udp} is taken by another program`) },
        {
          level: 'FAIL',
          text: expect.stringContaining(`http.listen: TCP 127.0.0.1:${tcp} is taken by another program`),
        },
        { level: 'ok', text: 'clickhouse.listen: TCP 127.0.0.1:0 is free' },
      ]);
  });

  it('takes one port on IPv4 and IPv6 for two addresses', async () => {
    const port = await takenUdp();
    const config = configSchema.parse({
      collector: { listen: [`127.0.0.2:${port}`, `[::1]:${port}`] },
      http: { listen: '127.0.0.1:0' },
    });
    expect((await listening(config)).map(({ level }) => level)).toEqual(['ok', 'ok', 'ok']);
  });
});
