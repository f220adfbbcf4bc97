/**
 * What the parts of one detector share: the rules in force, the clock, the tables, and what is counted.
 *
 * Plain data with no behaviour of its own. Rules change as a whole, between two records; the clock never goes backwards.
 */

import type { BlockConfig, DetectionConfig } from '../config/schema.ts';
import { type Alert, GRADES, type Grade, type Incident } from '../messages/alert.ts';
import { type BlockLedger, createBlockLedger } from './block-ledger.ts';
import { destinationLimit } from './case-file.ts';
import { type CaseTables, createCaseTables } from './case-tables.ts';
import { createDeadlines, type Deadlines } from './deadlines.ts';
import { createExporterStanding, type ExporterStanding } from './exporter-standing.ts';
import { createFirstEvidence, type FirstEvidence } from './first-evidence.ts';
import { createHalfSessions, type HalfSessions } from './half-sessions.ts';
import { createHostGroups, type HostGroups } from './host-groups.ts';
import { createHostTable, type Host, type HostTable, type LeavingFor } from './host-table.ts';
import { createMailServers, type MailServers } from './mail-servers.ts';
import { createNeighbourhoods, type Neighbourhoods } from './neighbourhoods.ts';
import type { Policy } from './policy.ts';
import type { IgnoreReason } from './screen.ts';
import { createSessionTable, type SessionTable } from './sessions.ts';
import type { WarmUps } from './warm-up.ts';

export interface DetectorOptions {
  readonly policy: Policy;
  readonly detection: DetectionConfig;
  readonly block: BlockConfig;
}

/** Where nothing bounds the hosts. */
const MANY_HOSTS = 1_000_000;

/**
 * When so many hosts (this part of them, or so many where that is more) have an open incident of unanswered attempts only, a new
 * one waits for a second attempt or an answer: see first-evidence.ts.
 */
const UNANSWERED_SHARE = 64;
const LEAST_UNANSWERED = 1024;
export const mostUnanswered = (detection: DetectionConfig): number =>
  Math.max(LEAST_UNANSWERED, Math.floor(mostHosts(detection) / UNANSWERED_SHARE));

/** How many hosts there may be. */
export const mostHosts = ({ max_hosts }: DetectionConfig): number => max_hosts ?? MANY_HOSTS;

export interface DetectorCounters {
  /** TCP records on a mail port. */
  mailFlows: number;
  readonly ignored: Record<IgnoreReason, number>;
  readonly alerts: Record<Alert['kind'], number>;
  /** Sessions of which only server packets were seen that nobody here need have asked for. */
  backscatter: number;
  /** What had to leave a full table. */
  evictedHosts: number;
  /** The same by why; and the exporter whose hosts made room last because it had reported the most, '' for none. */
  readonly evictedFor: Record<LeavingFor, number>;
  crowdedBy: string;
  readonly evictedSessions: number;
  /** Hosts with a single unanswered attempt that left the table of first evidence: for lack of room, or after their time. */
  readonly evictedAttempts: number;
  readonly expiredAttempts: number;
  /** Hosts below the bounds of `detection.submission` that had to leave a full table. */
  evictedSubmitters: number;
  /** Incidents taken over, and those whose resume state was not usable. */
  restored: number;
  restoreIgnored: number;
  /** Present sizes. */
  readonly hosts: number;
  readonly sessions: number;
  readonly waitingAttempts: number;
  readonly open: Record<Grade, number>;
  readonly blocks: Record<Incident['block']['state'], number>;
}

/** What all detectors of a process know of the network together. */
export interface NetworkSight {
  /** A declared sender was seen at work. */
  senderSeen: boolean;
  /** A host that nobody declared sends and takes mail as a mail server does. */
  serverFound: boolean;
  /** Nothing new is blocked before a declared sender was seen: `senders` may name the wrong address. */
  readonly mustSeeSender: () => boolean;
  /** Lists get to routers, so that later records tell what a block does. */
  readonly blocksAreReal: boolean;
}

/** That of a detector by itself. */
export const sightOfOne = (): NetworkSight => ({
  senderSeen: false,
  serverFound: false,
  mustSeeSender: () => false,
  blocksAreReal: true,
});

