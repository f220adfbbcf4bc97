/** A detector under test: a configuration in, flows in, what came out. */

import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createDetector, type Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import type { FlowBatch } from '../../src/flow/batch.ts';
import { type Alert, alertSchema, type Incident, incidentSchema } from '../../src/messages/alert.ts';
import type { Decision } from '../../src/messages/decision.ts';
import { batchOf, type Flow, HOUR, MINUTE, SECOND, T0 } from './flows.ts';

export const ROGUE = '10.0.0.66';
export const MAIL_SERVER = '10.0.0.25';
export const OUTSIDE = '198.51.100.7';

/** One authorised sender, blocks published: the configuration that can do harm. */
export const STRICT: ConfigInput = {
  networks: { internal: ['10.0.0.0/8', '2001:db8:1::/48'] },
  senders: [{ name: 'mail', hosts: [MAIL_SERVER] }],
  block: { mode: 'publish' },
};

export function detectorFor(input: ConfigInput = STRICT): Detector {
  const config = configSchema.parse(input);
  return createDetector({ policy: compilePolicy(config), detection: config.detection, block: config.block });
}

export interface Outcome {
  readonly detector: Detector;
  readonly alerts: Alert[];
  /** The newest message of every incident. */
  readonly incidents: Incident[];
  of(host: string): Incident | undefined;
  kinds(host?: string): string[];
}

/** Feeds flows as one message each, then lets the clock run on for `upTo` milliseconds after T0. */
export function detect(
  flows: readonly Flow[] | FlowBatch,
  options: { readonly config?: ConfigInput; readonly upTo?: number } = {},
): Outcome {
  const detector = detectorFor(options.config);
  const batches = 'columns' in flows ? [flows] : flows.map((flow) => batchOf([flow]));
  const alerts: Alert[] = [];
  const incidents = new Map<string, Incident>();
  const collect = () => {
    const taken = detector.take();
    alerts.push(...taken.alerts);
    for (const incident of taken.incidents) incidents.set(incident.incident_id, incident);
  };
  batches.forEach((batch, offset) => {
    detector.observe(batch, { partition: 0, offset });
    collect();
  });
  if (options.upTo !== undefined) {
    detector.advance(T0 + options.upTo);
    collect();
  }
  for (const incident of detector.openIncidents()) incidents.set(incident.incident_id, incident);
  for (const alert of alerts) alertSchema.parse(alert);
  for (const incident of incidents.values()) incidentSchema.parse(JSON.parse(JSON.stringify(incident)));
  return {
    detector,
    alerts,
    incidents: [...incidents.values()],
    of: (host) => [...incidents.values()].filter((incident) => incident.host === host).at(-1),
    kinds: (host) =>
      alerts.filter((alert) => host === undefined || alert.host === host).map((alert) => alert.kind),
  };
}

/** So many hosts from 10.0.0.`first` on, one after the other, each with two conversations with the world. */
export function sendersFrom(first: number, count: number): readonly Flow[] {
  return Array.from({ length: 2 * count }, (_, i) => ({
    from: `10.0.0.${first + (i >> 1)}`,
    to: OUTSIDE,
    fromPort: 40_000 + i,
    flags: 'SPAF',
    packets: 20,
    bytes: 4000,
    at: i * SECOND,
  }));
}

/** What somebody decided about an incident a minute after T0; a release is for five hours. */
export function decision(
  action: Decision['action'],
  incident: Incident,
  fields: Partial<Decision> = {},
): Decision {
  return {
    schema: 'rogue-smtp.decision',
    schema_version: 1,
    decision_id: 'd',
    host: incident.host,
    site: incident.site,
    action,
    incident_id: incident.incident_id,
    until: action === 'release' ? new Date(T0 + 5 * HOUR).toISOString() : null,
    by: 'ada',
    reason: 'looked at it',
    decided_at: new Date(T0 + MINUTE).toISOString(),
    ...fields,
  };
}
