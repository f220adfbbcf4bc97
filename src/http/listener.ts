/**
 * One listening HTTP server for a fetch handler: starts with a clear error, ends without cutting answers short.
 *
 * It knows nothing of what is served, and never waits longer than a moment for clients when it stops.
 */

import { type ServerType, serve } from '@hono/node-server';
import type { SocketAddress } from '../config/values.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';

export interface HttpListener {
  /** The address with the port that was given. Throws `io`, naming the key of the configuration. */
  start(): Promise<SocketAddress>;
  stop(): Promise<void>;
}

/** How long stopping waits for answers under way. */
export const GOODBYE_MS = 500;

export function createHttpListener(
  key: string,
  listen: SocketAddress,
  fetch: (request: Request) => Response | Promise<Response>,
): HttpListener {
  let server: ServerType | null = null;
  return {
    start() {
      return new Promise((resolve, reject) => {
        const made = serve({ fetch, hostname: listen.host, port: listen.port }, (address) =>
          resolve({ host: listen.host, port: address.port }),
        );
        made.once('error', (error: Error) => {
          reject(new RogueSmtpError('io', `${key}: ${messageOf(error)}`, { cause: error }));
        });
        server = made;
      });
    },
    stop() {
      return new Promise<void>((resolve) => {
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
