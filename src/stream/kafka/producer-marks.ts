/**
 * How far each producer's numbered messages of a partition were taken, so that one that was published twice is taken once.
 *
 * Producers publish in the order of their numbers and, after a failure that left the outcome open, some again; so a
 * number that is not above the mark has been here before. Marks travel in the metadata of a committed offset, which
 * makes them exact over restarts and rebalances. A broker keeps 4096 bytes of metadata: beyond some hundred producers the
 * ones that were silent longest are forgotten, and could then, and only after such a failure, be taken twice.
 */

import type { MessageOrigin } from '../stream.ts';

const MAX_METADATA_BYTES = 4000;

export class ProducerMarks {
  /** The newest is last. */
  readonly #marks: Map<string, number>;

  constructor(marks: Iterable<readonly [string, number]> = []) {
    this.#marks = new Map(marks);
  }

  /** Reads what `encode` wrote; anything else is no marks. */
  static decode(metadata: string | null): ProducerMarks {
    const entries = (metadata ?? '').split(' ').flatMap((text): [string, number][] => {
      const [, producer, digits] = /^([\w-]+)=([0-9a-z]+)$/.exec(text) ?? [];
      const sequence = Number.parseInt(digits ?? '', 36);
      return producer !== undefined && Number.isSafeInteger(sequence) ? [[producer, sequence]] : [];
    });
    return new ProducerMarks(entries);
  }

  isRepeated(origin: MessageOrigin | undefined): boolean {
    return origin !== undefined && origin.sequence <= (this.#marks.get(origin.producer) ?? -1);
  }

  /** The marks once these are taken too. */
  with(messages: Iterable<{ readonly origin?: MessageOrigin | undefined }>): ProducerMarks {
    const next = new ProducerMarks(this.#marks);
    for (const { origin } of messages) {
      if (origin === undefined) continue;
      const sequence = Math.max(origin.sequence, next.#marks.get(origin.producer) ?? -1);
      next.#marks.delete(origin.producer);
      next.#marks.set(origin.producer, sequence);
    }
    return next;
  }

  /** `producer=sequence` with the number in base 36, a space in between; '' for none. */
  encode(): string {
    const texts: string[] = [];
    let bytes = 0;
    for (const [producer, sequence] of [...this.#marks].reverse()) {
      const text = `${producer}=${sequence.toString(36)}`;
      bytes += text.length + 1;
      if (bytes > MAX_METADATA_BYTES) break;
      texts.push(text);
    }
    return texts.reverse().join(' ');
  }
}
