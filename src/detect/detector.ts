/**
 * The detector: mail flows in, alerts and incidents out, nothing else. It reads no clock and does no I/O.
 *
 * Everything that it says follows from the records, in their order in the stream, and from the clock that they carry.
 * That is what makes a restart exact: incidents are restored from their newest messages, the stream is read again from
 * a little earlier, records that a restored incident already contains only rebuild sessions, and every event computed
 * again has the id it had before. What it says must never depend on batch boundaries, or on when `take` is called.
 */

import { type FlowBatch, type FlowColumns, readWide } from '../flow/batch.ts';
import { parsePrefix } from '../flow/prefix.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import { createBlocks } from './blocks.ts';
import {
  changeRules,
  createDetectorState,
  type DetectorCounters,
  type DetectorOptions,
  type NetworkSight,
  sightOfOne,
} from './detector-state.ts';
import { createForeignTalkers } from './foreign-talkers.ts';
import { HALF_WAIT_MS } from './half-sessions.ts';
import { whyProbableServer } from './holds.ts';
import { hostKey } from './host-table.ts';
import { createIncidentLife } from './incident-life.ts';
import type { KnownMailServer } from './mail-servers.ts';
import { CHECKPOINT_MAX_MS, createOutbox } from './outbox.ts';
import { createRecentRecords, recordHash } from './recent-records.ts';
import { createScreen, emptySighting, type IgnoreReason } from './screen.ts';
import { createSessionAccount } from './session-account.ts';
import { LATENESS_MS } from './sessions.ts';
import { createStreamMarks } from './stream-marks.ts';
import { createSubmissionFans } from './submission-fans.ts';
import { createTally } from './tally.ts';
import { endWarmUp } from './warm-up.ts';

/** As many as help a person to see what is wrong. */
const STRANGERS = 3;

/** Where a batch lies in the mail stream. All batches of one message have the same position. */
interface StreamPosition {
  readonly partition: number;
  readonly offset: number;
}

export interface Detector {
  /** Takes in all rows of a batch. Batches of a partition come in the order of their offsets, or again. */
  observe(batch: FlowBatch, position: StreamPosition): void;
  /** Moves the clock on while no records come. Never needed for correctness, only for timeliness. */
  advance(nowMs: number): void;
  /**
   * Nothing more will come: what waits for its other half counts as it is, at the present clock. For files; a stream has
   * no end.
   */
  finish(): void;
  /**
   * Messages that are due, once. Call between messages of the stream. What was taken must be published before the
   * offset that caused it is committed, alerts before incidents.
   */
  take(): { readonly alerts: Alert[]; readonly incidents: Incident[] };
  /** Continues an incident of an earlier process. Call before the first batch of its partition. */
  restore(incident: Incident): void;
  /**
   * Says where the reading of a partition begins, before its first batch. `from`: the first offset that is not
   * committed, null when nothing is; `end`: the messages before it were there when this process began. Without it,
   * nothing was read before.
   */
  resume(partition: number, place: { readonly from: number | null; readonly end: number }): void;
  /**
   * From the next batch on, the messages of a partition are others than before, at offsets that may be the same. What is
   * known of hosts and sessions stays; no record counts as told because of its offset.
   */
  rebase(partition: number): void;
  /**
   * Puts another policy and other thresholds in force, between two records: the next record is judged by them, and what
   * they have nothing against is closed and unblocked at once. Sizes, timeouts, ports and sites must be as they were.
   */
  reload(options: DetectorOptions): void;
  /**
   * Takes in what a person decided about a host of the partition: now, and again after a restart, in the order of the
   * stream. It replaces the known one, whatever their clocks say; the same one changes nothing.
   */
  decide(decision: Decision): void;
  /** The newest offset of the partition that may be committed, -1 for none: what lies behind is read again. */
  safeOffset(partition: number): number;
  /** The state of all open incidents as it is now. */
  openIncidents(): Incident[];
  /** Addresses that talk mail with others while neither end is internal, the most frequent first. */
  strangers(): readonly string[];
  /**
   * Why a host, which need not have an incident, is probably a mail server that nobody declared, or null: a sentence part for
   * people. `site`: its name, '' for none.
   */
  probableServer(host: Uint8Array, site: string, nowMs: number): string | null;
  /** Which hosts seem to be mail servers, to be kept over a restart, and a number that grows when that changes. */
  mailServers(): KnownMailServer[];
  readonly mailServersRevision: number;
  /** Takes over what an earlier process knew. Call before incidents are restored. */
  restoreMailServers(servers: readonly KnownMailServer[]): void;
  readonly counters: Readonly<DetectorCounters>;
}

