/**
 * The detector: mail flows in, alerts and incidents out, nothing else. It reads no clock and does no I/O.
 *
 * Everything that it says follows from the records, in their order in the stream, and from the clock that they carry.
 * That is what makes a restart exact: incidents are restored from their newest messages, the stream is read again from
 * a little earlier, records that a restored incident already contains only rebuild sessions, and every event computed
 * again has the id it had before. What must never depend on batch boundaries, on `take`, or on when a timer looked.
 */

import type { BlockConfig, DetectionConfig } from '../config/schema.ts';
import { formatAddress } from '../flow/address.ts';
import { type FlowBatch, type FlowColumns, readWide } from '../flow/batch.ts';
import { PRESENT } from '../flow/columns.ts';
import { type Alert, GRADES, type Grade, type Incident } from '../messages/alert.ts';
import {
  BLOCK_PORT,
  type BlockDecision,
  blockInterlock,
  blockTtlMs,
  decideBlock,
  isStanding,
} from './block.ts';
import {
  BULK,
  type CaseFile,
  destinationLimit,
  destinationOf,
  emptyCaseFile,
  isBulk,
  noteInterface,
  notePort,
  noteSampling,
  noteSession,
} from './case-file.ts';
import { createDeadlines } from './deadlines.ts';
import { gradeSession, SESSION_GRADE, TCP } from './evidence.ts';
import { fromIncident, incidentId, toAlert, toIncident } from './incidents.ts';
import { PORT_CLASS, type Policy, type SenderVerdict } from './policy.ts';
import { createRecentRecords, datagramHash, recordHash } from './recent-records.ts';
import { addressKey, createSessionTable, LATENESS_MS, type Session, sessionKey } from './sessions.ts';
import { createVantagePoints } from './vantage-points.ts';

export interface DetectorOptions {
  readonly policy: Policy;
  readonly detection: DetectionConfig;
  readonly block: BlockConfig;
}

/** Where a batch lies in the mail stream. All batches of one message have the same position. */
export interface StreamPosition {
  readonly partition: number;
  readonly offset: number;
}

/** Why a record is no evidence. */
export type IgnoreReason =
  /** Not TCP, a later fragment (which has no ports), or no mail port. */
  | 'not_mail'
  /** Neither end is internal; both are; or the outside end is the client. */
  | 'foreign'
  | 'internal'
  | 'inbound'
  | 'authorised'
  /** Both ports are mail ports, and nothing tells who is the client. */
  | 'ambiguous'
  /** The record was seen before. */
  | 'duplicate';

export interface DetectorCounters {
  /** TCP records on a mail port. */
  mailFlows: number;
  readonly ignored: Record<IgnoreReason, number>;
  readonly alerts: Record<Alert['kind'], number>;
  /** Sessions of which only server packets were seen that nobody here need have asked for. */
  backscatter: number;
  /** Hosts that had to leave the full table. */
  evictedHosts: number;
  readonly evictedSessions: number;
  /** Incidents taken over, and those whose resume state was not usable. */
  restored: number;
  restoreIgnored: number;
  /** Present sizes. */
  readonly hosts: number;
  readonly sessions: number;
  readonly open: Record<Grade, number>;
  readonly blocks: Record<Incident['block']['state'], number>;
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
  /** The newest offset of the partition that may be committed, -1 for none: what lies behind is read again. */
  safeOffset(partition: number): number;
  /** The state of all open incidents as it is now. */
  openIncidents(): Incident[];
  readonly counters: DetectorCounters;
}

/** A session known by replies only gets this long for its other half to arrive from another exporter. */
const HALF_WAIT_MS = 15_000;
/** An incident that only goes on is published at most so often; a restart reads the stream from before that. */
const CHECKPOINT_MS = 60_000;
/** While a host goes on, the end of its block is moved on so often within the life of a block. */
const BLOCK_REFRESHES = 8;
const BLOCK_RATE_WINDOW_MS = 3_600_000;
/** Steps in which the stream's offsets are remembered by time. */
const MARK_STEP_MS = 1000;

