/**
 * What stands whatever an earlier list says: the decisions of people, and the hosts that wait for one because they are probably
 * mail servers. No offenders list may name them.
 *
 * A detector acts on a decision some time later, and a list that is held at an earlier revision does not follow the
 * detector at all. So the newest decision of each host is asked again whenever a list is made.
 */

import type { ExemptHost } from '../acl/interlocks.ts';
import { rulingInForce } from '../detect/block.ts';
import { parsePrefix } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';

export interface StandingDecisions {
  /** Takes over decisions in the order of their stream: of two about one host the later one stands. */
  note(decisions: readonly Decision[]): void;
  /** Takes over the newest state of an incident: its host may be held until a person has looked. */
  noteIncident(incident: Incident): void;
  /** Hosts that are released, rejected or held now, at this site or, without one, at any. */
  exempt(site: string | undefined): readonly ExemptHost[];
}

/**
 * `newestIncident`: that of a host, by its stream key; a rejection stands as long as its incident is the newest. Lists are
 * made often, decisions are few: only the hosts that were decided about are looked up.
 */
export function createStandingDecisions(
  newestIncident: (key: string) => Incident | undefined,
  now: () => number,
): StandingDecisions {
  const newest = new Map<string, Decision>();
  const held = new Map<string, Incident>();
  return {
    note(decisions) {
      for (const decision of decisions) newest.set(hostStreamKey(decision), decision);
    },
    noteIncident(incident) {
      const { state } = incident.block;
      if (state === 'held') held.set(hostStreamKey(incident), incident);
      // A new incident of the host that is not decided yet says nothing against it.
      else if (state !== 'none') held.delete(hostStreamKey(incident));
    },
    exempt(site) {
      const nowMs = now();
      const waiting = [...held.values()].flatMap((incident) => {
        if (site !== undefined && incident.site !== site) return [];
        const parsed = parsePrefix(incident.host);
        return parsed.ok ? [{ prefix: parsed.prefix, reason: `is held: ${incident.block.reason}` }] : [];
      });
      const decided = [...newest].flatMap(([key, decision]) => {
        if (site !== undefined && decision.site !== site) return [];
        const ruling = rulingInForce(decision, newestIncident(key)?.incident_id ?? '', nowMs);
        if (ruling === null || ruling.action === 'approve') return [];
        const parsed = parsePrefix(decision.host);
        return parsed.ok ? [{ prefix: parsed.prefix, reason: `was ${ruling.reason}` }] : [];
      });
      return [...decided, ...waiting];
    },
  };
}
