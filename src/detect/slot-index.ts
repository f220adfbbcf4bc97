/**
 * Finds slots by hash: an open-addressing table (linear probing) of pairs of hash and slot.
 *
 * Whoever asks compares the keys: a slot that is found has the hash, no more. Deleting moves later entries up, so that
 * nothing is left behind however long it runs. It bounds nothing: its users bound their records.
 */

const MIN_PLACES = 64;

export class SlotIndex {
  size = 0;
  /** Of each place the hash, and the slot plus one; 0 for an empty place. */
  private entries = new Uint32Array(2 * MIN_PLACES);
  private mask = MIN_PLACES - 1;

  /**
   * The next place from `from` on whose entry has the hash, or -1. Begin with the hash itself and go on with the place
   * after the last one.
   */
  probe(hash: number, from: number): number {
    const { entries, mask } = this;
    const wanted = hash >>> 0;
    for (let at = from & mask; ; at = (at + 1) & mask) {
      if (entries[2 * at + 1] === 0) return -1;
      if (entries[2 * at] === wanted) return at;
    }
  }

  slotAt(place: number): number {
    return this.entries[2 * place + 1] - 1;
  }

  add(hash: number, slot: number): void {
    // Under two thirds full: a look-up then takes two places on average.
    if (3 * (this.size + 1) > 2 * (this.mask + 1)) this.grow();
    this.place(hash >>> 0, slot + 1);
    this.size++;
  }

  remove(hash: number, slot: number): void {
    const { entries, mask } = this;
    let hole = hash & mask;
    while (entries[2 * hole + 1] !== slot + 1) {
      if (entries[2 * hole + 1] === 0) return;
      hole = (hole + 1) & mask;
    }
    this.size--;
    for (let at = (hole + 1) & mask; entries[2 * at + 1] !== 0; at = (at + 1) & mask) {
      // An entry may move up to the hole unless that lies before its own place.
      const home = entries[2 * at] & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      entries[2 * hole] = entries[2 * at];
      entries[2 * hole + 1] = entries[2 * at + 1];
      hole = at;
    }
    entries[2 * hole] = 0;
    entries[2 * hole + 1] = 0;
  }

  private place(hash: number, value: number): void {
    const { entries, mask } = this;
    let at = hash & mask;
    while (entries[2 * at + 1] !== 0) at = (at + 1) & mask;
    entries[2 * at] = hash;
    entries[2 * at + 1] = value;
  }

  private grow(): void {
    const old = this.entries;
    this.entries = new Uint32Array(2 * old.length);
    this.mask = 2 * this.mask + 1;
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.place(old[at], old[at + 1]);
  }
}
