/** What a page in the operator's browser, and a client that means harm, can do to the HTTP server: nothing. */

import { Agent, get, type IncomingMessage, request } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClickHouseEndpoint } from '../../src/http/clickhouse/endpoint.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { startHttpServer, stopHttpServers } from '../support/http-server.ts';

const TOKEN = 'correct-horse-battery';
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await stopHttpServers();
});

function send(
  url: string,
  options: { method?: string; headers?: Record<string, string | string[]>; localAddress?: string } = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('a request that a page of another site caused', () => {
  const PATHS = [
    '/',
    '/healthz',
    '/readyz',
    '/metrics',
    '/api/v1/status',
    '/api/v1/offenders',
    '/api/v1/acl',
    '/v1/lists/offenders.v4.txt',
    '/v1/acl/edge',
    '/events',
    '/nowhere',
    '/clickhouse',
    '/clickhouse/ping',
    '/clickhouse/?query=SELECT+1',
  ];
  const FOREIGN: (string | string[])[] = [
    'cross-site',
    'same-site',
    '',
    'SAME-ORIGIN',
    'same-origin, cross-site',
    ['same-origin', 'cross-site'],
    'websocket',
  ];
  const endpoint = createClickHouseEndpoint(
    { token: undefined, database: 'rogue_smtp' },
    { query: async () => new Uint8Array(), onError: () => undefined },
  );

  it.each(['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'DELETE'])('is refused: %s', async (method) => {
    const base = await startHttpServer(undefined, { clickhouse: endpoint.fetch });
    for (const path of PATHS)
      for (const site of FOREIGN)
        expect([
          path,
          site,
          await send(base + path, { method, headers: { 'Sec-Fetch-Site': site } }),
        ]).toEqual([path, site, 403]);
  });

  it('is refused with the right token, too: a browser adds what it remembers', async () => {
    const base = await startHttpServer(TOKEN, {});
    const headers = { Authorization: `Basic ${btoa(`x:${TOKEN}`)}` };
    expect(await send(`${base}/metrics`, { headers })).toBe(200);
    expect(await send(`${base}/metrics`, { headers: { ...headers, 'Sec-Fetch-Site': 'cross-site' } })).toBe(
      403,
    );
  });

  it('is told from one of its own page, of the address bar, and of a program', async () => {
    const base = await startHttpServer(undefined, { clickhouse: endpoint.fetch });
    for (const headers of [{}, { 'Sec-Fetch-Site': 'same-origin' }, { 'Sec-Fetch-Site': 'none' }])
      for (const path of ['/', '/healthz', '/metrics', '/v1/acl/edge', '/clickhouse/ping', '/events'])
        expect([path, await send(base + path, { headers })]).toEqual([path, 200]);
  });
});

describe('a place at /events', () => {
  const listeners = new Set<(alert: Alert) => void>();
  let base: string;
  beforeEach(async () => {
    listeners.clear();
    base = await startHttpServer(undefined, {
      onAlert: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    });
  });

  function listen(localAddress = '127.0.0.1'): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = get(`${base}/events`, { localAddress, agent: new Agent() }, resolve);
      asked.on('error', reject);
      asked.on('socket', (socket) => sockets.push(socket));
    });
  }

  /** A request as it stands on the wire, by somebody who then does as he likes. */
  function raw(text: string): Promise<Socket> {
    return new Promise((resolve) => {
      const socket = createConnection(Number(new URL(base).port), '127.0.0.1', () => {
        socket.write(text);
        resolve(socket);
      });
      socket.on('error', () => undefined);
      sockets.push(socket);
    });
  }
  const REQUEST = 'GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  const everyoneLeft = () => expect.poll(() => listeners.size, { timeout: 5000 }).toBe(0);
  const canListen = async () => {
    const response = await listen();
    expect(response.statusCode).toBe(200);
    response.destroy();
  };

  it('is not taken by HEAD, however often', async () => {
    for (let i = 0; i < 150; i++) expect(await send(`${base}/events`, { method: 'HEAD' })).toBe(200);
    expect(listeners.size).toBe(0);
    await canListen();
  });

  it('is free again after a client that broke off before the answer, or in the middle', async () => {
    for (let i = 0; i < 80; i++) {
      const socket = await raw(REQUEST);
      if (i % 2 === 0) await new Promise((resolve) => socket.once('data', resolve));
      socket.resetAndDestroy();
    }
    await everyoneLeft();
    await canListen();
  });

  it('is free again after a client that closed its half of the connection', async () => {
    const socket = await raw(REQUEST);
    await expect.poll(() => listeners.size).toBe(1);
    socket.end();
    await everyoneLeft();
  });

  it('is free again after a client that never reads, once too much waits for it', async () => {
    const socket = await raw(REQUEST);
    socket.pause();
    await expect.poll(() => listeners.size).toBe(1);
    const alert = { alert_id: 'a', kind: 'opened', host: 'x'.repeat(20_000) } as Alert;
    for (let i = 0; i < 5000 && listeners.size > 0; i++) {
      for (const listener of listeners) listener(alert);
      if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await everyoneLeft();
    socket.resume();
    await expect.poll(() => socket.closed, { timeout: 5000 }).toBe(true);
  });

  it('is not to be had for one address that has its share, and is for another', async () => {
    const mine = [];
    for (let i = 0; i < 20; i++) mine.push(await listen());
    expect(mine.map(({ statusCode }) => statusCode)).toEqual([...Array(16).fill(200), ...Array(4).fill(503)]);
    const other = await listen('127.0.0.2');
    expect(other.statusCode).toBe(200);
    mine[0].destroy();
    await expect.poll(() => listeners.size).toBe(16);
    await canListen();
  });
});

it('one address cannot take all connections', async () => {
  const base = await startHttpServer();
  const port = Number(new URL(base).port);
  for (let i = 0; i < 300; i++) {
    const socket = createConnection(port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
  }
  await expect.poll(() => sockets.filter(({ closed }) => closed).length, { timeout: 10_000 }).toBe(172);
  expect(await send(`${base}/healthz`, { localAddress: '127.0.0.2' })).toBe(200);
});
