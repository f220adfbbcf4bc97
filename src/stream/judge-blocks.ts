/** Judges a message of flows before anybody acts on it, as messages/parse-message.ts does with JSON. Pure. */

import { inspectNative } from '../flow/native.ts';
import { type JudgedMessage, type Judgement, objectionTo, refuse } from '../messages/parse-message.ts';

/** A batch of flows has at most 6 MB, some fit into a message. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

/** A message of `flows` or `mail`. Its content is the number of rows. */
export function judgeBlocks(message: JudgedMessage): Judgement<number> {
  const objection = objectionTo(message, MAX_BLOCK_BYTES);
  if (objection !== null) return refuse(objection);
  const found = inspectNative(message.value);
  return found.ok ? { ok: true, content: found.rows } : refuse(found.reason);
}

/**
 * Why blocks must not be given to an engine at all, or null: it would wait for what they claim. Other damage an engine tells
 * by itself.
 */
export function impossibleBlocks(message: JudgedMessage): string | null {
  const objection = objectionTo(message, MAX_BLOCK_BYTES);
  if (objection !== null) return objection;
  const found = inspectNative(message.value);
  return found.ok || !found.impossible ? null : found.reason;
}
