/**
 * Short lists and rings of many owners in cells of 16 bytes out of one store.
 *
 * A list holds pairs of words, a ring the newest times. The owner keeps the head as a number (0 is the empty list) in a
 * record of its own, and must empty the list before it forgets it. Lists are short: everything is found by walking.
 */

import { RecordStore } from './record-store.ts';

const CELL_WORDS = 4;
const FIRST = 0;
const SECOND = 1;
const NEXT = 2;

export class CellLists {
  private readonly cells = new RecordStore(CELL_WORDS);

  /** True when the pair is in the list. */
  has(head: number, first: number, second: number): boolean {
    const { cells } = this;
    for (let cell = head; cell !== 0; cell = cells.get(cell - 1, NEXT)) {
      if (cells.get(cell - 1, FIRST) === first && cells.get(cell - 1, SECOND) === second) return true;
    }
    return false;
  }

  length(head: number): number {
    let length = 0;
    for (let cell = head; cell !== 0; cell = this.cells.get(cell - 1, NEXT)) length++;
    return length;
  }

  /** Adds a pair at the end, or with `sorted` before the first that is larger in its first word; returns the head. */
  add(head: number, first: number, second: number, sorted: boolean): number {
    const { cells } = this;
    const made = cells.allocate();
    cells.set(made, FIRST, first);
    cells.set(made, SECOND, second);
    let before = 0;
    let cell = head;
    while (cell !== 0 && !(sorted && cells.get(cell - 1, FIRST) > first)) {
      before = cell;
      cell = cells.get(cell - 1, NEXT);
    }
    cells.set(made, NEXT, cell);
    if (before === 0) return made + 1;
    cells.set(before - 1, NEXT, made + 1);
    return head;
  }

  /** The list as arrays, for messages. */
  toArray<Item>(head: number, item: (first: number, second: number) => Item): Item[] {
    const { cells } = this;
    // Of the right size from the start: `push` would leave room for 17.
    const items = new Array<Item>(this.length(head));
    let at = 0;
    for (let cell = head; cell !== 0; cell = cells.get(cell - 1, NEXT))
      items[at++] = item(cells.get(cell - 1, FIRST), cells.get(cell - 1, SECOND));
    return items;
  }

  empty(head: number): void {
    for (let cell = head; cell !== 0; ) {
      const next = this.cells.get(cell - 1, NEXT);
      this.cells.release(cell - 1);
      cell = next;
    }
  }

  // A ring is known by its newest cell, whose `next` is the oldest.

  /** The time in a cell of a ring. */
  timeOf(cell: number): number {
    return this.cells.words64(cell - 1)[this.cells.wide(cell - 1)];
  }

  setTime(cell: number, atMs: number): void {
    this.cells.words64(cell - 1)[this.cells.wide(cell - 1)] = atMs;
  }

  /** The cell of a ring that came after; after the newest comes the oldest. */
  cellAfter(cell: number): number {
    return this.cells.get(cell - 1, NEXT);
  }

  /** Adds a time behind the newest; returns the new head. */
  push(newest: number, atMs: number): number {
    const { cells } = this;
    const made = cells.allocate() + 1;
    this.setTime(made, atMs);
    if (newest === 0) {
      cells.set(made - 1, NEXT, made);
    } else {
      cells.set(made - 1, NEXT, cells.get(newest - 1, NEXT));
      cells.set(newest - 1, NEXT, made);
    }
    return made;
  }

  /** Takes the oldest out; returns the head, 0 when the ring is empty now. */
  dropOldest(newest: number): number {
    const { cells } = this;
    const oldest = cells.get(newest - 1, NEXT);
    const next = cells.get(oldest - 1, NEXT);
    cells.release(oldest - 1);
    if (oldest === newest) return 0;
    cells.set(newest - 1, NEXT, next);
    return newest;
  }
}
