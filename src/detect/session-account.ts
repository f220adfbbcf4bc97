/**
 * Brings what a session proves to the account of its host: the step from what it counted for to what it proves now.
 *
 * Here a session gets its grade, waits for its other half, and is found to be told already after a restart. Each record
 * that reached a session passes once, and so does a session whose wait is over.
 */

import type { CaseFile } from './case-file-record.ts';
import { type DetectorState, mostHosts, mostUnanswered } from './detector-state.ts';
import { gradeConnection, gradeWith, SESSION_GRADE } from './evidence.ts';
import type { Host } from './host-table.ts';
import type { IncidentLife } from './incident-life.ts';
import type { Watermark } from './incidents.ts';
import { MESSAGE, weighMessage } from './message-weight.ts';
import type { Outbox } from './outbox.ts';
import { PORT_CLASS } from './policy.ts';
import { emptySighting, FAN, type Sighting } from './screen.ts';
import type { Session } from './session-record.ts';
import { isWorthComparing, learnFromOthers } from './session-sizes.ts';
import type { SubmissionFans } from './submission-fans.ts';
import { type Before, bytesOf, nothingBefore, packetsOf, type Tally } from './tally.ts';
import { isWarmingUp } from './warm-up.ts';

export interface SessionAccount {
  /** Notes what the session counts for; before a record is added to it. */
  remember(session: Session): void;
  /** Brings what a session proves now to the account of its host. `eventMs`: the clock, or a timer's due time. */
  account(session: Session, s: Sighting, eventMs: number): void;
  /** The session that has waited longest for its other half counts as it is. */
  releaseHalf(atMs: number): void;
}

