/**
 * Memory as datagrams are received in: slots that hold one each, side by side, and that later ones overwrite.
 *
 * A decoder that reads past its datagram meets the leftovers of others, and one that keeps a view finds another datagram in it.
 */

const SLOT_BYTES = 65_536;
const SLOTS = 3;

/** Puts each datagram into the next slot, over what is there, and gives the view of it. */
export function createSlots(): (datagram: Buffer) => Buffer {
  const memory = Buffer.alloc(SLOTS * SLOT_BYTES, 0xa5);
  let next = 0;
  return (datagram) => {
    const at = SLOT_BYTES * next;
    next = (next + 1) % SLOTS;
    return memory.subarray(at, at + datagram.copy(memory, at, 0, SLOT_BYTES));
  };
}
