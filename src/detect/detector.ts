/**
 * The detector: mail flows in, alerts and incidents out, nothing else. It reads no clock and does no I/O.
 *
 * Everything that it says follows from the records, in their order in the stream, and from the clock that they carry.
 * That is what makes a restart exact: incidents are restored from their newest messages, the stream is read again from
 * a little earlier, records that a restored incident already contains only rebuild sessions, and every event computed
 * again has the id it had before. What it says must never depend on batch boundaries, or on when `take` is called.
 */

import type { BlockConfig, DetectionConfig } from '../config/schema.ts';
import { type FlowBatch, type FlowColumns, readWide } from '../flow/batch.ts';
import { parsePrefix } from '../flow/prefix.ts';
import { type Alert, GRADES, type Grade, type Incident } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import {
  BLOCK_PORT,
  type BlockDecision,
  blockInterlock,
  blockTtlMs,
  decideBlock,
  isStanding,
  memberTerms,
  rulingInForce,
  standingDecision,
} from './block.ts';
import { judgeRecord, newEffect, noteEvidence, noteSilence, silenceDueMs } from './block-effect.ts';
import { createBlockLedger } from './block-ledger.ts';
import { beginCase, destinationLimit } from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import { createCaseTables } from './case-tables.ts';
import { createDeadlines } from './deadlines.ts';
import { gradeSession, SESSION_GRADE } from './evidence.ts';
import { createHalfSessions, HALF_WAIT_MS } from './half-sessions.ts';
import { createHostGroups } from './host-groups.ts';
import { createHostTable, type Host, hostKey } from './host-table.ts';
import { fromIncident, incidentId, restoreCase, toAlert, toIncident, type Watermark } from './incidents.ts';
import { noteMember } from './members.ts';
import type { Policy } from './policy.ts';
import { judgeAnew } from './policy-change.ts';
import { createRecentRecords, recordHash } from './recent-records.ts';
import { noSamples, TRIAL } from './sampled-dialogue.ts';
import { createScreen, emptySighting, type IgnoreReason, type Sighting } from './screen.ts';
import type { Session } from './session-record.ts';
import { createSessionTable, LATENESS_MS } from './sessions.ts';
import { createStreamMarks } from './stream-marks.ts';
import { type Before, bytesOf, createTally, isSolid, nothingBefore, packetsOf } from './tally.ts';

export interface DetectorOptions {
  readonly policy: Policy;
  readonly detection: DetectionConfig;
  readonly block: BlockConfig;
}

/** Where a batch lies in the mail stream. All batches of one message have the same position. */
interface StreamPosition {
  readonly partition: number;
  readonly offset: number;
}

interface DetectorCounters {
  /** TCP records on a mail port. */
  readonly mailFlows: number;
  readonly ignored: Readonly<Record<IgnoreReason, number>>;
  readonly alerts: Readonly<Record<Alert['kind'], number>>;
  /** Sessions of which only server packets were seen that nobody here need have asked for. */
  readonly backscatter: number;
  /** What had to leave a full table. */
  readonly evictedHosts: number;
  readonly evictedSessions: number;
  /** Incidents taken over, and those whose resume state was not usable. */
  readonly restored: number;
  readonly restoreIgnored: number;
  /** Present sizes. */
  readonly hosts: number;
  readonly sessions: number;
  readonly open: Readonly<Record<Grade, number>>;
  readonly blocks: Readonly<Record<Incident['block']['state'], number>>;
}

