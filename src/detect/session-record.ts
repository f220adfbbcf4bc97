/**
 * A session as it lies in memory: 176 bytes of a record store, and the one view through which they are read and written.
 *
 * The fields read and are assigned like those of an object. A view shows one session at a time: whoever selects another
 * slot turns it for everybody who holds it. No rule about sessions is here, see sessions.ts.
 */

import type { SessionEvidence } from './evidence.ts';
import type { RecordStore } from './record-store.ts';

// Doubles, by their place among the doubles of a record.
const FIRST_RECORD = 0;
const FIRST_MS = 1;
const OPEN_UNTIL_MS = 2;
const FORWARD_PACKETS = 3;
const FORWARD_BYTES = 4;
const REPLY_PACKETS = 5;
const REPLY_BYTES = 6;
const FORWARD_SUM_PACKETS = 7;
const FORWARD_SUM_BYTES = 8;
const REPLY_SUM_PACKETS = 9;
const REPLY_SUM_BYTES = 10;

/** Words of the key: four of the client's address, four of the server's, both ports, the site. */
export const KEY = 22;
export const HASH = 32;
export const OLDER = 33;
export const NEWER = 34;
const STATE = 35;
const GRADE = 36;
const FLAGS = 37;
const FORWARD_VANTAGE = 38;
const REPLY_VANTAGE = 39;
const LAST_END = 40;
const LAST_COUNTS = 41;
const REPLY_END = 42;
const REPLY_COUNTS = 43;
export const SESSION_WORDS = 44;

// Bits of STATE; above them two bits for `stray`, and four for `message`.
const FORWARD_SEEN = 1 << 0;
const REPLY_SEEN = 1 << 1;
const SAMPLED = 1 << 2;
const DENIED = 1 << 3;
const INVERTED = 1 << 4;
const RELEASED = 1 << 5;
const WAITING = 1 << 6;
const FLAGS_UNKNOWN = 1 << 7;
const TIMESTAMPS = 1 << 8;
const HALF = 1 << 9;
const DENIED_COUNTED = 1 << 10;
const DETACHED = 1 << 11;
const HAS_VIEWS = 1 << 12;
const IPV6 = 1 << 13;
const NO_TIMESTAMPS = 1 << 14;
const SETTLED = 1 << 15;
const RESUMED = 1 << 18;
const STRAY_SHIFT = 16;
const MESSAGE_SHIFT = 20;
const MESSAGE_MASK = 15;

export class Session implements SessionEvidence {
  slot = -1;
  private readonly store: RecordStore;
  private words: Uint32Array = new Uint32Array(0);
  private wides: Float64Array = new Float64Array(0);
  private word = 0;
  private wide = 0;

  constructor(store: RecordStore) {
    this.store = store;
  }

  select(slot: number): this {
    const { store } = this;
    this.slot = slot;
    this.words = store.words32(slot);
    this.wides = store.words64(slot);
    this.word = store.word(slot);
    this.wide = store.wide(slot);
    return this;
  }

  private has(bit: number): boolean {
    return (this.words[this.word + STATE] & bit) !== 0;
  }

  private put(bit: number, value: boolean): void {
    if (value) this.words[this.word + STATE] |= bit;
    else this.words[this.word + STATE] &= ~bit;
  }

  /** Hash of the first record: the same after a restart. */
  get firstRecord(): number {
    return this.wides[this.wide + FIRST_RECORD];
  }
  set firstRecord(value: number) {
    this.wides[this.wide + FIRST_RECORD] = value;
  }
  get firstMs(): number {
    return this.wides[this.wide + FIRST_MS];
  }
  set firstMs(value: number) {
    this.wides[this.wide + FIRST_MS] = value;
  }
  /** A record that comes later than this begins another session. */
  get openUntilMs(): number {
    return this.wides[this.wide + OPEN_UNTIL_MS];
  }
  set openUntilMs(value: number) {
    this.wides[this.wide + OPEN_UNTIL_MS] = value;
  }

