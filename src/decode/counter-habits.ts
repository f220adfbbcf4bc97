/**
 * What the counters of one exporter mean, where the specifications leave it open, inferred from its own records.
 *
 * OUT counters (23, 24): what left after the router treated the packets (RFC 7270's "post"), or, on exporters that put both
 * directions of a connection into one record (Meraki, Fortinet, nProbe), the other direction. Delta counters beside totals
 * (Antrea): some exporters leave the deltas zero for ever. Nothing is judged by one's name, and few records suffice: a
 * judgement is a comparison of the evidence so far, so that the first record that differs is read right itself.
 */

/** So much evidence of one kind, and none of the other, ends the search. */
const ENOUGH = 64;
/** Octets a packet that encapsulation may add or remove between in and out: 50 for VXLAN, 80 for SRv6. */
const MAX_ENCAPSULATION = 80;

export type OutMeaning = 'unknown' | 'post' | 'reverse';

export class CounterHabits {
  /** Records whose OUT counters were those of the same packets, and of others. */
  #post = 0;
  #reverse = 0;
  /** While true, readers show their IN and OUT counters to `judge`. */
  judging = true;
  /** OUT counts the other direction. */
  outIsReverse = false;
  /** Once a delta counter beside a total was not zero, a zero means that nothing came. */
  deltasCount = false;
  /** Counters that cannot be, negative ones mostly, and for which the record had no other source. */
  absurd = 0;

  get outMeaning(): OutMeaning {
    if (this.#post + this.#reverse === 0) return 'unknown';
    return this.outIsReverse ? 'reverse' : 'post';
  }

  /** Shows one record with both counters; all four are its packets and octets, none of the packets zero. */
  judge(inPackets: number, outPackets: number, inBytes: number, outBytes: number): void {
    const perPacket = Math.abs(outBytes / outPackets - inBytes / inPackets);
    if (inPackets === outPackets) {
      if (perPacket === 0) this.#post++;
      else if (perPacket > MAX_ENCAPSULATION) this.#reverse++;
    } else if (outPackets < inPackets && perPacket === 0) {
      // Fewer of just the same size: the others were dropped.
      this.#post++;
    } else this.#reverse++;
    this.outIsReverse = this.#reverse > this.#post;
    if (this.#post + this.#reverse >= ENOUGH && (this.#post === 0 || this.#reverse === 0))
      this.judging = false;
  }
}
