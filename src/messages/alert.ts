/**
 * The messages that leave the detector: alerts and incidents, as zod schemas.
 *
 * `schemas/*.schema.json` are generated from here (`npm run schemas`). Field names and meanings are a contract with
 * consumers: add optional fields freely, rename or remove only with a new `schema_version`. All times are ISO 8601 UTC
 * text with milliseconds, on the collector's receive clock; `first_seen` and `last_seen` too.
 */

import { z } from 'zod';

const isoTime = z.iso.datetime({ precision: 3 });
const count = z.number().int().nonnegative();

export const GRADES = ['attempted', 'connected', 'conversed', 'bulk'] as const;
export const gradeSchema = z.enum(GRADES);
export type Grade = z.infer<typeof gradeSchema>;

/** `a` is at least as strong evidence as `b`; null (an alert about no host) never is. */
export function gradeAtLeast(a: Grade | null, b: Grade): boolean {
  return a !== null && GRADES.indexOf(a) >= GRADES.indexOf(b);
}

export const FLAGS = [
  'half_seen',
  'denied',
  'sampled',
  'backscatter',
  'flags_unknown',
  'not_effective',
  'scanning',
  'expected',
  /** More servers or sessions on submission ports than mail programs use (`detection.submission`). */
  'submission_fan',
] as const;

/** `held`: there is enough evidence for a block, and a reason to ask a person first. */
const BLOCK_STATES = ['none', 'observed', 'held', 'proposed', 'published', 'expired', 'refused'] as const;

const blockSchema = z.object({
  state: z.enum(BLOCK_STATES),
  /** Why the state is what it is, in words. */
  reason: z.string(),
  /** When the block was proposed or published, and when it ends; null while it is neither. */
  since: isoTime.nullable(),
  until: isoTime.nullable(),
  /** Who approved it by hand. Absent: nobody. */
  approved_by: z.string().optional(),
  /** What became of a published block, by the records that came after it. Absent: not published, or too early to say. */
  effect: z
    .object({
      /** `not_effective`: packets of the host still get through to port 25. */
      state: z.enum(['effective', 'not_effective']),
      reason: z.string(),
      since: isoTime,
      /** Where they were seen to get through, newest first; empty while the block is effective. */
      passing: z.array(z.object({ address: z.string(), domain: count, interface: count })),
    })
    .optional(),
});
export type Block = z.infer<typeof blockSchema>;

const destinationSchema = z.object({
  address: z.string(),
  sessions: count,
  packets: count,
  bytes: count,
});

const evidenceFields = {
  incident_id: z.string(),
  host: z.string(),
  /** Name of the site or VRF, '' when none is configured. */
  site: z.string(),
  grade: gradeSchema,
  flags: z.array(z.enum(FLAGS)),
  first_seen: isoTime,
  last_seen: isoTime,
  /** First and last packet by the exporters' clocks: a long flow is told at its end. Null or absent: not told. */
  first_packet: isoTime.nullable().optional(),
  last_packet: isoTime.nullable().optional(),
  /** Sessions with evidence of a connection, and those that never got beyond an attempt. */
  sessions: count,
  attempts: count,
  destinations: z.object({
    count,
    /** False when the table of destinations was full and `count` is a lower bound. */
    exact: z.boolean(),
    top: z.array(destinationSchema),
  }),
  /**
   * Where `host` is a prefix (`detection.ipv6_group`): its addresses with evidence, and until when each may be blocked;
   * null while its own evidence does not suffice.
   */
  members: z
    .array(z.object({ address: z.string(), last_seen: isoTime, until: isoTime.nullable() }))
    .optional(),
  /** As exported, never multiplied by a sampling rate. */
  packets: count,
  bytes: count,
  ports: z.array(z.number().int().min(0).max(65535)),
  exporters: z.array(z.object({ address: z.string(), domain: count, interface: count })),
  /** Sampling rates seen (one packet in N); 0 is unknown. */
  sampling: z.array(count),
  /** Why the grade is what it is, and what evidence was not to be had, in words a person can read. */
  reasons: z.array(z.string()),
  missing: z.array(z.string()),
  policy_version: z.string(),
  block: blockSchema,
};

export const ALERT_KINDS = [
  'opened',
  'escalated',
  'updated',
  'closed',
  'coverage',
  'delivery',
  'finding',
  'canary',
] as const;

const COVERAGE_CAUSES = [
  'exporter_silent',
  'exporter_returned',
  'sequence_loss',
  'kernel_drops',
  'spool_cut',
  'acl_held',
  'acl_failed',
  'list_stale',
  'permission_ends',
  'permission_ended',
  'tables_full',
  'unread_addresses',
  'exporters_full',
  'template_redefined',
  'data_damaged',
  'rows_set_aside',
  'clock_stepped',
  'canary_missing',
  'canary_returned',
] as const;

export const alertSchema = z.object({
  schema: z.literal('rogue-smtp.alert'),
  schema_version: z.literal(1),
  /** Deterministic: the same event has the same id, however often it is delivered or computed. */
  alert_id: z.string(),
  kind: z.enum(ALERT_KINDS),
  ...evidenceFields,
  /**
   * Of kind `canary` it is that of a flow which this program sent itself: no host did anything. Null for what is no incident: `coverage` and `delivery` are about no host either, that is '' then; a `finding` has
   * the host, and never a block of its own.
   */
  grade: gradeSchema.nullable(),
  /** Only of kind `coverage`: why something was not seen, the number of exporters concerned, and what was lost. */
  coverage: z.object({ cause: z.enum(COVERAGE_CAUSES), exporters: count, lost: count }).optional(),
  /** Only of kind `delivery`: a list that did not get to its router, or does again. */
  delivery: z
    .object({
      target: z.string(),
      family: z.enum(['4', '6']),
      state: z.enum(['failed', 'paused', 'recovered']),
      /** Attempts in a row that failed. */
      failures: count,
      next_attempt_at: isoTime.nullable(),
    })
    .optional(),
  /**
   * Only of kind `finding`: what the host does that is worth a look, or that a person has blocked it without an incident or that
   * such a block is over; or that it is one of our public addresses and got on a blocklist, or off it.
   */
  finding: z
    .object({
      type: z.enum([
        'open_relay_candidate',
        'destination_surge',
        'blocked_by_hand',
        'blocklisted',
        'delisted',
      ]),
    })
    .optional(),
  emitted_at: isoTime,
  /**
   * When it was given to the stream, by the wall clock of the process that found it; `emitted_at` is by the clock of the records,
   * which lags behind while a backlog is worked off. The same alert may come twice with two such times. Of a replay it is
   * `emitted_at`. Absent: written by an earlier version.
   */
  published_at: isoTime.optional(),
});
export type Alert = z.infer<typeof alertSchema>;

export const incidentSchema = z.object({
  schema: z.literal('rogue-smtp.incident'),
  schema_version: z.literal(1),
  ...evidenceFields,
  state: z.enum(['open', 'closed']),
  opened_at: isoTime,
  updated_at: isoTime,
  closed_at: isoTime.nullable(),
  /** Grows with every message about this incident: the newest wins. */
  revision: count,
  /** How many earlier incidents this host had. */
  recurrence: count,
  /** What the detector needs to go on after a restart; opaque to everyone else. */
  resume: z.unknown(),
});
export type Incident = z.infer<typeof incidentSchema>;
