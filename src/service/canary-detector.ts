/**
 * What a detector says of a canary: the alert that a real host would have caused, under a kind of its own.
 *
 * Each canary has a detector for itself, with nothing of the configuration but the canary's network, so that it cannot change
 * what is known of real hosts, and real hosts cannot keep its alert from coming.
 */

import { configSchema } from '../config/schema.ts';
import { createDetector } from '../detect/detector.ts';
import type { FlowBatch } from '../flow/batch.ts';
import { CANARY_NETWORK } from '../flow/canary.ts';
import type { Alert } from '../messages/alert.ts';
import { detectorOptions } from './detectors.ts';

const OPTIONS = { networks: { internal: [CANARY_NETWORK] }, detection: { max_hosts: 16, max_sessions: 16 } };

/** The alerts that open an incident, of kind `canary`. `nowMs`: when they are emitted. */
export function canaryAlerts(batch: FlowBatch, nowMs: number): Alert[] {
  const detector = createDetector(detectorOptions(configSchema.parse(OPTIONS), 1));
  detector.observe(batch, { partition: 0, offset: 0 });
  detector.finish();
  return detector
    .take()
    .alerts.filter(({ kind }) => kind === 'opened')
    .map((alert) => ({ ...alert, kind: 'canary' as const, emitted_at: new Date(nowMs).toISOString() }));
}
