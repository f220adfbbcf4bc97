/**
 * `/events`: alerts as server-sent events (WHATWG HTML, section 9.2), for as long as a client stays.
 *
 * A place is held by the connection, not by what is written to it: it is free again as soon as the connection has ended,
 * however it ended. A client that does not read is disconnected; it must never make alerts pile up in memory.
 */

import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Alert } from '../messages/alert.ts';
import { createClientSlots } from './client-slots.ts';
import { GOODBYE_MS } from './listener.ts';

export interface EventsRoute {
  answer(context: Context): Response | Promise<Response>;
  /** Ends all streams properly, so that clients can tell the end from a broken connection. */
  stop(): Promise<void>;
}

const MAX_CLIENTS = 64;
/** A quarter, so that no single address locks the others out. */
const MAX_CLIENTS_PER_ADDRESS = 16;
/** Alerts that wait for a slow client; one that falls further behind is disconnected. */
const MAX_EVENTS_WAITING = 1000;
/**
 * A comment line so often, for proxies that end silent connections (nginx after 60 s). Longer than the keep-alive of
 * listener.ts takes to find a dead peer: while bytes are unacknowledged, the kernel sends no keep-alive.
 */
const COMMENT_MS = 50_000;
const GOODBYE_STEP_MS = 10;

/** `onAlert` calls back with every alert from then on, until the function that it returned is called. */
export function createEventsRoute(onAlert: (listener: (alert: Alert) => void) => () => void): EventsRoute {
  const slots = createClientSlots({ total: MAX_CLIENTS, perAddress: MAX_CLIENTS_PER_ADDRESS });
  /** Ends the stream of each client. */
  const streams = new Set<() => void>();
  let closing = false;

  return {
    answer(context) {
      // Hono answers HEAD by the handler of GET and drops the body, which nobody would ever read or end.
      if (context.req.method === 'HEAD')
        return context.body(null, 200, { 'Content-Type': 'text/event-stream' });
      const { incoming, outgoing } = context.env as HttpBindings;
      const release = slots.take(incoming.socket.remoteAddress ?? '');
      if (release === null)
        return context.json(
          {
            error: `too many clients of /events: ${MAX_CLIENTS} in all, ${MAX_CLIENTS_PER_ADDRESS} from one address`,
          },
          503,
        );
      outgoing.once('close', release);
      return streamSSE(context, async (stream) => {
        let end = () => {};
        const ended = new Promise<void>((resolve) => {
          end = resolve;
        });
        stream.onAbort(end);
        outgoing.once('close', end);
        streams.add(end);
        let waiting = 0;
        const written = () => waiting--;
        const stopListening = onAlert((alert) => {
          if (++waiting > MAX_EVENTS_WAITING) return end();
          void stream
            .writeSSE({ id: alert.alert_id, event: alert.kind, data: JSON.stringify(alert) })
            .then(written, end);
        });
        const comments = setInterval(() => {
          if (++waiting > MAX_EVENTS_WAITING) return end();
          void stream.write(': still here\n\n').then(written);
        }, COMMENT_MS);
        comments.unref();
        try {
          void stream.write(': connected\n\n');
          if (outgoing.destroyed || closing) end();
          await ended;
        } finally {
          clearInterval(comments);
          stopListening();
          streams.delete(end);
          // One that does not read would otherwise keep the connection, and its place, for as long as it likes.
          if (waiting > MAX_EVENTS_WAITING) outgoing.destroy();
        }
      });
    },
    async stop() {
      closing = true;
      for (const end of streams) end();
      for (let waitedMs = 0; slots.taken > 0 && waitedMs < GOODBYE_MS; waitedMs += GOODBYE_STEP_MS)
        await sleep(GOODBYE_STEP_MS);
    },
  };
}