export interface Detector {
  /** Takes in all rows of a batch. Batches of a partition come in the order of their offsets, or again. */
  observe(batch: FlowBatch, position: StreamPosition): void;
  /** Moves the clock on while no records come. Never needed for correctness, only for timeliness. */
  advance(nowMs: number): void;
  /**
   * Messages that are due, once. Call between messages of the stream. What was taken must be published before the
   * offset that caused it is committed, alerts before incidents.
   */
  take(): { readonly alerts: Alert[]; readonly incidents: Incident[] };
  /** Continues an incident of an earlier process. Call before the first batch of its partition. */
  restore(incident: Incident): void;
  /**
   * Puts another policy and other thresholds in force, between two records: the next record is judged by them, and what
   * they have nothing against is closed and unblocked at once. Sizes, timeouts, ports and sites must be as they were.
   */
  reload(options: DetectorOptions): void;
  /**
   * Takes in what a person decided about a host of the partition: now, and again after a restart. An older decision than
   * the known one is ignored; the same one changes nothing.
   */
  decide(decision: Decision): void;
  /** The newest offset of the partition that may be committed, -1 for none: what lies behind is read again. */
  safeOffset(partition: number): number;
  /** The state of all open incidents as it is now. */
  openIncidents(): Incident[];
  readonly counters: DetectorCounters;
}

/**
 * An incident that only goes on is published again after a second while few do, and less often the more there are, so
 * that all of them together make about 500 messages a second; but at the latest after a minute, from before which a
 * restart reads the stream.
 */
const CHECKPOINT_MIN_MS = 1000;
const CHECKPOINT_MAX_MS = 60_000;
const CHECKPOINT_MS_PER_INCIDENT = 2;
/** While a host goes on, the end of its block is moved on so often within the life of a block. */
const BLOCK_REFRESHES = 8;

