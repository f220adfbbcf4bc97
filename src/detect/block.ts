/**
 * Whether a host is to be blocked, as a pure function of evidence, policy and limits.
 *
 * This is the first of two gates (the ACL renderers apply the address interlocks again, last). Every answer carries its
 * reason in words. What cannot be undone lightly needs independent evidence: two records in two datagrams, the client's
 * own half of the traffic, and a policy that names at least one authorised sender.
 */

import type { BlockConfig } from '../config/schema.ts';
import { type Block, GRADES } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import { SESSION_GRADE } from './evidence.ts';
import type { MemberTerms } from './members.ts';

export type BlockState = Block['state'];

export interface BlockInput {
  /** Grade of the incident, 1 (attempted) to 4 (bulk). */
  readonly grade: number;
  /** The same from evidence that may lead to a block: the client's half seen, not denied, on port 25. 0 for none. */
  readonly solidGrade: number;
  /** Records and datagrams behind the solid grade; counted up to 2. */
  readonly records: number;
  readonly datagrams: number;
  /** `bulk` only by sessions that told addresses: refused mail, or verification. */
  readonly bulkEnvelopes: boolean;
  /** The host scans, and two datagrams say so. */
  readonly scanning: boolean;
  readonly halfSeen: boolean;
  readonly denied: boolean;
  readonly neverBlocked: boolean;
  /** The address is shared by many hosts behind NAT. */
  readonly natPool: boolean;
  /** A rule in force lets the host send anywhere. One with `to` may be blocked: lists leave its destinations open. */
  readonly isSender: boolean;
  /** All that the host did is declared (`expected`). */
  readonly expected: boolean;
  readonly hasSenders: boolean;
  /** Why no new block may begin, or null. One that stands is not taken back for it. */
  readonly missingLists: string | null;
  /** Why a person is to be asked first (see holds.ts); null when nothing speaks for that. Asked only when it matters. */
  readonly hold: () => string | null;
  /** What a person decided about the host; null when nothing is in force. */
  readonly ruling: Ruling | null;
  /** Asked only when it matters. */
  readonly counts: () => BlockCounts;
}

/** What other hosts have of the bounds on blocks. */
export interface BlockCounts {
  /** Blocks in force, and those that began within the last hour. */
  readonly active: number;
  readonly recent: number;
  /** Of the recent ones, those of hosts that the same exporter reported. */
  readonly ofExporter: number;
  /** Of the recent ones, those of hosts that newcomers among the exporters reported, when this one is a newcomer; else null. */
  readonly ofNewcomers: number | null;
  /** Other exporters report, too. */
  readonly othersReport: boolean;
  /** Hosts of the same exporter that are held back for the rate and go on, and have more evidence against them. */
  readonly stronger: number;
}

/** A decision as far as it is in force. */
export interface Ruling {
  readonly action: Decision['action'];
  readonly by: string;
  /** When it ends: of `release` and `block`. */
  readonly untilMs: number | null;
  /** In words, with who said so. */
  readonly reason: string;
}

/** What of a decision is in force for an incident at a time; an approval or a rejection speaks of its incident only. */
export function rulingInForce(
  decision: Decision | undefined,
  incidentId: string,
  atMs: number,
): Ruling | null {
  if (decision === undefined) return null;
  const { action, until, reason } = decision;
  const by = decision.by === '' ? 'hand' : decision.by;
  const why = reason === '' ? '' : `: ${reason}`;
  if (action === 'release' || action === 'block') {
    const untilMs = until === null ? 0 : Date.parse(until);
    if (untilMs <= atMs) return null;
    const words = action === 'block' ? `${BY_HAND}${by}` : `released by ${by} until ${until}`;
    return { action, by, untilMs, reason: `${words}${why}` };
  }
  if (decision.incident_id !== incidentId) return null;
  const words = action === 'approve' ? 'approved' : 'rejected';
  return { action, by, untilMs: null, reason: `${words} by ${by}${why}` };
}

