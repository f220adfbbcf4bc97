/**
 * Judges a JSON message of a stream before anybody acts on it: the one way for all consumers. Blocks: stream/judge-blocks.ts.
 *
 * Whoever may write to a topic may write anything. A message that is too large, of a schema to come, no JSON, not of the
 * schema, or a block that claims what it does not have is set aside with a reason; it must never hold up those behind it.
 * Reasons are short, whatever the message holds: they go into logs. Pure.
 */

import type { z } from 'zod';

/** As much of a message as is judged. */
export interface JudgedMessage {
  readonly value: Uint8Array;
  /** The schema version that it says it has, where that is not the one of this program. */
  readonly foreignVersion?: string | undefined;
}

export type Judgement<Content> =
  | { readonly ok: true; readonly content: Content }
  | { readonly ok: false; readonly reason: string };

/** A JSON message of ours has some kilobytes; evidence is bounded. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;
const MAX_REASON = 200;

/** A message of `alerts`, `incidents` or `decisions`. */
export function judgeJson<Content>(schema: z.ZodType<Content>, message: JudgedMessage): Judgement<Content> {
  const objection = objectionTo(message, MAX_JSON_BYTES);
  if (objection !== null) return refuse(objection);
  const { value } = message;
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8'));
  } catch (error) {
    return refuse(`not JSON: ${error instanceof Error ? error.message : ''}`);
  }
  const checked = schema.safeParse(parsed);
  if (checked.success) return { ok: true, content: checked.data };
  const [issue] = checked.error.issues;
  return refuse(`not of the schema: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

/** The message, or null when it cannot be used. */
export function parseMessage<Content>(schema: z.ZodType<Content>, message: JudgedMessage): Content | null {
  const judged = judgeJson(schema, message);
  return judged.ok ? judged.content : null;
}

/** Of any message, why it is not even looked into; null when it is. */
export function objectionTo({ value, foreignVersion }: JudgedMessage, maxBytes: number): string | null {
  if (foreignVersion !== undefined) return `schema_version ${foreignVersion} is not known`;
  if (value.length > maxBytes) return `${value.length} bytes are more than ${maxBytes}`;
  return null;
}

export function refuse(reason: string): { readonly ok: false; readonly reason: string } {
  // A cut must not leave half of a character.
  return { ok: false, reason: [...reason.slice(0, MAX_REASON)].join('') };
}
