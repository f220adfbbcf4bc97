/**
 * The life of incidents: opened, continued, escalated, closed, evicted, restored, and judged anew when the policy changes.
 *
 * What a record adds to a case file is in tally.ts, what is told of it in outbox.ts; here is what happens to a host as a
 * whole, and when its next deadline is. Every host that is open has one.
 */

import { GRADES, type Incident } from '../messages/alert.ts';
import { blockTtlMs, isByHand, isStanding, memberTerms } from './block.ts';
import { paceOf, silenceDueMs } from './block-effect.ts';
import type { Blocks } from './blocks.ts';
import { beginCase } from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import { applyExpected, beginExpected, expectAnew, noteExpected } from './declared-case.ts';
import { type DetectorState, gradeOf, mostHosts } from './detector-state.ts';
import { SESSION_GRADE } from './evidence.ts';
import { DOES } from './expected.ts';
import { actsAsServer, isProbableServer, UNSEEN_SENDERS } from './holds.ts';
import type { Host } from './host-table.ts';
import { fromIncident, incidentId, restoreCase, type Watermark } from './incidents.ts';
import { noteMember } from './members.ts';
import type { Outbox } from './outbox.ts';
import { judgeAnew } from './policy-change.ts';
import { FAN, type Sighting } from './screen.ts';
import type { Session } from './session-record.ts';
import type { SubmissionFans } from './submission-fans.ts';
import { type Before, isSolid, nothingBefore, provenGrade, type Tally } from './tally.ts';

export interface IncidentLife {
  /** `known`: the host, when it had an incident before. `before` is left empty: nothing of the session was counted yet. */
  open(known: Host | undefined, session: Session, before: Before, s: Sighting, eventMs: number): void;
  /** Adds what a session proves now beyond `before`. */
  continue(host: Host, session: Session, before: Before, s: Sighting, eventMs: number): void;
  /** Does what is due at the deadline of a host. */
  passDeadline(host: Host, atMs: number): void;
  /** Queues the next deadline of a host; one that has moved to a later time is found out when it comes. */
  schedule(host: Host): void;
  /** The host has turned out to be a mail server, probably. */
  hold(site: number, address: Uint8Array, at: number): void;
  /** A declared sender was seen: what waited for that only is decided. */
  senderSeen(): void;
  /** Brings a host in line with rules that have just come into force. `changed`: the policy is another one, too. */
  applyPolicy(host: Host, changed: boolean): void;
  restore(incident: Incident): void;
}

