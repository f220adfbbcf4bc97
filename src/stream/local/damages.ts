/** What a log found damaged or gone since the start: how many messages, and the first findings in words. */

import { existsSync } from 'node:fs';
import type { Segment } from './segment.ts';
import type { StreamLogger } from './settings.ts';

const MAX_FINDINGS = 50;

export class Damages {
  readonly #log: StreamLogger;
  readonly #onMessages: (messages: number) => void;
  readonly #findings: string[] = [];

  /** `onMessages` is told of each finding how many messages it cost. */
  constructor(log: StreamLogger, onMessages: (messages: number) => void) {
    this.#log = log;
    this.#onMessages = onMessages;
  }

  get findings(): readonly string[] {
    return this.#findings;
  }

  note(messages: number, text: string): void {
    this.#onMessages(messages);
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push(text);
  }

  /** So many messages of a segment cannot be read. */
  noteUnreadable(segment: Segment, messages: number): void {
    if (messages === 0) return;
    this.note(messages, `${segment.dataFile}: ${messages} message(s) are damaged or gone, and passed over`);
    this.#log.error(
      { file: segment.dataFile, messages },
      'messages in the spool are damaged or gone, and passed over',
    );
    if (!existsSync(segment.dataFile)) segment.messages = 0;
  }
}