/**
 * That of a detector which reads a file: no block of it was ever in force, and a capture of a few minutes need not have mail of
 * every sender.
 */
export const sightOfFile = (): NetworkSight => ({ ...sightOfOne(), blocksAreReal: false });

export interface DetectorState {
  /** The rules in force. */
  policy: Policy;
  detection: DetectionConfig;
  block: BlockConfig;
  /** The grade from which a block is considered. */
  neededGrade: number;
  clockMs: number;
  /** No timer is due before this. */
  nextTimerMs: number;
  /** By partition, while it lasts. */
  readonly warmUps: WarmUps;
  readonly sessions: SessionTable;
  readonly halves: HalfSessions;
  readonly tables: CaseTables;
  readonly hosts: HostTable;
  readonly groups: HostGroups;
  readonly firstEvidence: FirstEvidence;
  readonly deadlines: Deadlines;
  readonly ledger: BlockLedger<number>;
  readonly standing: ExporterStanding;
  readonly mailServers: MailServers;
  readonly neighbourhoods: Neighbourhoods;
  readonly sight: NetworkSight;
  readonly counters: DetectorCounters;
}

export function createDetectorState(
  { policy, detection, block }: DetectorOptions,
  sight: NetworkSight,
): DetectorState {
  const sessions = createSessionTable({
    timeoutMs: detection.session_timeout,
    maxSessions: detection.max_sessions,
  });
  const tables = createCaseTables(destinationLimit(detection), detection.max_sessions);
  // The names of sites cannot change while the process runs.
  const hosts = createHostTable(tables, policy.siteNames);
  const firstEvidence = createFirstEvidence();
  const groups = createHostGroups(detection.ipv6_group);
  return {
    policy,
    detection,
    block,
    neededGrade: gradeNumber(block.grade),
    clockMs: 0,
    nextTimerMs: Number.POSITIVE_INFINITY,
    warmUps: new Map(),
    sessions,
    halves: createHalfSessions(sessions),
    tables,
    hosts,
    groups,
    deadlines: createDeadlines(),
    ledger: createBlockLedger<number>(),
    standing: createExporterStanding(),
    firstEvidence,
    mailServers: createMailServers(groups),
    neighbourhoods: createNeighbourhoods(),
    sight,
    counters: createCounters(sessions, hosts, firstEvidence),
  };
}

/** Puts other rules in force. */
export function changeRules(state: DetectorState, { policy, detection, block }: DetectorOptions): void {
  state.policy = policy;
  state.detection = detection;
  state.block = block;
  state.neededGrade = gradeNumber(block.grade);
  state.tables.destinations.perHost = destinationLimit(detection);
}

function createCounters(
  sessions: SessionTable,
  hosts: HostTable,
  firstEvidence: FirstEvidence,
): DetectorCounters {
  return {
    mailFlows: 0,
    ignored: {
      not_mail: 0,
      foreign: 0,
      internal: 0,
      inbound: 0,
      authorised: 0,
      ambiguous: 0,
      implausible: 0,
      spoofed: 0,
      duplicate: 0,
    },
    alerts: {
      opened: 0,
      escalated: 0,
      updated: 0,
      closed: 0,
      coverage: 0,
      delivery: 0,
      finding: 0,
      canary: 0,
    },
    backscatter: 0,
    evictedHosts: 0,
    evictedFor: { prefix_share: 0, exporter_share: 0, full: 0 },
    crowdedBy: '',
    get evictedSessions() {
      return sessions.evicted;
    },
    get evictedAttempts() {
      return firstEvidence.evicted;
    },
    get expiredAttempts() {
      return firstEvidence.expired;
    },
    evictedSubmitters: 0,
    restored: 0,
    restoreIgnored: 0,
    get hosts() {
      return hosts.size;
    },
    get sessions() {
      return sessions.size;
    },
    get waitingAttempts() {
      return firstEvidence.size;
    },
    open: { attempted: 0, connected: 0, conversed: 0, bulk: 0 },
    blocks: { none: 0, observed: 0, held: 0, proposed: 0, published: 0, expired: 0, refused: 0 },
  };
}

const gradeNumber = (grade: Grade): number => GRADES.indexOf(grade) + 1;
export const gradeOf = ({ file }: Host): Grade => GRADES[file.grade - 1];
