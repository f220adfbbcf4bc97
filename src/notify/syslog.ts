/**
 * Sends a message as syslog over UDP (RFC 5426), TCP (octet counting, RFC 6587 section 3.4.1) or TLS (RFC 5425).
 *
 * Syslog has no answer: over TCP and TLS a message counts as sent when the other side has taken the end of the
 * connection, over UDP when the kernel has heard no objection for a moment.
 */

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SyslogTarget } from '../config/notify.ts';
import { readSecret } from '../config/secret.ts';
import { messageOf } from '../errors.ts';
import { plainLine } from './message.ts';
import { openConnection } from './open-connection.ts';
import { failed, type Sender } from './sender.ts';
import { syslogText } from './syslog-text.ts';

/** RFC 5426 section 3.2: receivers should take 2048 octets. */
const UDP_BYTES = 2048;
/** RFC 5425 section 4.3.1: receivers should take 8192. */
const STREAM_BYTES = 8192;
/** How long the kernel may take to hear that nobody listens (ICMP), on a local network. */
const OBJECTION_MS = 100;
/** How long the other side may take to close the connection in its turn. */
const CLOSE_WAIT_MS = 2000;

export function syslogPort({ port, transport }: Pick<SyslogTarget, 'port' | 'transport'>): number {
  return port ?? (transport === 'tls' ? 6514 : 514);
}

/** Throws RogueSmtpError `config` where the file with authorities cannot be read. */
export function createSyslogSender(target: SyslogTarget, version: string): Sender {
  const ca = target.ca_file === undefined ? undefined : readSecret(target.ca_file, 'ca_file');
  const { host, transport } = target;
  const port = syslogPort(target);
  const sender = { hostname: hostname(), pid: process.pid, version };

  async function overUdp(text: Buffer): Promise<string> {
    const { address, family } = await lookup(host);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.connect(port, address, () => {
          socket.send(text, (error) => {
            if (error !== null) reject(error);
            else void sleep(OBJECTION_MS).then(() => resolve());
          });
        });
      });
    } finally {
      socket.close();
    }
    return 'sent by UDP, which has no answer';
  }

  async function overStream(text: Buffer, signal: AbortSignal): Promise<string> {
    const tls = transport === 'tls' ? { tls: ca === undefined ? {} : { ca } } : {};
    const socket = await openConnection({ host, port, ...tls }, signal);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        let taken = false;
        socket.once('close', () => {
          if (taken) resolve();
          else reject(new Error('the other side closed the connection too early'));
        });
        socket.resume();
        socket.end(Buffer.concat([Buffer.from(`${text.length} `), text]), () => {
          taken = true;
          void sleep(CLOSE_WAIT_MS, undefined, { ref: false }).then(resolve);
        });
      });
    } finally {
      socket.destroy();
    }
    return `sent by ${transport === 'tls' ? 'TLS' : 'TCP'}, which has no answer`;
  }

  return {
    async send(message, stopping) {
      const text = syslogText(target, message, sender, transport === 'udp' ? UDP_BYTES : STREAM_BYTES);
      const signal = AbortSignal.any([stopping, AbortSignal.timeout(target.timeout)]);
      try {
        return { ok: true, answer: await (transport === 'udp' ? overUdp(text) : overStream(text, signal)) };
      } catch (error) {
        return failed(plainLine(messageOf(error), 300));
      }
    },
  };
}