export function createIncidentLife(
  state: DetectorState,
  outbox: Outbox,
  blocks: Blocks,
  fans: SubmissionFans | null,
  tally: () => Tally,
): IncidentLife {
  const { hosts, groups, counters, deadlines, ledger, standing, tables } = state;

  function begin(
    known: Host | undefined,
    session: Session,
    firstMs: number,
    s: Sighting,
    eventMs: number,
  ): Host {
    const recurrence = known === undefined ? 0 : known.file.recurrence + 1;
    const { bytes, at } = groups.hostOf(s);
    const host =
      known ??
      addHost(
        s.site,
        bytes,
        at,
        { partition: s.partition, offset: -1, clockMs: 0 },
        tables.vantagePoints.exporterOf(s.vantage),
      );
    const { file } = host;
    let block: CaseFile['block'] | null = null;
    if (known === undefined) {
      counters.blocks.none++;
    } else {
      // The last word on the incident before must not be lost because it has the same key.
      outbox.lastWord(host);
      // A block that still stands is the host's, not the incident's.
      if (isStanding(file.block.state) || actsAsServer(known)) {
        block = file.block;
      } else {
        counters.blocks[file.block.state]--;
        counters.blocks.none++;
      }
    }
    beginCase(file, {
      id: incidentId(host, recurrence, session.firstRecord, firstMs),
      recurrence,
      openedMs: eventMs,
      firstMs,
      verdict: s.verdict.reason,
    });
    if (groups.isGrouped(s)) file.members = new Map();
    if (block !== null) file.block = block;
    return host;
  }

  function close(host: Host, atMs: number): void {
    counters.open[gradeOf(host)]--;
    host.file.closedMs = atMs;
    outbox.changed(host, null, atMs);
    if (host.file.expected) outbox.publish(host);
    else outbox.alert('closed', host, atMs);
  }

  function addHost(
    site: number,
    bytes: Uint8Array,
    at: number,
    watermark: Watermark,
    reporter: number,
  ): Host {
    const leaving = hosts.leaving(bytes, at, mostHosts(state.detection), reporter);
    if (leaving !== null) evictHost(leaving);
    return hosts.add(site, bytes, at, watermark, reporter);
  }

  /** An open incident that has to leave is closed and told: nobody would close it later. */
  function evictHost(host: Host): void {
    counters.evictedHosts++;
    counters.evictedFor[hosts.leavingFor]++;
    if (hosts.leavingFor === 'exporter_share')
      counters.crowdedBy = tables.vantagePoints.exporterAddress(host.reporter);
    if (host.file.closedMs === null) close(host, state.clockMs);
    outbox.lastWord(host);
    removeHost(host);
  }

  function removeHost(host: Host): void {
    counters.blocks[host.file.block.state]--;
    if (host.file.closedMs === null) counters.open[gradeOf(host)]--;
    outbox.forget(host);
    ledger.delete(host.slot);
    deadlines.delete(host.slot);
    hosts.remove(host);
  }

  /** Queues the next deadline of a host; one that has moved to a later time is found out when it comes. */
  function schedule(host: Host): void {
    const { file } = host;
    let atMs = file.closedMs === null ? file.lastMs + state.detection.quiet : Number.POSITIVE_INFINITY;
    if (isStanding(file.block.state) && file.block.untilMs !== null)
      atMs = Math.min(atMs, file.block.untilMs, effectDueMs(host));
    if (atMs >= host.deadlineMs) return;
    host.deadlineMs = atMs;
    deadlines.set(host.slot, atMs);
    state.nextTimerMs = Math.min(state.nextTimerMs, atMs);
  }

  const effectDueMs = ({ file }: Host): number =>
    file.block.effect === null
      ? Number.POSITIVE_INFINITY
      : silenceDueMs(file.block.effect, state.block.grace, paceOf(file));

  /** Active so recently that a block of then would still stand. */
  const isFresh = (file: CaseFile, atMs: number): boolean =>
    atMs - file.lastMs < blockTtlMs(state.block, file.recurrence);

  /** Which address of a group it was; a list may have to take it in at once. */
  function noteAddress(host: Host, session: Session, s: Sighting): void {
    if (!groups.isGrouped(s)) return;
    const { members } = host.file;
    if (s.expectation.declared !== DOES.nothing) return;
    if (members === null || !isSolid(session.grade, session.half, s)) return;
    if (noteMember(members, s, provenGrade(host.file, session), memberTerms(state.block)))
      outbox.publish(host);
  }

  /** Puts down what the policy of now says of an open incident. */
  function judgeCase(host: Host, verdict: string, atMs: number): void {
    const { file } = host;
    file.verdict = verdict;
    const destinations = tables.destinations.of(host.slot);
    const expectation = expectAnew(state.policy, host, file, destinations, atMs);
    if (applyExpected(file, expectation)) blocks.forgetEvidence(host);
  }

  /** The same after a restart with another policy, as far as something is declared or was. */
  function judgeRestored(host: Host, atMs: number): void {
    const destinations = tables.destinations.of(host.slot);
    const { kind } = expectAnew(state.policy, host, host.file, destinations, atMs);
    if (kind === 'none' && !host.file.expected) return;
    judgeCase(host, judgeAnew(state.policy, host.bytes, destinations, atMs, host.siteNumber).verdict, atMs);
  }

  /** The block of a host has changed by what other hosts do. */
  function tellBlock(host: Host): void {
    outbox.changed(host, null, state.clockMs);
    if (host.file.closedMs === null) outbox.alert('updated', host, state.clockMs);
    else outbox.publish(host);
    schedule(host);
  }

  /**
   * A mail server was found that nobody declared, and no declared one was ever seen: then no block is to stand. Shows another
   * host in the view.
   */
  function holdAllIfFound(foundBefore: boolean): void {
    const { serverFound, senderSeen } = state.sight;
    if (foundBefore || !serverFound || senderSeen) return;
    for (const slot of hosts.slots()) {
      const host = hosts.at(slot);
      if (blocks.hold(host, state.clockMs)) tellBlock(host);
    }
  }

  return {
    open(known, session, before, s, eventMs) {
      const foundBefore = state.sight.serverFound;
      const firstMs = before.grade === SESSION_GRADE.none ? session.firstMs : s.receivedMs;
      // What was counted quietly of a session that opens an incident comes with the rest (pour).
      if (s.fan === FAN.none) nothingBefore(before);
      const told = known?.file.expected === true ? known.file.verdict : '';
      const host = begin(known, session, firstMs, s, eventMs);
      if (s.fan !== FAN.none) fans?.pour(host.file, s);
      tally().add(host.file, session, before, s, eventMs);
      beginExpected(host.file, s.expectation);
      noteAddress(host, session, s);
      counters.open[gradeOf(host)]++;
      outbox.changed(host, s, eventMs);
      blocks.reconsider(host, s, eventMs);
      blocks.watch(host, s, eventMs);
      // The same was told when it began for the first time.
      if (host.file.expected && host.file.verdict === told) outbox.publish(host);
      else outbox.alert('opened', host, eventMs);
      schedule(host);
      holdAllIfFound(foundBefore);
    },
    continue(host, session, before, s, eventMs) {
      const foundBefore = state.sight.serverFound;
      const { file } = host;
      const gradeBefore = file.grade;
      const scannedBefore = file.scanning;
      const expectedBefore = file.expected;
      const fanBefore = file.submissionFan;
      if (s.fan !== FAN.none) fans?.pour(file, s);
      tally().add(file, session, before, s, eventMs);
      noteExpected(file, s.expectation, s.verdict.reason);
      noteAddress(host, session, s);
      outbox.changed(host, s, eventMs);
      const blockChanged = blocks.reconsider(host, s, eventMs);
      const effectChanged = blocks.watch(host, s, eventMs);
      const goesOn = blocks.watchAfterNo(host);
      const escalated = file.grade !== gradeBefore;
      if (escalated) {
        counters.open[GRADES[gradeBefore - 1]]--;
        counters.open[gradeOf(host)]++;
      }
      if (file.expected || (isProbableServer(host) && !blockChanged && !file.untold)) {
        // Of a probable mail server people hear once: to send much is what it is for.
        if (escalated) outbox.publish(host);
      } else if (escalated) {
        outbox.alert('escalated', host, eventMs);
      } else if (
        expectedBefore ||
        blockChanged ||
        effectChanged ||
        goesOn ||
        file.scanning !== scannedBefore ||
        file.submissionFan !== fanBefore ||
        eventMs - file.alertedMs >= state.detection.update_interval
      ) {
        outbox.alert('updated', host, eventMs);
      }
      schedule(host);
      holdAllIfFound(foundBefore);
    },
    passDeadline(host, atMs) {
      host.deadlineMs = Number.POSITIVE_INFINITY;
      const { untilMs } = host.file.block;
      if (isStanding(host.file.block.state) && untilMs !== null && untilMs <= atMs) blocks.end(host, untilMs);
      if (effectDueMs(host) <= atMs) blocks.judgeSilence(host, effectDueMs(host));
      const quietMs = host.file.lastMs + state.detection.quiet;
      if (host.file.closedMs === null && quietMs <= atMs) close(host, quietMs);
      schedule(host);
    },
    schedule,
    hold(site, address, at) {
      const group = groups.of(address, at);
      const host = hosts.find(site, group.bytes, group.at);
      if (host === undefined) return;
      const foundBefore = state.sight.serverFound;
      if (blocks.hold(host, state.clockMs)) tellBlock(host);
      holdAllIfFound(foundBefore);
    },
    senderSeen() {
      for (const slot of hosts.slots()) {
        const host = hosts.at(slot);
        const { closedMs, block } = host.file;
        if (closedMs !== null || block.state !== 'held' || !block.reason.startsWith(UNSEEN_SENDERS)) continue;
        if (blocks.decideAnew(host, state.clockMs)) tellBlock(host);
      }
    },
    applyPolicy(host, changed) {
      const { file } = host;
      const atMs = Math.max(state.clockMs, host.clockMs);
      const isOpen = file.closedMs === null;
      const judged = judgeAnew(
        state.policy,
        host.bytes,
        tables.destinations.of(host.slot),
        atMs,
        host.siteNumber,
      );
      const { expected: expectedBefore, verdict: verdictBefore } = file;
      if (isOpen && changed) judgeCase(host, judged.verdict, atMs);
      let blockChanged = blocks.applyPolicy(host, atMs);
      // Who asked for a block by hand knew of the destinations that the host may use; lists leave them open.
      const stands = isByHand(file.block) && state.policy.isInternal(host.bytes, 0);
      if (judged.closes && isStanding(file.block.state) && !stands) {
        blockChanged = blocks.refuse(host, `the host ${judged.verdict}`, atMs);
      }
      if (isOpen && judged.closes) {
        close(host, atMs);
        return;
      }
      if (isOpen && file.block.state === 'observed' && isFresh(file, atMs))
        blockChanged = blocks.decideAnew(host, atMs) || blockChanged;
      if (!blockChanged && file.expected === expectedBefore && !outbox.overdue(host)) {
        if (file.verdict !== verdictBefore) outbox.publish(host);
        return;
      }
      outbox.changed(host, null, atMs);
      outbox.alert('updated', host, atMs);
      schedule(host);
    },
    restore(incident) {
      const restored = fromIncident(incident);
      const site = state.policy.siteNames.indexOf(incident.site);
      if (restored === null || site < 0) {
        counters.restoreIgnored++;
        return;
      }
      const { address, block, openedMs } = restored;
      const known = hosts.find(site, address, 0);
      if (known !== undefined) {
        const sameIncident = known.file.id === incident.incident_id;
        if (sameIncident ? incident.revision <= known.file.revision : openedMs <= known.file.openedMs) return;
        removeHost(known);
      }
      counters.restored++;
      counters.blocks[block.state]++;
      if (restored.closedMs === null) counters.open[incident.grade]++;
      const reporter = tables.vantagePoints.exporterNamed(incident.exporters[0]?.address ?? '');
      standing.wasHeard(reporter, Date.parse(incident.first_seen), Date.parse(incident.last_seen));
      const host = addHost(site, address, 0, restored.watermark, reporter);
      host.restored = restored.watermark;
      restoreCase(host.file, restored);
      const atMs = Math.max(state.clockMs, host.clockMs);
      blocks.restored(host, host.file.lastMs);
      const expectedBefore = host.file.expected;
      if (restored.closedMs === null && incident.policy_version !== state.policy.version)
        judgeRestored(host, atMs);
      const blockChanged = blocks.applyPolicy(host, atMs);
      if (blockChanged || host.file.expected !== expectedBefore || outbox.overdue(host)) {
        outbox.changed(host, null, atMs);
        outbox.alert('updated', host, atMs);
      }
      schedule(host);
    },
  };
}
