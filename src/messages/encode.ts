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

/** Keyed by the host. */
export function alertMessage(alert: Alert): EncodedMessage {
  return { key: alert.host, id: alert.alert_id, value: Buffer.from(JSON.stringify(alert)), rows: 1 };
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