/** Begins the reason of a block that a person asked for without waiting for evidence. */
const BY_HAND = 'blocked by ';
export const isByHand = ({ reason }: Pick<BlockDecision, 'reason'>): boolean => reason.startsWith(BY_HAND);

export interface BlockDecision {
  readonly state: BlockState;
  readonly reason: string;
}

export const BLOCK_PORT = 25;
/** Begins the reason of a block that is refused only for coming with too many others: a person may still approve it. */
export const HELD_BACK = 'held back';
/** Begins the reasons of those that are held back for the rate of new blocks. */
export const HELD_FOR_RATE = `${HELD_BACK}: too many new blocks within an hour`;
const FOLLOWS = 'approve it by hand, or it follows when there is room';
/** The reason of a host that is `bulk` for telling addresses only. */
export const HELD_ENVELOPES = `${HELD_BACK}: addresses were told to many servers and no message is proven, which mail that is refused everywhere and a program that verifies addresses both do; approve it by hand`;
const RECORDS_NEEDED = 2;
const DATAGRAMS_NEEDED = 2;
/** A block of a host that comes back lasts longer, up to this many times `block.ttl`. */
const MAX_TTL_FACTOR = 4;

/** The interlocks that hold whatever the evidence is; null when none applies. */
export function blockInterlock(
  input: Pick<BlockInput, 'neverBlocked' | 'natPool' | 'isSender' | 'expected' | 'hasSenders'>,
): BlockDecision | null {
  if (input.neverBlocked)
    return refused('the host is on the never-block list, or one of the routers or of this service');
  if (input.natPool) {
    return refused('the address is a NAT pool (networks.nat): a block would hit every host behind it');
  }
  if (input.isSender) {
    return refused('the host is a configured sender: a block would also stop the mail that it may send');
  }
  if (input.expected) {
    return refused('the host does what is declared of it (expected), and nothing else');
  }
  if (!input.hasSenders) {
    return refused(
      'no authorised sender is configured and in force: the mail servers themselves would be blocked',
    );
  }
  return null;
}

export function decideBlock(config: BlockConfig, input: BlockInput): BlockDecision {
  const needed = GRADES.indexOf(config.grade) + 1;
  const scans = config.scanners && input.scanning;
  const { ruling } = input;
  const byHand = ruling?.action === 'block';
  if (input.grade < needed && !scans && !byHand) {
    return none(`the grade is below ${config.grade}`);
  }
  const interlock = blockInterlock(input);
  if (interlock !== null) return interlock;
  if (input.missingLists !== null) return none(input.missingLists);
  if (byHand) return config.mode === 'observe' ? OBSERVED : { state: 'published', reason: ruling.reason };
  if (ruling !== null && ruling.action !== 'approve') return refused(ruling.reason);
  const proven = input.solidGrade >= needed;
  if (!proven && !scans) {
    const lacking = lackOfProof(config, input);
    if (lacking !== null) return lacking;
  }
  if (!scans && (input.records < RECORDS_NEEDED || input.datagrams < DATAGRAMS_NEEDED)) {
    return none('waits for a second record in a second datagram: one datagram can be forged');
  }
  const hold = ruling === null ? input.hold() : null;
  if (hold !== null) return { state: 'held', reason: hold };
  if (config.mode === 'observe') return OBSERVED;
  const counts = input.counts();
  const { active } = counts;
  if (active >= config.max_entries) {
    return refused(`the list is full (block.max_entries is ${config.max_entries})`);
  }
  if (ruling !== null) return { state: 'published', reason: ruling.reason };
  const held = heldForRate(config.max_new_per_hour, counts);
  if (held !== null) return refused(held);
  if (config.mode === 'propose') return { state: 'proposed', reason: 'waits for approval' };
  const reason = proven
    ? `the grade is ${GRADES[input.grade - 1]}`
    : 'the host scans, and block.scanners is on';
  return { state: 'published', reason };
}

