/**
 * Records of one fixed size in typed arrays, each known by a small number, its slot.
 *
 * The memory of everything that the detector keeps by the million: no object, no text and nothing for the garbage
 * collector. It grows in chunks, so that growing copies nothing, and uses freed slots again. It knows nothing of what
 * the fields mean. Whoever keeps a slot must know that it is not freed meanwhile.
 */

const SHIFT = 10;
const RECORDS = 1 << SHIFT;
const MASK = RECORDS - 1;

/** A class, as its users: the code of methods is shared by all detectors of a process. */
export class RecordStore {
  /** Records in use. */
  size = 0;
  private readonly words: number;
  private readonly chunks32: Uint32Array[] = [];
  private readonly chunks64: Float64Array[] = [];
  private readonly free: number[] = [];
  private beyond = 0;

  /** `words`: size of a record in words of 32 bits; an even number, so that doubles lie right. */
  constructor(words: number) {
    this.words = words;
  }

  /** A slot whose fields are all zero. */
  allocate(): number {
    this.size++;
    const freed = this.free.pop();
    if (freed !== undefined) {
      // A loop: for so few words the call of `fill` costs more than the work.
      const wides = this.words64(freed);
      const at = this.wide(freed);
      const end = at + (this.words >> 1);
      for (let i = at; i < end; i++) wides[i] = 0;
      return freed;
    }
    const slot = this.beyond++;
    if (slot >> SHIFT === this.chunks32.length) {
      const chunk = new ArrayBuffer(4 * this.words * RECORDS);
      this.chunks32.push(new Uint32Array(chunk));
      this.chunks64.push(new Float64Array(chunk));
    }
    return slot;
  }

  release(slot: number): void {
    this.size--;
    this.free.push(slot);
  }

  /** The arrays that hold a slot, as words and as doubles; `word` and `wide` say where its record begins in them. */
  words32(slot: number): Uint32Array {
    return this.chunks32[slot >> SHIFT];
  }

  words64(slot: number): Float64Array {
    return this.chunks64[slot >> SHIFT];
  }

  word(slot: number): number {
    return (slot & MASK) * this.words;
  }

  wide(slot: number): number {
    return ((slot & MASK) * this.words) >> 1;
  }

  get(slot: number, field: number): number {
    return this.chunks32[slot >> SHIFT][(slot & MASK) * this.words + field];
  }

  set(slot: number, field: number, value: number): void {
    this.chunks32[slot >> SHIFT][(slot & MASK) * this.words + field] = value;
  }
}
