/** A count of changes, and those who wait for the next one. */

import type { Source } from '../../waiting.ts';

export class Changes {
  #count = 0;
  readonly #waiting = new Set<() => void>();

  get count(): number {
    return this.#count;
  }

  /** Resolves at the next change after the first `seen` ones. */
  after(seen: number): Source<void> {
    return (resolve) => {
      if (this.#count !== seen) {
        resolve();
        return () => undefined;
      }
      // An object of its own for each wait, should two waits share a function.
      const wait = () => resolve();
      this.#waiting.add(wait);
      return () => this.#waiting.delete(wait);
    };
  }

  notify(): void {
    this.#count++;
    for (const wake of [...this.#waiting]) wake();
  }
}
