/**
 * A connection through a SOCKS 5 proxy (RFC 1928) without a password: what `ssh -D` opens on a host outside, so that a server is
 * seen from there.
 */

import type { Socket } from 'node:net';
import { RogueSmtpError } from '../errors.ts';
import { isIPv4, parseAddress } from '../flow/address.ts';
import { connectTo } from './dialogue.ts';

/** `proxy`: `HOST:PORT`. Each call of what is returned opens a connection. Throws RogueSmtpError `usage` or `unavailable`. */
export function connectThrough(
  proxy: string,
  address: string,
  port: number,
  timeoutMs: number,
): () => Promise<Socket> {
  const match = /^(.+):(\d{1,5})$/.exec(proxy);
  const bytes = parseAddress(address);
  if (match === null || bytes === null)
    throw new RogueSmtpError(
      'usage',
      '--through: expected HOST:PORT of a SOCKS proxy, such as 127.0.0.1:1080',
    );
  const [, host, proxyPort] = match;
  const target = isIPv4(bytes) ? [1, ...bytes.subarray(12)] : [4, ...bytes];

  return async () => {
    const socket = await connectTo(host.replace(/^\[(.*)\]$/, '$1'), Number(proxyPort), timeoutMs);
    try {
      socket.write(Uint8Array.of(5, 1, 0));
      const [version, method] = await readExactly(socket, 2, timeoutMs);
      if (version !== 5 || method !== 0)
        throw new RogueSmtpError(
          'unavailable',
          `${proxy} is no SOCKS 5 proxy that lets us in without a password`,
        );
      socket.write(Uint8Array.of(5, 1, 0, ...target, port >> 8, port & 255));
      const answer = await readExactly(socket, 4, timeoutMs);
      if (answer[1] !== 0)
        throw new RogueSmtpError(
          'unavailable',
          `${proxy} could not connect to ${address} port ${port} (SOCKS error ${answer[1]})`,
        );
      await readExactly(socket, answer[3] === 4 ? 18 : 6, timeoutMs);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  };
}

/** The next octets and no more: what follows is the server's. */
async function readExactly(socket: Socket, count: number, timeoutMs: number): Promise<Uint8Array> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const chunk = socket.read(count) as Buffer | null;
    if (chunk !== null && chunk.length === count) return chunk;
    if (chunk !== null || socket.readableEnded || socket.destroyed)
      throw new RogueSmtpError('unavailable', 'the proxy closed the connection');
    const left = deadline - Date.now();
    if (left <= 0)
      throw new RogueSmtpError('unavailable', `no answer of the proxy within ${timeoutMs / 1000} s`);
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        for (const event of ['readable', 'end', 'close', 'error']) socket.off(event, done);
        resolve();
      };
      const timer = setTimeout(done, left);
      for (const event of ['readable', 'end', 'close', 'error']) socket.once(event, done);
    });
  }
}
