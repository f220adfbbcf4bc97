/**
 * How far each partition of the mail stream was read, by time, and up to where it may be committed.
 *
 * A restart must see again what is younger than the hold time; so an offset is safe when the detector's clock is that
 * far beyond the clock at which it was read. Remembered in steps, so that the memory is bounded by time, not by messages.
 */

/** Messages that are read within one step are committed together. */
const STEP_MS = 1000;

export interface StreamMarks {
  /** False when an older offset comes again: the message is in the state already. */
  begin(partition: number, offset: number): boolean;
  /** The message at the offset, or a part of it, is read; the clock was at `fromMs` before and is at `toMs` after. */
  done(partition: number, offset: number, fromMs: number, toMs: number): void;
  /** The newest safe offset of the partition, -1 for none. */
  safe(partition: number, clockMs: number): number;
  /** Other messages come at the same offsets. */
  forget(partition: number): void;
}

interface Partition {
  observed: number;
  safe: number;
  /** Oldest first. */
  readonly marks: { offset: number; readonly fromMs: number; toMs: number }[];
}

export function createStreamMarks(holdMs: number): StreamMarks {
  const partitions = new Map<number, Partition>();

  return {
    begin(partition, offset) {
      let state = partitions.get(partition);
      if (state === undefined) {
        state = { observed: -1, safe: -1, marks: [] };
        partitions.set(partition, state);
      }
      // The newest message may come in parts, or whole again: its records are told apart one by one.
      if (offset < state.observed) return false;
      state.observed = offset;
      return true;
    },
    done(partition, offset, fromMs, toMs) {
      const state = partitions.get(partition);
      if (state === undefined) return;
      const last = state.marks.at(-1);
      if (last !== undefined && toMs - last.fromMs < STEP_MS) {
        last.offset = offset;
        last.toMs = toMs;
      } else {
        state.marks.push({ offset, fromMs, toMs });
      }
    },
    safe(partition, clockMs) {
      const state = partitions.get(partition);
      if (state === undefined) return -1;
      const { marks } = state;
      // What is read first after a restart must itself be older than the hold time: see `warmUpMs` in detector.ts.
      let count = 0;
      while (count + 1 < marks.length && marks[count + 1].fromMs <= clockMs - holdMs) count++;
      if (count > 0) {
        state.safe = marks[count - 1].offset;
        marks.splice(0, count);
      }
      return state.safe;
    },
    forget: (partition) => void partitions.delete(partition),
  };
}
