/**
 * Puts the mail rows of flow logs into the order of time.
 *
 * Tools write a line when they forget the connection, minutes after its end and some connections earlier than others;
 * Suricata at the end of a capture writes them in no order at all. The detector's clock never goes back, so rows wait
 * here, which costs no detection: a file has no "now". Bounded: when it is full, the older half goes, and a row that
 * comes too late for its place is given the time of the last one that went, and counted.
 */

import { appendRow, createFlowBatch, type FlowBatch, readWide, writeWide } from '../../flow/batch.ts';

const INITIAL_ROWS = 4096;

export interface TimeOrder {
  /** Rows that came too late for their place in time. */
  readonly late: number;
  /** Takes copies of all rows, and hands out what has to go. */
  add(batch: FlowBatch): void;
  /** Hands out all rows. */
  end(): void;
}

/** `onRows` sees ordered rows, in batches of at most `batchRows` that are valid during the call. */
export function createTimeOrder(
  limits: { readonly maxRows: number; readonly batchRows: number },
  onRows: (batch: FlowBatch) => void,
): TimeOrder {
  const { maxRows } = limits;
  let waiting = createFlowBatch(Math.min(INITIAL_ROWS, maxRows));
  let lastMs = 0;
  let late = 0;

  /** The rows that wait, as they came. */
  const all = () => Uint32Array.from({ length: waiting.length }, (_, row) => row);

  /** The rows that wait, by time; equal times in the order in which they came. */
  function sorted(): Uint32Array {
    const { received_at } = waiting.columns;
    const order = all();
    const times = Float64Array.from(order, (row) => readWide(received_at, row));
    return order.sort((a, b) => times[a] - times[b] || a - b);
  }

  function handOut(order: Uint32Array): void {
    for (let from = 0; from < order.length; from += limits.batchRows) {
      const rows = order.subarray(from, from + limits.batchRows);
      const batch = createFlowBatch(rows.length);
      for (const row of rows) {
        appendRow(batch, waiting, row);
        const { received_at } = batch.columns;
        const at = batch.length - 1;
        if (readWide(received_at, at) < lastMs) {
          writeWide(received_at, at, lastMs);
          late++;
        }
        lastMs = readWide(received_at, at);
      }
      onRows(batch);
    }
  }

  /** Keeps only these rows, as they came, with room for `capacity`. */
  function keep(order: Uint32Array, capacity: number): void {
    const kept = createFlowBatch(capacity);
    for (const row of order.sort()) appendRow(kept, waiting, row);
    waiting = kept;
  }

  function makeRoom(): void {
    if (waiting.capacity < maxRows) {
      keep(all(), Math.min(maxRows, 2 * waiting.capacity));
      return;
    }
    const order = sorted();
    const half = Math.ceil(order.length / 2);
    handOut(order.subarray(0, half));
    keep(order.subarray(half), maxRows);
  }

  return {
    get late() {
      return late;
    },
    add(batch) {
      for (let row = 0; row < batch.length; row++) {
        if (waiting.length === waiting.capacity) makeRoom();
        appendRow(waiting, batch, row);
      }
    },
    end() {
      handOut(sorted());
      waiting = createFlowBatch(Math.min(INITIAL_ROWS, maxRows));
    },
  };
}