  get forwardPackets(): number {
    return this.wides[this.wide + FORWARD_PACKETS];
  }
  set forwardPackets(value: number) {
    this.wides[this.wide + FORWARD_PACKETS] = value;
  }
  get forwardBytes(): number {
    return this.wides[this.wide + FORWARD_BYTES];
  }
  set forwardBytes(value: number) {
    this.wides[this.wide + FORWARD_BYTES] = value;
  }
  get replyPackets(): number {
    return this.wides[this.wide + REPLY_PACKETS];
  }
  set replyPackets(value: number) {
    this.wides[this.wide + REPLY_PACKETS] = value;
  }
  get replyBytes(): number {
    return this.wides[this.wide + REPLY_BYTES];
  }
  set replyBytes(value: number) {
    this.wides[this.wide + REPLY_BYTES] = value;
  }

  /** The first vantage point of each half (-1 before there is one) with its sums. */
  get forwardVantage(): number {
    return this.words[this.word + FORWARD_VANTAGE] - 1;
  }
  set forwardVantage(value: number) {
    this.words[this.word + FORWARD_VANTAGE] = value + 1;
  }
  get forwardSumPackets(): number {
    return this.wides[this.wide + FORWARD_SUM_PACKETS];
  }
  set forwardSumPackets(value: number) {
    this.wides[this.wide + FORWARD_SUM_PACKETS] = value;
  }
  get forwardSumBytes(): number {
    return this.wides[this.wide + FORWARD_SUM_BYTES];
  }
  set forwardSumBytes(value: number) {
    this.wides[this.wide + FORWARD_SUM_BYTES] = value;
  }
  get replyVantage(): number {
    return this.words[this.word + REPLY_VANTAGE] - 1;
  }
  set replyVantage(value: number) {
    this.words[this.word + REPLY_VANTAGE] = value + 1;
  }
  get replySumPackets(): number {
    return this.wides[this.wide + REPLY_SUM_PACKETS];
  }
  set replySumPackets(value: number) {
    this.wides[this.wide + REPLY_SUM_PACKETS] = value;
  }
  get replySumBytes(): number {
    return this.wides[this.wide + REPLY_SUM_BYTES];
  }
  set replySumBytes(value: number) {
    this.wides[this.wide + REPLY_SUM_BYTES] = value;
  }

  /** The end (low word of the milliseconds) and a hash of the counts of the newest record of the client's half. */
  get lastEnd(): number {
    return this.words[this.word + LAST_END];
  }
  set lastEnd(value: number) {
    this.words[this.word + LAST_END] = value;
  }
  get lastCounts(): number {
    return this.words[this.word + LAST_COUNTS];
  }
  set lastCounts(value: number) {
    this.words[this.word + LAST_COUNTS] = value;
  }

  /** The end (low word of the milliseconds) of the newest record of the server's half, 0 before one that tells it. */
  get replyEnd(): number {
    return this.words[this.word + REPLY_END];
  }
  set replyEnd(value: number) {
    this.words[this.word + REPLY_END] = value;
  }
  /** A hash of the counts of the newest record of the server's half that has several packets. */
  get replyCounts(): number {
    return this.words[this.word + REPLY_COUNTS];
  }
  set replyCounts(value: number) {
    this.words[this.word + REPLY_COUNTS] = value;
  }

  get forwardFlags(): number {
    return this.words[this.word + FLAGS] & 0xffff;
  }
  set forwardFlags(value: number) {
    const at = this.word + FLAGS;
    this.words[at] = (this.words[at] & 0xffff0000) | value;
  }
  get replyFlags(): number {
    return this.words[this.word + FLAGS] >>> 16;
  }
  set replyFlags(value: number) {
    const at = this.word + FLAGS;
    this.words[at] = (this.words[at] & 0xffff) | (value << 16);
  }

