/** Mail, syslog and programs as targets, against peers on loopback. */

import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { createSender } from '../../src/notify/create-sender.ts';
import { alertMessageFor } from '../../src/notify/message.ts';
import { alertOf, NOON, type TargetInput, targetsOf } from '../support/notifying.ts';

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-senders-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const message = alertMessageFor('x', alertOf('10.0.0.1', { reasons: ['.', 'Größe "]'] }), null);
const send = (target: TargetInput) =>
  createSender(targetsOf(target)[0], '1', () => NOON).send(message, new AbortController().signal);

/** What clients said, by connection. */
async function tcpPeer(answer: (line: string) => string | null, greeting = '') {
  const heard: string[] = [];
  const server = createServer((socket) => {
    const at = heard.push('') - 1;
    socket.on('error', () => undefined);
    if (greeting !== '') socket.write(greeting);
    socket.on('data', (chunk) => {
      heard[at] += chunk.toString();
      const said = answer(heard[at]);
      if (said !== null) socket.write(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { heard, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** An SMTP server of one transaction. */
const smtp = (said: string): string | null => {
  const last = said.trimEnd().split('\r\n').at(-1) ?? '';
  if (said.endsWith('\r\n.\r\n')) return '250 2.0.0 queued as ABC\r\n';
  if (/^(EHLO|MAIL|RCPT|RSET)/.test(last)) return '250 ok\r\n';
  if (last === 'DATA') return '354 go on\r\n';
  return last === 'QUIT' ? '221 bye\r\n' : null;
};

describe('syslog', () => {
  it('over TCP counts octets', async () => {
    const peer = await tcpPeer(() => null);
    expect(
      await send({ type: 'syslog', name: 's', host: '127.0.0.1', port: peer.port, transport: 'tcp' }),
    ).toMatchObject({
      ok: true,
    });
    const [, length, text] = /^(\d+) (<131>1 .*)$/s.exec(peer.heard[0]) ?? [];
    expect(Buffer.byteLength(text)).toBe(Number(length));
    expect(text).toContain('Größe "]');
    peer.close();
  });

  it('over UDP is one datagram, and hears that nobody listens', async () => {
    const socket = createSocket('udp4');
    const heard: string[] = [];
    socket.on('message', (datagram) => heard.push(datagram.toString()));
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    const target = { type: 'syslog', name: 's', host: '127.0.0.1', port } as const;
    expect(await send(target)).toMatchObject({ ok: true });
    expect(heard).toHaveLength(1);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    expect(await send(target)).toMatchObject({ ok: false, reason: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('mail', () => {
  const target = (port: number, more: object = {}): TargetInput => ({
    type: 'mail',
    name: 'm',
    host: '127.0.0.1',
    port,
    tls: 'none',
    timeout: '800ms',
    from: 'rogue-smtp@example.org',
    to: ['noc@example.org', 'b@example.org'],
    ...more,
  });

  it('is plain text with the headers of its thread, and nothing of the network outside of text', async () => {
    const peer = await tcpPeer(smtp, '220 mx ESMTP\r\n');
    expect(await send(target(peer.port))).toEqual({ ok: true, answer: '250 2.0.0 queued as ABC' });
    const [said] = peer.heard;
    expect(said).toContain(`Message-ID: <${message.id}@example.org>`);
    expect(said).toContain('Auto-Submitted: auto-generated');
    expect(said).toMatch(/Content-Type: text\/plain/);
    // A line that is one dot would end the message (RFC 5321 section 4.5.2).
    expect(said).toContain('\r\n..\r\n');
    expect(said.match(/^RCPT TO:.*$/gm)).toHaveLength(2);
    peer.close();
  });

  it('is not sent without TLS where STARTTLS is asked for', async () => {
    const peer = await tcpPeer(smtp, '220 mx ESMTP\r\n');
    expect(await send(target(peer.port, { tls: 'starttls' }))).toMatchObject({ ok: false });
    expect(peer.heard.join('')).not.toContain('MAIL FROM');
    peer.close();
  });

  it('to a server that says nothing ends within its time', async () => {
    const peer = await tcpPeer(() => null);
    const from = performance.now();
    expect(await send(target(peer.port))).toMatchObject({ ok: false });
    expect(performance.now() - from).toBeLessThan(10_000);
    peer.close();
  });
});

describe('a program', () => {
  it('gets the alert on stdin, and arguments as they are', async () => {
    const out = join(directory, 'out');
    const script = `const fs = require('fs'); fs.writeFileSync(${JSON.stringify(out)}, JSON.stringify([process.argv.slice(1), fs.readFileSync(0, 'utf8')])); console.log('noted')`;
    const command = [process.execPath, '-e', script, '$(id); `id`'];
    expect(await send({ type: 'exec', name: 'e', command })).toEqual({ ok: true, answer: 'noted' });
    const [argv, input] = JSON.parse(readFileSync(out, 'utf8'));
    expect(argv).toEqual(['$(id); `id`']);
    expect(JSON.parse(input)).toEqual(JSON.parse(JSON.stringify(message.alert)));
  });

  it('that hangs is ended with what it has started', async () => {
    const pidFile = join(directory, 'pid');
    const command = ['/bin/sh', '-c', `sleep 60 & echo $! > ${pidFile}; wait`];
    expect(await send({ type: 'exec', name: 'e', command, timeout: '400ms' })).toMatchObject({
      ok: false,
      reason: 'it did not end within 400 ms',
    });
    await sleep(200);
    const state = (() => {
      try {
        return readFileSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}/stat`, 'utf8');
      } catch {
        return 'gone';
      }
    })();
    expect(state).toMatch(/^gone$|\) Z /);
  });

  it('that prints without end is bounded, and its failure is told with the end of it', async () => {
    const command = ['/bin/sh', '-c', 'yes | head -c 5000000; echo broken >&2; exit 3'];
    const result = await send({ type: 'exec', name: 'e', command });
    expect(result).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^it ended with exit code 3: .*/),
    });
    expect(JSON.stringify(result).length).toBeLessThan(600);
  });
});
