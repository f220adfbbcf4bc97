/**
 * What a person decided about a host: approved, rejected, released or blocked, as a zod schema.
 *
 * Decisions travel on a compacted stream of their own, keyed and partitioned as incidents are: the newest word about a
 * host is kept for ever, so that it survives restarts and moves with the partition to another detector. Text in it was
 * typed by somebody: it is shown sanitised and never reaches a configuration.
 */

import { z } from 'zod';
import type { Incident } from './alert.ts';

const isoTime = z.iso.datetime({ precision: 3 });
/** No control characters: it is printed in terminals and logs. */
const words = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'use no line breaks or control characters');

export const decisionReason = words(200);
export const decisionAuthor = words(64);

const DECISION_ACTIONS = ['approve', 'reject', 'release', 'block'] as const;

export const decisionSchema = z.object({
  schema: z.literal('rogue-smtp.decision'),
  schema_version: z.literal(1),
  decision_id: z.string(),
  host: z.string(),
  site: z.string(),
  /**
   * `approve`: the incident's host may be blocked. `reject`: it is not to be, as long as this incident lasts. `release`:
   * a block is lifted at once and there is none before `until`. `block`: the host is blocked until then, whatever the
   * evidence against it.
   */
  action: z.enum(DECISION_ACTIONS),
  /** The incident that was looked at; an approval or a rejection speaks of no other. '' where a host had none (`block`, `release`). */
  incident_id: z.string(),
  /** Only of `release` and `block`. */
  until: isoTime.nullable(),
  /** Who says so, and why; '' where nothing was said. */
  by: decisionAuthor,
  reason: decisionReason,
  decided_at: isoTime,
  /** Of a release of a host that was released already: when and by whom first. */
  renews: z.object({ by: decisionAuthor, decided_at: isoTime }).optional(),
});
export type Decision = z.infer<typeof decisionSchema>;

/** One host at one site: the key of incidents and decisions in their streams. */
export function hostStreamKey({ site, host }: Pick<Incident, 'site' | 'host'>): string {
  return `${site}|${host}`;
}
