/**
 * What can be asked of rogue-smtp, as one interface: the HTTP server offers it, the CLI's client speaks it, and it can
 * be had directly from a store when no service runs.
 */

import type { ListStatus } from '../address-lists/watch.ts';
import type { MailSight } from '../detect/mail-sight.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import type { TargetStatus } from '../notify/notifier.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import type { DecisionInForce, PendingDecision } from '../publish/desk.ts';
import type {
  EvidenceRow,
  ExporterRow,
  InventoryRow,
  OffenderRow as StoredOffender,
} from '../store/queries.ts';
import type { QueryOptions } from '../store/store.ts';
import type { Collection } from './collection.ts';
import type { Explanation } from './explain.ts';

export interface AlertsRequest {
  /** The newest so many, oldest of them first. */
  readonly limit: number;
  readonly host?: string | undefined;
  /** Emitted at or after, ISO 8601. */
  readonly since?: string | undefined;
}

export interface AclRendering {
  readonly text: string;
  /** Lines of the list without the final permit. */
  readonly entries: number;
  /** Hosts that should be in the list but are not, each with the reason. */
  readonly leftOut: readonly { readonly host: string; readonly reason: string }[];
}

/** The block as the lists have it; what they say is absent where that is not known. */
export interface OffenderRow extends StoredOffender {
  /** In the lists as they lie there now. */
  readonly listed?: boolean;
  /** A decision that no detector has acted on yet; null for none. */
  readonly pending?: PendingDecision | null;
}

export interface IncidentReport {
  readonly incident: Incident;
  readonly alerts: readonly Alert[];
  /** When the lists took the host in, and how long after its first record (null: a held list names it); absent while none has it. */
  readonly listed?: { readonly at: string; readonly time_to_block_ms: number | null } | undefined;
  /** What a person decided about the host, while it is in force; absent where nothing is, or where decisions are not known. */
  readonly decision?: DecisionInForce | undefined;
  /** A decision that no detector has acted on yet: the block is not what it says. */
  readonly pending?: PendingDecision | undefined;
  /** The flow records behind it, oldest first, at most a few hundred. */
  readonly evidence: readonly EvidenceRow[];
}

/** What came to this machine and was not looked at, since the service started. */
export interface Losses {
  /** Datagrams that the kernel had no room for. */
  readonly kernel_drops: number;
  /** Datagrams, sets and records that were not decoded, for whatever reason. */
  readonly not_decoded: number;
  /** Flows that were decoded and that a stream refused. */
  readonly not_kept: number;
  /**
   * Rows that are not in the store because they lie in the dead letters of this process now, of earlier runs too, and rows
   * that were dropped since the start because the dead letters were full. Absent in answers of earlier versions.
   */
  readonly set_aside?: number;
}

export interface Status {
  readonly version: string;
  readonly started_at: string;
  readonly config_file: string | null;
  readonly block_mode: string;
  readonly senders: number;
  readonly open_incidents: number;
  readonly datagrams: number;
  readonly flows: number;
  readonly lost: Losses;
  readonly policy: PolicyStatus;
  /** Absent without brokers: what is wrong with them or their topics now, and what differs from the configuration. */
  readonly kafka?: { readonly troubles: readonly string[]; readonly differences: readonly string[] };
  /** Of a process that collects; absent in answers of others and of earlier versions. */
  readonly collection?: Collection;
  /** Where notifications go, what waits, and what fails; absent in answers of versions before it. */
  readonly notify?: readonly TargetStatus[];
}

/** The policy in force, and whether it is what the file says. */
export interface PolicyStatus {
  readonly version: string;
  readonly loaded_at: string;
  /** Why the newest file is not in force, with file and line; null when it is. */
  readonly error: string | null;
  /** Keys that were changed in the file and wait for a restart. */
  readonly need_restart: readonly string[];
  readonly lists: readonly ListStatus[];
}

/** What came of a canary: a flow that the instance sent to its own listener. */
export interface CanaryResult {
  readonly alerted: boolean;
  /** From the datagram to the alert; null when none came within `timeout_ms`. */
  readonly latency_ms: number | null;
  readonly timeout_ms: number;
  readonly sent_at: string;
  readonly listener: string;
}

export interface SqlRequest {
  readonly sql: string;
  readonly format: string;
  /** At most, and by default, half a minute. */
  readonly timeoutMs?: number;
  readonly request?: NonNullable<QueryOptions['request']>;
}

export interface ReadModel {
  status(): Promise<Status>;
  offenders(): Promise<readonly OffenderRow[]>;
  alerts(request: AlertsRequest): Promise<readonly Alert[]>;
  /** By incident id, or the newest of a host. Throws RogueSmtpError `not_found`. */
  incident(idOrHost: string): Promise<IncidentReport>;
  /** Why a host, as `HOST` or `HOST@SITE`, is graded and blocked or not. Throws RogueSmtpError `usage`. */
  explain(host: string): Promise<Explanation>;
  inventory(): Promise<readonly InventoryRow[]>;
  exporters(): Promise<readonly ExporterRow[]>;
  /** How much of the mail of the newest day could be judged. */
  sight(): Promise<MailSight>;
  /** Result of a read-only statement in any ClickHouse format. */
  query(request: SqlRequest): Promise<Uint8Array>;
  renderAcl(request: AclRenderRequest): Promise<AclRendering>;
}
