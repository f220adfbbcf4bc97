/**
 * Deadlines of slots, earliest first: a binary heap in typed arrays that knows where each slot stands.
 *
 * A slot has one deadline at most, so the heap is as large as what it serves. A deadline may be passed over late (whoever
 * pops asks whether it is really due), so that moving it to a later time costs nothing. Equal deadlines come out in the
 * order in which they were set.
 */

export interface Deadlines {
  readonly size: number;
  /** Sets the deadline of a slot, in place of the one it has. */
  set(slot: number, atMs: number): void;
  delete(slot: number): void;
  /** The earliest deadline, or infinity. */
  nextMs(): number;
  /** The slot with the earliest deadline, taken out; -1 for none. */
  pop(): number;
}

const MIN_PLACES = 64;

export function createDeadlines(): Deadlines {
  let times = new Float64Array(MIN_PLACES);
  let orders = new Float64Array(MIN_PLACES);
  let slots = new Uint32Array(MIN_PLACES);
  /** By slot: its place in the heap plus one, 0 when it has no deadline. */
  let places = new Uint32Array(MIN_PLACES);
  let size = 0;
  let entries = 0;

  const before = (a: number, b: number) =>
    times[a] !== times[b] ? times[a] < times[b] : orders[a] < orders[b];

  function swap(a: number, b: number): void {
    const [time, order, slot] = [times[a], orders[a], slots[a]];
    times[a] = times[b];
    orders[a] = orders[b];
    slots[a] = slots[b];
    times[b] = time;
    orders[b] = order;
    slots[b] = slot;
    places[slots[a]] = a + 1;
    places[slot] = b + 1;
  }

  function rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  }

  function sink(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= size) return;
      const child = left + 1 < size && before(left + 1, left) ? left + 1 : left;
      if (!before(child, at)) return;
      swap(child, at);
      at = child;
    }
  }

  function takeOut(at: number): void {
    const last = --size;
    if (at !== last) swap(at, last);
    places[slots[last]] = 0;
    if (at !== last) {
      sink(at);
      rise(at);
    }
  }

  return {
    get size() {
      return size;
    },
    set(slot, atMs) {
      if (slot >= places.length) places = larger(places, Math.max(slot + 1, 2 * places.length));
      if (places[slot] !== 0) takeOut(places[slot] - 1);
      if (size === times.length) {
        times = larger(times, 2 * size);
        orders = larger(orders, 2 * size);
        slots = larger(slots, 2 * size);
      }
      times[size] = atMs;
      orders[size] = entries++;
      slots[size] = slot;
      places[slot] = size + 1;
      rise(size++);
    },
    delete(slot) {
      if (slot < places.length && places[slot] !== 0) takeOut(places[slot] - 1);
    },
    nextMs: () => (size === 0 ? Number.POSITIVE_INFINITY : times[0]),
    pop() {
      if (size === 0) return -1;
      const slot = slots[0];
      takeOut(0);
      return slot;
    },
  };
}

function larger<Column extends Uint32Array | Float64Array>(column: Column, length: number): Column {
  const grown = column instanceof Uint32Array ? new Uint32Array(length) : new Float64Array(length);
  grown.set(column);
  return grown as Column;
}
