/**
 * Texts about an incident for other people: a request to take an address off a blocklist, and a ticket for whoever owns the
 * host. Times are in UTC, since the reader is elsewhere. They claim nothing that the incident does not hold. Pure.
 */

import type { IncidentReport } from '../api/read-model.ts';
import type { EvidenceRow } from '../store/queries.ts';
import { storeTime } from '../store/rows.ts';
import { formatBytes } from './table.ts';

export const LETTERS = ['delisting', 'ticket'] as const;
export type Letter = (typeof LETTERS)[number];

/** Flow records that a ticket quotes. */
const MAX_RECORDS = 20;

export interface LetterDetails {
  /** The public address that is listed, for a delisting request. */
  readonly address?: string | undefined;
  /** Who the host was when its first packet was seen, for a ticket; '' when not known. */
  readonly name?: string;
}

/** Lines without their ends. */
export function incidentLetter(
  report: IncidentReport,
  letter: Letter,
  details: LetterDetails = {},
): string[] {
  return letter === 'delisting' ? delisting(report, details.address) : ticket(report, details.name ?? '');
}

/** Why a request would be too early, in words; empty when nothing speaks against it. */
export function whyTooEarly({ incident }: IncidentReport): string[] {
  const { state, block } = incident;
  if (block.effect?.state === 'not_effective')
    return [`The block does not work: ${block.effect.reason}. The address will be listed again.`];
  if (state === 'open' && block.state !== 'published')
    return [
      `The host is not blocked (${block.state}), and its incident is open. An address that goes on sending is listed again.`,
    ];
  return [];
}

function delisting({ incident, listed }: IncidentReport, address: string | undefined): string[] {
  const { first_packet, first_seen, sessions, destinations } = incident;
  return [
    `Request to remove ${address ?? 'the address below'} from the list`,
    '',
    ...(address === undefined ? ['Address: '] : [`Address: ${address}`]),
    `Cause: one host behind this address sent mail directly to servers outside (TCP port ${incident.ports.join(', ')}) without permission.`,
    `Since: ${utc(first_packet ?? first_seen)}`,
    `Last seen: ${utc(incident.last_packet ?? incident.last_seen)}`,
    `Extent: ${sessions} sessions to ${atLeast(destinations)} servers, by our flow records.`,
    ...done(incident, listed),
    '',
    'What was done with the host itself: ',
    '',
    'Please remove the listing. We watch outgoing SMTP by flow records, and block hosts that are not mail servers.',
  ];
}

function ticket({ incident, evidence, listed }: IncidentReport, name: string): string[] {
  const { host, site, grade, sessions, attempts, destinations, bytes } = incident;
  return [
    `${site === '' ? host : `${host} at ${site}`} sends mail without permission`,
    '',
    `Host: ${host}${name === '' ? '' : `, ${name}`}`,
    `Incident: ${incident.incident_id} (${incident.state}, ${grade})`,
    `First packet: ${utc(incident.first_packet ?? incident.first_seen)}`,
    `Last packet: ${utc(incident.last_packet ?? incident.last_seen)}`,
    `Extent: ${sessions} sessions and ${attempts} attempts to ${atLeast(destinations)} servers on TCP port ${incident.ports.join(', ')}; ${formatBytes(incident.bytes)} (${bytes} octets) in ${incident.packets} packets, as exported.`,
    ...incident.reasons.map((reason) => `Evidence: ${reason}`),
    ...incident.missing.map((missing) => `Not known: ${missing}`),
    `Seen by: ${incident.exporters.map(({ address, interface: index }) => `${address} interface ${index}`).join(', ')}`,
    ...done(incident, listed),
    '',
    'What to do: disconnect the host or look for malware on it; change the passwords that were used on it. If it is meant to send mail,',
    'say so, and it can be declared as a sender.',
    '',
    'Servers with the most sessions:',
    ...destinations.top.map((top) => `  ${top.address}: ${top.sessions} sessions, ${formatBytes(top.bytes)}`),
    ...(evidence.length === 0
      ? []
      : ['', `Flow records (the first ${Math.min(MAX_RECORDS, evidence.length)}, UTC):`]),
    ...evidence.slice(0, MAX_RECORDS).map((row) => `  ${recordLine(row)}`),
  ];
}

function done(incident: IncidentReport['incident'], listed: IncidentReport['listed']): string[] {
  const { block } = incident;
  const since = listed?.at ?? (block.state === 'published' ? block.since : null);
  if (since === null || block.state !== 'published') return ['Blocked: not at present.'];
  const effect =
    block.effect === undefined
      ? 'Whether the routers do it is not seen yet.'
      : block.effect.state === 'effective'
        ? `It works: ${block.effect.reason}.`
        : `It does not work: ${block.effect.reason}.`;
  return [`Blocked: TCP port 25 of the host since ${utc(since)}. ${effect}`];
}

const atLeast = ({ count, exact }: { readonly count: number; readonly exact: boolean }) =>
  exact ? String(count) : `at least ${count}`;

function recordLine(row: EvidenceRow): string {
  return `${utc(row.start ?? row.received_at)} ${row.src_addr}:${row.src_port} -> ${row.dst_addr}:${row.dst_port}, ${row.packets} packets, ${row.bytes} octets, by ${row.exporter}`;
}

/** `2026-03-01 10:00:00 UTC`. */
function utc(iso: string): string {
  const ms = storeTime(iso);
  return Number.isNaN(ms) ? iso : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
