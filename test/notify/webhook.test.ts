/** Webhooks to servers that are slow, dead, or lie. */

import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSender } from '../../src/notify/create-sender.ts';
import { alertMessageFor } from '../../src/notify/message.ts';
import type { SendResult } from '../../src/notify/sender.ts';
import { alertOf, NOON, webhookOf } from '../support/notifying.ts';

const message = alertMessageFor('hook', alertOf('10.0.0.1'), null);
const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-webhook-'));
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const send = (port: number, more: Readonly<Record<string, unknown>> = {}): Promise<SendResult> =>
  createSender(
    webhookOf({ url: `http://127.0.0.1:${port}/in?token=hidden`, timeout: '800ms', ...more }),
    '1',
    () => NOON,
  ).send(message, new AbortController().signal);
const http = (listener: RequestListener) => listen(createServer(listener));
const tcp = (onConnection: (socket: Socket) => void) => listen(createTcpServer(onConnection));

describe('a webhook', () => {
  it('is a signed POST with an id that stays the same', async () => {
    const secret_file = join(directory, 'secret');
    const token_file = join(directory, 'token');
    writeFileSync(secret_file, 'k3y\n');
    writeFileSync(token_file, 'bearer-token\n');
    const seen: { headers: Readonly<Record<string, unknown>>; body: string }[] = [];
    const port = await http(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      seen.push({ headers: request.headers, body });
      response.end('thanks\u001b[31m');
    });
    expect(await send(port, { secret_file, token_file })).toEqual({
      ok: true,
      answer: 'HTTP 200: thanks?[31m',
    });
    await send(port, { secret_file, token_file });
    const [{ headers, body }, again] = seen;
    expect(JSON.parse(body)).toEqual(JSON.parse(JSON.stringify(message.alert)));
    const timestamp = String(NOON / 1000);
    expect(headers).toMatchObject({
      authorization: 'Bearer bearer-token',
      'idempotency-key': message.id,
      'x-rogue-smtp-timestamp': timestamp,
      'x-rogue-smtp-signature': `sha256=${createHmac('sha256', 'k3y').update(`${timestamp}.${body}`).digest('hex')}`,
    });
    expect(again.headers['idempotency-key']).toBe(message.id);
  });

  it('does not follow a redirect', async () => {
    let followed = 0;
    const elsewhere = await http((_request, response) => {
      followed++;
      response.end();
    });
    const port = await http((_request, response) => {
      response.writeHead(307, { Location: `http://127.0.0.1:${elsewhere}/` }).end();
    });
    expect(await send(port)).toMatchObject({ ok: false, refused: false });
    expect(followed).toBe(0);
  });

  it('waits as Retry-After says', async () => {
    const port = await http((_request, response) => {
      response.writeHead(429, { 'Retry-After': '7' }).end('slow down');
    });
    expect(await send(port)).toEqual({
      ok: false,
      refused: false,
      reason: 'HTTP 429: slow down',
      retryAfterMs: 7000,
    });
  });

  it('tells a message that is refused from a receiver that fails', async () => {
    const port = await http((request, response) => {
      response.writeHead(Number(new URL(request.url ?? '', 'http://a').searchParams.get('status'))).end();
    });
    const refused = async (status: number) =>
      await send(port, { url: `http://127.0.0.1:${port}/?status=${status}` });
    expect(await refused(422)).toMatchObject({ ok: false, refused: true });
    for (const status of [401, 404, 500, 503])
      expect(await refused(status)).toMatchObject({ ok: false, refused: false });
  });

  it('reads little of an endless answer, and does not wait for a slow one', async () => {
    let written = 0;
    const endless = await http((_request, response) => {
      response.writeHead(200, { 'Content-Length': String(10 * 1024 ** 3) });
      const more = () => {
        while (!response.destroyed) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536, 'x'))) break;
        }
      };
      response.on('drain', more);
      more();
    });
    const result = await send(endless);
    expect(result.ok).toBe(true);
    expect(result.ok && result.answer.length).toBeLessThan(400);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    const slow = await http((_request, response) => {
      response.writeHead(200);
      response.write('a');
    });
    expect(await send(slow, { timeout: '20s' })).toEqual({ ok: true, answer: 'HTTP 200: a' });
  });

  it.each<readonly [string, (socket: Socket) => void, RegExp]>([
    ['never answers', () => undefined, /no answer within 800 ms/],
    ['closes at once', (socket) => socket.destroy(), /ECONNRESET|socket hang up/],
    ['answers garbage', (socket) => void socket.end('\u0000\u0001garbage\r\n\r\n'), /Parse Error|HPE_/],
    [
      'closes within the headers',
      (socket) => void socket.end('HTTP/1.1 200 OK\r\nX-A: '),
      /ECONNRESET|socket hang up|Parse Error/,
    ],
    [
      'sends headers without end',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const more = setInterval(() => socket.write(`X: ${'a'.repeat(1000)}\r\n`), 1);
        socket.once('close', () => clearInterval(more));
      },
      /Parse Error|Header overflow|no answer/,
    ],
    [
      'says 100 for ever',
      (socket) => {
        const more = setInterval(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'), 20);
        socket.once('close', () => clearInterval(more));
      },
      /no answer within 800 ms/,
    ],
  ])(
    'to a server that %s fails within its time, without the URL in the reason',
    async (_what, serve, reason) => {
      const port = await tcp(serve);
      const result = await send(port);
      expect(result).toMatchObject({ ok: false, refused: false, reason: expect.stringMatching(reason) });
      expect(JSON.stringify(result)).not.toContain('hidden');
    },
  );

  it('to nobody fails', async () => {
    const port = await tcp(() => undefined);
    for (const close of closers.splice(0)) close();
    expect(await send(port)).toMatchObject({ ok: false, reason: expect.stringContaining('ECONNREFUSED') });
  });
});