/** `sight`: of all detectors of this process; without it, of this one alone. */
export function createDetector(options: DetectorOptions, sight: NetworkSight = sightOfOne()): Detector {
  const { detection } = options;
  /**
   * So long after a place where a restart goes on reading, sessions may lack their beginning, and what they seem to
   * prove is not to be believed. It was published long ago: the hold time is longer by all that can delay that.
   */
  const warmUpMs = detection.session_timeout + LATENESS_MS;
  const { submission, bulk } = detection;
  /** The longest that something is counted over. */
  const windowMs = submission.alert ? Math.max(bulk.window, submission.window) : bulk.window;
  /** Records that are younger than this, by the detector's clock, are read again after a restart. */
  const holdMs = warmUpMs + Math.max(windowMs, HALF_WAIT_MS) + CHECKPOINT_MAX_MS + LATENESS_MS;

  const state = createDetectorState(options, sight);
  const { sessions, halves, hosts, deadlines, counters } = state;
  const { vantagePoints } = state.tables;
  const { ignored } = counters;
  const recent = createRecentRecords(holdMs);
  const marks = createStreamMarks(holdMs);
  /** The newest decision about each host, by host key. */
  const decisions = new Map<string, Decision>();
  const foreign = createForeignTalkers();
  let screen = createScreen(options.policy);
  let tally = createTally(detection);
  const outbox = createOutbox(state);
  const blocks = createBlocks(state, outbox, decisions);
  const fans = submission.alert ? createSubmissionFans(state) : null;
  const life = createIncidentLife(state, outbox, blocks, fans, () => tally);
  const accounts = createSessionAccount(state, outbox, life, fans, () => tally);
  const begun = new Set<number>();
  const places = new Map<number, { readonly from: number | null; readonly end: number }>();
  /** The newest receive time of a record. The clock may be beyond it, by `advance`. */
  let recordsMs = 0;

  /**
   * Begins the warm-up of a partition, where one is due: see `warm-up.ts`. A gap between what was committed and what
   * comes first (the stream no longer holds it) means that nobody has read what comes now.
   */
  function begin(partition: number, offset: number, receivedMs: number): void {
    begun.add(partition);
    const place = places.get(partition);
    // The offsets of restored incidents are of messages that are not there: the stream is another one.
    if (place !== undefined && newestRestored(partition) >= place.end) rebase(partition);
    if (place === undefined || place.from === null || offset > place.from) return;
    state.warmUps.set(partition, {
      fromMs: receivedMs - LATENESS_MS,
      untilMs: receivedMs + warmUpMs,
      end: place.end,
    });
  }

  function newestRestored(partition: number): number {
    let newest = -1;
    for (const slot of hosts.slots()) {
      const { restored } = hosts.at(slot);
      if (restored?.partition === partition) newest = Math.max(newest, restored.offset);
    }
    return newest;
  }

  function rebase(partition: number): void {
    marks.forget(partition);
    state.warmUps.delete(partition);
    places.delete(partition);
    for (const slot of hosts.slots()) {
      const host = hosts.at(slot);
      if (host.partition === partition) host.offset = -1;
      if (host.restored?.partition === partition) host.restored = null;
    }
  }

  // The path of a record. One sighting serves all rows.

  const sighting = emptySighting();

  function observeRow(columns: FlowColumns, row: number): void {
    const receivedMs = readWide(columns.received_at, row);
    if (receivedMs > recordsMs) recordsMs = receivedMs;
    if (receivedMs > state.clockMs) {
      moveClock(receivedMs);
      hear(columns, row);
    }
    sighting.receivedMs = receivedMs;
    const reason = screen(columns, row, sighting);
    if (sighting.service) noteService();
    if (reason === 'authorised') noteSender();
    if (reason !== 'not_mail') counters.mailFlows++;
    const ignoredFor = reason ?? addToSession(columns, row);
    if (ignoredFor !== null) countIgnored(ignoredFor);
    if (ignoredFor === 'foreign') foreign.note(columns, row, state.policy.portClass);
  }

  /** Most records come by here: the frequent reasons by name, since a property by a variable name costs as much as the rest. */
  function countIgnored(reason: IgnoreReason): void {
    if (reason === 'not_mail') ignored.not_mail++;
    else if (reason === 'authorised') ignored.authorised++;
    else if (reason === 'inbound') ignored.inbound++;
    else ignored[reason]++;
  }

  /** Others come to an internal host with mail: that is what marks a mail server. */
  function noteService(): void {
    const { policy, mailServers } = state;
    const { site, server, serverAt, client, clientAt, receivedMs } = sighting;
    if (policy.sendsAnywhere(server, serverAt, receivedMs, site)) {
      seeSender();
      return;
    }
    const fromSender = sighting.internal && policy.sendsAnywhere(client, clientAt, receivedMs, site);
    if (mailServers.noteService(sighting, fromSender, state.detection.conversed.tls_payload_bytes))
      life.hold(site, server, serverAt);
  }

  function noteSender(): void {
    seeSender();
    // An answer tells nothing of who sends.
    if (!sighting.forward) return;
    const { site, client, clientAt, receivedMs } = sighting;
    const near = state.policy.nearSender(client, clientAt, receivedMs, site);
    if (near !== null) state.neighbourhoods.noteDeclared(near, site);
    const address = state.mailServers.noteSender(sighting, state.policy.isInternal);
    if (address !== null) life.hold(site, address, 0);
  }

  function seeSender(): void {
    if (sight.senderSeen) return;
    sight.senderSeen = true;
    life.senderSeen();
  }

  /**
   * All mail of an exporter shows that it is there, also that of authorised senders. One record a millisecond is enough: a
   * look at each made the detector half as fast.
   */
  function hear(columns: FlowColumns, row: number): void {
    state.standing.heard(vantagePoints.exporterOf(vantagePoints.of(columns, row)), state.clockMs);
  }

  function addToSession(columns: FlowColumns, row: number): IgnoreReason | null {
    const { receivedMs } = sighting;
    let session = sessions.find(sighting, receivedMs);
    if (session === undefined && sighting.knownOnly) return 'ambiguous';
    const hash = recordHash(columns, row);
    if (!recent.add(hash, state.clockMs)) return 'duplicate';
    if (session?.inverted) return 'inbound';
    const { site, client, clientAt } = sighting;
    const near = state.policy.nearSender(client, clientAt, receivedMs, site);
    if (near !== null) state.neighbourhoods.noteOther(near, site, client, clientAt);
    if (state.mailServers.noteOther(sighting)) life.hold(site, client, clientAt);
    sighting.vantage = vantagePoints.of(columns, row);
    state.standing.heard(vantagePoints.exporterOf(sighting.vantage), state.clockMs);
    if (session === undefined || sessions.endReused(columns, row, sighting.forward, sighting.vantage))
      session = sessions.create(hash, receivedMs);
    accounts.remember(session);
    sessions.add(columns, row, sighting.forward, sighting.vantage);
    if (session.inverted) return 'inbound';
    accounts.account(session, sighting, state.clockMs);
    // A flood of replies must not make the queue grow; the oldest then counts a little early.
    if (halves.size > state.detection.max_sessions) accounts.releaseHalf(state.clockMs);
    return null;
  }

  // Time.

  function moveClock(toMs: number): void {
    state.clockMs = toMs;
    if (toMs >= state.nextTimerMs) runTimers();
    sessions.expire(toMs);
    // What is older is not read again after a restart, and must not count without one either.
    state.firstEvidence.expire(toMs - holdMs);
    fans?.expire(toMs);
  }

  /** Runs what is due in the order of its due times, whenever the clock comes by. */
  function runTimers(): void {
    for (;;) {
      const halfMs = halves.nextMs();
      const deadlineMs = deadlines.nextMs();
      state.nextTimerMs = Math.min(halfMs, deadlineMs);
      if (state.nextTimerMs > state.clockMs) return;
      if (halfMs <= deadlineMs) {
        accounts.releaseHalf(halfMs);
        continue;
      }
      life.passDeadline(hosts.at(deadlines.pop()), deadlineMs);
    }
  }

  return {
    observe(batch, { partition, offset }) {
      if (batch.length === 0) return;
      if (!begun.has(partition)) begin(partition, offset, readWide(batch.columns.received_at, 0));
      if (!marks.begin(partition, offset)) {
        ignored.duplicate += batch.length;
        return;
      }
      const fromMs = Math.max(state.clockMs, readWide(batch.columns.received_at, 0));
      sighting.partition = partition;
      sighting.offset = offset;
      for (let row = 0; row < batch.length; row++) observeRow(batch.columns, row);
      sighting.columns = null;
      endWarmUp(state.warmUps, partition, offset, recordsMs);
      marks.done(partition, offset, fromMs, state.clockMs);
    },
    advance(nowMs) {
      if (nowMs > state.clockMs) moveClock(nowMs);
    },
    finish() {
      while (halves.size > 0) accounts.releaseHalf(state.clockMs);
    },
    take: outbox.take,
    restore: life.restore,
    reload(next) {
      const changed = next.policy.version !== state.policy.version;
      changeRules(state, next);
      outbox.outdateAll();
      screen = createScreen(next.policy);
      tally = createTally(next.detection);
      for (const slot of hosts.slots()) life.applyPolicy(hosts.at(slot), changed);
    },
    decide(decision) {
      const parsed = parsePrefix(decision.host);
      const site = state.policy.siteNames.indexOf(decision.site);
      if (!parsed.ok || site < 0) return;
      const address = parsed.prefix.bytes;
      const key = hostKey(site, address, 0);
      decisions.set(key, decision);
      const host = hosts.find(site, address, 0);
      if (host !== undefined && blocks.applyDecision(host)) life.schedule(host);
    },
    resume: (partition, place) => void places.set(partition, place),
    rebase,
    // By the records' time: a clock that ran ahead without them proves nothing about what was read.
    safeOffset: (partition) => marks.safe(partition, recordsMs),
    openIncidents() {
      const open: Incident[] = [];
      for (const slot of hosts.slots()) {
        const host = hosts.at(slot);
        if (host.file.closedMs === null) open.push(outbox.incidentOf(host));
      }
      return open;
    },
    strangers: () => foreign.top(STRANGERS),
    probableServer(host, site, nowMs) {
      const number = state.policy.siteNames.indexOf(site);
      return number < 0 ? null : whyProbableServer(state, number, host, nowMs);
    },
    mailServers: () => state.mailServers.known(state.policy.siteNames),
    get mailServersRevision() {
      return state.mailServers.revision;
    },
    restoreMailServers: (servers) => state.mailServers.restore(servers, state.policy.siteNames),
    counters,
  };
}
