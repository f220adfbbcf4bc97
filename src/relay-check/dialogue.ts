/**
 * One SMTP connection as a client that asks and never sends a message: replies are read with bounds in size and time, since the
 * other side may be anything (RFC 5321 section 4.2, 4.5.3).
 */

import { connect, type Socket } from 'node:net';
import { connect as connectTls, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { messageOf, RogueSmtpError } from '../errors.ts';

export interface Reply {
  readonly code: number;
  /** Text of each line, without its code. */
  readonly lines: readonly string[];
}

export interface TlsFacts {
  readonly protocol: string;
  readonly certificate: DetailedPeerCertificate;
  /** Why the certificate is not trusted; null when it is. */
  readonly untrusted: string | null;
}

export interface Dialogue {
  /** The greeting. */
  readonly greeting: Reply;
  /** Throws RogueSmtpError `unavailable` when no reply comes in time, or one that is none. */
  say(command: string): Promise<Reply>;
  /** After a 220 to STARTTLS. */
  startTls(name: string): Promise<TlsFacts>;
  close(): void;
}

const MAX_REPLY_BYTES = 16_384;
const MAX_LINE_SHOWN = 200;

/** `replyMs`: how long a reply may take. Throws RogueSmtpError `unavailable`, and has closed the socket then. */
export async function openDialogue(socket: Socket, replyMs: number): Promise<Dialogue> {
  let plain: Socket = socket;
  let buffered = '';
  let failure: RogueSmtpError | null = null;
  let wake = () => {};

  const fail = (why: string) => {
    failure ??= new RogueSmtpError('unavailable', why);
    wake();
  };
  function listen(to: Socket): void {
    to.on('data', (chunk: Buffer) => {
      buffered += chunk.toString('latin1');
      if (buffered.length > MAX_REPLY_BYTES) fail(`a reply of more than ${MAX_REPLY_BYTES} octets`);
      wake();
    });
    to.on('error', (error) => fail(messageOf(error)));
    to.on('close', () => fail('the server closed the connection'));
  }
  listen(plain);

  async function read(): Promise<Reply> {
    const deadline = Date.now() + replyMs;
    for (;;) {
      const reply = takeReply();
      if (reply !== null) return reply;
      if (failure !== null) throw failure;
      const left = deadline - Date.now();
      if (left <= 0) throw new RogueSmtpError('unavailable', `no reply within ${replyMs / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Null until a whole reply is there. */
  function takeReply(): Reply | null {
    const lines: string[] = [];
    let at = 0;
    for (;;) {
      const end = buffered.indexOf('\n', at);
      if (end < 0) return null;
      const line = buffered.slice(at, end).replace(/\r$/, '');
      at = end + 1;
      const match = /^(\d{3})([ -]?)(.*)$/.exec(line);
      if (match === null)
        throw new RogueSmtpError(
          'unavailable',
          `that is no SMTP server: it said "${line.slice(0, MAX_LINE_SHOWN)}"`,
        );
      lines.push(match[3].slice(0, MAX_LINE_SHOWN));
      if (match[2] === '-') continue;
      buffered = buffered.slice(at);
      return { code: Number(match[1]), lines };
    }
  }

  // Whoever called has no dialogue to close yet, and a socket left open keeps the process alive.
  const greeting = await read().catch((error: unknown) => {
    plain.destroy();
    throw error;
  });
  return {
    greeting,
    async say(command) {
      if (/[\r\n]/.test(command)) throw new RogueSmtpError('usage', 'a command of two lines');
      if (failure !== null) throw failure;
      plain.write(`${command}\r\n`);
      return read();
    },
    async startTls(name) {
      // What came in plain text after the 220 must not count as said in TLS (CVE-2011-0411).
      buffered = '';
      plain.removeAllListeners('data');
      const secure: TLSSocket = connectTls({ socket: plain, servername: name, rejectUnauthorized: false });
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new RogueSmtpError('unavailable', `no TLS within ${replyMs / 1000} s`)),
          replyMs,
        );
        secure.once('secureConnect', () => {
          clearTimeout(timer);
          resolve();
        });
        secure.once('error', (error) => {
          clearTimeout(timer);
          reject(new RogueSmtpError('unavailable', `TLS failed: ${messageOf(error)}`));
        });
      });
      plain = secure;
      listen(secure);
      return {
        protocol: secure.getProtocol() ?? '',
        certificate: secure.getPeerCertificate(true),
        untrusted: secure.authorized ? null : String(secure.authorizationError),
      };
    },
    close: () => plain.destroy(),
  };
}

/** Throws RogueSmtpError `unavailable`. */
export function connectTo(host: string, port: number, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const fail = (why: string) => {
      socket.destroy();
      reject(new RogueSmtpError('unavailable', `${host} port ${port}: ${why}`));
    };
    const timer = setTimeout(() => fail(`no connection within ${timeoutMs / 1000} s`), timeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeAllListeners('error');
      resolve(socket);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      fail(messageOf(error));
    });
  });
}
