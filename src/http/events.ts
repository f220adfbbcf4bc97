/**
 * `/events`: alerts as server-sent events (WHATWG HTML, section 9.2), for as long as a client stays.
 *
 * A client that comes back says which event it had last (`Last-Event-ID`) and is sent those after it, from memory or from the store.
 * Where that event is no longer known, one event `reset` says so: nothing is ever missed in silence.
 *
 * A place is held by the connection, not by what is written to it: it is free again as soon as the connection has ended,
 * however it ended. A client that does not read is disconnected; it must never make alerts pile up in memory.
 */

import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { messageOf } from '../errors.ts';
import type { Alert } from '../messages/alert.ts';
import { EVENT_RESET } from './api/schemas.ts';
import { createClientSlots } from './client-slots.ts';
import { GOODBYE_MS } from './listener.ts';
import { problem } from './problem.ts';

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
/** Who missed more reads everything anew. */
const MAX_MISSED = 500;
/**
 * A comment line so often, for proxies that end silent connections (nginx after 60 s). Longer than the keep-alive of
 * listener.ts takes to find a dead peer: while bytes are unacknowledged, the kernel sends no keep-alive.
 */
const COMMENT_MS = 50_000;
const GOODBYE_STEP_MS = 10;

/** How long a browser waits before it connects again. */
const RETRY_MS = 2000;
/** Alerts that were emitted before a client connected may arrive after it. */
const ARRIVAL_MS = 10_000;

export interface EventsSources {
  /** Calls back with every alert from then on, until the function that it returned is called. */
  readonly onAlert: (listener: (alert: Alert) => void) => () => void;
  /** The newest alerts of this process, oldest first. */
  readonly recent: () => readonly Alert[];
  /** The newest so many that are kept, oldest first, emitted at or after a time (ISO 8601). */
  readonly stored: (limit: number, since?: string) => Promise<readonly Alert[]>;
  /** False for a client whose token or session is no more. It is asked before each event, and every minute without one. */
  readonly mayStay: (context: Context) => boolean;
}

export function createEventsRoute({ onAlert, recent, stored, mayStay }: EventsSources): EventsRoute {
  const slots = createClientSlots({ total: MAX_CLIENTS, perAddress: MAX_CLIENTS_PER_ADDRESS });
  /** Ends the stream of each client. */
  const streams = new Set<() => void>();
  let closing = false;

  /** What came after an event, or why that is not known. */
  async function missedSince(last: string): Promise<readonly Alert[] | string> {
    const atHand = after(recent(), last);
    if (atHand !== null) return atHand;
    const [, connectedMs] = /^at-(\d{1,15})$/.exec(last) ?? [];
    const since = connectedMs === undefined ? undefined : new Date(Number(connectedMs)).toISOString();
    try {
      const alerts = await stored(MAX_MISSED, since);
      const known = since === undefined ? after(alerts, last) : alerts.length < MAX_MISSED ? alerts : null;
      return known ?? 'the last event of the client is too old: read everything anew';
    } catch (error) {
      return `what was missed is not known: ${messageOf(error)}`;
    }
  }

  return {
    answer(context) {
      // Hono answers HEAD by the handler of GET and drops the body, which nobody would ever read or end.
      if (context.req.method === 'HEAD')
        return context.body(null, 200, { 'Content-Type': 'text/event-stream' });
      const { incoming, outgoing } = context.env as HttpBindings;
      const release = slots.take(incoming.socket.remoteAddress ?? '');
      if (release === null)
        return problem(
          context,
          503,
          'unavailable',
          `too many clients of /events: ${MAX_CLIENTS} in all, ${MAX_CLIENTS_PER_ADDRESS} from one address`,
        );
      const last = context.req.header('last-event-id');
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
        const send = (event: string, id: string, content: object) => {
          if (++waiting > MAX_EVENTS_WAITING || !mayStay(context)) return end();
          void stream.writeSSE({ id, event, data: JSON.stringify(content) }).then(written, end);
        };
        /** Alerts that come while those that were missed are looked for. */
        let meanwhile: Alert[] | null = last === undefined ? null : [];
        const sendAlert = (alert: Alert) => send(alert.kind, alert.alert_id, alert);
        const stopListening = onAlert((alert) => {
          if (meanwhile === null) return sendAlert(alert);
          if (meanwhile.push(alert) > MAX_EVENTS_WAITING) end();
        });
        const catchUp = async (lastId: string) => {
          const missed = await missedSince(lastId);
          const coming = meanwhile ?? [];
          meanwhile = null;
          if (typeof missed === 'string') send(EVENT_RESET, idOfNow(), { reason: missed });
          const known = new Set(typeof missed === 'string' ? [] : missed.map(({ alert_id }) => alert_id));
          if (typeof missed !== 'string') for (const alert of missed) sendAlert(alert);
          for (const alert of coming) if (!known.has(alert.alert_id)) sendAlert(alert);
        };
        const comments = setInterval(() => {
          if (++waiting > MAX_EVENTS_WAITING || !mayStay(context)) return end();
          void stream.write(': still here\n\n').then(written);
        }, COMMENT_MS);
        comments.unref();
        try {
          // An id without data is remembered and shown to nobody: whoever loses the connection before the first alert says it.
          void stream.write(
            `: connected\nretry: ${RETRY_MS}\n${last === undefined ? `id: ${idOfNow()}\n` : ''}\n`,
          );
          if (last !== undefined) void catchUp(last);
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

/** An id for who has seen no alert yet: the time from which on none may be missed. */
const idOfNow = (): string => `at-${Date.now() - ARRIVAL_MS}`;

function after(alerts: readonly Alert[], id: string): readonly Alert[] | null {
  const at = alerts.findIndex(({ alert_id }) => alert_id === id);
  return at < 0 ? null : alerts.slice(at + 1);
}
