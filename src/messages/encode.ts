/** Alerts and incidents as messages of their streams: the key, the id by which a repeat is known, and the JSON. */

import type { Alert, Incident } from './alert.ts';
import { hostStreamKey } from './decision.ts';

export interface EncodedMessage {
  readonly key: string;
  readonly id: string;
  /** JSON in UTF-8. */
  readonly value: Uint8Array;
  readonly rows: 1;
}

/** Keyed by the host. `publishedMs`: now by the wall clock; without it, as in a replay, the time of the records. */
export function alertMessage(
  alert: Alert,
  publishedMs: number = Date.parse(alert.emitted_at),
): EncodedMessage {
  const published: Alert = { ...alert, published_at: new Date(publishedMs).toISOString() };
  return { key: alert.host, id: alert.alert_id, value: Buffer.from(JSON.stringify(published)), rows: 1 };
}

/** Keyed by site and host, as the compacted stream keeps them. */
export function incidentMessage(incident: Incident): EncodedMessage {
  return {
    key: hostStreamKey(incident),
    id: `${incident.incident_id}.${incident.revision}`,
    value: Buffer.from(JSON.stringify(incident)),
    rows: 1,
  };
}
