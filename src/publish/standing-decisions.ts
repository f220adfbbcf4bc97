/**
 * What stands whatever an earlier list says: the decisions of people, and the hosts that wait for one because they are probably
 * mail servers. No offenders list may name them.
 *
 * A detector acts on a decision some time later, and a list that is held at an earlier revision does not follow the
 * detector at all. So the newest decision of each host is asked again whenever a list is made.
 */

import type { ExemptHost } from '../acl/interlocks.ts';
import { rulingInForce } from '../detect/block.ts';
import { UNSEEN_SENDERS } from '../detect/holds.ts';
import { parsePrefix } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';

export interface StandingDecisions {
  /** Takes over decisions in the order of their stream: of two about one host the later one stands. */
  note(decisions: readonly Decision[]): void;
  /** Takes over the newest state of an incident: its host may be held until a person has looked. */
  noteIncident(incident: Incident): void;
  /** The newest decision about a host, as far as it is in force for this incident of it; null where nothing is. */
  inForce(place: Pick<Incident, 'host' | 'site' | 'incident_id'>): Decision | null;
  /**
   * Hosts that are released, rejected or held now, at this site or, without one, at any. `but`: a host, by its stream key,
   * whose own decision does not count, since another is about to take its place.
   */
  exempt(site: string | undefined, but?: string): readonly ExemptHost[];
  /** The newest decisions about hosts that were blocked by hand, those among them that are over. */
  handBlocks(): readonly Decision[];
  /** The newest decisions of the kinds that need no incident, blocks and releases, those among them that are over. */
  ofHosts(): readonly Decision[];
  /** The newest decision about a host, by its stream key, if it is one that needs no incident. */
  ofHost(key: string): Decision | undefined;
}

const needsNoIncident = ({ action }: Decision): boolean => action === 'block' || action === 'release';

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

  function isBlockedByHand(key: string, nowMs: number): boolean {
    const decision = newest.get(key);
    return decision?.action === 'block' && rulingInForce(decision, '', nowMs) !== null;
  }

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
    handBlocks: () => [...newest.values()].filter(({ action }) => action === 'block'),
    ofHosts: () => [...newest.values()].filter(needsNoIncident),
    ofHost(key) {
      const decision = newest.get(key);
      return decision !== undefined && needsNoIncident(decision) ? decision : undefined;
    },
    inForce(place) {
      const decision = newest.get(hostStreamKey(place));
      if (decision === undefined) return null;
      return rulingInForce(decision, place.incident_id, now()) === null ? null : decision;
    },
    exempt(site, but) {
      const nowMs = now();
      const waiting = [...held].flatMap(([key, incident]) => {
        // Nothing is known of this host itself, and somebody has named it.
        if (incident.block.reason.startsWith(UNSEEN_SENDERS) && (key === but || isBlockedByHand(key, nowMs)))
          return [];
        if (site !== undefined && incident.site !== site) return [];
        const parsed = parsePrefix(incident.host);
        return parsed.ok ? [{ prefix: parsed.prefix, reason: `is held: ${incident.block.reason}` }] : [];
      });
      const decided = [...newest].flatMap(([key, decision]) => {
        if (key === but || (site !== undefined && decision.site !== site)) return [];
        const ruling = rulingInForce(decision, newestIncident(key)?.incident_id ?? '', nowMs);
        if (ruling === null || ruling.action === 'approve' || ruling.action === 'block') return [];
        const parsed = parsePrefix(decision.host);
        return parsed.ok ? [{ prefix: parsed.prefix, reason: `was ${ruling.reason}` }] : [];
      });
      return [...decided, ...waiting];
    },
  };
}
