/**
 * What is to be told: alerts as they arise, and incidents whose newest state is not published yet.
 *
 * An alert and everything that matters for a restart at once, what merely goes on at intervals. It decides when
 * something is told, never what: a message is made from the case file as it is when it is taken.
 */

import type { Alert, Incident } from '../messages/alert.ts';
import type { DetectorState } from './detector-state.ts';
import type { Host } from './host-table.ts';
import { type Evidence, toAlert, toEvidence, toIncident } from './incidents.ts';
import type { Sighting } from './screen.ts';

/**
 * An incident that only goes on is published again after a second while few do, and less often the more there are, so
 * that all of them together make about 500 messages a second; but at the latest after a minute, from before which a
 * restart reads the stream.
 */
const CHECKPOINT_MIN_MS = 1000;
export const CHECKPOINT_MAX_MS = 60_000;
const CHECKPOINT_MS_PER_INCIDENT = 2;

export interface Outbox {
  /** Marks the file as changed by a record, or by a timer (without sighting). */
  changed(host: Host, s: Sighting | null, eventMs: number): void;
  /** Raises an alert, unless the grade is below that of `alerts`, and publishes the incident. */
  alert(kind: Alert['kind'], host: Host, eventMs: number): void;
  /** Nobody has heard of the open incident, and by the rules of now somebody should. */
  overdue(host: Host): boolean;
  /** The incident is to be published at once. */
  publish(host: Host): void;
  /** Something that messages show of the host has changed. */
  outdate(host: Host): void;
  /** Other rules came into force: all that was said of any host may be put differently now. */
  outdateAll(): void;
  /** The host's incident leaves, or makes room for another: what is not told of it is told now. */
  lastWord(host: Host): void;
  /** The host is gone. */
  forget(host: Host): void;
  incidentOf(host: Host): Incident;
  /** What is due, once. */
  take(): { readonly alerts: Alert[]; readonly incidents: Incident[] };
}

export function createOutbox(state: DetectorState): Outbox {
  const { hosts, counters } = state;
  const { dirty } = hosts;
  /** Slots of hosts whose incident is to be published at once. */
  const due = new Set<number>();
  let alerts: Alert[] = [];
  let incidents: Incident[] = [];
  /** By slot: what the alerts since the last `take` say, as long as it is so. The incident with an alert says the same. */
  const said = new Map<number, Evidence>();

  const evidenceOf = (host: Host): Evidence =>
    said.get(host.slot) ?? toEvidence(host, host.file, state.detection, state.policy.version);

  const incidentOf = (host: Host): Incident => toIncident(evidenceOf(host), host.file, host);

  function outdate(host: Host): void {
    if (said.size > 0) said.delete(host.slot);
  }

  const isLoud = (host: Host): boolean =>
    host.file.grade >= state.policy.alertGrade(host.bytes, 0, host.site);

  /**
   * As what an event is told: an incident that comes to the grade of `alerts` late opens then, and one that was opened is closed
   * whatever the grade is by then. Null while nobody is to hear of it.
   */
  function kindToTell(kind: Alert['kind'], host: Host): Alert['kind'] | null {
    const { file } = host;
    if (!isLoud(host)) {
      if (kind === 'opened') file.untold = true;
      return kind === 'closed' && !file.untold ? kind : null;
    }
    if (!file.untold) return kind;
    if (kind === 'closed') return null;
    file.untold = false;
    return 'opened';
  }

  return {
    changed(host, s, eventMs) {
      outdate(host);
      const { file } = host;
      file.revision++;
      file.changedMs = Math.max(file.changedMs, eventMs);
      host.clockMs = Math.max(host.clockMs, eventMs);
      // By the time of the event, which for a timer may lie before the clock: that is how far back its cause is.
      if (host.dirtySinceMs === 0) {
        host.dirtySinceMs = Math.max(1, eventMs);
        hosts.dirty.append(host.slot);
      }
      if (s === null) return;
      if (s.partition !== host.partition || s.offset > host.offset) {
        host.partition = s.partition;
        host.offset = s.offset;
      }
      hosts.touch(host.slot);
    },
    alert(kind, host, eventMs) {
      const { file } = host;
      file.alertedMs = eventMs;
      due.add(host.slot);
      const told = kindToTell(kind, host);
      if (told === null) return;
      if (told === 'updated') file.updates++;
      counters.alerts[told]++;
      const evidence = evidenceOf(host);
      said.set(host.slot, evidence);
      alerts.push(toAlert(told, evidence, file, eventMs));
    },
    overdue: (host) => host.file.untold && host.file.closedMs === null && isLoud(host),
    publish(host) {
      outdate(host);
      due.add(host.slot);
    },
    outdate,
    outdateAll: () => said.clear(),
    lastWord(host) {
      if (host.dirtySinceMs !== 0) incidents.push(incidentOf(host));
    },
    forget(host) {
      outdate(host);
      due.delete(host.slot);
    },
    incidentOf,
    take() {
      const wanted = dirty.size * CHECKPOINT_MS_PER_INCIDENT;
      const checkpointMs = Math.min(CHECKPOINT_MAX_MS, Math.max(CHECKPOINT_MIN_MS, wanted));
      for (let slot = dirty.oldest(); slot >= 0; slot = dirty.next(slot)) {
        if (state.clockMs - hosts.at(slot).dirtySinceMs < checkpointMs) break;
        due.add(slot);
      }
      for (const slot of due) {
        const host = hosts.at(slot);
        incidents.push(incidentOf(host));
        if (host.dirtySinceMs === 0) continue;
        dirty.remove(slot);
        host.dirtySinceMs = 0;
      }
      due.clear();
      said.clear();
      const taken = { alerts, incidents };
      alerts = [];
      incidents = [];
      return taken;
    },
  };
}
