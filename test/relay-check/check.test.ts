/** Servers that do what no server should; real ones are in test/e2e/relay-check.test.ts. */

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { relayCheck } from '../../src/relay-check/check.ts';
import { connectTo } from '../../src/relay-check/dialogue.ts';
import { connectThrough } from '../../src/relay-check/socks.ts';

let server: Server | null = null;
afterEach(async () => {
  server?.close();
  server = null;
});

async function listening(onConnection: (socket: Socket) => void): Promise<number> {
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const REQUEST = {
  recipient: 'you@example.org',
  domain: 'example.net',
  name: 'me',
  replyMs: 300,
  nowMs: Date.now(),
};
const asked = (port: number) => relayCheck(() => connectTo('127.0.0.1', port, 300), REQUEST);

describe('hostile servers', () => {
  it.each<[string, (socket: Socket) => void, RegExp]>([
    ['says nothing', () => undefined, /no reply within/],
    [
      'says one octet at a time',
      (socket) => void setInterval(() => socket.write('2'), 20).unref(),
      /no reply within/,
    ],
    [
      'never ends its reply',
      (socket) => void socket.write('220-x\r\n'.repeat(10_000)),
      /more than 16384 octets/,
    ],
    [
      'speaks something else',
      (socket) => void socket.write('SSH-2.0-x\r\n'),
      /no SMTP server: it said "SSH-2\.0-x"/,
    ],
    ['takes nobody', (socket) => void socket.write('554 no\r\n'), /greets with 554/],
    ['hangs up', (socket) => socket.destroy(), /closed the connection|ECONNRESET/],
  ])('%s', async (_name, behave, why) => {
    let closed: Promise<unknown> = Promise.resolve();
    const port = await listening((socket) => {
      closed = new Promise((resolve) => socket.resume().once('close', resolve));
      behave(socket);
    });
    await expect(asked(port)).rejects.toThrow(why);
    // A connection left open would keep the command from ending.
    await closed;
  });

  it('says so where nobody listens', async () => {
    const port = await listening(() => undefined);
    server?.close();
    await expect(asked(port)).rejects.toThrow(/ECONNREFUSED/);
  });
});

/** Answers by the first word of a command. */
const scripted =
  (answers: Readonly<Record<string, string>>, said: string[] = []) =>
  (socket: Socket) => {
    socket.write('220 mx.example.net\r\n');
    socket.on('data', (chunk) => {
      for (const line of String(chunk).split('\r\n').filter(Boolean)) {
        said.push(line);
        socket.write(`${answers[line.split(/[ :]/)[0]] ?? '250 ok'}\r\n`);
      }
    });
  };

describe('what is tried', () => {
  it('never comes to a message', async () => {
    const said: string[] = [];
    const found = await asked(await listening(scripted({}, said)));
    expect(said.some((line) => /^(DATA|BDAT|AUTH|VRFY)/.test(line))).toBe(false);
    expect(said.filter((line) => line.startsWith('RCPT'))).toHaveLength(8);
    expect(found.filter(({ verdict }) => verdict === 'bad').map(({ text }) => text)).toEqual([
      expect.stringMatching(/no STARTTLS/),
      expect.stringMatching(/takes mail for others/),
      expect.stringMatching(/unknown recipient/),
    ]);
  });

  it('takes a server that puts off for neither open nor closed', async () => {
    const found = await asked(await listening(scripted({ RCPT: '450 greylisted' })));
    expect(found.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/^It put one off .*450 greylisted/),
    );
  });

  it('does not believe what came before TLS began', async () => {
    const port = await listening((socket) => {
      socket.write('220 mx\r\n');
      socket.on('data', (chunk) => {
        const line = String(chunk);
        if (line.startsWith('STARTTLS')) socket.write('220 go\r\n250 injected\r\n');
        else socket.write('250-mx\r\n250 STARTTLS\r\n');
      });
    });
    const found = await asked(port);
    expect(found.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/^STARTTLS does not come to an end/),
    );
  });
});

it('goes through a SOCKS proxy', async () => {
  const target = createServer(scripted({ RCPT: '550 no' }));
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const address = target.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const proxy = await listening((client) => {
    let step = 0;
    client.on('data', (chunk) => {
      if (step++ === 0) client.write(Uint8Array.of(5, 0));
      else if (step === 2) {
        const data = Buffer.from(chunk);
        expect([...data.subarray(0, 8)]).toEqual([5, 1, 0, 1, 127, 0, 0, 1]);
        expect(data.readUInt16BE(8)).toBe(port);
        void connectTo('127.0.0.1', port, 300).then((through) => {
          client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
          client.removeAllListeners('data');
          client.pipe(through).pipe(client);
        });
      }
    });
  });
  const found = await relayCheck(connectThrough(`127.0.0.1:${proxy}`, '127.0.0.1', port, 300), REQUEST);
  expect(found).toContainEqual({
    verdict: 'good',
    text: 'It takes no mail for example.org in 7 forms of the address.',
  });
  target.close();
});
