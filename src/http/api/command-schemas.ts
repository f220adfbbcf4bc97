/**
 * Requests and answers of the routes that the command line uses, as zod schemas. Fields are a contract with scripts: add freely, rename
 * and remove never. The types of what they describe are those of the read model and the desk.
 */

import { z } from 'zod';
import { ACL_FAMILIES } from '../../acl/model.ts';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, ACL_TRAFFIC, WITHOUT_SENDERS } from '../../acl/platforms.ts';
import { duration } from '../../config/values.ts';
import { alertSchema, incidentSchema } from '../../messages/alert.ts';
import { decisionAuthor, decisionReason } from '../../messages/decision.ts';
import {
  auditEntry,
  blockRow,
  evidenceRow,
  lossesSchema,
  pendingDecision,
  policyStatus,
  targetState,
} from './schemas.ts';

/** Numbers beyond 2^53 arrive as text, so that they are never rounded. */
const wide = z.union([z.number(), z.string()]);
const text = z.string();

const liveExporter = z.object({
  exporter: text,
  domain: z.number(),
  version: text,
  agent: text.nullable(),
  datagrams: z.number(),
  flows: z.number(),
  datagrams_per_second: z.number(),
  flows_per_second: z.number(),
  lost: z.number(),
  counting: text.nullable(),
  sampling_rates: z.array(z.number()),
  templates: z.number().nullable(),
  last_seen: text,
  clock_skew_ms: z.number().nullable(),
  unread: z.record(text, z.number()),
});

const collectionSchema = z.object({
  at: text,
  silent_after_ms: z.number(),
  rate_seconds: z.number(),
  datagrams_per_second: z.number(),
  flows_per_second: z.number(),
  listeners: z.array(z.object({ name: text, datagrams: z.number(), kernel_drops: z.number() })),
  canaries: z.number(),
  not_decoded: z.record(text, z.number()),
  mail_flows: z.number(),
  refused: z.array(z.object({ exporter: text, datagrams: z.number() })),
  exporters: z.array(liveExporter),
  exporters_known: z.number(),
});

const notifyTargetState = z.object({
  name: text,
  type: z.enum(['webhook', 'mail', 'syslog', 'exec']),
  queued: z.number(),
  held: z.number(),
  oldest_at: text.nullable(),
  failing: z.object({ since: text, reason: text }).nullable(),
  counters: z.object({
    sent: z.number(),
    failed: z.number(),
    dropped: z.object({ queue_full: z.number(), too_old: z.number(), refused: z.number() }),
  }),
});

export const statusAnswer = z.object({
  version: text,
  started_at: text,
  config_file: text.nullable(),
  block_mode: text,
  senders: z.number(),
  open_incidents: z.number(),
  datagrams: z.number(),
  flows: z.number(),
  lost: lossesSchema,
  policy: policyStatus,
  collection: collectionSchema.optional(),
  /** Where notifications go; absent without the role `serve`. */
  notify: z.array(notifyTargetState).readonly().optional(),
});

export const offenderRow = z.object({
  host: text,
  site: text,
  state: text,
  grade: text,
  flags: z.array(text),
  sessions: wide,
  attempts: wide,
  destinations: wide,
  packets: wide,
  bytes: wide,
  first_seen: text,
  last_seen: text,
  /** By the exporters' clocks; '' where no record tells. */
  first_packet: text.optional(),
  last_packet: text.optional(),
  ports: z.array(z.number()).optional(),
  block_state: text,
  block_reason: text,
  block_until: text.nullable(),
  recurrence: wide,
  incident_id: text,
  /** Absent where the process makes no lists. */
  listed: z.boolean().optional(),
  pending: pendingDecision.nullable().optional(),
});

export const inventoryRow = z.object({
  host: text,
  site: text,
  likely_mail_server: z.boolean(),
  reasons: z.array(text),
  sessions_out: z.number(),
  destinations: z.number(),
  hours_out: z.number(),
  packets_out: wide,
  bytes_out: wide,
  sessions_in: z.number(),
  sources_in: z.number(),
  internal_clients: z.number(),
  submission_out: z.number(),
  first_seen: text,
  last_seen: text,
  sender: text.nullable().optional(),
  news: z.enum(['new', 'quiet', 'never_seen']).nullable().optional(),
});

export const exporterRow = z.object({
  exporter: text,
  domain: z.number(),
  version: text,
  first_seen: text,
  last_seen: text,
  flows_stored: wide,
  flows: wide,
  datagrams: wide,
  sequence_lost: wide,
  sequence_reordered: wide,
  sequence_resets: wide,
  sequence_unknown: wide.optional(),
  counting: text.nullable().optional(),
  sampling_rates: z.array(z.number()),
  clock_skew_ms: wide.nullable(),
  unread: wide,
  unread_reasons: z.array(text),
  out_counters: text.nullable(),
});

