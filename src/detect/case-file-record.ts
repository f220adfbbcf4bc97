/**
 * A case file as it lies in memory, in the record of its host, and the one view through which it is read and written.
 *
 * The fields read and are assigned like those of an object. A view shows one host's file at a time: whoever selects
 * another slot turns it for everybody who holds it. Lists come out as arrays, made for the asking: nothing that is done
 * for a record may need them. What the fields mean for an incident is in case-file.ts.
 */

import {
  ALERTED_MS,
  ASKED_BOUND,
  ATTEMPTS,
  BLOCK,
  BYTES,
  CHANGED_MS,
  CLOSED_MS,
  DENIED_SESSIONS,
  DESTINATION_COUNT,
  DESTINATIONS_CUT,
  FIRST_DATAGRAM,
  FIRST_MS,
  FIRST_PACKET_MS,
  HALF_SESSIONS,
  ID,
  INTERFACES,
  INTERNAL_SESSIONS,
  LAST_MS,
  LAST_PACKET_MS,
  LIKELY_MESSAGES,
  MESSAGE_SCORE,
  OPENED_MS,
  PACKETS,
  PORTS,
  PROBED_BOUND,
  RECURRENCE,
  REVISION,
  SAMPLED_PAYLOAD,
  SAMPLING,
  SCAN_DATAGRAM,
  SCORE,
  SESSIONS,
  STATE,
  TRIALS,
  UNCLEAR_MESSAGES,
  UPDATES,
  VERDICT,
} from './case-layout.ts';
import type { CaseBlock, CaseTables } from './case-tables.ts';
import type { Members } from './members.ts';
import type { MessageTest } from './message-test.ts';
import type { RecordStore } from './record-store.ts';
import type { SampledDialogue } from './sampled-dialogue.ts';

// Bits of STATE: two or three bits each for small numbers, then single ones.
const GRADE = 0;
const SOLID_GRADE = 3;
const RECORDS = 6;
const DATAGRAMS = 8;
const FLAGS_UNKNOWN = 1 << 10;
const SAMPLED = 1 << 11;
const DIALOGUE_PROVEN = 1 << 12;
const BACKSCATTER = 1 << 13;
const REPLIES_SEEN = 1 << 14;
const MESSAGE_SEEN = 1 << 15;
const MESSAGES_PROVEN = 1 << 16;
const TLS_SEEN = 1 << 17;
const SCANNING = 1 << 18;
const BULK_ENVELOPES = 1 << 19;
const SCAN_DATAGRAMS = 20;
const EXPECTED = 1 << 22;
const SUBMISSION_FAN = 1 << 23;
const BULK_BY_FAN = 1 << 24;
const UNTOLD = 1 << 25;

/** One id at a time, between its text and its words. */
const idBytes = Buffer.alloc(12);

export interface SeenInterface {
  readonly address: string;
  readonly domain: number;
  readonly interface: number;
}

export class CaseFile {
  slot = -1;
  readonly tables: CaseTables;
  private readonly samples: DialogueView;
  private readonly several: MessagesView;
  private readonly store: RecordStore;
  private words: Uint32Array = new Uint32Array(0);
  private wides: Float64Array = new Float64Array(0);
  private word = 0;
  private wide = 0;

