/** What is to happen, earliest first: a binary heap. Equal times come out in the order of their entry. */

export interface Queue<Item> {
  push(atMs: number, item: Item): void;
  /** The earliest time, or infinity. */
  nextMs(): number;
  pop(): Item | undefined;
}

interface Entry<Item> {
  readonly atMs: number;
  readonly order: number;
  readonly item: Item;
}

export function createQueue<Item>(): Queue<Item> {
  const entries: Entry<Item>[] = [];
  let order = 0;

  const isBefore = (a: Entry<Item>, b: Entry<Item>) =>
    a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order;

  return {
    push(atMs, item) {
      const entry = { atMs, order: order++, item };
      let at = entries.length;
      entries.push(entry);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!isBefore(entry, entries[parent])) break;
        entries[at] = entries[parent];
        at = parent;
      }
      entries[at] = entry;
    },
    nextMs: () => (entries.length === 0 ? Number.POSITIVE_INFINITY : entries[0].atMs),
    pop() {
      const first = entries[0];
      const last = entries.pop();
      if (last === undefined || entries.length === 0) return first?.item;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= entries.length) break;
        if (child + 1 < entries.length && isBefore(entries[child + 1], entries[child])) child++;
        if (!isBefore(entries[child], last)) break;
        entries[at] = entries[child];
        at = child;
      }
      entries[at] = last;
      return first.item;
    },
  };
}
