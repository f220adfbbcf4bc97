/**
 * Deadlines of hosts, earliest first: a binary heap over two parallel arrays.
 *
 * A deadline may be passed over late (whoever pops asks the host whether it is really due), so that moving it to a later
 * time costs nothing. Equal deadlines come out in the order of their entry.
 */

export interface Deadlines<Item> {
  readonly size: number;
  push(atMs: number, item: Item): void;
  /** The earliest deadline, or infinity. */
  nextMs(): number;
  pop(): Item | undefined;
}

export function createDeadlines<Item>(): Deadlines<Item> {
  const times: number[] = [];
  const orders: number[] = [];
  const items: Item[] = [];
  let entries = 0;

  const before = (a: number, b: number) =>
    times[a] !== times[b] ? times[a] < times[b] : orders[a] < orders[b];

  function swap(a: number, b: number): void {
    [times[a], times[b]] = [times[b], times[a]];
    [orders[a], orders[b]] = [orders[b], orders[a]];
    [items[a], items[b]] = [items[b], items[a]];
  }

  return {
    get size() {
      return items.length;
    },
    push(atMs, item) {
      times.push(atMs);
      orders.push(entries++);
      items.push(item);
      let at = items.length - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(at, parent)) break;
        swap(at, parent);
        at = parent;
      }
    },
    nextMs: () => (times.length === 0 ? Number.POSITIVE_INFINITY : times[0]),
    pop() {
      if (items.length === 0) return undefined;
      swap(0, items.length - 1);
      const item = items.pop();
      times.pop();
      orders.pop();
      let at = 0;
      for (;;) {
        const left = 2 * at + 1;
        if (left >= items.length) break;
        const child = left + 1 < items.length && before(left + 1, left) ? left + 1 : left;
        if (!before(child, at)) break;
        swap(child, at);
        at = child;
      }
      return item;
    },
  };
}
