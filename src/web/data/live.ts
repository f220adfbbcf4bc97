/**
 * Alerts as they happen, by server-sent events, and whether the connection stands.
 *
 * EventSource reconnects by itself after a broken connection and sends `Last-Event-ID`; after an HTTP error it gives up for
 * good, so it is opened anew then, with growing pauses. While it is down, what the page shows is said to be old.
 */

import { signal } from '@preact/signals';
import type { Alert } from './answers.ts';

export type Connection = 'connecting' | 'live' | 'lost';

export const connection = signal<Connection>('connecting');
/** When it was last known to stand. */
export const lastContactAt = signal(0);

const KINDS = ['opened', 'escalated', 'updated', 'closed', 'coverage', 'delivery', 'finding'];
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

/** Until the returned function is called. `onReturn`: the connection stands again after it was lost. */
export function followAlerts(
  path: string,
  onAlert: (alert: Alert) => void,
  onReturn: () => void,
): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let wasLost = false;

  function lost(): void {
    wasLost = true;
    connection.value = 'lost';
  }

  function open(): void {
    const stream = new EventSource(path);
    source = stream;
    stream.onopen = () => {
      pauseMs = FIRST_PAUSE_MS;
      connection.value = 'live';
      lastContactAt.value = Date.now();
      if (wasLost) onReturn();
      wasLost = false;
    };
    stream.onerror = () => {
      lost();
      if (stream.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, pauseMs);
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    };
    // The service no longer knows what came while the connection was down.
    stream.addEventListener('reset', onReturn);
    for (const kind of KINDS)
      stream.addEventListener(kind, (event) => {
        lastContactAt.value = Date.now();
        const alert = parsed(event.data);
        if (alert !== null) onAlert(alert);
      });
  }

  const retry = () => {
    if (connection.value !== 'lost') return;
    clearTimeout(timer);
    source?.close();
    open();
  };
  window.addEventListener('online', retry);
  open();
  return () => {
    window.removeEventListener('online', retry);
    clearTimeout(timer);
    source?.close();
  };
}

function parsed(text: unknown): Alert | null {
  try {
    return JSON.parse(String(text)) as Alert;
  } catch {
    return null;
  }
}
