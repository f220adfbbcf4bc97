/**
 * What parent and child of the embedded engine say to each other.
 *
 * Plain data over the process channel. The child says `here`, the parent sends `ChildOptions`; after `ready`, every request
 * has an `id` and gets exactly one reply.
 */

import type { ReadonlyRules } from '../readonly-sql.ts';
import type { QueryOptions } from '../store.ts';
import type { Confinement } from './confine.ts';

export interface ChildOptions {
  /** Absolute. The child also runs in it, so that `file('incoming/...')` needs no path of outside text. */
  readonly directory: string;
  readonly database: string;
  /** Bound of the engine's own memory. */
  readonly memoryBytes: number;
}

export type Params = NonNullable<QueryOptions['params']>;

export interface ReadRequest {
  /**
   * `read`: on the reader's connection. `readonly`: on a connection of its own that can do nothing but read; its `sql`
   * has passed `checkReadonlySql`.
   */
  readonly kind: 'read' | 'readonly';
  readonly sql: string;
  readonly format: string;
  readonly params: Params | undefined;
  /** Only of `readonly`. */
  readonly request?: QueryOptions['request'];
  /** With the settings that `parseRows` needs. */
  readonly rows: boolean;
  readonly timeoutMs: number;
}

/** On the writer's connection, one after another. */
interface CommandRequest {
  readonly kind: 'command';
  readonly sql: string;
}

export type RequestBody = CommandRequest | ReadRequest | { readonly kind: 'stop' };

export type Request = RequestBody & { readonly id: number };

export interface Failure {
  readonly message: string;
  /** ClickHouse error code; null when it is not an error of the engine. */
  readonly code: number | null;
  /** Its name, '' when there is none. */
  readonly name: string;
}

export type ChildMessage =
  | { readonly kind: 'here' }
  | { readonly kind: 'ready'; readonly rules: ReadonlyRules; readonly confinement: Confinement }
  | {
      readonly kind: 'cannot_start';
      /** `confined`: perhaps because of the kernel's wall. */
      readonly why: 'missing' | 'confined' | 'other';
      readonly message: string;
    }
  /** A statement of a user has left the queue. */
  | { readonly kind: 'begun'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: Uint8Array }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: Failure };
