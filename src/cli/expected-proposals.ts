/**
 * Entries for `expected` that the evidence suggests: hosts that connect again and again over hours and never carried a message.
 *
 * Pure; for a person to look at, never put in force by itself. It goes by what the detector graded, so that it never takes for
 * harmless what the detector does not. Samples and replies alone show too little to propose anything.
 */

import { HELD_ENVELOPES } from '../detect/block.ts';
import type { OffenderRow } from '../store/queries.ts';

/** So often, over so long: once is no habit. */
const SESSIONS = 10;
const SPAN_MS = 6 * 3_600_000;
/** A monitor has its few servers; who asks so many verifies addresses. */
const MANY_DESTINATIONS = 20;
const UNKNOWN = ['sampled', 'half_seen', 'flags_unknown', 'expected'];

interface Proposal {
  readonly host: string;
  /** '' outside of every site. */
  readonly site: string;
  readonly does: 'check' | 'verify';
}

export function proposeExpected(rows: readonly OffenderRow[]): Proposal[] {
  return rows
    .filter(
      (row) =>
        (row.grade === 'connected' || row.block_reason === HELD_ENVELOPES) &&
        Number(row.sessions) >= SESSIONS &&
        Date.parse(row.last_seen) - Date.parse(row.first_seen) >= SPAN_MS &&
        !row.flags.some((flag) => UNKNOWN.includes(flag)),
    )
    .map(({ host, site, destinations }) => ({
      host,
      site,
      does: Number(destinations) >= MANY_DESTINATIONS ? 'verify' : 'check',
    }));
}

/** In the YAML of an entry: where it holds. A host outside of every site needs none. */
export const atSite = (site: string): string => (site === '' ? '' : `, sites: [${JSON.stringify(site)}]`);

/** The YAML to add, with what to look at before; '' when there is nothing to propose. */
export function describeExpected(proposals: readonly Proposal[]): string {
  if (proposals.length === 0) return '';
  const entries = proposals.map(
    ({ host, site, does }, i) =>
      `  - { name: ${does}-${i + 1}, hosts: [${JSON.stringify(host)}]${atSite(site)}, does: ${does}, owner: "", reason: "" }\n`,
  );
  return `\nThese hosts connect again and again and sent no message. If you know what they are (monitors, address verification), add:\n\nexpected:\n${entries.join('')}`;
}