  constructor(tables: CaseTables) {
    this.tables = tables;
    this.store = tables.hosts;
    this.samples = new DialogueView(this);
    this.several = new MessagesView(this);
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

  readWord(field: number): number {
    return this.words[this.word + field];
  }

  writeWord(field: number, value: number): void {
    this.words[this.word + field] = value;
  }

  /** The addresses of a group that stands as one host; null for a single address. */
  get members(): Members | null {
    return this.tables.members.get(this.slot) ?? null;
  }
  set members(value: Members | null) {
    if (value === null) this.tables.members.delete(this.slot);
    else this.tables.members.set(this.slot, value);
  }
  /** 24 hex digits. */
  get id(): string {
    for (let i = 0; i < 3; i++) idBytes.writeUInt32BE(this.words[this.word + ID + i], 4 * i);
    return idBytes.toString('hex');
  }
  set id(value: string) {
    idBytes.write(value, 'hex');
    for (let i = 0; i < 3; i++) this.words[this.word + ID + i] = idBytes.readUInt32BE(4 * i);
  }
  get recurrence(): number {
    return this.words[this.word + RECURRENCE];
  }
  set recurrence(value: number) {
    this.words[this.word + RECURRENCE] = value;
  }
  get openedMs(): number {
    return this.wides[this.wide + OPENED_MS];
  }
  set openedMs(value: number) {
    this.wides[this.wide + OPENED_MS] = value;
  }
  get firstMs(): number {
    return this.wides[this.wide + FIRST_MS];
  }
  set firstMs(value: number) {
    this.wides[this.wide + FIRST_MS] = value;
  }
  get lastMs(): number {
    return this.wides[this.wide + LAST_MS];
  }
  set lastMs(value: number) {
    this.wides[this.wide + LAST_MS] = value;
  }
  /** By the exporters' clocks; 0: not told. */
  get firstPacketMs(): number {
    return this.wides[this.wide + FIRST_PACKET_MS];
  }
  set firstPacketMs(value: number) {
    this.wides[this.wide + FIRST_PACKET_MS] = value;
  }
  get lastPacketMs(): number {
    return this.wides[this.wide + LAST_PACKET_MS];
  }
  set lastPacketMs(value: number) {
    this.wides[this.wide + LAST_PACKET_MS] = value;
  }
  get changedMs(): number {
    return this.wides[this.wide + CHANGED_MS];
  }
  set changedMs(value: number) {
    this.wides[this.wide + CHANGED_MS] = value;
  }
  get closedMs(): number | null {
    const closedMs = this.wides[this.wide + CLOSED_MS];
    return closedMs < 0 ? null : closedMs;
  }
  set closedMs(value: number | null) {
    this.wides[this.wide + CLOSED_MS] = value ?? -1;
  }
  /** Grows by one with each event that the case file took in. */
  get revision(): number {
    return this.wides[this.wide + REVISION];
  }
  set revision(value: number) {
    this.wides[this.wide + REVISION] = value;
  }
  get grade(): number {
    return this.bitsAt(GRADE, 7);
  }
  set grade(value: number) {
    this.putBits(GRADE, 7, value);
  }
  get sessions(): number {
    return this.wides[this.wide + SESSIONS];
  }
  set sessions(value: number) {
    this.wides[this.wide + SESSIONS] = value;
  }
  get attempts(): number {
    return this.wides[this.wide + ATTEMPTS];
  }
  set attempts(value: number) {
    this.wides[this.wide + ATTEMPTS] = value;
  }
  get halfSessions(): number {
    return this.wides[this.wide + HALF_SESSIONS];
  }
  set halfSessions(value: number) {
    this.wides[this.wide + HALF_SESSIONS] = value;
  }
  get deniedSessions(): number {
    return this.wides[this.wide + DENIED_SESSIONS];
  }
  set deniedSessions(value: number) {
    this.wides[this.wide + DENIED_SESSIONS] = value;
  }
  get packets(): number {
    return this.wides[this.wide + PACKETS];
  }
  set packets(value: number) {
    this.wides[this.wide + PACKETS] = value;
  }
  get bytes(): number {
    return this.wides[this.wide + BYTES];
  }
  set bytes(value: number) {
    this.wides[this.wide + BYTES] = value;
  }
  /** Sessions with internal servers among `sessions`. */
  get internalSessions(): number {
    return this.wides[this.wide + INTERNAL_SESSIONS];
  }
  set internalSessions(value: number) {
    this.wides[this.wide + INTERNAL_SESSIONS] = value;
  }
  get flagsUnknown(): boolean {
    return this.has(FLAGS_UNKNOWN);
  }
  set flagsUnknown(value: boolean) {
    this.put(FLAGS_UNKNOWN, value);
  }
  get sampled(): boolean {
    return this.has(SAMPLED);
  }
  set sampled(value: boolean) {
    this.put(SAMPLED, value);
  }
  /** The test over sampled sessions accepted once; `dialogue` is its state since the last block ended. */
  get dialogueProven(): boolean {
    return this.has(DIALOGUE_PROVEN);
  }
  set dialogueProven(value: boolean) {
    this.put(DIALOGUE_PROVEN, value);
  }
  get dialogue(): SampledDialogue {
    return this.samples;
  }
  set dialogue({ score, trials, payload }: SampledDialogue) {
    this.samples.score = score;
    this.samples.trials = trials;
    this.samples.payload = payload;
  }
  /** What several sessions prove together; since the last block ended. */
  get messages(): MessageTest {
    return this.several;
  }
  set messages({ score, likely, unclear }: MessageTest) {
    this.several.score = score;
    this.several.likely = likely;
    this.several.unclear = unclear;
  }
  /** One session carried what only a message explains. */
  get messageSeen(): boolean {
    return this.has(MESSAGE_SEEN);
  }
  set messageSeen(value: boolean) {
    this.put(MESSAGE_SEEN, value);
  }
  /** Several sessions proved messages once; `messages` is the state since the last block ended. */
  get messagesProven(): boolean {
    return this.has(MESSAGES_PROVEN);
  }
  set messagesProven(value: boolean) {
    this.put(MESSAGES_PROVEN, value);
  }
  /** A server sent it a certificate: it uses TLS where it can, and may resume a session without one. */
  get tlsSeen(): boolean {
    return this.has(TLS_SEEN);
  }
  set tlsSeen(value: boolean) {
    this.put(TLS_SEEN, value);
  }
  /** Connects to many servers and carries nothing. */
  get scanning(): boolean {
    return this.has(SCANNING);
  }
  set scanning(value: boolean) {
    this.put(SCANNING, value);
  }
  /** Datagrams behind `scanning`, counted up to 2. */
  get scanDatagrams(): number {
    return this.bitsAt(SCAN_DATAGRAMS, 3);
  }
  set scanDatagrams(value: number) {
    this.putBits(SCAN_DATAGRAMS, 3, value);
  }
  get scanDatagram(): number {
    return this.words[this.word + SCAN_DATAGRAM];
  }
  set scanDatagram(value: number) {
    this.words[this.word + SCAN_DATAGRAM] = value;
  }
  /** No more destinations than this were told addresses within the window: there is nothing to count below a threshold. */
  get askedBound(): number {
    return this.words[this.word + ASKED_BOUND];
  }
  set askedBound(value: number) {
    this.words[this.word + ASKED_BOUND] = value;
  }
  /** The same of destinations to which nothing was carried. */
  get probedBound(): number {
    return this.words[this.word + PROBED_BOUND];
  }
  set probedBound(value: number) {
    this.words[this.word + PROBED_BOUND] = value;
  }
  /** `bulk` by sessions that told addresses to many servers and need not have carried a message. */
  get bulkEnvelopes(): boolean {
    return this.has(BULK_ENVELOPES);
  }
  set bulkEnvelopes(value: boolean) {
    this.put(BULK_ENVELOPES, value);
  }
  /** All that it did was declared (`expected`): it was told once, and nothing more is told. */
  get expected(): boolean {
    return this.has(EXPECTED);
  }
  set expected(value: boolean) {
    this.put(EXPECTED, value);
  }
  /** More servers or sessions on submission ports than mail programs use. */
  get submissionFan(): boolean {
    return this.has(SUBMISSION_FAN);
  }
  set submissionFan(value: boolean) {
    this.put(SUBMISSION_FAN, value);
  }
  /** `bulk` for that alone. */
  get bulkByFan(): boolean {
    return this.has(BULK_BY_FAN);
  }
  set bulkByFan(value: boolean) {
    this.put(BULK_BY_FAN, value);
  }
  /** No alert was raised yet: the grade is below that of `alerts`. */
  get untold(): boolean {
    return this.has(UNTOLD);
  }
  set untold(value: boolean) {
    this.put(UNTOLD, value);
  }
  get backscatter(): boolean {
    return this.has(BACKSCATTER);
  }
  set backscatter(value: boolean) {
    this.put(BACKSCATTER, value);
  }
  get repliesSeen(): boolean {
    return this.has(REPLIES_SEEN);
  }
  set repliesSeen(value: boolean) {
    this.put(REPLIES_SEEN, value);
  }
  /** What the policy says of the host, in words. */
  get verdict(): string {
    return this.tables.texts.get(this.words[this.word + VERDICT]);
  }
  set verdict(value: string) {
    this.words[this.word + VERDICT] = this.tables.texts.numberOf(value);
  }
  get destinationsExact(): boolean {
    return this.words[this.word + DESTINATIONS_CUT] === 0;
  }
  set destinationsExact(value: boolean) {
    this.words[this.word + DESTINATIONS_CUT] = value ? 0 : 1;
  }
  get destinationCount(): number {
    return this.words[this.word + DESTINATION_COUNT];
  }
  get ports(): number[] {
    return this.tables.lists.toArray(this.words[this.word + PORTS], (port) => port);
  }
  get sampling(): number[] {
    return this.tables.lists.toArray(this.words[this.word + SAMPLING], (rate) => rate);
  }
  get interfaces(): SeenInterface[] {
    return this.tables.lists.toArray(this.words[this.word + INTERFACES], (observer, index) => {
      const { address, domain } = this.tables.vantagePoints.observer(observer);
      return { address, domain, interface: index };
    });
  }
  /** Evidence for a block, since the last one ended: see BlockInput. */
  get solidGrade(): number {
    return this.bitsAt(SOLID_GRADE, 7);
  }
  set solidGrade(value: number) {
    this.putBits(SOLID_GRADE, 7, value);
  }
  get records(): number {
    return this.bitsAt(RECORDS, 3);
  }
  set records(value: number) {
    this.putBits(RECORDS, 3, value);
  }
  get firstDatagram(): number {
    return this.wides[this.wide + FIRST_DATAGRAM];
  }
  set firstDatagram(value: number) {
    this.wides[this.wide + FIRST_DATAGRAM] = value;
  }
  get datagrams(): number {
    return this.bitsAt(DATAGRAMS, 3);
  }
  set datagrams(value: number) {
    this.putBits(DATAGRAMS, 3, value);
  }
  get block(): CaseBlock {
    return this.tables.blocks.get(this.words[this.word + BLOCK]);
  }
  /** The block as it is from now on; one that was set may be changed in place as long as it has dates. */
  set block(value: CaseBlock) {
    const { blocks } = this.tables;
    const at = this.word + BLOCK;
    this.words[at] = blocks.replace(this.words[at], value);
  }
  /** Alerts of kind `updated` so far. */
  get updates(): number {
    return this.wides[this.wide + UPDATES];
  }
  set updates(value: number) {
    this.wides[this.wide + UPDATES] = value;
  }
  /** When the newest alert of any kind was raised. */
  get alertedMs(): number {
    return this.wides[this.wide + ALERTED_MS];
  }
  set alertedMs(value: number) {
    this.wides[this.wide + ALERTED_MS] = value;
  }

  private has(bit: number): boolean {
    return (this.words[this.word + STATE] & bit) !== 0;
  }

  private put(bit: number, value: boolean): void {
    if (value) this.words[this.word + STATE] |= bit;
    else this.words[this.word + STATE] &= ~bit;
  }

  private bitsAt(shift: number, mask: number): number {
    return (this.words[this.word + STATE] >>> shift) & mask;
  }

  private putBits(shift: number, mask: number, value: number): void {
    const at = this.word + STATE;
    this.words[at] = (this.words[at] & ~(mask << shift)) | (value << shift);
  }
}

/** The test over samples of the file that a view shows. */
class DialogueView implements SampledDialogue {
  private readonly file: CaseFile;

