/**
 * What a complaint says: one of our public addresses did something at a time, with a server somewhere.
 *
 * Complaints come in many forms (complaint-files.ts reads them); this is what they have in common. Pure.
 */

import { RogueSmtpError } from '../errors.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../flow/address.ts';

export interface Endpoint {
  /** Null: not told. */
  readonly address: AddressBytes | null;
  readonly port: number | null;
}

export interface Complaint {
  /** The time it tells, milliseconds since 1970, and how far off that may be. */
  readonly atMs: number;
  readonly withinMs: number;
  /** Our public address, and the port that the other side saw. */
  readonly source: Endpoint;
  /** The server or sinkhole that saw it. A complaint that names none is about mail: port 25. */
  readonly destination: Endpoint;
}

/** What a complaint says, in the texts that its sender used; undefined for what it does not say. */
export interface ComplaintTexts {
  readonly at?: string | undefined;
  readonly within?: number | undefined;
  readonly source?: string | undefined;
  readonly sourcePort?: string | number | undefined;
  readonly destination?: string | undefined;
  readonly destinationPort?: string | number | undefined;
}

const MAIL_PORT = 25;
/** Complaints tell the time to the minute, and clocks are off by some. */
const DEFAULT_WITHIN_MS = 5 * 60_000;
const MAX_WITHIN_MS = 86_400_000;

/** Throws RogueSmtpError `usage` for what cannot be searched for. */
export function complaintOf(texts: ComplaintTexts): Complaint {
  if (texts.at === undefined) throw refused('it tells no time');
  const atMs = parseComplaintTime(texts.at);
  if (atMs === null) throw refused(`"${shortened(texts.at)}" is no time such as 2026-03-01T14:05:00Z`);
  const withinMs = texts.within ?? DEFAULT_WITHIN_MS;
  if (withinMs > MAX_WITHIN_MS) throw refused('a time that may be off by more than a day finds everybody');
  const source = { address: addressOf(texts.source), port: portOf(texts.sourcePort) };
  const told = { address: addressOf(texts.destination), port: portOf(texts.destinationPort) };
  const isAboutMail = told.address === null && told.port === null;
  return { atMs, withinMs, source, destination: isAboutMail ? { ...told, port: MAIL_PORT } : told };
}

/**
 * ISO 8601, RFC 5322 (`Sat, 28 Nov 2026 14:05:00 +0100`) and the forms of blocklists (`2026-11-28 14:05 GMT`). What names no
 * zone is UTC, as abuse reports are by custom. Null for what is no time.
 */
export function parseComplaintTime(text: string): number | null {
  const trimmed = text
    .trim()
    .replace(/\s*\([^()]{0,40}\)$/, '')
    .replace(/\s+(UTC|GMT|Z)$/i, ' GMT');
  const plain =
    /^(\d{4})[-/](\d\d)[-/](\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?:\s*(GMT|Z|[+-]\d\d:?\d\d))?$/.exec(
      trimmed,
    );
  if (plain !== null) {
    const [, year, month, day, time, zone] = plain;
    const offset = zone === undefined || zone === 'GMT' ? 'Z' : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
    return validTime(Date.parse(`${year}-${month}-${day}T${time.replace(/(\.\d{3})\d+$/, '$1')}${offset}`));
  }
  if (/^\d{10}$/.test(trimmed)) return validTime(1000 * Number(trimmed));
  // RFC 5322 section 3.3. Anything looser would be read in the zone of this machine.
  if (/^(?:\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|[+-]\d{4})$/.test(trimmed))
    return validTime(Date.parse(trimmed));
  return null;
}

const validTime = (ms: number) => (Number.isFinite(ms) && ms > 0 ? ms : null);

function addressOf(text: string | undefined): AddressBytes | null {
  if (text === undefined || text.trim() === '') return null;
  const bytes = parseAddress(text.trim());
  if (bytes === null) throw refused(`"${shortened(text)}" is no IP address`);
  return bytes;
}

function portOf(value: string | number | undefined): number | null {
  if (value === undefined || value === '') return null;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw refused(`"${shortened(String(value))}" is no port`);
  // Some senders of reports write 0 for what they do not know.
  return port === 0 ? null : port;
}

/** What is searched for, for people. */
export function describeComplaint({ atMs, withinMs, source, destination }: Complaint): string {
  const at = `${new Date(atMs).toISOString()} ± ${Math.round(withinMs / 1000)} s`;
  return `${at}, from ${describeEndpoint(source, 'an address that is not told')} to ${describeEndpoint(destination, 'any server')}`;
}

function describeEndpoint({ address, port }: Endpoint, unknown: string): string {
  const name = address === null ? unknown : formatAddress(address);
  return port === null ? name : `${name} port ${port}`;
}

const shortened = (text: string) => (text.length <= 60 ? text : `${text.slice(0, 60)}...`);

const refused = (why: string) => new RogueSmtpError('usage', `the complaint cannot be searched for: ${why}`);
