/**
 * What a session adds to the case file of its host: the difference between what it proves now and what it had before.
 *
 * Sessions are counted by their steps, so that a session may change its mind (the other half arrives, a router denies
 * it) without the figures drifting. Nothing here decides when something is reported.
 */

import type { DetectionConfig } from '../config/schema.ts';
import { readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { BLOCK_PORT } from './block.ts';
import {
  BULK,
  isBulk,
  isBulkByEnvelopes,
  isMailBulk,
  isScanning,
  noteInterface,
  notePort,
  noteSampling,
  noteSession,
} from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import { natural } from './destinations.ts';
import { SESSION_GRADE } from './evidence.ts';
import { DOES } from './expected.ts';
import { noteMessage, provesMessages } from './message-test.ts';
import { MESSAGE, showsCertificate } from './message-weight.ts';
import { datagramHash } from './recent-records.ts';
import { isAccepted, noteSample } from './sampled-dialogue.ts';
import { FAN, type Sighting } from './screen.ts';
import type { Session } from './session-record.ts';
import { isWorthComparing, learnFromOthers } from './session-sizes.ts';

/** What a session counted for before the record at hand. */
export interface Before {
  grade: number;
  half: boolean;
  denied: boolean;
  message: number;
  /** What an earlier session counted for that the one at hand shows to be a likely message; `nothing` when none. */
  earlier: number;
  packets: number;
  bytes: number;
}

export function nothingBefore(before: Before): void {
  before.grade = SESSION_GRADE.none;
  before.half = false;
  before.denied = false;
  before.message = MESSAGE.nothing;
  before.earlier = MESSAGE.nothing;
  before.packets = 0;
  before.bytes = 0;
}

export interface Tally {
  /** Adds the session's step to the file. */
  add(file: CaseFile, session: Session, before: Before, s: Sighting, eventMs: number): void;
  /** Only rebuilds the windows, for a step that a restored file has in its figures already. */
  rebuild(file: CaseFile, session: Session, before: Before, s: Sighting, eventMs: number): void;
}

export function createTally(detection: DetectionConfig): Tally {
  /** Keeps the windows that tell `bulk` and `scanning`; with `judge` also draws the conclusions. */
  function noteWindows(
    file: CaseFile,
    session: Session,
    before: Before,
    s: Sighting,
    destination: number,
    eventMs: number,
    judge: boolean,
  ): void {
    if (session.message === before.message && session.grade === before.grade && session.half === before.half)
      return;
    // Submission has bounds of its own.
    if (s.fan !== FAN.none) return;
    const { declared } = s.expectation;
    if (declared === DOES.check || declared === DOES.verify) return;
    const { destinations } = file.tables;
    if (mayCarryMessage(file, session, session.message, session.grade)) {
      const known = mayCarryMessage(file, session, before.message, before.grade);
      if (!known) {
        noteSession(file, false, detection, eventMs);
        if (destination >= 0) destinations.noteMessage(destination, false, eventMs);
        if (judge && !isMailBulk(file) && tellsBulk(file, session) && isBulk(file, detection, false, eventMs))
          setMailBulk(file);
      }
      if (isSolid(session.grade, session.half, s) && !(known && isSolid(before.grade, before.half, s))) {
        noteSession(file, true, detection, eventMs);
        if (destination >= 0) destinations.noteMessage(destination, true, eventMs);
        if (
          judge &&
          file.solidGrade < BULK &&
          tellsBulk(file, session) &&
          isBulk(file, detection, true, eventMs)
        )
          file.solidGrade = BULK;
      }
    }
    if (destination < 0 || session.sampled || session.half || s.internal || declared !== DOES.nothing) return;
    const sinceMs = eventMs - detection.bulk.window;
    if (tellsAddresses(session.message)) {
      if (destinations.noteAsked(destination, eventMs, sinceMs)) file.askedBound++;
      if (judge && !file.bulkEnvelopes && isBulkByEnvelopes(file, detection, eventMs)) {
        file.bulkEnvelopes = true;
        setMailBulk(file);
      }
    }
    if (session.message >= MESSAGE.unclear) {
      destinations.clearProbed(destination);
    } else if (before.grade === SESSION_GRADE.none) {
      if (destinations.noteProbed(destination, eventMs, sinceMs)) file.probedBound++;
      if (!judge) return;
      if (file.scanDatagrams < 2) noteScanDatagram(file, s);
      if (!file.scanning) file.scanning = isScanning(file, detection, eventMs);
    }
  }

  return {
    add(file, session, before, s, eventMs) {
      const { grade } = session;
      const { reached, packets, bytes } = addSteps(file, session, before);
      if (before.grade === SESSION_GRADE.none) file.firstMs = Math.min(file.firstMs, session.firstMs);
      file.lastMs = Math.max(file.lastMs, s.receivedMs);
      noteSource(file, session, s);
      if (s.internal && reached > 0) file.internalSessions++;

      let destination = -1;
      // A denied attempt reached nobody: it is counted, but its destination is not.
      if (!session.deniedCounted) {
        const { destinations } = file.tables;
        const connected = grade >= SESSION_GRADE.connected;
        destination = destinations.note(file.slot, s.server, s.serverAt, connected, reached, packets, bytes);
      }
      if (destination >= 0 && isWorthComparing(session, detection.conversed))
        learnFromOthers(file.tables.destinations, destination, session, detection.conversed, false);
      if (!file.tlsSeen && session.replySeen && !session.sampled && showsCertificate(session))
        file.tlsSeen = true;
      const solid = isSolid(grade, session.half, s);
      const { declared } = s.expectation;
      const counts = solid && isEvidence(file, declared);
      if (solid && !session.sampled && declared !== DOES.send) {
        if (before.earlier !== MESSAGE.nothing) noteMessages(file, before.earlier, MESSAGE.likely);
        noteMessages(file, before.message, session.message);
      }
      const proven = provenGrade(file, session);
      file.grade = Math.max(file.grade, proven);
      // A check may use TLS, which samples do not tell from mail.
      if (declared === DOES.nothing && s.forward && packetsOf(session) > before.packets)
        noteSamples(file, session, s);
      if (counts && isAccepted(file.dialogue)) {
        file.dialogueProven = true;
        file.grade = Math.max(file.grade, SESSION_GRADE.conversed);
        file.solidGrade = Math.max(file.solidGrade, SESSION_GRADE.conversed);
      }
      noteWindows(file, session, before, s, destination, eventMs, true);
      if (counts) noteSolid(file, proven, s);
    },
    rebuild(file, session, before, s, eventMs) {
      const destination = file.tables.destinations.find(file.slot, s.server, s.serverAt);
      noteWindows(file, session, before, s, destination, eventMs, false);
    },
  };
}

/** What `addSteps` found; one object for all calls. */
const steps = { reached: 0, packets: 0, bytes: 0 };

/** Adds to the figures of a file what a session counts for beyond `before`; returns what its destination gets of it. */
export function addSteps(file: CaseFile, session: Session, before: Before): Readonly<typeof steps> {
  const { grade } = session;
  steps.packets = packetsOf(session) - before.packets;
  steps.bytes = bytesOf(session) - before.bytes;
  steps.reached = step(grade >= SESSION_GRADE.connected, before.grade >= SESSION_GRADE.connected);
  const attempts = step(grade === SESSION_GRADE.attempted, before.grade === SESSION_GRADE.attempted);
  file.sessions = Math.max(0, file.sessions + steps.reached);
  file.attempts = Math.max(0, file.attempts + attempts);
  file.halfSessions = Math.max(0, file.halfSessions + step(session.half, before.half));
  file.deniedSessions = Math.max(0, file.deniedSessions + step(session.deniedCounted, before.denied));
  file.packets = natural(file.packets + steps.packets);
  file.bytes = natural(file.bytes + steps.bytes);
  return steps;
}

/** Notes where and when a record was seen, and what its session's records have and lack. */
export function noteSource(file: CaseFile, session: Session, s: Sighting): void {
  notePacketTimes(file, s);
  if (session.flagsUnknown) file.flagsUnknown = true;
  if (session.sampled) file.sampled = true;
  if (session.replySeen) file.repliesSeen = true;
  notePort(file, s.port);
  noteSampling(file, s.samplingRate);
  noteInterface(file, file.tables.vantagePoints.observerOf(s.vantage), s.interface);
}

function setMailBulk(file: CaseFile): void {
  file.grade = BULK;
  file.bulkByFan = false;
}

/** An exporter whose clock is further off says nothing about when. */
const MAX_CLOCK_ERROR_MS = 366 * 86_400_000;

/** When the packets went, by the exporter's clock: a long flow is told at its end, long after its first packet. */
function notePacketTimes(file: CaseFile, { columns, row, receivedMs }: Sighting): void {
  if (columns === null) return;
  const present = columns.present[row];
  if ((present & PRESENT.START) !== 0) {
    const ms = readWide(columns.start, row);
    if (
      Math.abs(receivedMs - ms) <= MAX_CLOCK_ERROR_MS &&
      (file.firstPacketMs === 0 || ms < file.firstPacketMs)
    )
      file.firstPacketMs = ms;
  }
  if ((present & PRESENT.END) !== 0) {
    const ms = readWide(columns.end, row);
    if (Math.abs(receivedMs - ms) <= MAX_CLOCK_ERROR_MS && ms > file.lastPacketMs) file.lastPacketMs = ms;
  }
}

/** What a session counts for: the client's half, or what the server told of it. */
export const packetsOf = (session: Session): number =>
  session.forwardSeen ? session.forwardPackets : session.replyPackets;
export const bytesOf = (session: Session): number =>
  session.forwardSeen ? session.forwardBytes : session.replyBytes;

/**
 * Takes a record of the client's half into the test over samples. Only one that made the session larger: what a router
 * tells twice, or two exporters tell of the same packets, is no further evidence.
 */
function noteSamples(file: CaseFile, session: Session, { columns, row, port, internal }: Sighting): void {
  if (columns === null || columns.sampling_rate[row] <= 1) return;
  if (port !== BLOCK_PORT || internal || session.deniedCounted) return;
  const flags = (columns.present[row] & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
  if (session.grade < (flags === 0 ? SESSION_GRADE.attempted : SESSION_GRADE.connected)) return;
  noteSample(
    file.dialogue,
    readWide(columns.packets, row),
    readWide(columns.bytes, row),
    flags,
    session.ipv6,
  );
}

/** A sampled ACK may be one of a scan with ACKs: many of them are no bulk unless the samples prove messages. */
const tellsBulk = (file: CaseFile, session: Session): boolean =>
  !session.sampled || isAccepted(file.dialogue);

/**
 * The grade that a session gives to its host: what it proves by itself, or together with others. The one that may have been resumed
 * proves nothing by itself at a host that uses TLS.
 */
export function provenGrade(file: CaseFile, session: Session): number {
  const { grade, message } = session;
  if (message < MESSAGE.likely) return grade;
  if (provesMessages(file.messages)) return SESSION_GRADE.conversed;
  return message === MESSAGE.unlessResumed && file.tlsSeen ? SESSION_GRADE.connected : grade;
}

/** Takes what a session of port 25 weighs into the test over several. */
function noteMessages(file: CaseFile, before: number, now: number): void {
  noteMessage(file.messages, weightFor(file, before), weightFor(file, now));
  if (weightFor(file, now) > MESSAGE.likely) file.messageSeen = true;
  if (provesMessages(file.messages)) file.messagesProven = true;
}

const weightFor = (file: CaseFile, message: number): number =>
  message === MESSAGE.unlessResumed && file.tlsSeen ? MESSAGE.unclear : message;

/** A session that counts for `bulk`. Of a sampled one nothing more is known than that it is a connection; see `tellsBulk`. */
const mayCarryMessage = (file: CaseFile, { sampled }: Session, message: number, grade: number): boolean =>
  sampled ? grade >= SESSION_GRADE.connected : weightFor(file, message) >= MESSAGE.likely;

/** As much as the envelope of a mail takes, or more. */
const tellsAddresses = (message: number): boolean =>
  message >= MESSAGE.envelope && message !== MESSAGE.tlsGreeting;

/** What is within a declaration is no evidence for a block: not even that a message was sent, unless in bulk. */
const isEvidence = (file: CaseFile, declared: number): boolean =>
  declared === DOES.nothing || (declared === DOES.send && isMailBulk(file));

/** Evidence that a block may rest on: the client's half was seen, on the port that an ACL denies. */
export function isSolid(grade: number, half: boolean, s: Sighting): boolean {
  return grade >= SESSION_GRADE.connected && !half && s.port === BLOCK_PORT && !s.internal;
}

/** Counts records and datagrams behind the solid grade, as far as it matters. */
function noteSolid(file: CaseFile, grade: number, s: Sighting): void {
  file.solidGrade = Math.max(file.solidGrade, grade);
  if (file.records < 2) file.records++;
  if (file.datagrams === 2 || s.columns === null) return;
  const datagram = datagramHash(s.columns, s.row);
  if (file.datagrams === 0) {
    file.firstDatagram = datagram;
    file.datagrams = 1;
  } else if (datagram !== file.firstDatagram) {
    file.datagrams = 2;
  }
}

/** Counts the datagrams behind `scanning`, as far as it matters: one alone can be forged. */
function noteScanDatagram(file: CaseFile, s: Sighting): void {
  if (s.columns === null) return;
  const datagram = datagramHash(s.columns, s.row) >>> 0;
  if (file.scanDatagrams === 0) {
    file.scanDatagram = datagram;
    file.scanDatagrams = 1;
  } else if (datagram !== file.scanDatagram) {
    file.scanDatagrams = 2;
  }
}

const step = (now: boolean, before: boolean): number => (now ? 1 : 0) - (before ? 1 : 0);