interface Host {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly site: string;
  file: CaseFile;
  /** The newest record that is in the file. */
  partition: number;
  offset: number;
  clockMs: number;
  /** What was restored: records up to here are in the file already. */
  restored: { readonly partition: number; readonly offset: number; readonly clockMs: number } | null;
  /** The earliest deadline that is queued. */
  deadlineMs: number;
  evicted: boolean;
  older: Host | null;
  newer: Host | null;
}

/** One record as the accounting needs it; a single object that is filled anew for each row. */
interface Context {
  site: number;
  client: Uint8Array;
  clientAt: number;
  server: Uint8Array;
  serverAt: number;
  port: number;
  verdict: SenderVerdict;
  vantage: number;
  interface: number;
  samplingRate: number;
  receivedMs: number;
  partition: number;
  offset: number;
  /** The row, while it is at hand; null for a timer. */
  columns: FlowColumns | null;
  row: number;
}

interface Waiting {
  readonly dueMs: number;
  readonly session: Session;
  readonly context: Context;
}

interface Partition {
  observed: number;
  /** Offsets and the clock when they were reached, oldest first; `first` is the first that is not yet safe. */
  marks: { offset: number; startMs: number; clockMs: number }[];
  safe: number;
}

export function createDetector(options: DetectorOptions): Detector {
  const { policy, detection, block: blockConfig } = options;
  const { portClass } = policy;
  const sitesConfigured = policy.siteNames.length > 1;
  const neededGrade = GRADES.indexOf(blockConfig.grade) + 1;
  const maxDestinations = destinationLimit(detection);
  /** Records that are younger than this, by the detector's clock, are read again after a restart. */
  const holdMs =
    detection.session_timeout +
    Math.max(detection.session_timeout, detection.bulk.window, HALF_WAIT_MS) +
    CHECKPOINT_MS +
    LATENESS_MS;

  const sessions = createSessionTable({
    timeoutMs: detection.session_timeout,
    maxSessions: detection.max_sessions,
  });
  const recent = createRecentRecords(holdMs);
  const vantagePoints = createVantagePoints();
  const hosts = new Map<string, Host>();
  let oldestHost: Host | null = null;
  let newestHost: Host | null = null;
  const deadlines = createDeadlines<Host>();
  /** Sessions that wait for their other half, by due time; taken from `waitingFirst` on. */
  let waiting: Waiting[] = [];
  let waitingFirst = 0;
  /** Blocks in force or begun within the last hour. */
  const blockTimes = new Map<Host, { sinceMs: number; untilMs: number }>();
  const partitions = new Map<number, Partition>();
  /** Hosts whose file differs from the last published incident, by the time of the first change; and those due at once. */
  const dirty = new Map<Host, number>();
  const due = new Set<Host>();
  let alerts: Alert[] = [];
  let incidents: Incident[] = [];
  let clockMs = 0;
  let nextTimerMs = Number.POSITIVE_INFINITY;

  const counters = {
    mailFlows: 0,
    ignored: {
      not_mail: 0,
      foreign: 0,
      internal: 0,
      inbound: 0,
      authorised: 0,
      ambiguous: 0,
      duplicate: 0,
    },
    alerts: { opened: 0, escalated: 0, updated: 0, closed: 0, coverage: 0 },
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

  const context: Context = {
    site: 0,
    client: new Uint8Array(16),
    clientAt: 0,
    server: new Uint8Array(16),
    serverAt: 0,
    port: 0,
    verdict: { kind: 'none', sender: '', reason: '' },
    vantage: 0,
    interface: 0,
    samplingRate: 0,
    receivedMs: 0,
    partition: 0,
    offset: 0,
    columns: null,
    row: 0,
  };

  // The path of a record.

  function observeRow(columns: FlowColumns, row: number): void {
    const receivedMs = readWide(columns.received_at, row);
    if (receivedMs > clockMs) moveClock(receivedMs);

    const toPort = portClass[columns.dst_port[row]];
    const fromPort = portClass[columns.src_port[row]];
    if (
      columns.protocol[row] !== 6 ||
      columns.fragment_offset[row] !== 0 ||
      (toPort === PORT_CLASS.none && fromPort === PORT_CLASS.none)
    ) {
      ignored.not_mail++;
      return;
    }
    counters.mailFlows++;

    const at = 16 * row;
    const fromInside = policy.isInternal(columns.src_addr, at);
    if (fromInside === policy.isInternal(columns.dst_addr, at)) {
      if (fromInside) ignored.internal++;
      else ignored.foreign++;
      return;
    }
    if ((fromInside ? toPort : fromPort) === PORT_CLASS.none) {
      ignored.inbound++;
      return;
    }
    let knownOnly = false;
    if (toPort !== PORT_CLASS.none && fromPort !== PORT_CLASS.none) {
      const client = clientOfMailPorts(columns, row);
      if (client !== null && client !== fromInside) {
        ignored.inbound++;
        return;
      }
      knownOnly = client === null;
    }

    context.client = fromInside ? columns.src_addr : columns.dst_addr;
    context.server = fromInside ? columns.dst_addr : columns.src_addr;
    context.clientAt = at;
    context.serverAt = at;
    context.port = fromInside ? columns.dst_port[row] : columns.src_port[row];
    context.verdict = policy.verdict(context.client, at, context.server, at, receivedMs);
    if (context.verdict.kind === 'authorised') {
      ignored.authorised++;
      return;
    }
    context.site = sitesConfigured
      ? policy.site(
          columns.exporter,
          at,
          (columns.present[row] & PRESENT.VRF) === 0 ? null : columns.vrf[row],
        )
      : 0;
    const key = sessionKey(
      context.site,
      context.client,
      at,
      fromInside ? columns.src_port[row] : columns.dst_port[row],
      context.server,
      at,
      context.port,
    );
    const hash = recordHash(columns, row);
    let session = sessions.find(key, receivedMs);
    if (session === undefined && knownOnly) {
      ignored.ambiguous++;
      return;
    }
    if (!recent.add(hash, clockMs)) {
      ignored.duplicate++;
      return;
    }
    session ??= sessions.create(key, hash, receivedMs);
    if (session.inverted) {
      ignored.inbound++;
      return;
    }
    const packets = session.forwardSeen ? session.forwardPackets : session.replyPackets;
    const bytes = session.forwardSeen ? session.forwardBytes : session.replyBytes;
    context.vantage = vantagePoints.of(columns, row);
    sessions.add(session, columns, row, fromInside, context.vantage);
    if (session.inverted) {
      ignored.inbound++;
      return;
    }
    context.interface = fromInside ? columns.in_if[row] : columns.out_if[row];
    context.samplingRate = columns.sampling_rate[row];
    context.receivedMs = receivedMs;
    context.columns = columns;
    context.row = row;
    account(session, context, packets, bytes, clockMs);
  }

  /** True when the source of a record between two mail ports is the client, false when the destination is, else null. */
  function clientOfMailPorts(columns: FlowColumns, row: number): boolean | null {
    if (columns.reverse[row] === 1) return false;
    const flags = (columns.present[row] & PRESENT.TCP_FLAGS) === 0 ? 0 : columns.tcp_flags[row];
    return (flags & (TCP.SYN | TCP.ACK)) === TCP.SYN ? true : null;
  }

  /**
   * Brings what a session proves now to the account of its host. `packets` and `bytes` are what it had before; `eventMs`
   * is the clock of the event, which for a timer is its due time.
   */
  function account(session: Session, c: Context, packets: number, bytes: number, eventMs: number): void {
    let grade: number = gradeSession(session, detection.conversed);
    if (!session.forwardSeen && !session.released && grade !== SESSION_GRADE.none) {
      if (!session.waiting) awaitOtherHalf(session, c);
      grade = SESSION_GRADE.none;
    }
    const before = {
      grade: session.grade,
      half: session.half,
      denied: session.deniedCounted,
      packets,
      bytes,
    };
    session.grade = grade;
    session.half = grade !== SESSION_GRADE.none && !session.forwardSeen;
    session.deniedCounted = grade === SESSION_GRADE.attempted && session.denied && !session.replySeen;
    if (before.grade === SESSION_GRADE.none) {
      before.packets = 0;
      before.bytes = 0;
    }
    const strays = grade === SESSION_GRADE.none && !session.forwardSeen && !session.waiting;
    if (strays && session.stray < 2 && ++session.stray === 1) counters.backscatter++;
    if (grade === SESSION_GRADE.none && before.grade === SESSION_GRADE.none && session.stray < 2) return;

    const key = hostKey(c.site, c.client, c.clientAt);
    let host = hosts.get(key);
    if (host?.restored != null && isIn(host.restored, c, eventMs)) {
      if (host.file.closedMs === null && eventMs >= host.file.openedMs) {
        noteWindows(host.file, session, before, c, eventMs, false);
      }
      return;
    }
    if (grade === SESSION_GRADE.none && before.grade === SESSION_GRADE.none) {
      // Answers to somebody else's packets are worth a flag on an incident that is there, and nothing else.
      if (host === undefined || host.file.closedMs !== null || host.file.backscatter) return;
      host.file.backscatter = true;
      changed(host, c, eventMs);
      return;
    }

    let opened = false;
    if (host === undefined || host.file.closedMs !== null) {
      if (grade === SESSION_GRADE.none) return;
      const firstMs = before.grade === SESSION_GRADE.none ? session.firstMs : c.receivedMs;
      host = openIncident(host, key, c, session.firstRecord, firstMs, eventMs);
      before.grade = SESSION_GRADE.none;
      before.half = false;
      before.denied = false;
      before.packets = 0;
      before.bytes = 0;
      opened = true;
    }
    const { file } = host;
    const gradeBefore = file.grade;
    addSession(file, session, before, c, eventMs);
    changed(host, c, eventMs);
    const blockChanged = reconsiderBlock(host, c, eventMs);
    if (file.grade !== gradeBefore) {
      if (gradeBefore !== 0) counters.open[GRADES[gradeBefore - 1]]--;
      counters.open[GRADES[file.grade - 1]]++;
    }
    if (opened) alert('opened', host, eventMs);
    else if (file.grade > gradeBefore) alert('escalated', host, eventMs);
    else if (blockChanged || eventMs - file.alertedMs >= detection.update_interval) {
      alert('updated', host, eventMs);
    }
    schedule(host);
  }

  function addSession(file: CaseFile, session: Session, before: Before, c: Context, eventMs: number): void {
    const { grade } = session;
    const packets = (session.forwardSeen ? session.forwardPackets : session.replyPackets) - before.packets;
    const bytes = (session.forwardSeen ? session.forwardBytes : session.replyBytes) - before.bytes;
    const reached = step(grade >= SESSION_GRADE.connected, before.grade >= SESSION_GRADE.connected);
    file.sessions = atLeastZero(file.sessions + reached);
    file.attempts = atLeastZero(
      file.attempts + step(grade === SESSION_GRADE.attempted, before.grade === SESSION_GRADE.attempted),
    );
    file.halfSessions = atLeastZero(file.halfSessions + step(session.half, before.half));
    file.deniedSessions = atLeastZero(file.deniedSessions + step(session.deniedCounted, before.denied));
    file.packets = atLeastZero(file.packets + packets);
    file.bytes = atLeastZero(file.bytes + bytes);
    if (session.firstMs < file.firstMs && before.grade === SESSION_GRADE.none) file.firstMs = session.firstMs;
    if (c.receivedMs > file.lastMs) file.lastMs = c.receivedMs;
    if (session.flagsUnknown) file.flagsUnknown = true;
    if (session.sampled) file.sampled = true;
    if (session.replySeen) file.repliesSeen = true;
    notePort(file, c.port);
    noteSampling(file, c.samplingRate);
    noteInterface(file, c.vantage, c.interface, vantagePoints.get);

    // A denied attempt reached nobody: it is counted, but its destination is not.
    if (!session.deniedCounted) {
      const destination = destinationOf(
        file,
        maxDestinations,
        addressKey(c.server, c.serverAt),
        c.server,
        c.serverAt,
        grade >= SESSION_GRADE.connected,
      );
      if (destination !== undefined) {
        destination.sessions = atLeastZero(destination.sessions + reached);
        destination.packets = atLeastZero(destination.packets + packets);
        destination.bytes = atLeastZero(destination.bytes + bytes);
      }
    }
    if (grade > file.grade) file.grade = grade;
    noteWindows(file, session, before, c, eventMs, true);
    if (isSolid(grade, session.half, c)) {
      if (grade > file.solidGrade) file.solidGrade = grade;
      if (file.records < 2) file.records++;
      if (file.datagrams < 2 && c.columns !== null) {
        const datagram = datagramHash(c.columns, c.row);
        if (file.datagrams === 0) file.firstDatagram = datagram;
        if (file.datagrams === 0 || datagram !== file.firstDatagram) file.datagrams++;
      }
    }
  }

  /** Keeps the windows that tell `bulk`; with `judge` also draws the conclusion. */
  function noteWindows(
    file: CaseFile,
    session: Session,
    before: Before,
    c: Context,
    eventMs: number,
    judge: boolean,
  ): void {
    const connected = session.grade >= SESSION_GRADE.connected;
    const newlyConnected = connected && before.grade < SESSION_GRADE.connected;
    const newlySolid = isSolid(session.grade, session.half, c) && !isSolid(before.grade, before.half, c);
    if (!newlyConnected && !newlySolid) return;
    const destination = file.destinations.get(addressKey(c.server, c.serverAt));
    if (newlyConnected) {
      noteSession(file.window, detection.bulk.sessions, eventMs);
      if (destination !== undefined) destination.connectedMs = eventMs;
      if (judge && file.grade < BULK && isBulk(file, detection, false, eventMs)) file.grade = BULK;
    }
    if (newlySolid) {
      noteSession(file.solidWindow, detection.bulk.sessions, eventMs);
      if (destination !== undefined) destination.solidMs = eventMs;
      if (judge && file.solidGrade < BULK && isBulk(file, detection, true, eventMs)) file.solidGrade = BULK;
    }
  }

  // The life of an incident.

  function openIncident(
    known: Host | undefined,
    key: string,
    c: Context,
    firstRecord: number,
    firstMs: number,
    eventMs: number,
  ): Host {
    const bytes = known?.bytes ?? c.client.slice(c.clientAt, c.clientAt + 16);
    const address = known?.address ?? formatAddress(bytes);
    const site = known?.site ?? policy.siteNames[c.site];
    const recurrence = known === undefined ? 0 : known.file.recurrence + 1;
    const file = emptyCaseFile(
      incidentId({ address, site }, recurrence, firstRecord, firstMs),
      recurrence,
      eventMs,
      firstMs,
      c.verdict.reason,
    );
    if (known !== undefined) {
      // The last word on the incident before must not be lost because it has the same key.
      if (dirty.has(known)) incidents.push(incidentOf(known));
      counters.blocks[known.file.block.state]--;
      // A block that still stands is the host's, not the incident's.
      if (isStanding(known.file.block.state)) file.block = known.file.block;
      known.file = file;
      counters.blocks[file.block.state]++;
      return known;
    }
    counters.blocks.none++;
    return addHost({
      key,
      bytes,
      address,
      site,
      file,
      partition: c.partition,
      offset: -1,
      clockMs: 0,
      restored: null,
      deadlineMs: Number.POSITIVE_INFINITY,
      evicted: false,
      older: null,
      newer: null,
    });
  }

  function addHost(host: Host): Host {
    if (hosts.size >= detection.max_hosts && oldestHost !== null) evictHost(oldestHost);
    hosts.set(host.key, host);
    appendHost(host);
    return host;
  }

  /** An open incident that has to leave is closed and told: nobody would close it later. */
  function evictHost(host: Host): void {
    counters.evictedHosts++;
    if (host.file.closedMs === null) close(host, clockMs);
    if (dirty.has(host)) incidents.push(incidentOf(host));
    removeHost(host);
  }

  function removeHost(host: Host): void {
    host.evicted = true;
    counters.blocks[host.file.block.state]--;
    if (host.file.closedMs === null) counters.open[GRADES[host.file.grade - 1]]--;
    dirty.delete(host);
    due.delete(host);
    blockTimes.delete(host);
    hosts.delete(host.key);
    unlinkHost(host);
  }

  function unlinkHost(host: Host): void {
    if (host.older === null) oldestHost = host.newer;
    else host.older.newer = host.newer;
    if (host.newer === null) newestHost = host.older;
    else host.newer.older = host.older;
    host.older = null;
    host.newer = null;
  }

  function appendHost(host: Host): void {
    host.older = newestHost;
    if (newestHost === null) oldestHost = host;
    else newestHost.newer = host;
    newestHost = host;
  }

  function close(host: Host, atMs: number): void {
    const { file } = host;
    counters.open[GRADES[file.grade - 1]]--;
    file.closedMs = atMs;
    changed(host, null, atMs);
    alert('closed', host, atMs);
  }

  /** Marks the file as changed by a record (or by a timer, without context). */
  function changed(host: Host, c: Context | null, eventMs: number): void {
    const { file } = host;
    file.revision++;
    if (eventMs > file.changedMs) file.changedMs = eventMs;
    if (eventMs > host.clockMs) host.clockMs = eventMs;
    if (c !== null && (c.partition !== host.partition || c.offset > host.offset)) {
      host.partition = c.partition;
      host.offset = c.offset;
    }
    // By the time of the event, which for a timer may lie before the clock: that is how far back its cause is.
    if (!dirty.has(host)) dirty.set(host, eventMs);
    if (c !== null && host !== newestHost) {
      unlinkHost(host);
      appendHost(host);
    }
  }

  function alert(kind: Alert['kind'], host: Host, eventMs: number): void {
    const { file } = host;
    if (kind === 'updated') file.updates++;
    file.alertedMs = eventMs;
    counters.alerts[kind]++;
    alerts.push(toAlert(kind, host, file, detection, policy.version, eventMs));
    due.add(host);
  }

  const incidentOf = (host: Host): Incident =>
    toIncident(host, host.file, detection, policy.version, {
      partition: host.partition,
      offset: host.offset,
      clockMs: host.clockMs,
    });

  // Blocks.

  /** True when the state changed. */
  function reconsiderBlock(host: Host, c: Context, eventMs: number): boolean {
    const { file } = host;
    const { block } = file;
    if (isStanding(block.state)) {
      const ttlMs = blockTtlMs(blockConfig, file.recurrence);
      // In steps, so that a busy host does not make a message of every record.
      const stepMs = ttlMs / BLOCK_REFRESHES;
      if (c.port === BLOCK_PORT && block.untilMs !== null && eventMs + ttlMs - block.untilMs >= stepMs) {
        block.untilMs = eventMs + ttlMs;
        blockTimes.set(host, { sinceMs: block.sinceMs ?? eventMs, untilMs: block.untilMs });
        due.add(host);
      }
      return false;
    }
    if (block.state === 'observed') return false;
    if (file.grade < neededGrade && block.reason !== '') return false;
    const decision = decideBlock(blockConfig, {
      grade: file.grade,
      solidGrade: file.solidGrade,
      records: file.records,
      datagrams: file.datagrams,
      halfSeen: file.halfSessions > 0,
      denied: file.deniedSessions > 0,
      neverBlocked: policy.isNeverBlocked(host.bytes, 0),
      isSender: policy.isSender(host.bytes, 0, eventMs),
      hasSenders: policy.hasSenders,
      counts: () => countBlocks(host, eventMs),
    });
    // An ended block stays an ended block until there is a reason for another.
    if (block.state === 'expired' && decision.state === 'none') return false;
    return setBlock(host, decision, eventMs);
  }

  function setBlock(host: Host, decision: BlockDecision, eventMs: number): boolean {
    const { file } = host;
    const before = file.block;
    const standing = isStanding(decision.state);
    const began = standing && !isStanding(before.state);
    const sinceMs = began ? eventMs : before.sinceMs;
    const untilMs = began ? eventMs + blockTtlMs(blockConfig, file.recurrence) : before.untilMs;
    const kept = standing || decision.state === 'expired';
    file.block = { ...decision, sinceMs: kept ? sinceMs : null, untilMs: kept ? untilMs : null };
    if (standing && sinceMs !== null && untilMs !== null) blockTimes.set(host, { sinceMs, untilMs });
    counters.blocks[before.state]--;
    counters.blocks[decision.state]++;
    return decision.state !== before.state;
  }

  /** Blocks of others as they stood at a time; by times, not by states, so that a restored later state does not matter. */
  function countBlocks(host: Host, atMs: number): { active: number; recent: number } {
    let active = 0;
    let recentlyBegun = 0;
    for (const [other, { sinceMs, untilMs }] of blockTimes) {
      if (untilMs <= atMs && sinceMs <= atMs - BLOCK_RATE_WINDOW_MS) blockTimes.delete(other);
      if (other === host) continue;
      if (sinceMs <= atMs && atMs < untilMs) active++;
      if (sinceMs <= atMs && sinceMs > atMs - BLOCK_RATE_WINDOW_MS) recentlyBegun++;
    }
    return { active, recent: recentlyBegun };
  }

  function endBlock(host: Host, atMs: number): void {
    const { file } = host;
    setBlock(host, { state: 'expired', reason: 'the host was silent for the life of a block' }, atMs);
    file.solidGrade = 0;
    file.records = 0;
    file.datagrams = 0;
    changed(host, null, atMs);
    alert('updated', host, atMs);
  }

  // Time.

  function moveClock(toMs: number): void {
    clockMs = toMs;
    if (toMs >= nextTimerMs) runTimers();
    sessions.expire(toMs);
  }

  function runTimers(): void {
    for (;;) {
      const halfMs = waitingFirst < waiting.length ? waiting[waitingFirst].dueMs : Number.POSITIVE_INFINITY;
      const deadlineMs = deadlines.nextMs();
      nextTimerMs = Math.min(halfMs, deadlineMs);
      if (nextTimerMs > clockMs) return;
      if (halfMs <= deadlineMs) releaseOldest(halfMs);
      else {
        const host = deadlines.pop();
        if (host !== undefined && !host.evicted && host.deadlineMs === deadlineMs) {
          host.deadlineMs = Number.POSITIVE_INFINITY;
          passDeadline(host, deadlineMs);
        }
      }
    }
  }

  function passDeadline(host: Host, atMs: number): void {
    const { file } = host;
    if (isStanding(file.block.state) && file.block.untilMs !== null && file.block.untilMs <= atMs) {
      endBlock(host, file.block.untilMs);
    }
    if (file.closedMs === null && file.lastMs + detection.quiet <= atMs) {
      close(host, file.lastMs + detection.quiet);
    }
    schedule(host);
  }

  function schedule(host: Host): void {
    const { file } = host;
    let atMs = file.closedMs === null ? file.lastMs + detection.quiet : Number.POSITIVE_INFINITY;
    if (isStanding(file.block.state) && file.block.untilMs !== null)
      atMs = Math.min(atMs, file.block.untilMs);
    if (atMs >= host.deadlineMs) return;
    host.deadlineMs = atMs;
    deadlines.push(atMs, host);
    if (atMs < nextTimerMs) nextTimerMs = atMs;
  }

  function awaitOtherHalf(session: Session, c: Context): void {
    session.waiting = true;
    if (waiting.length - waitingFirst >= detection.max_sessions) releaseOldest(clockMs);
    const dueMs = clockMs + HALF_WAIT_MS;
    waiting.push({
      dueMs,
      session,
      context: {
        ...c,
        client: c.client.slice(c.clientAt, c.clientAt + 16),
        clientAt: 0,
        server: c.server.slice(c.serverAt, c.serverAt + 16),
        serverAt: 0,
        columns: null,
        row: 0,
      },
    });
    if (dueMs < nextTimerMs) nextTimerMs = dueMs;
  }

  function releaseOldest(atMs: number): void {
    const { session, context: kept } = waiting[waitingFirst++];
    if (waitingFirst > 1024 && 2 * waitingFirst > waiting.length) {
      waiting = waiting.slice(waitingFirst);
      waitingFirst = 0;
    }
    session.released = true;
    session.waiting = false;
    if (!session.forwardSeen) account(session, kept, session.replyPackets, session.replyBytes, atMs);
  }

  return {
    observe(batch, position) {
      let partition = partitions.get(position.partition);
      if (partition === undefined) {
        partition = { observed: -1, marks: [], safe: -1 };
        partitions.set(position.partition, partition);
      }
      // Redelivered to this very process: all of it is in the state. The newest message may still be going on.
      if (position.offset < partition.observed) {
        ignored.duplicate += batch.length;
        return;
      }
      partition.observed = position.offset;
      context.partition = position.partition;
      context.offset = position.offset;
      for (let row = 0; row < batch.length; row++) observeRow(batch.columns, row);
      context.columns = null;
      markOffset(partition, position.offset, clockMs);
    },
    advance(nowMs) {
      if (nowMs > clockMs) moveClock(nowMs);
    },
    take() {
      for (const [host, sinceMs] of dirty) {
        if (clockMs - sinceMs < CHECKPOINT_MS) break;
        due.add(host);
      }
      for (const host of due) {
        incidents.push(incidentOf(host));
        dirty.delete(host);
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
      const { address, file, watermark } = restored;
      const key = hostKey(site, address, 0);
      const known = hosts.get(key);
      if (known !== undefined) {
        const newer =
          known.file.id === file.id
            ? file.revision > known.file.revision
            : file.openedMs > known.file.openedMs;
        if (!newer) return;
        removeHost(known);
      }
      counters.restored++;
      counters.blocks[file.block.state]++;
      if (file.closedMs === null) counters.open[GRADES[file.grade - 1]]++;
      const host = addHost({
        key,
        bytes: address,
        address: formatAddress(address),
        site: incident.site,
        file,
        partition: watermark.partition,
        offset: watermark.offset,
        clockMs: watermark.clockMs,
        restored: watermark,
        deadlineMs: Number.POSITIVE_INFINITY,
        evicted: false,
        older: null,
        newer: null,
      });
      const { sinceMs, untilMs } = file.block;
      if (sinceMs !== null && untilMs !== null) blockTimes.set(host, { sinceMs, untilMs });
      applyPolicyToBlock(host);
      schedule(host);
    },
    safeOffset(partition) {
      const state = partitions.get(partition);
      if (state === undefined) return -1;
      let safe = 0;
      while (safe < state.marks.length && state.marks[safe].clockMs <= clockMs - holdMs) safe++;
      if (safe > 0) {
        state.safe = state.marks[safe - 1].offset;
        state.marks.splice(0, safe);
      }
      return state.safe;
    },
    openIncidents: () =>
      [...hosts.values()].filter((host) => host.file.closedMs === null).map((host) => incidentOf(host)),
    counters,
  };

  /** A block that the configuration of today would not give is taken back at once. */
  function applyPolicyToBlock(host: Host): void {
    const { file } = host;
    if (!isStanding(file.block.state)) return;
    const atMs = Math.max(clockMs, host.clockMs);
    const decision =
      blockInterlock({
        neverBlocked: policy.isNeverBlocked(host.bytes, 0),
        isSender: policy.isSender(host.bytes, 0, atMs),
        hasSenders: policy.hasSenders,
      }) ?? standingIn(blockConfig.mode, file.block.reason);
    if (!setBlock(host, decision, atMs)) return;
    if (!isStanding(decision.state)) blockTimes.delete(host);
    changed(host, null, atMs);
    alert('updated', host, atMs);
  }
}

interface Before {
  grade: number;
  half: boolean;
  denied: boolean;
  packets: number;
  bytes: number;
}

function standingIn(mode: BlockConfig['mode'], reason: string): BlockDecision {
  if (mode === 'observe') return { state: 'observed', reason: 'block.mode is observe since a restart' };
  if (mode === 'propose') return { state: 'proposed', reason: 'waits for approval' };
  return { state: 'published', reason };
}

/** Evidence that a block may rest on: the client's half was seen, on the port that an ACL denies. */
function isSolid(grade: number, half: boolean, c: Context): boolean {
  return grade >= SESSION_GRADE.connected && !half && c.port === BLOCK_PORT;
}

/** True when a restored file has this record, or this timer, in its figures. */
function isIn(
  restored: { readonly partition: number; readonly offset: number; readonly clockMs: number },
  c: Context,
  eventMs: number,
): boolean {
  if (c.columns === null) return eventMs <= restored.clockMs;
  return (
    c.partition === restored.partition && c.offset <= restored.offset && c.receivedMs <= restored.clockMs
  );
}

function hostKey(site: number, bytes: Uint8Array, at: number): string {
  return String.fromCharCode(site) + addressKey(bytes, at);
}

function markOffset(partition: Partition, offset: number, clockMs: number): void {
  const last = partition.marks.at(-1);
  if (last !== undefined && clockMs - last.startMs < MARK_STEP_MS) {
    last.offset = offset;
    last.clockMs = clockMs;
  } else {
    partition.marks.push({ offset, startMs: clockMs, clockMs });
  }
}

const step = (now: boolean, before: boolean): number => (now ? 1 : 0) - (before ? 1 : 0);
const atLeastZero = (value: number): number => Math.max(0, value);
