/**
 * How far each producer's numbered messages of a partition were taken, so that one that was published twice is taken once,
 * and so that what is missing in between is counted in rows.
 *
 * Producers publish in the order of their numbers and, after a failure that left the outcome open, some again; so a
 * number that is not above the mark has been here before. A message also says how many rows its producer had published to
 * the partition before it; more than were taken are lost. Marks travel in the metadata of a committed offset, which makes
 * them exact over restarts and rebalances. A broker keeps 4096 bytes of metadata: beyond some hundred producers the ones
 * that were silent longest are forgotten, and could then, and only after such a failure, be taken twice.
 */

import type { MessageOrigin } from '../stream.ts';

/** Of 4096, with room for what else a position says. */
const MAX_METADATA_BYTES = 3950;
/** Says that producers were forgotten, or came before the marks began. */
const INCOMPLETE = '!';

interface Mark {
  readonly sequence: number;
  /** Rows of the producer up to and with that message; null when it does not say. */
  readonly rows: number | null;
}

interface Numbered {
  readonly origin?: MessageOrigin | undefined;
  readonly rows: number;
}

export class ProducerMarks {
  /** The newest is last. */
  readonly #marks: ReadonlyMap<string, Mark>;
  /** A producer without a mark has published nothing to the partition that was read before. */
  readonly #complete: boolean;

  /** `complete`: the partition is read from its very beginning. */
  constructor(complete: boolean, marks: ReadonlyMap<string, Mark> = new Map()) {
    this.#marks = marks;
    this.#complete = complete;
  }

  /** Reads what `encode` wrote; anything else is no marks. */
  static decode(text: string): ProducerMarks {
    const marks = new Map<string, Mark>();
    for (const part of text.split(' ')) {
      const [, producer, sequence, rows] = /^([\w-]+)=([0-9a-z]+)(?::([0-9a-z]+))?$/.exec(part) ?? [];
      const mark = { sequence: whole(sequence), rows: rows === undefined ? null : whole(rows) };
      if (producer === undefined || Number.isNaN(mark.sequence) || Number.isNaN(mark.rows)) continue;
      marks.set(producer, mark);
    }
    return new ProducerMarks(!text.split(' ').includes(INCOMPLETE), marks);
  }

  isRepeated(origin: MessageOrigin | undefined): boolean {
    const mark = origin === undefined ? undefined : this.#marks.get(origin.producer);
    return origin !== undefined && mark !== undefined && !isBehind(origin, mark);
  }

  /** Rows that the producer of a message published to the partition before it, and that were not taken. */
  missingBefore(origin: MessageOrigin | undefined): number {
    if (origin?.rowsBefore === undefined || this.isRepeated(origin)) return 0;
    const mark = this.#marks.get(origin.producer);
    const taken = mark === undefined ? (this.#complete ? 0 : null) : mark.rows;
    return taken === null ? 0 : Math.max(0, origin.rowsBefore - taken);
  }

  /** The marks once these are taken too. */
  with(messages: Iterable<Numbered>): ProducerMarks {
    const marks = new Map(this.#marks);
    for (const { origin, rows } of messages) {
      if (origin === undefined) continue;
      const before = marks.get(origin.producer);
      // To the end, as the one that was heard last.
      marks.delete(origin.producer);
      marks.set(
        origin.producer,
        before !== undefined && !isBehind(origin, before)
          ? before
          : {
              sequence: origin.sequence,
              rows: origin.rowsBefore === undefined ? null : origin.rowsBefore + rows,
            },
      );
    }
    return new ProducerMarks(this.#complete, marks);
  }

  /** `producer=sequence` or `producer=sequence:rows` with numbers in base 36, a space in between; '' for none. */
  encode(): string {
    const texts: string[] = [];
    let bytes = 0;
    let complete = this.#complete;
    for (const [producer, { sequence, rows }] of [...this.#marks].reverse()) {
      const text = `${producer}=${sequence.toString(36)}${rows === null ? '' : `:${rows.toString(36)}`}`;
      bytes += text.length + 1;
      if (bytes > MAX_METADATA_BYTES) {
        complete = false;
        break;
      }
      texts.push(text);
    }
    if (!complete) texts.push(INCOMPLETE);
    return texts.reverse().join(' ');
  }
}

/** Parts of a message that was too large for its topic have one number, and follow one another by their rows. */
function isBehind({ sequence, rowsBefore }: MessageOrigin, mark: Mark): boolean {
  if (sequence !== mark.sequence) return sequence > mark.sequence;
  return rowsBefore !== undefined && mark.rows !== null && rowsBefore >= mark.rows;
}

function whole(digits: string | undefined): number {
  const value = Number.parseInt(digits ?? '', 36);
  return Number.isSafeInteger(value) ? value : Number.NaN;
}