/** `fans`: what counts sessions on submission ports; null while those are no mail ports. */
export function createSessionAccount(
  state: DetectorState,
  outbox: Outbox,
  life: IncidentLife,
  fans: SubmissionFans | null,
  tally: () => Tally,
): SessionAccount {
  const { sessions, halves, hosts, groups, firstEvidence, counters } = state;
  const before: Before = {
    grade: 0,
    half: false,
    denied: false,
    message: 0,
    earlier: 0,
    packets: 0,
    bytes: 0,
  };
  /** The record of a session whose wait for the other half is over. */
  const waited = emptySighting();
  /** The attempt of a host that waited in the table of first evidence. */
  const attempt = emptySighting();
  const nothing: Before = { ...before };

  /** Notes in `before` what the session counts for at its host. */
  function remember(session: Session): void {
    nothingBefore(before);
    if (session.grade === SESSION_GRADE.none) return;
    before.grade = session.grade;
    before.half = session.half;
    before.denied = session.deniedCounted;
    before.message = session.message;
    before.earlier = MESSAGE.nothing;
    before.packets = packetsOf(session);
    before.bytes = bytesOf(session);
  }

  /** Brings what a session proves now to the account of its host. `eventMs`: the clock, or a timer's due time. */
  function account(session: Session, s: Sighting, eventMs: number): void {
    regrade(session, s);
    const { grade } = session;
    const countsNothing = grade === SESSION_GRADE.none && before.grade === SESSION_GRADE.none;
    if (countsNothing && session.stray < 2) return;
    const { bytes, at } = groups.hostOf(s);
    const known = hosts.find(s.site, bytes, at);
    const told = isTold(known?.restored ?? null, s, eventMs);
    const isOpen = known !== undefined && known.file.closedMs === null;
    if (isOpen) compare(known.file, session, s, told);
    s.expectation = expectationOf(session, s);
    s.fan = FAN.none;
    if (fans !== null && !countsNothing && state.policy.portClass[s.port] === PORT_CLASS.submission) {
      s.fan = fans.note(session, before, s, eventMs, told && isOpen);
      if (s.fan === FAN.none) return;
    }

    if (told) {
      const file = known?.file;
      if (file?.closedMs === null && eventMs >= file.openedMs) {
        tally().rebuild(file, session, before, s, eventMs);
      }
      // A host with an attempt and no incident: it waited in the table of first evidence.
      if (known === undefined && grade === SESSION_GRADE.attempted && s.fan === FAN.none)
        noteFirst(session, s);
      return;
    }
    if (countsNothing) {
      // Answers to somebody else's packets are worth a flag on an incident that is there, and nothing else. Under
      // sampling the packets that they answer may simply not have been picked.
      if (isOpen && !known.file.backscatter && !session.sampled) {
        known.file.backscatter = true;
        outbox.changed(known, s, eventMs);
      }
      return;
    }
    if (isOpen) life.continue(known, session, before, s, eventMs);
    else if (grade !== SESSION_GRADE.none) openKnownOrNew(known, session, s, eventMs);
  }

  function openKnownOrNew(known: Host | undefined, session: Session, s: Sighting, eventMs: number): void {
    if (known !== undefined) {
      life.open(known, session, before, s, eventMs);
      return;
    }
    if (
      s.fan === FAN.none &&
      isCrowded() &&
      session.grade === SESSION_GRADE.attempted &&
      noteFirst(session, s)
    )
      return;
    const { bytes, at } = groups.hostOf(s);
    const first = firstEvidence.take(s.site, bytes, at, attempt, state.policy);
    if (first === null || first.firstRecord === session.firstRecord) {
      // What it counted for while it waited is nowhere counted.
      if (first !== null && first.firstMs === session.firstMs) nothingBefore(before);
      life.open(undefined, session, before, s, eventMs);
      return;
    }
    attempt.partition = s.partition;
    attempt.offset = s.offset;
    attempt.expectation = expectationOf(first, attempt);
    life.open(undefined, first, nothing, attempt, eventMs);
    const host = hosts.find(s.site, bytes, at);
    if (s.fan === FAN.none) nothingBefore(before);
    if (host !== undefined) life.continue(host, session, before, s, eventMs);
  }

  const isCrowded = (): boolean => counters.open.attempted >= mostUnanswered(state.detection);

  /** False when another attempt of the host is kept already. */
  function noteFirst(session: Session, s: Sighting): boolean {
    const { bytes, at } = groups.hostOf(s);
    const reporter = state.tables.vantagePoints.exporterOf(s.vantage);
    // A session that counted for an incident which is gone must not give its successor the same id.
    const firstMs = before.grade === SESSION_GRADE.none ? session.firstMs : s.receivedMs;
    return firstEvidence.note(bytes, at, session, firstMs, s, reporter, mostHosts(state.detection));
  }

  const expectationOf = (session: Session, s: Sighting) =>
    state.policy.expect(s.client, s.clientAt, s.server, s.serverAt, session.message, s.receivedMs, s.site);

  /** Weighs a session anew by what earlier ones with the same server tell. */
  function compare(file: CaseFile, session: Session, s: Sighting, told: boolean): void {
    const { conversed } = state.detection;
    if (!isWorthComparing(session, conversed)) return;
    const { destinations } = file.tables;
    const destination = destinations.find(file.slot, s.server, s.serverAt);
    if (destination < 0) return;
    before.earlier = learnFromOthers(destinations, destination, session, conversed, told);
    regrade(session, s);
  }

  /**
   * True when what was published by an earlier process has this record, or this timer, in its figures, so that it only
   * rebuilds what was in memory. The first records after a restart always are: see warm-up.ts.
   */
  function isTold(restored: Watermark | null, s: Sighting, eventMs: number): boolean {
    if (isWarmingUp(state.warmUps, s)) return true;
    if (restored === null || s.partition !== restored.partition || s.offset > restored.offset) return false;
    return (s.columns === null ? eventMs : s.receivedMs) <= restored.clockMs;
  }

  function regrade(session: Session, s: Sighting): void {
    let grade = gradeConnection(session);
    if (!session.forwardSeen && !session.released) {
      if (grade === SESSION_GRADE.none) {
        if (session.stray === 0) counters.backscatter++;
        if (session.stray < 2) session.stray++;
      } else if (!session.waiting) {
        awaitOtherHalf(session, s);
      }
      grade = SESSION_GRADE.none;
    }
    const message =
      grade === SESSION_GRADE.connected ? weighMessage(session, state.detection.conversed) : MESSAGE.nothing;
    session.message = message;
    session.grade = gradeWith(grade, message);
    session.half = grade !== SESSION_GRADE.none && !session.forwardSeen;
    session.deniedCounted = grade === SESSION_GRADE.attempted && session.denied && !session.replySeen;
  }

  function awaitOtherHalf(session: Session, s: Sighting): void {
    session.waiting = true;
    halves.add(session.slot, s, state.clockMs);
    state.nextTimerMs = Math.min(state.nextTimerMs, halves.nextMs());
  }

  function releaseHalf(atMs: number): void {
    const slot = halves.take(waited);
    if (slot < 0) return;
    const session = sessions.at(slot);
    session.released = true;
    if (!session.forwardSeen) {
      remember(session);
      account(session, waited, atMs);
    }
    sessions.endWait(slot);
  }

  return { remember, account, releaseHalf };
}
