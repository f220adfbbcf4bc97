/**
 * Slots by their owner, each owner's in an order of their own, and who has the most.
 *
 * Makes a full table fair: who takes the most room makes room for others (max-min fairness), so that one source of
 * invented entries pushes out its own. An owner is a small number, here that of an exporter.
 */

import type { RecordStore } from './record-store.ts';
import { SlotList } from './slot-list.ts';

export class Shares {
  private readonly store: RecordStore;
  private readonly owner: number;
  private readonly before: number;
  private readonly after: number;
  private readonly lists: SlotList[] = [];
  /** Sizes of the lists, for the search of the largest. */
  private readonly sizes: number[] = [];
  /** Owners that have any slot. */
  owners = 0;

  /** `owner`, `before` and `after`: the fields of a record that hold its owner and its neighbours. */
  constructor(store: RecordStore, owner: number, before: number, after: number) {
    this.store = store;
    this.owner = owner;
    this.before = before;
    this.after = after;
  }

  append(owner: number, slot: number): void {
    while (this.lists.length <= owner) {
      this.lists.push(new SlotList(this.store, this.before, this.after));
      this.sizes.push(0);
    }
    this.store.set(slot, this.owner, owner);
    this.lists[owner].append(slot);
    if (this.sizes[owner]++ === 0) this.owners++;
  }

  remove(slot: number): void {
    const owner = this.store.get(slot, this.owner);
    this.lists[owner].remove(slot);
    if (--this.sizes[owner] === 0) this.owners--;
  }

  touch(slot: number): void {
    this.lists[this.store.get(slot, this.owner)].touch(slot);
  }

  sizeOf(owner: number): number {
    return this.sizes[owner] ?? 0;
  }

  /** The owner with the most slots; `owner` where it has as many as that. A linear search: only for a full table. */
  largest(owner: number): number {
    const { sizes } = this;
    let largest = owner;
    let most = this.sizeOf(owner);
    for (let at = 0; at < sizes.length; at++) {
      if (sizes[at] <= most) continue;
      most = sizes[at];
      largest = at;
    }
    return largest;
  }

  /** The slot of the owner that was longest untouched, -1 for none. */
  oldestOf(owner: number): number {
    return this.lists[owner]?.oldest() ?? -1;
  }
}
