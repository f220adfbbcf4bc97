/**
 * The time of this process: as the machine's clock, but it never jumps.
 *
 * Blocks, incidents and gaps last for spans of time, and a clock that is set would end them early or make them longer. So
 * time runs on the monotonic clock, from where it was anchored, and follows the machine's clock by at most one percent of
 * the time that passes. A step is reported. The anchor outlives a restart, not a boot: the monotonic clock does neither.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from './errors.ts';
import { checkedText, withChecksum } from './files/checked-text.ts';
import { replaceFile } from './files/replace-file.ts';
import type { Logger } from './logger.ts';

export interface SteadyClock {
  /** Milliseconds since 1970. Never goes backwards. */
  now(): number;
  /** Follows the machine's clock from now on. */
  start(): void;
  /** Keeps the anchor for the next run. */
  stop(): Promise<void>;
}

export interface SteadyClockOptions {
  /** The data directory, where the anchor is kept. It must be there when the clock is started. */
  readonly directory: string;
  readonly log: Logger;
  /** The machine's clock was set by so many milliseconds, or is so far from this one after a restart. */
  readonly onStep: (ms: number) => void;
  /** The clocks of the machine: Date.now, milliseconds since boot, and what tells one boot from another. */
  readonly wall?: () => number;
  readonly monotonic?: () => number;
  readonly bootId?: () => string | null;
}

const CHECK_MS = 1000;
const KEEP_MS = 10_000;
/** Of the time that passes: a block of a day ends at most 15 minutes from its time. NTP slews by a twentieth of it. */
const SLEW = 0.01;
/** A step: more than a clock that is slewed can differ between two looks. */
const STEP_MS = 1000;
/** A machine whose clock was not set yet: nothing that happened then has to last. */
const CLOCK_UNSET_BEFORE_MS = Date.UTC(2025, 0, 1);
/** An anchor that is further off than any block lasts tells nothing. */
const ANCHOR_TRUSTED_MS = 30 * 86_400_000;

/** A time in both clocks: milliseconds since boot, and since 1970. */
interface Anchor {
  readonly monotonic: number;
  readonly time: number;
}

const anchorSchema = z.object({ boot: z.string(), monotonic: z.number(), time: z.number() });

export function createSteadyClock(options: SteadyClockOptions): SteadyClock {
  const { log, onStep, wall = Date.now, monotonic = sinceBoot, bootId = bootOfMachine } = options;
  const file = join(options.directory, 'clock.json');
  /** Made when the time is first asked for, so that there is one time from the beginning. */
  let anchor: Anchor | null = null;
  let lastMs = 0;
  /** Wall minus monotonic at the last look. */
  let difference = 0;
  let keptMonotonic = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;
  let keeping: Promise<void> = Promise.resolve();
  let complained = false;

  const anchored = (): Anchor => {
    anchor ??= resumed() ?? { monotonic: monotonic(), time: wall() };
    return anchor;
  };
  const timeAt = (mono: number) => anchored().time + (mono - anchored().monotonic);

  function now(): number {
    lastMs = Math.max(lastMs, Math.floor(timeAt(monotonic())));
    return lastMs;
  }

  function check(): void {
    const mono = monotonic();
    const wallMs = wall();
    const time = timeAt(mono);
    const step = wallMs - mono - difference;
    difference = wallMs - mono;
    if (time < CLOCK_UNSET_BEFORE_MS && wallMs >= CLOCK_UNSET_BEFORE_MS) {
      log.warn(
        { from: iso(time), to: iso(wallMs) },
        'the clock of this machine has been set for the first time',
      );
      anchor = { monotonic: mono, time: wallMs };
    } else {
      const most = (mono - anchored().monotonic) * SLEW;
      anchor = { monotonic: mono, time: time + Math.max(-most, Math.min(most, wallMs - time)) };
      if (Math.abs(step) > STEP_MS) report(step);
    }
    if (mono - keptMonotonic < KEEP_MS) return;
    keptMonotonic = mono;
    keep();
  }

  function report(ms: number): void {
    log.warn(
      { by_seconds: Math.round(ms / 1000), clock: iso(wall()), in_use: iso(now()) },
      'the clock of this machine was set: blocks and incidents go on by the time in use, which follows slowly',
    );
    onStep(ms);
  }

  function keep(): void {
    const boot = bootId();
    if (boot === null) return;
    const text = withChecksum(JSON.stringify({ boot, ...anchored() }));
    keeping = keeping
      .then(async () => {
        await replaceFile(file, text);
        complained = false;
      })
      .catch((error: unknown) => {
        if (!complained)
          log.warn({ error: messageOf(error) }, 'the time in use cannot be kept over a restart');
        complained = true;
      });
  }

  /** The anchor of the last run, when it was in the same boot. */
  function resumed(): Anchor | null {
    const kept = readAnchor(file);
    if (kept === null || kept.boot !== bootId()) return null;
    const mono = monotonic();
    const time = kept.time + (mono - kept.monotonic);
    const isTrusted = Math.abs(wall() - time) <= ANCHOR_TRUSTED_MS && time >= CLOCK_UNSET_BEFORE_MS;
    return mono >= kept.monotonic && isTrusted ? { monotonic: mono, time } : null;
  }

  return {
    now,
    start() {
      const off = wall() - now();
      if (Math.abs(off) > STEP_MS) report(off);
      difference = wall() - monotonic();
      timer = setInterval(check, CHECK_MS).unref();
    },
    async stop() {
      if (timer === null) return;
      clearInterval(timer);
      timer = null;
      check();
      keep();
      await keeping;
    },
  };
}

function readAnchor(file: string): z.infer<typeof anchorSchema> | null {
  try {
    const text = checkedText(readFileSync(file, 'utf8'));
    return text === null ? null : anchorSchema.parse(JSON.parse(text));
  } catch {
    // Without it the machine's clock is taken as it is.
    return null;
  }
}

/** CLOCK_MONOTONIC counts from the boot on Linux, so that it goes on from one process to the next. */
const sinceBoot = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

function bootOfMachine(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}

const iso = (ms: number) => new Date(ms).toISOString();