/** What a grade without solid evidence leads to; null when a person has approved the block all the same. */
function lackOfProof(config: BlockConfig, input: BlockInput): BlockDecision | null {
  if (input.bulkEnvelopes) {
    return input.ruling !== null && config.mode !== 'observe' ? null : refused(HELD_ENVELOPES);
  }
  if (input.halfSeen) return refused('only the replies of the servers were seen, not what the host sent');
  if (input.denied) return refused('the router already denies these connections');
  return none(`nothing new of grade ${config.grade} on port ${BLOCK_PORT}`);
}

/**
 * Why the rate of new blocks leaves no room, or null.
 *
 * While several exporters report, each may take as much room as it leaves free (dynamic thresholds: Choudhury and Hahne,
 * IEEE/ACM Transactions on Networking 6(2), 1998): one gets half, two get a third each and leave a third, ten leave an
 * eleventh. So whoever forges the datagrams of some does not use up what is there for hosts that others see. Newcomers
 * among the exporters (exporter-standing.ts) count as one, however many they are. Of the hosts of one exporter those
 * with more evidence go first; evidence is never compared between exporters, since a forger invents as much as it likes.
 */
function heldForRate(
  bound: number,
  { recent, ofExporter, ofNewcomers, othersReport, stronger }: BlockCounts,
): string | null {
  const name = `block.max_new_per_hour is ${bound}`;
  if (recent >= bound) return `${HELD_FOR_RATE} (${name}); ${FOLLOWS}`;
  const free = bound - recent;
  if (ofNewcomers !== null && ofNewcomers >= free)
    return `${HELD_FOR_RATE} from exporters that are known for a short time, which together get as much room as they leave to others (${name}); ${FOLLOWS}`;
  if (othersReport && ofExporter >= free)
    return `${HELD_FOR_RATE} from one exporter, which gets as much room as it leaves to others (${name}); ${FOLLOWS}`;
  if (othersReport ? ofExporter + stronger >= free : recent + stronger >= bound)
    return `${HELD_FOR_RATE} (${name}), and hosts with more evidence against them wait, too; ${FOLLOWS}`;
  return null;
}

/** What a standing block of an incident of this grade becomes under the mode and the grade of today. */
export function standingDecision(
  config: BlockConfig,
  standing: BlockDecision & { readonly approvedBy: string },
  grade: number,
  scanning: boolean,
): BlockDecision {
  if (grade < GRADES.indexOf(config.grade) + 1 && !(config.scanners && scanning) && !isByHand(standing))
    return none(`the grade is below ${config.grade}`);
  if (config.mode === 'observe') return OBSERVED;
  if (config.mode === 'propose' && standing.approvedBy === '')
    return { state: 'proposed', reason: 'waits for approval' };
  return { state: 'published', reason: standing.reason };
}

/** After so long an address may belong to somebody else (DHCP). */
const leaseMs = ({ lease }: BlockConfig): number => lease ?? Number.POSITIVE_INFINITY;

/** What an address of a group needs to be blocked, and for how long it is: see host-groups.ts. */
export function memberTerms(config: BlockConfig): MemberTerms {
  // Bulk is said of all addresses together; of each a dialogue is enough.
  const grade = Math.min(GRADES.indexOf(config.grade) + 1, SESSION_GRADE.conversed);
  return { grade, lifeMs: Math.min(config.ipv6_ttl, leaseMs(config)) };
}

/** Milliseconds that a block lasts without new activity. */
export function blockTtlMs(config: BlockConfig, recurrence: number): number {
  return Math.min(config.ttl * Math.min(MAX_TTL_FACTOR, 1 + recurrence), leaseMs(config));
}

const OBSERVED: BlockDecision = { state: 'observed', reason: 'would be blocked, but block.mode is observe' };
const none = (reason: string): BlockDecision => ({ state: 'none', reason });
const refused = (reason: string): BlockDecision => ({ state: 'refused', reason });

/** True while an ACL holds, or is about to hold, the host. */
export function isStanding(state: BlockState): boolean {
  return state === 'proposed' || state === 'published';
}
