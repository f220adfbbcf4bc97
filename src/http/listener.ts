/**
 * One listening HTTP server for a fetch handler: starts with a clear error, ends without cutting answers short.
 *
 * It knows nothing of what is served, and never waits longer than a moment for clients when it stops. Connections are
 * bounded, in all and per address: each is an open file of the process, and the spool needs some, too.
 */

import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { clearInterval, setInterval } from 'node:timers';
import { type ServerType, serve } from '@hono/node-server';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { describeListenError, RogueSmtpError } from '../errors.ts';
import { createClientSlots } from './client-slots.ts';
import { createTlsSource, type TlsFiles } from './tls.ts';

export interface HttpListener {
  /** The address with the port that was given. Throws `io`, naming the key of the configuration. */
  start(): Promise<SocketAddress>;
  stop(): Promise<void>;
}

const MAX_CONNECTIONS = 256;
const MAX_CONNECTIONS_PER_ADDRESS = 128;
/**
 * After so long without a byte the kernel asks whether the peer is there: ten times, one second apart (libuv's choice).
 * A peer that vanished without a word then gives its connection back within half a minute.
 */
const KEEP_ALIVE_MS = 15_000;

/** How often the files of a certificate are looked at. */
const TLS_LOOK_MS = 10_000;

const BIND_HINTS = { taken: 'ss -ltnp shows which', low: 'CAP_NET_BIND_SERVICE' };

/** How long stopping waits for answers under way. */
export const GOODBYE_MS = 500;

export function createHttpListener(
  key: string,
  listen: SocketAddress,
  fetch: (request: Request) => Response | Promise<Response>,
  tls?: TlsFiles,
): HttpListener {
  let server: ServerType | null = null;
  let looking: NodeJS.Timeout | null = null;
  const slots = createClientSlots({ total: MAX_CONNECTIONS, perAddress: MAX_CONNECTIONS_PER_ADDRESS });

  function admit(socket: Socket): void {
    const release = slots.take(socket.remoteAddress ?? '');
    if (release === null) {
      socket.destroy();
      return;
    }
    socket.once('close', release);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  function followFiles(secure: SecureServer, source: ReturnType<typeof createTlsSource>): void {
    looking = setInterval(() => {
      const pair = source.changed();
      if (pair !== null) secure.setSecureContext(pair);
    }, TLS_LOOK_MS);
    looking.unref();
  }

  return {
    async start() {
      const source = tls === undefined ? null : createTlsSource(tls);
      const secure =
        source === null ? {} : { createServer: createSecureServer, serverOptions: source.read() };
      return new Promise((resolve, reject) => {
        const made = serve({ fetch, hostname: listen.host, port: listen.port, ...secure }, (address) =>
          resolve({ host: listen.host, port: address.port }),
        );
        if (source !== null) followFiles(made as SecureServer, source);
        made.on('connection', admit);
        made.once('error', (error: Error) => {
          const what = `${key}: TCP ${formatSocketAddress(listen)}`;
          reject(new RogueSmtpError('io', describeListenError(what, error, BIND_HINTS), { cause: error }));
        });
        server = made;
      });
    },
    stop() {
      return new Promise<void>((resolve) => {
        if (looking !== null) clearInterval(looking);
        if (server === null) return resolve();
        const closing = server;
        closing.close(() => resolve());
        if ('closeIdleConnections' in closing) closing.closeIdleConnections();
        const last = setTimeout(() => {
          if ('closeAllConnections' in closing) closing.closeAllConnections();
        }, GOODBYE_MS);
        closing.once('close', () => clearTimeout(last));
      });
    },
  };
}
