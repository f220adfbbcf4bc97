/** What every kind of target can do: send one message, and say what the other side answered. */

import type { NotifyMessage } from './message.ts';

export type SendResult =
  | {
      readonly ok: true;
      /** What the other side said, in words; safe to show. */
      readonly answer: string;
    }
  | {
      readonly ok: false;
      /** Why, in words; safe to show, and without secrets. */
      readonly reason: string;
      /** The other side does not take this message, and may take others. */
      readonly refused: boolean;
      /** The other side asks to wait for so long. */
      readonly retryAfterMs?: number;
    };

export interface Sender {
  /** One attempt within the time limit of the target. Never rejects; ends early when the signal is aborted. */
  send(message: NotifyMessage, signal: AbortSignal): Promise<SendResult>;
}

export const failed = (reason: string): SendResult => ({ ok: false, refused: false, reason });
