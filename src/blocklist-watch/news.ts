/** Alerts about own addresses that got on a blocklist or off it, with the incidents that may be why. Pure. */

import { type Alert, GRADES, type Incident } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

export interface Listing {
  /** One of ours. */
  readonly address: string;
  readonly zone: string;
  /** When it was first seen on the list, ISO 8601; the list may have had it a little longer. */
  readonly since: string;
  readonly codes: readonly string[];
  /** What the codes mean, in words. */
  readonly meaning: string;
  /** What the list itself says, often the address of a page. */
  readonly text: string;
}

interface Context {
  readonly nowMs: number;
  readonly policyVersion: string;
}

/** Incidents that were seen so long before a listing may be why. */
const BEFORE_MS = 86_400_000;
const MAX_INCIDENTS = 5;

export function listedAlert(listing: Listing, incidents: readonly Incident[], context: Context): Alert {
  const { address, zone, meaning, text, since } = listing;
  const says = text === '' ? '' : ` The list says: ${text}`;
  return alertOf('blocklisted', listing, context, [
    `${address} is on the blocklist ${zone}: ${meaning}.${says}`,
    ...explanations(incidents, Date.parse(since)),
    `To search the flows for who it was: rogue-smtp trace --at ${since} --within 1h --source ${address}`,
  ]);
}

export function delistedAlert(listing: Listing, context: Context): Alert {
  const { address, zone, since } = listing;
  return alertOf('delisted', listing, context, [
    `${address} is no longer on the blocklist ${zone}, where it was first seen at ${since}.`,
  ]);
}

/** The incidents of the hours before, the strongest evidence first, a sentence each. */
function explanations(incidents: readonly Incident[], sinceMs: number): string[] {
  const before = incidents
    .filter(
      ({ first_seen, last_seen }) =>
        Date.parse(first_seen) <= sinceMs && Date.parse(last_seen) >= sinceMs - BEFORE_MS,
    )
    .sort((a, b) => rankOf(b) - rankOf(a) || b.sessions - a.sessions || (a.host < b.host ? -1 : 1));
  if (before.length === 0) return ['No incident of the day before explains it.'];
  return before.slice(0, MAX_INCIDENTS).map((incident) => {
    const { host, site, grade, first_seen, sessions, destinations, block } = incident;
    const name = site === '' ? host : `${host}@${site}`;
    const blocked =
      block.since !== null && block.state === 'published'
        ? `blocked since ${block.since}`
        : `block: ${block.state}`;
    return `${name} may be why: ${grade} since ${first_seen}, ${sessions} sessions to ${destinations.count} servers, ${blocked}.`;
  });
}

const rankOf = ({ grade }: Incident) => GRADES.indexOf(grade);

function alertOf(
  type: 'blocklisted' | 'delisted',
  { address, zone, since }: Listing,
  { nowMs, policyVersion }: Context,
  reasons: string[],
): Alert {
  return {
    ...hostlessAlert({
      kind: 'finding',
      identity: [type, address, zone, since],
      sinceMs: Date.parse(since),
      nowMs,
      reasons,
      policy_version: policyVersion,
    }),
    host: address,
    finding: { type },
  };
}
