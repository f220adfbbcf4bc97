/**
 * What a push is given and what it tells: the words that all ways of pushing share.
 *
 * A report is shown, logged and kept, so it never holds a secret; what a device said is bounded and free of control
 * characters. A push that failed is a report as well: how the device was left matters more than the error.
 */

import { createHash } from 'node:crypto';
import type { AclFamily } from '../acl/model.ts';
import type { PushPlatform, PushSettings } from '../config/schema.ts';
import { messageOf } from '../errors.ts';

export interface PushRequest {
  /** Name of the ACL target. */
  readonly target: string;
  readonly platform: PushPlatform;
  readonly family: AclFamily;
  /** As the router calls it. */
  readonly interface: string;
  /** The rendered list. */
  readonly text: string;
  readonly settings: PushSettings;
}

/** `rolls back by itself`: what was sent is in force until the router's own timer ends, since nobody confirmed it. */
export type DeviceState = 'new list' | 'as before' | 'rolled back' | 'rolls back by itself' | 'unknown';

export interface PushReport {
  readonly result: 'applied' | 'unchanged' | 'previewed' | 'failed';
  readonly device: DeviceState;
  /** Why it failed; '' when it did not. */
  readonly reason: string;
  /** What the device had before, in its own words. */
  readonly present: string;
  /** What the device says would change; null where it cannot tell, or was not reached. */
  readonly changes: string | null;
  /** The lines of the list as they were or would be sent. */
  readonly lines: readonly string[];
  /** Everything that was said, `>` to the device and `<` from it, without secrets. */
  readonly transcript: readonly string[];
}

/** A device that refuses, says what is not understood, or goes away. */
export class DeviceError extends Error {
  /** False: the same push will fail again until somebody changes something. */
  readonly transient: boolean;

  constructor(message: string, { transient = true }: { transient?: boolean } = {}) {
    super(message);
    this.name = 'DeviceError';
    this.transient = transient;
  }
}

/** A push's part of the time until the router takes the change back; the rest is for taking it back in order. */
const CONFIRM_SHARE = 0.8;

/** Aborted when a push must be given up: a router's clock starts with the first command at the latest. */
export function pushDeadline(signal: AbortSignal, { confirm }: Pick<PushSettings, 'confirm'>): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(Math.floor(confirm * CONFIRM_SHARE))]);
}

/** Throws DeviceError when it is time to give up. */
export function assertInTime(deadline: AbortSignal): void {
  if (deadline.aborted) throw new DeviceError(`given up: ${messageOf(deadline.reason)}`);
}

const MAX_TRANSCRIPT_LINES = 20_000;
const MAX_LINE = 500;

export interface Transcript {
  readonly lines: readonly string[];
  /** `text` may have many lines. */
  add(mark: '>' | '<' | '#', text: string): void;
}

export function createTranscript(): Transcript {
  const lines: string[] = [];
  return {
    lines,
    add(mark, text) {
      for (const line of text.split('\n')) {
        if (lines.length === MAX_TRANSCRIPT_LINES) lines.push('# the rest is not kept');
        if (lines.length > MAX_TRANSCRIPT_LINES) return;
        lines.push(`${mark} ${shown(line)}`.trimEnd());
      }
    },
  };
}

/** Without anything that moves a cursor. */
export function shown(line: string): string {
  return line.replace(/[^\t\x20-\x7e]/g, '').slice(0, MAX_LINE);
}

/** What goes wrong while a device is left is told, and changes nothing. */
export async function attempt(transcript: Transcript, step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    transcript.add('#', messageOf(error));
    return false;
  }
}

/** Nothing was sent. */
export function failedBefore(request: PushRequest, reason: string): PushReport {
  return {
    result: 'failed',
    device: 'as before',
    reason,
    present: '',
    changes: null,
    lines: request.text.split('\n'),
    transcript: [],
  };
}

/** Two targets with one router take turns. */
export function deviceName({ host, port }: PushRequest['settings']): string {
  return `${host.toLowerCase()} ${port}`;
}

export function keyOf({ target, family }: Pick<PushRequest, 'target' | 'family'>): string {
  return `${target}.${family}`;
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
