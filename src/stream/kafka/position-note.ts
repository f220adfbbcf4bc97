/**
 * What is kept with a committed offset, in its metadata: for which topic it is, under which leader the last message was
 * written, and the marks of producers.
 *
 * Text of at most 4096 bytes, since a broker keeps no more: `@ID:EPOCH` and what `ProducerMarks.encode` writes, with a space
 * in between. A position without it was committed by somebody else, or by a version before 0.1.
 */

import { ProducerMarks } from './producer-marks.ts';

export interface PositionNote {
  /** As `TopicFacts.id`; null where brokers do not say. */
  readonly topicId: string | null;
  /** Leader epoch of the newest message that was taken; -1 when it is not known. */
  readonly epoch: number;
  readonly marks: ProducerMarks;
}

export function encodeNote({ topicId, epoch, marks }: PositionNote): string {
  return `@${topicId ?? ''}:${epoch < 0 ? '' : epoch.toString(36)} ${marks.encode()}`.trimEnd();
}

/** Null for what `encodeNote` did not write. */
export function decodeNote(metadata: string): PositionNote | null {
  const [, id, epoch, marks] = /^@([0-9a-f]*):([0-9a-z]*)(?: (.*))?$/.exec(metadata) ?? [];
  if (id === undefined || epoch === undefined) return null;
  return {
    topicId: id === '' ? null : id,
    epoch: epoch === '' ? -1 : Number.parseInt(epoch, 36),
    marks: ProducerMarks.decode(marks ?? ''),
  };
}
