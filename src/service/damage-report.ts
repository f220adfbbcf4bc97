/**
 * Damage of what is kept, on disk or by the brokers, said in the log, as an alert of kind `coverage` and in `/readyz`.
 *
 * Parts find it (the stream, the collector); whole directories that were removed are found here, by a small file that says
 * which there were. It must never repair or remove anything: what is gone is for a person to look at.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import type { StreamGap } from '../stream/stream.ts';

export interface DamageReportOptions {
  /** The data directory. */
  readonly directory: string;
  /** Directories in it that this process keeps, once they are there. */
  readonly parts: readonly string[];
  /** What the stream has found since the start, in words; it only grows, and the stream logs it. */
  readonly damages: () => readonly string[];
  /** What consumers of the stream found gone, or not what it was. As `damages`. */
  readonly gaps: () => readonly StreamGap[];
  readonly log: Logger;
  readonly now: () => number;
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
}

export interface DamageReport {
  /** To be called before anything makes the directories anew. */
  start(): void;
  stop(): Promise<void>;
  /** Something is damaged or gone, in words. */
  note(text: string): void;
  /** What was found within the last hour, and directories that are missing now. */
  troubles(): readonly string[];
}

const LOOK_MS = 1000;
/** So long `/readyz` speaks of what cannot be mended any more. */
const SHOWN_MS = 3_600_000;
const MAX_SHOWN = 20;
const FILE = 'parts.json';
const partsSchema = z.object({ parts: z.array(z.string()) });

export function createDamageReport(options: DamageReportOptions): DamageReport {
  const { directory, damages, log, now, tell, policyVersion } = options;
  const found: { readonly atMs: number; readonly text: string }[] = [];
  /** Those that have been there. */
  let known: ReadonlySet<string> = new Set();
  const missing = new Set<string>();
  let seen = 0;
  let seenGaps = 0;
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  const isThere = (part: string) => existsSync(join(directory, part));

  function noteSilently(text: string, lost = 0): void {
    found.push({ atMs: now(), text });
    if (found.length > MAX_SHOWN) found.shift();
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: ['data_damaged', text, now()],
        sinceMs: now(),
        nowMs: now(),
        reasons: [text],
        policy_version: policyVersion(),
      }),
      coverage: { cause: 'data_damaged', exporters: 0, lost },
    });
  }

  function note(text: string): void {
    log.error({ damage: text }, 'what is kept on disk is damaged');
    noteSilently(text);
  }

  function look(): void {
    const all = damages();
    for (const text of all.slice(seen)) noteSilently(text);
    seen = all.length;
    const gaps = options.gaps();
    for (const { text, lost } of gaps.slice(seenGaps)) noteSilently(text, lost);
    seenGaps = gaps.length;
    for (const part of options.parts) {
      if (isThere(part)) missing.delete(part);
      else if (known.has(part) && !missing.has(part)) {
        missing.add(part);
        note(`${join(directory, part)} was removed while it is in use, with all that was kept in it`);
      }
    }
    const there = options.parts.filter((part) => known.has(part) || isThere(part));
    if (there.length > known.size) remember(new Set(there));
  }

  function remember(parts: ReadonlySet<string>): void {
    known = parts;
    const text = withChecksum(JSON.stringify({ parts: [...parts] }));
    writing = writing
      .then(() => replaceFile(join(directory, FILE), text))
      .catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'which directories there are cannot be kept'),
      );
  }

  return {
    note,
    start() {
      for (const part of missingParts(directory))
        if (options.parts.includes(part))
          note(`${join(directory, part)} was removed since the last run, with all that was kept in it`);
      timer = setInterval(look, LOOK_MS).unref();
    },
    async stop() {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      look();
      await writing;
    },
    troubles: () => [
      ...found.filter(({ atMs }) => now() - atMs < SHOWN_MS).map(({ text }) => text),
      ...[...missing].map((part) => `${join(directory, part)} is missing: restart to begin it anew`),
    ],
  };
}

/** Directories that a run in this data directory kept, and that are not there any more. */
export function missingParts(directory: string): string[] {
  try {
    const text = checkedText(readFileSync(join(directory, FILE), 'utf8'));
    if (text === null) return [];
    return partsSchema.parse(JSON.parse(text)).parts.filter((part) => !existsSync(join(directory, part)));
  } catch {
    // Nothing was kept yet, or it cannot be said what.
    return [];
  }
}