export const sightAnswer = z.object({
  flows: z.number(),
  ignored: z.record(text, z.number()),
  strangers: z.array(text),
});

export const alertsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100_000).default(100),
  host: z.string().max(64).optional(),
  since: z.iso.datetime().optional(),
});
export const alertsAnswer = z.array(alertSchema);

/** An id or an address with its zone; what is longer is neither. */
export const incidentName = z.object({ id: z.string().max(128, 'neither an incident id nor a host') });
export const incidentAnswer = z.object({
  incident: incidentSchema,
  alerts: z.array(alertSchema),
  listed: z.object({ at: text, time_to_block_ms: z.number().nullable() }).optional(),
  decision: pendingDecision.extend({ until: text.nullable() }).optional(),
  pending: pendingDecision.optional(),
  evidence: z.array(evidenceRow.extend({ packets: wide, bytes: wide })),
});

export const explainAnswer = z.object({
  host: text,
  site: text,
  summary: text,
  policy: z.array(z.object({ text, key: text })),
  incident: incidentSchema
    .pick({
      incident_id: true,
      state: true,
      grade: true,
      flags: true,
      reasons: true,
      missing: true,
      sessions: true,
      attempts: true,
      last_seen: true,
    })
    .nullable(),
  block: incidentSchema.shape.block.nullable(),
  lacks: z.array(text),
  lists: z.array(z.object({ list: text, has: z.boolean(), reason: text })),
  next: z.array(text),
});

export const canaryAnswer = z.object({
  alerted: z.boolean(),
  latency_ms: z.number().nullable(),
  timeout_ms: z.number(),
  sent_at: text,
  listener: text,
});

export const renderQuery = z.strictObject({
  platform: z.enum(ACL_PLATFORMS),
  form: z.enum(ACL_FORMS).optional(),
  kind: z.enum(ACL_KINDS),
  family: z.enum(ACL_FAMILIES).default('4'),
  interface: z.string().max(63).optional(),
  site: z.string().max(63).optional(),
  traffic: z.enum(ACL_TRAFFIC).optional(),
  withoutSenders: z.enum(WITHOUT_SENDERS).optional(),
});
export const renderAnswer = z.object({
  text,
  entries: z.number(),
  left_out: z.array(z.object({ host: text, reason: text })),
});

export const canaryBody = z.strictObject({});
export const acknowledgeBody = z.strictObject({
  incident: z.string().regex(/^[0-9A-Za-z._-]{1,64}$/, 'expected the id of an incident'),
});
export const acknowledgeAnswer = z.object({ acknowledged: z.string() });

export const reloadBody = z.strictObject({ force: z.boolean().default(false) });

// ---- decisions

const targetName = z.string().min(1).max(63);
/** What the client says of itself; the name of its token stands beside it in the audit log. */
const author = {
  by: decisionAuthor.default(''),
  reason: decisionReason.default(''),
};
const hosts = z.array(z.string().max(64)).max(1000);
const someHosts = hosts.min(1, 'no host is named');

export const approveBody = z
  .strictObject({ hosts: hosts.default([]), all: z.boolean().default(false), ...author })
  .refine((body) => body.all === (body.hosts.length === 0), 'name hosts, or say "all": true');
export const rejectBody = z.strictObject({ hosts: someHosts, ...author });
export const releaseBody = z.strictObject({ hosts: someHosts, for: duration.prefault('24h'), ...author });
export const blockBody = z.strictObject({
  hosts: someHosts,
  for: duration.refine((ms) => ms > 0, 'expected more than nothing'),
  by: author.by,
  reason: decisionReason.refine((said) => said.trim() !== '', 'say why'),
});
const rollbackChoice = {
  target: targetName.optional(),
  family: z.enum(ACL_FAMILIES).optional(),
  to: z
    .string()
    .regex(/^[0-9a-f]{8}$/, 'expected the eight digits of a revision')
    .optional(),
};
export const rollbackBody = z.strictObject({ ...rollbackChoice, ...author });
export const rollbackQuery = z.object(rollbackChoice);
export const forgetLostBody = z.strictObject(author);
export const followBody = z.strictObject({ targets: z.array(targetName).max(1000).default([]), ...author });
/** A line a host or list of what came of it. */
export const doneAnswer = z.object({ done: z.array(text) });

export const logQuery = z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(100) });
export const logAnswer = z.array(auditEntry);
export const diffQuery = z.object({ target: targetName.optional() });
export const aclAnswer = z.object({ mode: text, hosts: z.array(blockRow), targets: z.array(targetState) });
