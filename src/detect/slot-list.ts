/**
 * A list of slots in an order of their own, linked through two fields of their records: what was longest untouched is
 * first. Moving and leaving cost the same wherever a slot stands.
 *
 * A slot may be in a list once; lists over the same records need fields of their own.
 */

import type { RecordStore } from './record-store.ts';

export class SlotList {
  size = 0;
  private readonly store: RecordStore;
  private readonly before: number;
  private readonly after: number;
  /** Slots plus one; 0 is none. */
  private first = 0;
  private last = 0;

  /** `before` and `after`: the fields of a record that hold its neighbours. */
  constructor(store: RecordStore, before: number, after: number) {
    this.store = store;
    this.before = before;
    this.after = after;
  }

  /** The slot that was longest in the list, -1 when it is empty. */
  oldest(): number {
    return this.first - 1;
  }

  /** The slot that came after, -1 for none. */
  next(slot: number): number {
    return this.store.get(slot, this.after) - 1;
  }

  /** The slot that was put in last, -1 when the list is empty. */
  newest(): number {
    return this.last - 1;
  }

  /** The slot that came before, -1 for none. */
  previous(slot: number): number {
    return this.store.get(slot, this.before) - 1;
  }

  append(slot: number): void {
    const { store } = this;
    store.set(slot, this.before, this.last);
    store.set(slot, this.after, 0);
    if (this.last === 0) this.first = slot + 1;
    else store.set(this.last - 1, this.after, slot + 1);
    this.last = slot + 1;
    this.size++;
  }

  remove(slot: number): void {
    const { store } = this;
    const before = store.get(slot, this.before);
    const after = store.get(slot, this.after);
    if (before === 0) this.first = after;
    else store.set(before - 1, this.after, after);
    if (after === 0) this.last = before;
    else store.set(after - 1, this.before, before);
    this.size--;
  }

  /** Moves a slot of the list to its end. */
  touch(slot: number): void {
    if (slot + 1 === this.last) return;
    this.remove(slot);
    this.append(slot);
  }
}
