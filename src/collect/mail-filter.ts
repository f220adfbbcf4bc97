/**
 * The mail filter: which rows of a batch belong to TCP ports that carry mail.
 *
 * A scan over the two columns of ports, so that the detector never sees the rest of the traffic. It only selects; what
 * the rows mean is the detector's to say. Later fragments have no ports (IE 88), ICMP types in port fields are no TCP.
 */

import { clearRows, type FlowBatch, KIND_ELEMENTS } from '../flow/batch.ts';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS } from '../flow/columns.ts';

const TCP = 6;

/**
 * Appends the rows of `batch` from row `from` on that have one of the ports as source or destination to `target`.
 * Returns the first row that was not looked at since the target is full: `batch.length` when all were.
 */
export type SelectMail = (batch: FlowBatch, target: FlowBatch, from?: number) => number;

export function createMailFilter(ports: Iterable<number>): SelectMail {
  const wanted = portTable(ports);
  let selected = new Uint32Array(0);

  return (batch, target, from = 0) => {
    if (selected.length < batch.capacity) selected = new Uint32Array(batch.capacity);
    const room = target.capacity - target.length;
    if (room === 0) return from;
    const count = findMail(wanted, batch, from, room, selected);
    if (count > 0) gatherRows(batch, selected, count, target);
    return count === room ? selected[count - 1] + 1 : batch.length;
  };
}

/** Leaves only the rows of a batch that have one of the ports as source or destination. Copies nothing when all have. */
export type KeepMail = (batch: FlowBatch) => void;

export function createMailKeeper(ports: Iterable<number>): KeepMail {
  const wanted = portTable(ports);
  let selected = new Uint32Array(0);

  return (batch) => {
    if (selected.length < batch.capacity) selected = new Uint32Array(batch.capacity);
    const count = findMail(wanted, batch, 0, batch.length, selected);
    if (count === batch.length) return;
    // A row only ever moves towards the beginning, so that none is overwritten before it has moved.
    gather(batch, selected, count, batch, 0);
    clearRows(batch, count);
  };
}

/** Writes the numbers of at most `room` mail rows into `found`, and returns how many. 1 to 2 ns a row. */
function findMail(
  wanted: Uint8Array,
  batch: FlowBatch,
  from: number,
  room: number,
  found: Uint32Array,
): number {
  const { protocol, src_port, dst_port, fragment_offset } = batch.columns;
  const rows = batch.length;
  let count = 0;
  for (let row = from; row < rows && count < room; row++) {
    if ((wanted[dst_port[row]] | wanted[src_port[row]]) === 0) continue;
    if (protocol[row] !== TCP || fragment_offset[row] !== 0) continue;
    found[count++] = row;
  }
  return count;
}

function portTable(ports: Iterable<number>): Uint8Array {
  const wanted = new Uint8Array(65_536);
  for (const port of ports) wanted[port] = 1;
  // Port 0 is what rows without ports hold.
  wanted[0] = 0;
  return wanted;
}

/** Appends the first `count` rows named in `selected` to `target`, which must have room. */
export function gatherRows(batch: FlowBatch, selected: Uint32Array, count: number, target: FlowBatch): void {
  gather(batch, selected, count, target, target.length);
  target.length += count;
}

/** Column by column, so that the inner loop stays with one array; a loop of its own for each kind of array. */
function gather(batch: FlowBatch, selected: Uint32Array, count: number, target: FlowBatch, to: number): void {
  for (const name of FLOW_COLUMN_NAMES) {
    const input = batch.columns[name];
    const out = target.columns[name];
    const width = KIND_ELEMENTS[FLOW_COLUMNS[name]];
    if (input instanceof Uint16Array && out instanceof Uint16Array) {
      gather16(input, selected, count, out, to);
    } else if (input instanceof Uint8Array && out instanceof Uint8Array && width === 1) {
      gather8(input, selected, count, out, to);
    } else {
      // Addresses, 64-bit values and times as the words that they are made of: a third of the time of bytes.
      const words = (width * input.BYTES_PER_ELEMENT) / 4;
      gatherWords(wordsOf(input), selected, count, wordsOf(out), to, words);
    }
  }
}

function wordsOf(column: Uint8Array | Uint16Array | Uint32Array): Uint32Array {
  return new Uint32Array(column.buffer, column.byteOffset, column.byteLength / 4);
}

function gather8(input: Uint8Array, rows: Uint32Array, count: number, out: Uint8Array, to: number): void {
  for (let i = 0; i < count; i++) out[to + i] = input[rows[i]];
}

function gather16(input: Uint16Array, rows: Uint32Array, count: number, out: Uint16Array, to: number): void {
  for (let i = 0; i < count; i++) out[to + i] = input[rows[i]];
}

function gatherWords(
  input: Uint32Array,
  rows: Uint32Array,
  count: number,
  out: Uint32Array,
  to: number,
  words: number,
): void {
  let at = to * words;
  for (let i = 0; i < count; i++) {
    const from = rows[i] * words;
    for (let k = 0; k < words; k++) out[at++] = input[from + k];
  }
}
