/**
 * What the counters of one exporter mean, where the specifications leave it open, inferred from its own records.
 *
 * OUT counters (23, 24): what left after the router treated the packets (RFC 7270's "post"), or, on exporters that put both
 * directions of a connection into one record (Meraki, Fortinet, nProbe), the other direction. Delta counters beside totals
 * (Antrea): some exporters leave the deltas zero for ever. No judgement is final: it is the balance of the evidence so far,
 * bounded, so that an exporter that proves the opposite is read right again, whatever it sent before.
 */

/** Evidence that is kept; so much of it ends the search, until a record contradicts. */
const MAX_BALANCE = 64;
/** A record that cannot be what the balance says counts for so many that merely fit. */
const CLEAR = 4;
/** Octets a packet that encapsulation may add or remove between in and out: 50 for VXLAN, 80 for SRv6. */
const MAX_ENCAPSULATION = 80;
/** Mean octets a packet up to which both directions of a TCP connection are often the same: handshakes, keepalives, resets. */
const MAX_EMPTY_SEGMENT = 80;
/** Packets of at least this mean size may leave in pieces: more packets, the same payload. */
const MIN_FRAGMENTED = 500;
const TCP = 6;

export type OutMeaning = 'unknown' | 'post' | 'reverse';

export class CounterHabits {
  /** Evidence that OUT counts the same packets, less the evidence that it counts others. */
  #balance = 0;
  #isKnown = false;
  /** While true, readers show every record with IN and OUT counters to `judge`; else only those that look contradictory. */
  judging = true;
  /** OUT counts the other direction. */
  outIsReverse = false;
  /** Once such a delta counter beside a total was not zero, a zero means that nothing came. */
  packetDeltasCount = false;
  byteDeltasCount = false;
  /** Counters that cannot be, negative ones mostly, and for which the record had no other source. */
  absurd = 0;

  get outMeaning(): OutMeaning {
    if (!this.#isKnown) return 'unknown';
    return this.outIsReverse ? 'reverse' : 'post';
  }

  /**
   * Shows one record with both counters: its protocol (0 when not told), packets and octets; the packets are not zero.
   * Both directions of a ping, of NTP, of a refused or an idle connection are alike, so that equal counters say something
   * only of TCP with payload.
   */
  judge(protocol: number, inPackets: number, outPackets: number, inBytes: number, outBytes: number): void {
    const inSize = inBytes / inPackets;
    const perPacket = Math.abs(outBytes / outPackets - inSize);
    if (outPackets <= inPackets && perPacket === 0) {
      // Of just the same size, and all of them, or fewer since the others were dropped.
      if (protocol === TCP && inSize > MAX_EMPTY_SEGMENT) this.#add(1);
    } else if (inPackets === outPackets) {
      if (perPacket > MAX_ENCAPSULATION) this.#add(-CLEAR);
    } else if (outPackets < inPackets) {
      // Other sizes when some were dropped: possible, and not likely.
      this.#add(-1);
    } else {
      const isFragmented =
        inSize >= MIN_FRAGMENTED && Math.abs(outBytes - inBytes) <= MAX_ENCAPSULATION * outPackets;
      if (!isFragmented) this.#add(-CLEAR);
    }
  }

  #add(evidence: number): void {
    this.#isKnown = true;
    this.#balance = Math.max(-MAX_BALANCE, Math.min(MAX_BALANCE, this.#balance + evidence));
    this.outIsReverse = this.#balance < 0;
    this.judging = Math.abs(this.#balance) < MAX_BALANCE;
  }
}
