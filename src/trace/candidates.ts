/**
 * From what the records say of each host to an answer: who it was, how sure that is, why, and what would make it surer.
 * Pure.
 */

import { formatAddress } from '../flow/address.ts';
import { type Complaint, describeComplaint } from './complaint.ts';
import { type HostMatch, MAX_CANDIDATES, type Searched } from './search.ts';

/**
 * - `certain`: a record names the address and the port that the complaint tells, for this host alone;
 * - `likely`: nothing speaks for another host;
 * - `possible`: others match as well.
 */
type Sureness = 'certain' | 'likely' | 'possible';

export interface Candidate {
  readonly host: string;
  readonly sure: Sureness;
  /** Why, a sentence each. */
  readonly reasons: readonly string[];
  readonly match: HostMatch;
}

export interface TraceAnswer {
  /** What was searched for, in words. */
  readonly complaint: string;
  readonly candidates: readonly Candidate[];
  /** What was not to be had, a sentence each. */
  readonly missing: readonly string[];
}

/** An incident of a host that was open around the time. */
export interface KnownIncident {
  readonly host: string;
  readonly incident_id: string;
  readonly grade: string;
  readonly first_seen: string;
  readonly block_state: string;
}

export interface Findings {
  readonly matches: readonly HostMatch[];
  readonly searched: Searched;
  readonly incidents: readonly KnownIncident[];
  /** Only flows on mail ports are kept (`collector.archive: mail`). */
  readonly onlyMail: boolean;
}

export function answerOf(complaint: Complaint, findings: Findings): TraceAnswer {
  const { matches, incidents } = findings;
  const best = matches.filter((match) => strengthOf(match, complaint) === strengthOf(matches[0], complaint));
  return {
    complaint: describeComplaint(complaint),
    candidates: matches.slice(0, MAX_CANDIDATES).map((match) => ({
      host: match.host,
      sure: surenessOf(match, best, complaint),
      reasons: reasonsOf(match, matches.length, complaint, incidents),
      match,
    })),
    missing: missingOf(complaint, findings),
  };
}

/** 3: address and port by a record; 2: the port before translation, or the address; 1: time and server only. */
function strengthOf(match: HostMatch, { source }: Complaint): number {
  if (match.by_port > 0) return 3;
  if (source.port !== null && match.by_own_port > 0) return 2;
  return match.by_address > 0 && source.port === null ? 2 : 1;
}

function surenessOf(match: HostMatch, best: readonly HostMatch[], complaint: Complaint): Sureness {
  if (!best.includes(match)) return 'possible';
  if (best.length > 1) return 'possible';
  return strengthOf(match, complaint) === 3 ? 'certain' : 'likely';
}

function reasonsOf(
  match: HostMatch,
  hosts: number,
  { source, destination, atMs }: Complaint,
  incidents: readonly KnownIncident[],
): string[] {
  const address = source.address === null ? '' : formatAddress(source.address);
  const isItself = match.host === address;
  const port = source.port === null ? '' : ` port ${source.port}`;
  const many = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
  const peers =
    destination.address !== null
      ? formatAddress(destination.address)
      : `${many(match.peers, 'server')} (${match.some_peers.slice(0, 3).join(', ')}${match.peers > 3 ? ', ...' : ''})`;
  return [
    `It had ${many(match.records, 'flow')} with ${peers} on port ${match.peer_ports.join(', ')} between ${match.first} and ${match.last}.`,
    ...(match.at_the_time > 0
      ? [
          `${match.at_the_time === 1 ? 'One' : match.at_the_time} of them ${match.at_the_time === 1 ? 'was' : 'were'} going on at ${new Date(atMs).toISOString()}.`,
        ]
      : []),
    ...(match.by_port > 0
      ? [
          isItself
            ? `It used port ${source.port} itself.`
            : `${many(match.by_port, 'record')} ${match.by_port === 1 ? 'says' : 'say'} that it was translated to ${address}${port}.`,
        ]
      : match.by_address > 0 && !isItself
        ? [
            `${many(match.by_address, 'record')} ${match.by_address === 1 ? 'says' : 'say'} that it was translated to ${address}.`,
          ]
        : []),
    ...(match.by_port === 0 && match.by_own_port > 0
      ? [`It used port ${source.port} itself; many NATs keep the port.`]
      : []),
    ...(hosts === 1 ? ['No other host matches.'] : []),
    ...incidents
      .filter(({ host }) => host === match.host)
      .map(
        (incident) =>
          `It has the incident ${incident.incident_id} (${incident.grade}) since ${incident.first_seen}; block: ${incident.block_state}.`,
      ),
  ];
}

function missingOf(complaint: Complaint, findings: Findings): string[] {
  const { source, destination, atMs, withinMs } = complaint;
  const { matches, searched, onlyMail } = findings;
  const isMail = destination.port === null || [25, 465, 587, 2525].includes(destination.port);
  return [
    ...(searched.oldest === null
      ? ['The store holds no flows.']
      : searched.records > 0
        ? []
        : Date.parse(searched.oldest) > atMs + withinMs
          ? [`The store keeps flows since ${searched.oldest}, which is after that time.`]
          : ['No flow of that time is in the store: no router exported, or nothing was kept.']),
    ...(onlyMail && !isMail
      ? [
          `Only mail is kept (collector.archive: mail), so flows to port ${destination.port} are not in the store.`,
        ]
      : []),
    ...(source.address !== null && searched.records > 0 && searched.translated === 0
      ? [
          'No record of that time names a translated address (IE 225 to 228, NSEL, NAT events): who was behind the public address follows from time and server alone.',
        ]
      : []),
    ...portOfMany(complaint, findings),
    ...(source.address !== null && source.port === null && matches.length > 1
      ? ['The complaint tells no source port, which would tell hosts behind one address apart.']
      : []),
    ...(destination.address === null && matches.length > 1
      ? ['The complaint names no server: ask for the destination address.']
      : []),
    ...(searched.sampling > 1
      ? [`Exporters sample 1 in ${searched.sampling} packets: flows of other hosts may not have been seen.`]
      : []),
    ...(matches.length > MAX_CANDIDATES
      ? [`More than ${MAX_CANDIDATES} hosts match; only the best are shown.`]
      : []),
  ];
}

/** What the port of the complaint does not settle. NATs give a port out again once a connection is over. */
function portOfMany({ source, withinMs }: Complaint, { matches, searched }: Findings): string[] {
  if (source.address === null || source.port === null) return [];
  const named = matches.filter(({ by_port }) => by_port > 0).length;
  if (named > 1)
    return [
      `Records name port ${source.port} for ${named} hosts within ± ${Math.round(withinMs / 1000)} s: ask for a more exact time.`,
    ];
  return named === 0 && matches.length > 0 && searched.translated > 0
    ? [
        `Records of that time name translated addresses, and none of a matching flow names port ${source.port}.`,
      ]
    : [];
}