  constructor(file: CaseFile) {
    this.file = file;
  }

  get score(): number {
    return this.file.readWord(SCORE);
  }
  set score(value: number) {
    this.file.writeWord(SCORE, value);
  }
  get trials(): number {
    return this.file.readWord(TRIALS);
  }
  set trials(value: number) {
    this.file.writeWord(TRIALS, value);
  }
  get payload(): number {
    return this.file.readWord(SAMPLED_PAYLOAD);
  }
  set payload(value: number) {
    this.file.writeWord(SAMPLED_PAYLOAD, value);
  }
}

/** The test over several sessions of the file that a view shows. */
class MessagesView implements MessageTest {
  private readonly file: CaseFile;

  constructor(file: CaseFile) {
    this.file = file;
  }

  get score(): number {
    // A word is unsigned; the score may be negative.
    return this.file.readWord(MESSAGE_SCORE) | 0;
  }
  set score(value: number) {
    this.file.writeWord(MESSAGE_SCORE, value);
  }
  get likely(): number {
    return this.file.readWord(LIKELY_MESSAGES);
  }
  set likely(value: number) {
    this.file.writeWord(LIKELY_MESSAGES, value);
  }
  get unclear(): number {
    return this.file.readWord(UNCLEAR_MESSAGES);
  }
  set unclear(value: number) {
    this.file.writeWord(UNCLEAR_MESSAGES, value);
  }
}