export function createDetector(options: DetectorOptions): Detector {
  let { policy, detection, block: blockConfig } = options;
  let neededGrade = GRADES.indexOf(blockConfig.grade) + 1;
  /**
   * So long after a place where a restart goes on reading, sessions may lack their beginning, and what they seem to
   * prove is not to be believed. It was published long ago: the hold time is longer by all that can delay that.
   */
  const warmUpMs = detection.session_timeout + LATENESS_MS;
  /** Records that are younger than this, by the detector's clock, are read again after a restart. */
  const holdMs = warmUpMs + Math.max(detection.bulk.window, HALF_WAIT_MS) + CHECKPOINT_MAX_MS + LATENESS_MS;

  let screen = createScreen(policy);
  const recent = createRecentRecords(holdMs);
  const sessions = createSessionTable({
    timeoutMs: detection.session_timeout,
    maxSessions: detection.max_sessions,
  });
  const tables = createCaseTables(destinationLimit(detection), detection.max_sessions);
  const { vantagePoints } = tables;
  let tally = createTally(detection);
  // The names of sites cannot change while the process runs.
  const hosts = createHostTable(tables, policy.siteNames);
  const groups = createHostGroups(detection.ipv6_group);
  const halves = createHalfSessions(sessions);
  const deadlines = createDeadlines();
  const ledger = createBlockLedger<number>();
  const marks = createStreamMarks(holdMs);
  /** The newest decision about each host, by host key. */
  const decisions = new Map<string, Decision>();
  /** Slots of hosts whose incident is to be published at once. */
  const due = new Set<number>();
  let alerts: Alert[] = [];
  let incidents: Incident[] = [];
  let clockMs = 0;
  let nextTimerMs = Number.POSITIVE_INFINITY;
  /** The end of the warm-up; each partition that is taken up in the middle begins one. */
  let warmUntilMs = Number.NEGATIVE_INFINITY;
  const begun = new Set<number>();

  const counters = {
    mailFlows: 0,
    ignored: {
      not_mail: 0,
      foreign: 0,
      internal: 0,
      inbound: 0,
      authorised: 0,
      spoofed: 0,
      ambiguous: 0,
      implausible: 0,
      duplicate: 0,
    },
    alerts: { opened: 0, escalated: 0, updated: 0, closed: 0, coverage: 0, delivery: 0 },
    backscatter: 0,
    evictedHosts: 0,
    get evictedSessions() {
      return sessions.evicted;
    },
    restored: 0,
    restoreIgnored: 0,
    get hosts() {
      return hosts.size;
    },
    get sessions() {
      return sessions.size;
    },
    open: { attempted: 0, connected: 0, conversed: 0, bulk: 0 },
    blocks: { none: 0, observed: 0, proposed: 0, published: 0, expired: 0, refused: 0 },
  };
  const { ignored } = counters;

  /** A stream that is read from its very beginning, or for the first time, needs no warm-up. */
  function begin(partition: number, offset: number, receivedMs: number): void {
    begun.add(partition);
    if (offset > 0 && counters.restored > 0) warmUntilMs = Math.max(warmUntilMs, receivedMs + warmUpMs);
  }

  // The path of a record. One sighting and one `before` serve all rows.

  const sighting = emptySighting();
  /** The same for a session whose wait for the other half is over. */
  const waited = emptySighting();
  const before: Before = { grade: 0, half: false, denied: false, trial: 0, packets: 0, bytes: 0 };

  function observeRow(columns: FlowColumns, row: number): void {
    const receivedMs = readWide(columns.received_at, row);
    if (receivedMs > clockMs) moveClock(receivedMs);
    sighting.receivedMs = receivedMs;
    const reason = screen(columns, row, sighting);
    if (reason !== 'not_mail') counters.mailFlows++;
    const ignoredFor = reason ?? addToSession(columns, row);
    if (ignoredFor !== null) ignored[ignoredFor]++;
  }

  function addToSession(columns: FlowColumns, row: number): IgnoreReason | null {
    const { receivedMs } = sighting;
    let session = sessions.find(sighting, receivedMs);
    if (session === undefined && sighting.knownOnly) return 'ambiguous';
    const hash = recordHash(columns, row);
    if (!recent.add(hash, clockMs)) return 'duplicate';
    session ??= sessions.create(hash, receivedMs);
    if (session.inverted) return 'inbound';
    remember(session);
    sighting.vantage = vantagePoints.of(columns, row);
    sessions.add(columns, row, sighting.forward, sighting.vantage);
    if (session.inverted) return 'inbound';
    account(session, sighting, clockMs);
    return null;
  }

  /** Notes in `before` what the session counts for at its host. */
  function remember(session: Session): void {
    nothingBefore(before);
    before.trial = session.trial;
    if (session.grade === SESSION_GRADE.none) return;
    before.grade = session.grade;
    before.half = session.half;
    before.denied = session.deniedCounted;
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
    if (isTold(known?.restored ?? null, s, eventMs)) {
      const file = known?.file;
      if (file?.closedMs === null && eventMs >= file.openedMs) {
        tally.rebuild(file, session, before, s, eventMs);
      }
      return;
    }
    const isOpen = known !== undefined && known.file.closedMs === null;
    if (countsNothing) {
      // Answers to somebody else's packets are worth a flag on an incident that is there, and nothing else. Under
      // sampling the packets that they answer may simply not have been picked.
      if (isOpen && !known.file.backscatter && !session.sampled) {
        known.file.backscatter = true;
        changed(known, s, eventMs);
      }
      return;
    }
    if (isOpen) {
      continueIncident(known, session, s, eventMs);
    } else if (grade !== SESSION_GRADE.none) {
      const firstMs = before.grade === SESSION_GRADE.none ? session.firstMs : s.receivedMs;
      nothingBefore(before);
      const host = openIncident(known, session, firstMs, s, eventMs);
      tally.add(host.file, session, before, s, eventMs);
      noteAddress(host, session, s);
      counters.open[gradeOf(host)]++;
      changed(host, s, eventMs);
      reconsiderBlock(host, s, eventMs);
      watchBlock(host, s, eventMs);
      alert('opened', host, eventMs);
      schedule(host);
    }
  }

  /**
   * True when what was published by an earlier process has this record, or this timer, in its figures, so that it only
   * rebuilds what was in memory. The first records after a restart always are: see warmUpMs.
   */
  function isTold(restored: Watermark | null, s: Sighting, eventMs: number): boolean {
    if (s.receivedMs <= warmUntilMs) return true;
    if (restored === null) return false;
    if (s.columns === null) return eventMs <= restored.clockMs;
    return (
      s.partition === restored.partition && s.offset <= restored.offset && s.receivedMs <= restored.clockMs
    );
  }

  function regrade(session: Session, s: Sighting): void {
    let grade: number = gradeSession(session, detection.conversed);
    if (!session.forwardSeen && !session.released) {
      if (grade === SESSION_GRADE.none) {
        if (session.stray === 0) counters.backscatter++;
        if (session.stray < 2) session.stray++;
      } else if (!session.waiting) {
        awaitOtherHalf(session, s);
      }
      grade = SESSION_GRADE.none;
    }
    session.grade = grade;
    session.half = grade !== SESSION_GRADE.none && !session.forwardSeen;
    session.deniedCounted = grade === SESSION_GRADE.attempted && session.denied && !session.replySeen;
    session.trial = Math.max(session.trial, trialOf(session, s));
  }

  // The life of an incident.

  function openIncident(
    known: Host | undefined,
    session: Session,
    firstMs: number,
    s: Sighting,
    eventMs: number,
  ): Host {
    const recurrence = known === undefined ? 0 : known.file.recurrence + 1;
    const { bytes, at } = groups.hostOf(s);
    const host = known ?? addHost(s.site, bytes, at, { partition: s.partition, offset: -1, clockMs: 0 });
    const { file } = host;
    let block: CaseFile['block'] | null = null;
    if (known === undefined) {
      counters.blocks.none++;
    } else {
      // The last word on the incident before must not be lost because it has the same key.
      if (host.dirtySinceMs !== 0) incidents.push(incidentOf(host));
      // A block that still stands is the host's, not the incident's.
      if (isStanding(file.block.state)) {
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
    if (block !== null) file.block = block;
    if (groups.isGrouped(s)) file.members = new Map();
    return host;
  }

  /** Which address of a group it was; a list may have to take it in at once. */
  function noteAddress(host: Host, session: Session, s: Sighting): void {
    if (!groups.isGrouped(s)) return;
    const { members } = host.file;
    if (members === null || !isSolid(session.grade, session.half, s)) return;
    if (noteMember(members, s, session.grade, memberTerms(blockConfig))) due.add(host.slot);
  }

  function continueIncident(host: Host, session: Session, s: Sighting, eventMs: number): void {
    const { file } = host;
    const gradeBefore = gradeOf(host);
    tally.add(file, session, before, s, eventMs);
    noteAddress(host, session, s);
    changed(host, s, eventMs);
    const blockChanged = reconsiderBlock(host, s, eventMs);
    const effectChanged = watchBlock(host, s, eventMs);
    if (gradeOf(host) !== gradeBefore) {
      counters.open[gradeBefore]--;
      counters.open[gradeOf(host)]++;
      alert('escalated', host, eventMs);
    } else if (blockChanged || effectChanged || eventMs - file.alertedMs >= detection.update_interval) {
      alert('updated', host, eventMs);
    }
    schedule(host);
  }

  function close(host: Host, atMs: number): void {
    counters.open[gradeOf(host)]--;
    host.file.closedMs = atMs;
    changed(host, null, atMs);
    alert('closed', host, atMs);
  }

  function addHost(site: number, bytes: Uint8Array, at: number, watermark: Watermark): Host {
    const oldest = hosts.size >= detection.max_hosts ? hosts.oldest() : null;
    if (oldest !== null) evictHost(oldest);
    return hosts.add(site, bytes, at, watermark);
  }

  /** An open incident that has to leave is closed and told: nobody would close it later. */
  function evictHost(host: Host): void {
    counters.evictedHosts++;
    if (host.file.closedMs === null) close(host, clockMs);
    if (host.dirtySinceMs !== 0) incidents.push(incidentOf(host));
    removeHost(host);
  }

  function removeHost(host: Host): void {
    counters.blocks[host.file.block.state]--;
    if (host.file.closedMs === null) counters.open[gradeOf(host)]--;
    due.delete(host.slot);
    ledger.delete(host.slot);
    deadlines.delete(host.slot);
    hosts.remove(host);
  }

  /** Marks the file as changed by a record, or by a timer (without sighting). */
  function changed(host: Host, s: Sighting | null, eventMs: number): void {
    const { file } = host;
    file.revision++;
    file.changedMs = Math.max(file.changedMs, eventMs);
    host.clockMs = Math.max(host.clockMs, eventMs);
    // By the time of the event, which for a timer may lie before the clock: that is how far back its cause is.
    if (host.dirtySinceMs === 0) {
      host.dirtySinceMs = Math.max(1, eventMs);
      hosts.dirty.append(host.slot);
    }
    if (s === null) return;
    if (s.partition !== host.partition || s.offset > host.offset) {
      host.partition = s.partition;
      host.offset = s.offset;
    }
    hosts.touch(host.slot);
  }

  function alert(kind: Alert['kind'], host: Host, eventMs: number): void {
    const { file } = host;
    if (kind === 'updated') file.updates++;
    file.alertedMs = eventMs;
    counters.alerts[kind]++;
    alerts.push(toAlert(kind, host, file, detection, policy.version, eventMs));
    due.add(host.slot);
  }

  const gradeOf = (host: Host): Grade => GRADES[host.file.grade - 1];
  const incidentOf = (host: Host): Incident => toIncident(host, host.file, detection, policy.version, host);

  // Blocks.

  /** True when the state changed. */
  function reconsiderBlock(host: Host, s: Sighting, eventMs: number): boolean {
    const { file } = host;
    const { block } = file;
    if (isStanding(block.state)) {
      if (s.port === BLOCK_PORT) refreshBlock(host, eventMs);
      return false;
    }
    // What was only observed is looked at again once a mode that blocks is in force.
    if (block.state === 'observed' && blockConfig.mode === 'observe') return false;
    if (file.grade < neededGrade && block.reason !== '') return false;
    return decideAnew(host, eventMs);
  }

  /** True when the state changed. */
  function decideAnew(host: Host, eventMs: number): boolean {
    const { file } = host;
    const { block } = file;
    const ruling = rulingOf(host, eventMs);
    const decision = decideBlock(blockConfig, {
      grade: file.grade,
      solidGrade: file.solidGrade,
      records: file.records,
      datagrams: file.datagrams,
      halfSeen: file.halfSessions > 0,
      denied: file.deniedSessions > 0,
      neverBlocked: policy.isNeverBlocked(host.bytes, 0),
      natPool: policy.isNatPool(host.bytes, 0),
      isSender: policy.isSender(host.bytes, 0, eventMs),
      hasSenders: policy.hasSenders,
      ruling,
      counts: () => ledger.count(host.slot, eventMs),
    });
    // An ended block stays an ended block until there is a reason for another.
    if (block.state === 'expired' && (decision.state === 'none' || ruling?.action === 'release'))
      return false;
    const changedState = setBlock(host, decision, eventMs);
    if (ruling?.action === 'approve' && file.block.state === 'published') file.block.approvedBy = ruling.by;
    return changedState;
  }

  const rulingOf = (host: Host, atMs: number) => rulingInForce(decisions.get(host.key), host.file.id, atMs);

  /** Brings a host in line with a decision about it that has just come, or that was found at a restart. */
  function applyDecision(host: Host): void {
    const { block } = host.file;
    const atMs = Math.max(clockMs, host.clockMs);
    const ruling = rulingOf(host, atMs);
    if (ruling === null) return;
    const before = block.state;
    if (ruling.action === 'approve') approve(host, ruling.by, ruling.reason, atMs);
    else if (ruling.action === 'reject') {
      if (before !== 'none' && before !== 'expired')
        setBlock(host, { state: 'refused', reason: ruling.reason }, atMs);
    } else if (isStanding(before)) {
      setBlock(host, { state: 'expired', reason: ruling.reason }, atMs);
      forgetEvidence(host);
    }
    if (host.file.block === block) return;
    if (!isStanding(host.file.block.state)) ledger.delete(host.slot);
    changed(host, null, atMs);
    if (host.file.block.state === before) due.add(host.slot);
    else alert('updated', host, atMs);
    schedule(host);
  }

  function approve(host: Host, by: string, reason: string, atMs: number): void {
    const { block, recurrence } = host.file;
    if (block.state === 'refused') {
      decideAnew(host, atMs);
      return;
    }
    if (!isStanding(block.state) || block.approvedBy !== '' || blockConfig.mode === 'observe') return;
    setBlock(host, { state: 'published', reason }, atMs);
    // What waited long to be approved has not used up its time.
    const untilMs = Math.max(host.file.block.untilMs ?? 0, atMs + blockTtlMs(blockConfig, recurrence));
    host.file.block = { ...host.file.block, untilMs, approvedBy: by };
    ledger.set(host.slot, host.file.block.sinceMs ?? atMs, untilMs);
  }

  function refreshBlock(host: Host, eventMs: number): void {
    const { block, recurrence } = host.file;
    const ttlMs = blockTtlMs(blockConfig, recurrence);
    if (block.sinceMs === null || block.untilMs === null) return;
    // In steps, so that a busy host does not make a message of every record.
    if (eventMs + ttlMs - block.untilMs < ttlMs / BLOCK_REFRESHES) return;
    block.untilMs = eventMs + ttlMs;
    ledger.set(host.slot, block.sinceMs, block.untilMs);
    due.add(host.slot);
  }

  function setBlock(host: Host, decision: BlockDecision, eventMs: number): boolean {
    const { file } = host;
    const old = file.block;
    if (decision.state === old.state && decision.reason === old.reason) return false;
    const standing = isStanding(decision.state);
    const begins = standing && !isStanding(old.state);
    const sinceMs = begins ? eventMs : old.sinceMs;
    const untilMs = begins ? eventMs + blockTtlMs(blockConfig, file.recurrence) : old.untilMs;
    const dated = standing || decision.state === 'expired';
    const published = decision.state === 'published';
    file.block = {
      ...decision,
      sinceMs: dated ? sinceMs : null,
      untilMs: dated ? untilMs : null,
      approvedBy: standing ? old.approvedBy : '',
      effect: published ? (old.effect ?? newEffect(eventMs)) : null,
    };
    if (standing && sinceMs !== null && untilMs !== null) ledger.set(host.slot, sinceMs, untilMs);
    counters.blocks[old.state]--;
    counters.blocks[decision.state]++;
    return decision.state !== old.state;
  }

  function endBlock(host: Host, atMs: number): void {
    setBlock(host, { state: 'expired', reason: 'the host was silent for the life of a block' }, atMs);
    forgetEvidence(host);
    changed(host, null, atMs);
    alert('updated', host, atMs);
  }

  /** Another block needs evidence of its own. */
  function forgetEvidence({ file }: Host): void {
    file.solidGrade = 0;
    file.records = 0;
    file.datagrams = 0;
    file.dialogue = noSamples();
  }

  /** Whether what came shows that the block works. True when that is news. */
  function watchBlock(host: Host, s: Sighting, eventMs: number): boolean {
    const { effect } = host.file.block;
    if (effect === null) return false;
    const evidence = judgeRecord(s, effect.publishedMs + blockConfig.grace, detection.conversed);
    if (evidence === null) return false;
    const place = { ...vantagePoints.get(s.vantage), interface: s.interface };
    if (!noteEvidence(effect, evidence, place, eventMs)) return false;
    due.add(host.slot);
    return effect.state === 'not_effective';
  }

  /** Nothing got through for so long: said aloud only where it did before. */
  function judgeSilence(host: Host, atMs: number): void {
    const { effect } = host.file.block;
    if (effect === null) return;
    const complained = effect.state === 'not_effective';
    if (!noteSilence(effect, blockConfig.grace, atMs)) return;
    changed(host, null, atMs);
    if (complained) alert('updated', host, atMs);
    else due.add(host.slot);
  }

  /** A block that the configuration of today would not give is taken back at once. True when something changed. */
  function applyPolicyToBlock(host: Host, atMs: number): boolean {
    const { block } = host.file;
    if (!isStanding(block.state)) return false;
    const interlock = blockInterlock({
      neverBlocked: policy.isNeverBlocked(host.bytes, 0),
      natPool: policy.isNatPool(host.bytes, 0),
      isSender: policy.isSender(host.bytes, 0, atMs),
      hasSenders: policy.hasSenders,
    });
    const decision = interlock ?? standingDecision(blockConfig, block, host.file.grade);
    if (!setBlock(host, decision, atMs)) return false;
    if (!isStanding(host.file.block.state)) ledger.delete(host.slot);
    return true;
  }

  /** Brings a host in line with a policy that has just come into force. */
  function applyPolicy(host: Host): void {
    const { file } = host;
    const atMs = Math.max(clockMs, host.clockMs);
    const isOpen = file.closedMs === null;
    const judged = judgeAnew(policy, host.bytes, tables.destinations.of(host.slot), atMs);
    if (isOpen) file.verdict = judged.verdict;
    let blockChanged = applyPolicyToBlock(host, atMs);
    if (judged.closes && isStanding(file.block.state)) {
      blockChanged = setBlock(host, { state: 'refused', reason: `the host ${judged.verdict}` }, atMs);
      ledger.delete(host.slot);
    }
    if (isOpen && judged.closes) {
      close(host, atMs);
      return;
    }
    if (isOpen && file.block.state === 'observed' && isFresh(file, atMs))
      blockChanged = decideAnew(host, atMs) || blockChanged;
    if (!blockChanged) return;
    changed(host, null, atMs);
    alert('updated', host, atMs);
    schedule(host);
  }

  /** Active so recently that a block of then would still stand. */
  const isFresh = (file: CaseFile, atMs: number): boolean =>
    atMs - file.lastMs < blockTtlMs(blockConfig, file.recurrence);

  // Time.

  function moveClock(toMs: number): void {
    clockMs = toMs;
    if (toMs >= nextTimerMs) runTimers();
    sessions.expire(toMs);
  }

  /** Runs what is due in the order of its due times, whenever the clock comes by. */
  function runTimers(): void {
    for (;;) {
      const halfMs = halves.nextMs();
      const deadlineMs = deadlines.nextMs();
      nextTimerMs = Math.min(halfMs, deadlineMs);
      if (nextTimerMs > clockMs) return;
      if (halfMs <= deadlineMs) {
        releaseHalf(halfMs);
        continue;
      }
      passDeadline(hosts.at(deadlines.pop()), deadlineMs);
    }
  }

  function passDeadline(host: Host, atMs: number): void {
    host.deadlineMs = Number.POSITIVE_INFINITY;
    const { untilMs } = host.file.block;
    if (isStanding(host.file.block.state) && untilMs !== null && untilMs <= atMs) endBlock(host, untilMs);
    if (effectDueMs(host) <= atMs) judgeSilence(host, effectDueMs(host));
    const quietMs = host.file.lastMs + detection.quiet;
    if (host.file.closedMs === null && quietMs <= atMs) close(host, quietMs);
    schedule(host);
  }

  /** Queues the next deadline of a host; one that has moved to a later time is found out when it comes. */
  function schedule(host: Host): void {
    const { file } = host;
    let atMs = file.closedMs === null ? file.lastMs + detection.quiet : Number.POSITIVE_INFINITY;
    if (isStanding(file.block.state) && file.block.untilMs !== null)
      atMs = Math.min(atMs, file.block.untilMs, effectDueMs(host));
    if (atMs >= host.deadlineMs) return;
    host.deadlineMs = atMs;
    deadlines.set(host.slot, atMs);
    nextTimerMs = Math.min(nextTimerMs, atMs);
  }

  const effectDueMs = ({ file: { block } }: Host): number =>
    block.effect === null ? Number.POSITIVE_INFINITY : silenceDueMs(block.effect, blockConfig.grace);

  function awaitOtherHalf(session: Session, s: Sighting): void {
    session.waiting = true;
    halves.add(session.slot, s, clockMs);
    nextTimerMs = Math.min(nextTimerMs, halves.nextMs());
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

  return {
    observe(batch, { partition, offset }) {
      if (!marks.begin(partition, offset)) {
        ignored.duplicate += batch.length;
        return;
      }
      if (batch.length === 0) return;
      const fromMs = Math.max(clockMs, readWide(batch.columns.received_at, 0));
      if (!begun.has(partition)) begin(partition, offset, readWide(batch.columns.received_at, 0));
      sighting.partition = partition;
      sighting.offset = offset;
      for (let row = 0; row < batch.length; row++) {
        observeRow(batch.columns, row);
        // A flood of replies must not make the queue grow; the oldest then counts a little early.
        if (halves.size > detection.max_sessions) releaseHalf(clockMs);
      }
      sighting.columns = null;
      marks.done(partition, offset, fromMs, clockMs);
    },
    advance(nowMs) {
      if (nowMs > clockMs) moveClock(nowMs);
    },
    take() {
      const { dirty } = hosts;
      const wanted = dirty.size * CHECKPOINT_MS_PER_INCIDENT;
      const checkpointMs = Math.min(CHECKPOINT_MAX_MS, Math.max(CHECKPOINT_MIN_MS, wanted));
      for (let slot = dirty.oldest(); slot >= 0; slot = dirty.next(slot)) {
        if (clockMs - hosts.at(slot).dirtySinceMs < checkpointMs) break;
        due.add(slot);
      }
      for (const slot of due) {
        const host = hosts.at(slot);
        incidents.push(incidentOf(host));
        if (host.dirtySinceMs === 0) continue;
        dirty.remove(slot);
        host.dirtySinceMs = 0;
      }
      due.clear();
      const taken = { alerts, incidents };
      alerts = [];
      incidents = [];
      return taken;
    },
    restore(incident) {
      const restored = fromIncident(incident);
      const site = policy.siteNames.indexOf(incident.site);
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
      const host = addHost(site, address, 0, restored.watermark);
      host.restored = restored.watermark;
      restoreCase(host.file, restored);
      const { sinceMs, untilMs } = block;
      if (sinceMs !== null && untilMs !== null) ledger.set(host.slot, sinceMs, untilMs);
      const atMs = Math.max(clockMs, host.clockMs);
      if (applyPolicyToBlock(host, atMs)) {
        changed(host, null, atMs);
        alert('updated', host, atMs);
      }
      schedule(host);
    },
    reload(next) {
      ({ policy, detection, block: blockConfig } = next);
      neededGrade = GRADES.indexOf(blockConfig.grade) + 1;
      screen = createScreen(policy);
      tally = createTally(detection);
      tables.destinations.perHost = destinationLimit(detection);
      for (const slot of hosts.slots()) applyPolicy(hosts.at(slot));
    },
    decide(decision) {
      const parsed = parsePrefix(decision.host);
      const site = policy.siteNames.indexOf(decision.site);
      if (!parsed.ok || site < 0) return;
      const address = parsed.prefix.bytes;
      const key = hostKey(site, address, 0);
      const known = decisions.get(key);
      if (known !== undefined && known.decided_at > decision.decided_at) return;
      decisions.set(key, decision);
      const host = hosts.find(site, address, 0);
      if (host !== undefined) applyDecision(host);
    },
    safeOffset: (partition) => marks.safe(partition, clockMs),
    openIncidents() {
      const open: Incident[] = [];
      for (const slot of hosts.slots()) {
        const host = hosts.at(slot);
        if (host.file.closedMs === null) open.push(incidentOf(host));
      }
      return open;
    },
    counters,
  };
}

/** What a session is to the test over samples: see sampled-dialogue.ts. Without flags any packet of the client counts. */
function trialOf(session: Session, s: Sighting): number {
  if (!session.sampled || !session.forwardSeen || session.deniedCounted) return TRIAL.none;
  if (s.port !== BLOCK_PORT || s.internal) return TRIAL.none;
  if (session.grade < (session.forwardFlags === 0 ? SESSION_GRADE.attempted : SESSION_GRADE.connected))
    return TRIAL.none;
  return session.dialogueSampled && session.grade >= SESSION_GRADE.connected ? TRIAL.success : TRIAL.failure;
}