  get forwardSeen(): boolean {
    return this.has(FORWARD_SEEN);
  }
  set forwardSeen(value: boolean) {
    this.put(FORWARD_SEEN, value);
  }
  get replySeen(): boolean {
    return this.has(REPLY_SEEN);
  }
  set replySeen(value: boolean) {
    this.put(REPLY_SEEN, value);
  }
  get sampled(): boolean {
    return this.has(SAMPLED);
  }
  set sampled(value: boolean) {
    this.put(SAMPLED, value);
  }
  get denied(): boolean {
    return this.has(DENIED);
  }
  set denied(value: boolean) {
    this.put(DENIED, value);
  }
  /** The outside end sent the first SYN, from a mail port: the internal host is the server, and this no offence. */
  get inverted(): boolean {
    return this.has(INVERTED);
  }
  set inverted(value: boolean) {
    this.put(INVERTED, value);
  }
  /** Seen by replies only, and long enough for the other half to have come: now it counts as it is. */
  get released(): boolean {
    return this.has(RELEASED);
  }
  set released(value: boolean) {
    this.put(RELEASED, value);
  }
  /** Waits in the queue for `released`. */
  get waiting(): boolean {
    return this.has(WAITING);
  }
  set waiting(value: boolean) {
    this.put(WAITING, value);
  }
  /** Out of the table while it waits: its slot is free when the wait is over. */
  get detached(): boolean {
    return this.has(DETACHED);
  }
  set detached(value: boolean) {
    this.put(DETACHED, value);
  }
  /** Some record of it had no TCP flags. */
  get flagsUnknown(): boolean {
    return this.has(FLAGS_UNKNOWN);
  }
  set flagsUnknown(value: boolean) {
    this.put(FLAGS_UNKNOWN, value);
  }
  get ipv6(): boolean {
    return this.has(IPV6);
  }
  set ipv6(value: boolean) {
    this.put(IPV6, value);
  }
  /** Some record proves that the connection has no TCP timestamps, or other sessions with the same server do. */
  get noTimestamps(): boolean {
    return this.has(NO_TIMESTAMPS);
  }
  set noTimestamps(value: boolean) {
    this.put(NO_TIMESTAMPS, value);
  }
  /** Other sessions with the same server prove that its connections have TCP timestamps. */
  get timestamps(): boolean {
    return this.has(TIMESTAMPS);
  }
  set timestamps(value: boolean) {
    this.put(TIMESTAMPS, value);
  }
  /** A session before had a certificate that this one lacks. */
  get resumed(): boolean {
    return this.has(RESUMED);
  }
  set resumed(value: boolean) {
    this.put(RESUMED, value);
  }
  /** It was compared with others: what they prove later is no matter for it. */
  get settled(): boolean {
    return this.has(SETTLED);
  }
  set settled(value: boolean) {
    this.put(SETTLED, value);
  }
  /** There are more vantage points than the first of each half. */
  get hasViews(): boolean {
    return this.has(HAS_VIEWS);
  }
  set hasViews(value: boolean) {
    this.put(HAS_VIEWS, value);
  }

  /** What of it counts for its host: grade and half as told last. */
  get grade(): number {
    return this.words[this.word + GRADE];
  }
  set grade(value: number) {
    this.words[this.word + GRADE] = value;
  }
  get half(): boolean {
    return this.has(HALF);
  }
  set half(value: boolean) {
    this.put(HALF, value);
  }
  get deniedCounted(): boolean {
    return this.has(DENIED_COUNTED);
  }
  set deniedCounted(value: boolean) {
    this.put(DENIED_COUNTED, value);
  }
  /** Records of the server's half that looked like backscatter, 2 at most. */
  get stray(): number {
    return (this.words[this.word + STATE] >>> STRAY_SHIFT) & 3;
  }
  set stray(value: number) {
    const at = this.word + STATE;
    this.words[at] = (this.words[at] & ~(3 << STRAY_SHIFT)) | (value << STRAY_SHIFT);
  }

  /** How far its payload proves a message, a value of MESSAGE; as told last. */
  get message(): number {
    return (this.words[this.word + STATE] >>> MESSAGE_SHIFT) & MESSAGE_MASK;
  }
  set message(value: number) {
    const at = this.word + STATE;
    this.words[at] = (this.words[at] & ~(MESSAGE_MASK << MESSAGE_SHIFT)) | (value << MESSAGE_SHIFT);
  }
}
