/**
 * How often something may be done on a stranger's word: so many at once, so many a second after that.
 *
 * The clock is given, in milliseconds, and may jump: backwards it gives nothing and takes nothing, forwards it fills
 * the bucket at most. It never waits and keeps nothing but two numbers.
 */
export class TokenBucket {
  /** In thousandths, so that whole rates and milliseconds add up exactly. */
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledMs: number;

  /** Starts full: `burst` takes succeed at once, and `perSecond` each second from then on. */
  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst * 1000;
    this.#perSecond = perSecond;
    this.#tokens = this.#burst;
    this.#filledMs = nowMs;
  }

  /** Takes one, or returns false when there is none at `nowMs`. */
  take(nowMs: number): boolean {
    if (nowMs !== this.#filledMs) {
      const elapsedMs = nowMs - this.#filledMs;
      if (elapsedMs > 0) {
        this.#tokens = Math.min(this.#burst, this.#tokens + elapsedMs * this.#perSecond);
      }
      this.#filledMs = nowMs;
    }
    if (this.#tokens < 1000) return false;
    this.#tokens -= 1000;
    return true;
  }
}
