/**
 * Why a log takes no messages, from the first that it refused until the cause has gone.
 *
 * Nobody may publish for a long time after a refusal. So as long as it lasts, a little is written now and then, to see
 * whether the disk takes it again.
 */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../errors.ts';
import type { StreamName } from '../stream.ts';
import type { StreamLogger } from './settings.ts';

const PROBE_MS = 1000;
const PROBE_BYTES = 64 * 1024;
/** A full spool counts as relieved below this part of its bound, so that the log does not tell of every refusal. */
const RELIEVED = 0.9;

export interface RefusalsOptions {
  readonly stream: StreamName;
  readonly directory: string;
  readonly maxBytes: number;
  readonly log: StreamLogger;
  /** Bytes that the log has on disk now. */
  readonly bytes: () => number;
  readonly groupsBehind: () => readonly string[];
  /** It is time for `probe`. */
  readonly onProbeDue: () => void;
}

export class Refusals {
  readonly #options: RefusalsOptions;
  #why: string | null = null;
  #lastWhy = '';
  /** Rows, since the cause stands. */
  #rows = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Why messages are refused now; null when they are not. */
  get why(): string | null {
    return this.#why;
  }

  /** Why the newest messages that were refused were, in words; '' when none was. */
  get lastWhy(): string {
    return this.#lastWhy;
  }

  refuse(rows: number, why: string): void {
    const { log, stream, bytes, maxBytes, groupsBehind } = this.#options;
    const isFirst = this.#why === null;
    this.#rows += rows;
    this.#lastWhy = why;
    // A disk may be full while the bound is reached: what stands in the way last is what to look at.
    this.#why = why;
    if (!isFirst) return;
    log.error(
      { stream, why, bytes: bytes(), maxBytes, groupsBehind: groupsBehind() },
      'the spool takes no messages: they are dropped and counted until it does',
    );
    this.#schedule();
  }

  /** To be called when a write went well. */
  relieve(): void {
    const { log, stream, bytes, maxBytes } = this.#options;
    if (this.#why === null || bytes() > maxBytes * RELIEVED) return;
    log.info({ stream, dropped: this.#rows }, 'the spool takes messages again');
    this.#why = null;
    this.#rows = 0;
  }

  async probe(): Promise<void> {
    if (this.#why === null) return;
    const file = join(this.#options.directory, 'probe');
    try {
      await writeFile(file, Buffer.alloc(PROBE_BYTES));
      this.relieve();
    } catch (error) {
      this.#why = writeFailure(this.#options.directory, error);
    }
    await rm(file, { force: true }).catch(() => undefined);
    if (this.#why !== null) this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#options.onProbeDue();
    }, PROBE_MS).unref();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** In words that name the cause and the place. */
export function writeFailure(directory: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  if (code === 'ENOSPC') return `no space is left on the disk of ${directory}`;
  if (code === 'EDQUOT') return `the disk quota of ${directory} is used up`;
  return `it cannot be written: ${messageOf(error)}`;
}
