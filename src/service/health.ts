/**
 * What keeps this process from doing its work at present, in words, for `/readyz`.
 *
 * It asks its parts and the store, and answers within seconds whatever hangs. It must never take a part for well because
 * nobody asked it: the store is asked anew, the disk is looked at.
 */

import { statfs } from 'node:fs/promises';
import { clearTimeout, setTimeout } from 'node:timers';
import { messageOf } from '../errors.ts';

export interface HealthSources {
  /** Troubles of one part each, in words; empty while it is well. */
  readonly parts: readonly (() => readonly string[])[];
  /** Asks the store a question that costs nothing; null without a store, or before it is open. */
  readonly askStore: () => (() => Promise<unknown>) | null;
  /** A store that has not answered for so long hangs: longer than what it does for others may keep it. */
  readonly storeLimitMs: number;
  readonly dataDirectory: string;
}

export interface Health {
  troubles(): Promise<readonly string[]>;
}

/** An answer of the store counts for so long, so that readiness can be asked for often. */
const ANSWER_VALID_MS = 2000;
/** How long an answer of `/readyz` waits for the store or the disk: Kubernetes gives up after a second by default. */
const WAIT_MS = 800;
/** Less than the spool and the lists need to write anything of use. */
const LEAST_FREE_BYTES = 1024 * 1024;

export function createHealth(sources: HealthSources): Health {
  const store = createProbe(sources.storeLimitMs, 'the store does not answer');
  const disk = createProbe(WAIT_MS, 'the disk of the data directory does not answer');

  async function lookAtDisk(): Promise<void> {
    const { bavail, bsize } = await statfs(sources.dataDirectory);
    const free = bavail * bsize;
    if (free < LEAST_FREE_BYTES)
      throw new Error(`no space is left on the disk of ${sources.dataDirectory} (${free} bytes)`);
  }

  return {
    async troubles() {
      const ask = sources.askStore();
      const found = await Promise.all([disk.look(lookAtDisk), ask === null ? null : store.look(ask)]);
      // Parts that use the same brokers may say the same of them.
      return [
        ...new Set([...sources.parts.flatMap((part) => part()), ...found.filter((one) => one !== null)]),
      ];
    },
  };
}

interface Probe {
  /** Null when all is well, or the answer is not due yet. */
  look(ask: () => Promise<unknown>): Promise<string | null>;
}

/** One question at a time; its answer, or that it does not come. */
function createProbe(limitMs: number, silence: string): Probe {
  let asked: { readonly atMs: number; readonly answer: Promise<void> } | null = null;
  let known: { readonly atMs: number; readonly trouble: string | null } | null = null;

  function begin(ask: () => Promise<unknown>): Promise<void> {
    const answer = ask().then(
      () => {
        known = { atMs: performance.now(), trouble: null };
        asked = null;
      },
      (error: unknown) => {
        known = { atMs: performance.now(), trouble: messageOf(error) };
        asked = null;
      },
    );
    asked = { atMs: performance.now(), answer };
    return answer;
  }

  return {
    async look(ask) {
      if (known !== null && asked === null && performance.now() - known.atMs < ANSWER_VALID_MS)
        return known.trouble;
      await atMost(asked?.answer ?? begin(ask), Math.min(WAIT_MS, limitMs));
      if (asked === null) return known?.trouble ?? null;
      // A timer may fire up to a millisecond early.
      const waitedMs = performance.now() - asked.atMs + 1;
      return waitedMs < limitMs
        ? (known?.trouble ?? null)
        : `${silence} for ${Math.round(waitedMs / 1000)} s`;
    },
  };
}

/** Resolves with `work`, or after so long. */
function atMost(work: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
