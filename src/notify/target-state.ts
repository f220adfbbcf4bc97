/**
 * What one target has been told, and what waits for it: plain data, and the small changes that it is kept by.
 *
 * A change is one of `Change`; applying the changes of a journal in order gives the state again, after any kill. Every
 * part is bounded. Pure.
 */

import type { Grade } from '../messages/alert.ts';
import type { NotifyMessage } from './message.ts';

/** An alert that waits for a digest or for the end of quiet hours. */
interface HeldAlert {
  readonly at: number;
  /** One line about it. */
  readonly text: string;
  readonly severity: NotifyMessage['severity'];
}

/** An incident that this target was told of by a message of its own, while it is open. */
export interface Thread {
  readonly incident: string;
  /** Site and host, as decisions name them. */
  readonly host: string;
  readonly grade: Grade;
  readonly first: { readonly id: string; readonly subject: string };
  /** The newest words about it, for a repetition. */
  readonly lines: readonly string[];
  readonly severity: NotifyMessage['severity'];
  readonly startedAt: number;
  /** When it is repeated; null when it never is (any more). */
  readonly repeatAt: number | null;
  readonly repeats: number;
}

/** A new host, and when it came. */
export interface NewHost {
  readonly incident: string;
  readonly host: string;
  readonly at: number;
}

export interface Outbreak {
  readonly id: string;
  readonly first: { readonly id: string; readonly subject: string } | null;
  readonly startedAt: number;
  readonly lastAt: number;
  readonly count: number;
  /** Some of the hosts. */
  readonly hosts: readonly string[];
  readonly grade: Grade;
  readonly toldAt: number;
  readonly toldCount: number;
}

export type DropReason = 'queue_full' | 'too_old' | 'refused';

export interface TargetState {
  /** Alerts of before are not sent: the target was configured then. */
  startedAt: number;
  /** Ids of alerts that were taken in. */
  readonly seen: Set<string>;
  readonly queue: NotifyMessage[];
  readonly held: HeldAlert[];
  /** Held alerts that are counted only. */
  heldMore: number;
  recent: readonly NewHost[];
  outbreak: Outbreak | null;
  /** Incidents of the newest outbreaks, which have no message of their own. */
  readonly folded: Set<string>;
  readonly threads: Map<string, Thread>;
  /** Dropped and not yet reported to the target. */
  dropped: number;
}

export type Change =
  | { readonly do: 'begin'; readonly at: number }
  | { readonly do: 'saw'; readonly ids: readonly string[] }
  | { readonly do: 'queue'; readonly message: NotifyMessage }
  | { readonly do: 'sent'; readonly id: string }
  | { readonly do: 'drop'; readonly id: string; readonly reason: DropReason }
  | { readonly do: 'hold'; readonly alert: HeldAlert }
  | { readonly do: 'hold more'; readonly count: number }
  | { readonly do: 'release' }
  | { readonly do: 'recent'; readonly hosts: readonly NewHost[] }
  | { readonly do: 'outbreak'; readonly outbreak: Outbreak | null }
  | { readonly do: 'fold'; readonly incidents: readonly string[] }
  | { readonly do: 'unfold'; readonly incident: string }
  | { readonly do: 'thread'; readonly thread: Thread }
  | { readonly do: 'unthread'; readonly incident: string }
  | { readonly do: 'dropped'; readonly count: number };

const MAX_SEEN = 10_000;
const MAX_HELD = 200;
const MAX_FOLDED = 20_000;
const MAX_THREADS = 5000;

export function emptyState(): TargetState {
  return {
    startedAt: 0,
    seen: new Set(),
    queue: [],
    held: [],
    heldMore: 0,
    recent: [],
    outbreak: null,
    folded: new Set(),
    threads: new Map(),
    dropped: 0,
  };
}

/** Changes `state`. A change that speaks of what is not there does nothing. */
export function applyChange(state: TargetState, change: Change): void {
  switch (change.do) {
    case 'begin':
      state.startedAt = change.at;
      return;
    case 'saw':
      for (const id of change.ids) addBounded(state.seen, id, MAX_SEEN);
      return;
    case 'queue':
      state.queue.push(change.message);
      return;
    case 'sent':
      remove(state.queue, change.id);
      return;
    case 'drop':
      if (remove(state.queue, change.id)) state.dropped++;
      return;
    case 'hold':
      if (state.held.length < MAX_HELD) state.held.push(change.alert);
      else state.heldMore++;
      return;
    case 'hold more':
      state.heldMore = change.count;
      return;
    case 'release':
      state.held.length = 0;
      state.heldMore = 0;
      return;
    case 'recent':
      state.recent = change.hosts;
      return;
    case 'outbreak':
      state.outbreak = change.outbreak;
      return;
    case 'fold':
      for (const incident of change.incidents) addBounded(state.folded, incident, MAX_FOLDED);
      return;
    case 'unfold':
      state.folded.delete(change.incident);
      return;
    case 'thread':
      state.threads.delete(change.thread.incident);
      state.threads.set(change.thread.incident, change.thread);
      if (state.threads.size > MAX_THREADS)
        for (const oldest of state.threads.keys()) {
          state.threads.delete(oldest);
          break;
        }
      return;
    case 'unthread':
      state.threads.delete(change.incident);
      return;
    case 'dropped':
      state.dropped = change.count;
      return;
    default:
      // Of a later version.
      return;
  }
}

/** The changes that make this state of an empty one. */
export function changesOf(state: TargetState): Change[] {
  return [
    { do: 'begin', at: state.startedAt },
    { do: 'saw', ids: [...state.seen] },
    ...state.queue.map((message): Change => ({ do: 'queue', message })),
    ...state.held.map((alert): Change => ({ do: 'hold', alert })),
    { do: 'hold more', count: state.heldMore },
    { do: 'recent', hosts: state.recent },
    { do: 'outbreak', outbreak: state.outbreak },
    { do: 'fold', incidents: [...state.folded] },
    ...[...state.threads.values()].map((thread): Change => ({ do: 'thread', thread })),
    { do: 'dropped', count: state.dropped },
  ];
}

function addBounded(set: Set<string>, value: string, most: number): void {
  set.delete(value);
  set.add(value);
  if (set.size <= most) return;
  for (const oldest of set) {
    set.delete(oldest);
    return;
  }
}

function remove(queue: NotifyMessage[], id: string): boolean {
  const at = queue.findIndex((message) => message.id === id);
  if (at >= 0) queue.splice(at, 1);
  return at >= 0;
}
