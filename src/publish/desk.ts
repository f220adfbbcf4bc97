/**
 * What a person can do about blocks and lists, as one interface: the HTTP server offers it, the CLI's client speaks it,
 * and it works on a data directory when no service runs.
 *
 * Every act names who does it and why; both are kept in the audit log.
 */

import type { AclFamily } from '../acl/model.ts';
import type { AclKind, AclPlatform } from '../acl/platforms.ts';
import type { Incident } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import type { AclRevision } from './list-files.ts';

/** One list: a target in one family. */
export interface TargetState {
  readonly target: string;
  readonly family: AclFamily;
  readonly kind: AclKind;
  readonly platform: AclPlatform;
  /** Newest first. */
  readonly revisions: readonly AclRevision[];
  /** Held at an earlier revision, by whom and why. */
  readonly pin: {
    readonly revision: string;
    readonly by: string;
    readonly reason: string;
    readonly at: string;
  } | null;
  /** Why the newest list is not in its file; null when it is. */
  readonly trouble: string | null;
}

export interface AuditEntry {
  readonly at: string;
  /** A person, or `detector`, `configuration`, `limits`. */
  readonly by: string;
  readonly what:
    | 'approve'
    | 'reject'
    | 'release'
    | 'block'
    | 'publish'
    | 'hold_back'
    | 'rollback'
    | 'rollback_end'
    | 'hook_failed'
    | 'forget_lost'
    | 'permission_ends'
    | 'permission_ended';
  readonly why: string;
  readonly host?: string;
  /** Of a decision about the host; of an alert about the configuration. */
  readonly decision_id?: string;
  readonly target?: string;
  readonly family?: '4' | '6';
  readonly revision?: string;
  /** Hosts that came into a list or left it; the first of many. */
  readonly added?: readonly string[];
  readonly removed?: readonly string[];
}

/** A decision that no detector has acted on yet, with the time when it was made. */
export interface PendingDecision extends Pick<Decision, 'action' | 'by' | 'reason' | 'decided_at'> {}

/** The newest decision about a host, as long as it is in force. */
export interface DecisionInForce extends PendingDecision, Pick<Decision, 'until'> {}

/** A host with a block, or that was to have one. */
export interface BlockRow extends Pick<Incident, 'host' | 'site' | 'block'> {
  /** Null of a host without an incident, which a person wants blocked. */
  readonly incident_id: string | null;
  readonly grade: Incident['grade'] | null;
  readonly last_seen: string | null;
  /** A person asked for this block, whatever the evidence (`block`). */
  readonly by_hand: boolean;
  /** In the lists as they lie there now. */
  readonly listed: boolean;
  readonly pending: PendingDecision | null;
  /** Waits for a person: proposed, held, or held back for coming with too many others. */
  readonly waiting: boolean;
  /** Held back from the lists since then, for coming with too many others at once. */
  readonly held_since: string | null;
  readonly listed_at: string | null;
  /** From the first record to the list. */
  readonly time_to_block_ms: number | null;
}

export interface AclOverview {
  readonly mode: string;
  readonly hosts: readonly BlockRow[];
  readonly targets: readonly TargetState[];
}

export interface Author {
  readonly by: string;
  readonly reason: string;
}

interface HostsRequest extends Author {
  readonly hosts: readonly string[];
}

/** A decision about one host that somebody thinks of. */
export interface DecisionRequest {
  readonly action: 'approve' | 'reject' | 'release' | 'block';
  readonly host: string;
  /** Of `release` and `block`. */
  readonly forMs: number;
}

/** What would come of a decision, without taking it. */
export interface ForeseenDecision {
  readonly host: string;
  readonly site: string;
  /** Why it would not be taken; null when it would. */
  readonly refused: string | null;
  /** Until when a block or a release would last. */
  readonly until: string | null;
}

/** Which lists go back, and to what. */
export interface RollbackChoice {
  /** All targets without it. */
  readonly target?: string | undefined;
  /** Both without it. */
  readonly family?: AclFamily | undefined;
  /** The revision before without it. */
  readonly to?: string | undefined;
}

export interface AclDesk {
  overview(): Promise<AclOverview>;
  /** Unified diffs: what every list would change to if everything that waits were approved. */
  diff(target?: string): Promise<string>;
  log(limit: number): Promise<readonly AuditEntry[]>;
  /** One line a host of what came of it. Without hosts: all that wait. */
  approve(request: HostsRequest): Promise<readonly string[]>;
  reject(request: HostsRequest): Promise<readonly string[]>;
  /** Lifts blocks now; none again for so many milliseconds. */
  release(request: HostsRequest & { readonly forMs: number }): Promise<readonly string[]>;
  /** Blocks hosts for so many milliseconds, whatever the evidence. All of them, or none where an interlock refuses one. */
  block(request: HostsRequest & { readonly forMs: number }): Promise<readonly string[]>;
  /** What a rollback would change, as unified diffs. */
  rollbackDiff(choice: RollbackChoice): Promise<string>;
  rollback(request: Author & RollbackChoice): Promise<readonly string[]>;
  /** Lets go of listed hosts whose incident was lost; until then the lists stay as they are. */
  forgetLost(request: Author): Promise<readonly string[]>;
  /** Ends what a rollback began; without targets for all. */
  follow(request: Author & { readonly targets: readonly string[] }): Promise<readonly string[]>;
}
