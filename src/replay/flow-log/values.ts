/**
 * The values of a log line: numbers, times, addresses, protocols, each between two positions of a text.
 *
 * They take no substring where the common form allows it, because they run for each field of each line. What is not of
 * the form expected is -1 (or false), never an exception and never a guess.
 */

import { parseAddress } from '../../flow/address.ts';
import { MAX_TIME_MS } from '../capture/capture.ts';

const ZERO = 48;
const NINE = 57;
const DOT = 46;

/** A whole number in decimal digits, at most 2^53 - 1; -1 for anything else. */
export function readCount(text: string, start: number, end: number): number {
  if (start >= end || end - start > 20) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

/** A port in decimal, or in hexadecimal with `0x` (Argus, for ICMP); -1 for anything else. */
export function readPort(text: string, start: number, end: number): number {
  let port = readCount(text, start, end);
  if (port < 0 && end - start <= 6 && /^0x[\da-f]+$/i.test(text.slice(start, end))) {
    port = Number.parseInt(text.slice(start + 2, end), 16);
  }
  return port <= 65_535 ? port : -1;
}

/** Decimal seconds as milliseconds with their fraction; -1 for anything else, negative numbers included. */
export function readSeconds(text: string, start: number, end: number): number {
  let seconds = 0;
  let i = start;
  for (; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < ZERO || code > NINE) break;
    seconds = seconds * 10 + code - ZERO;
  }
  if (i === start || i - start > 15) return -1;
  if (i === end) return seconds * 1000;
  if (text.charCodeAt(i) !== DOT) return readExponent(text, start, end);
  let fraction = 0;
  let scale = 1000;
  for (i++; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < ZERO || code > NINE) return readExponent(text, start, end);
    scale /= 10;
    fraction += (code - ZERO) * scale;
  }
  return seconds * 1000 + fraction;
}

/** Zeek and JSON writers print very short durations as `9e-06`. */
function readExponent(text: string, start: number, end: number): number {
  const word = text.slice(start, end);
  return /^\d+(\.\d+)?e[+-]?\d{1,2}$/i.test(word) ? Number(word) * 1000 : -1;
}

/** Seconds since 1970 beyond this are milliseconds: it is the year 5138. */
const SECONDS_LIMIT_MS = 1e14;

/** Milliseconds since 1970 (seconds where the number says so) as a time; -1 outside of what a flow's time can be. */
export function epochMs(secondsAsMs: number): number {
  const ms = secondsAsMs >= SECONDS_LIMIT_MS ? secondsAsMs / 1000 : secondsAsMs;
  return ms >= 0 && ms <= MAX_TIME_MS ? ms : -1;
}

/**
 * A point in time as milliseconds since 1970 UTC, with its fraction: seconds (or milliseconds) since 1970, or a date and
 * time like `2026-03-01T10:00:00.123456+0200`, also with `/` or with a space between. Without a zone it is UTC, whatever
 * the zone of this machine: the same file must give the same result everywhere. -1 for anything else.
 */
export function readTime(text: string, start: number, end: number): number {
  const separator = text.charCodeAt(start + 4);
  if (end - start < 19 || (separator !== 45 && separator !== 47))
    return epochMs(readSeconds(text, start, end));
  const between = text.charCodeAt(start + 10);
  if (
    text.charCodeAt(start + 7) !== separator ||
    (between !== 84 && between !== 32 && between !== 116) ||
    text.charCodeAt(start + 13) !== 58 ||
    text.charCodeAt(start + 16) !== 58
  ) {
    return -1;
  }
  const year = readCount(text, start, start + 4);
  const month = readCount(text, start + 5, start + 7);
  const day = readCount(text, start + 8, start + 10);
  const hour = readCount(text, start + 11, start + 13);
  const minute = readCount(text, start + 14, start + 16);
  const second = readCount(text, start + 17, start + 19);
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return -1;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return -1;
  let at = start + 19;
  let fraction = 0;
  if (at < end && text.charCodeAt(at) === DOT) {
    let scale = 1000;
    for (at++; at < end; at++) {
      const code = text.charCodeAt(at);
      if (code < ZERO || code > NINE) break;
      scale /= 10;
      fraction += (code - ZERO) * scale;
    }
  }
  const offset = zoneMinutes(text, at, end);
  if (Number.isNaN(offset)) return -1;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second) + fraction - offset * 60_000;
  return epochMs(ms);
}

/** Nothing, `Z`, `+02:00`, `+0200` or `+02` as minutes east; NaN for anything else. */
function zoneMinutes(text: string, start: number, end: number): number {
  if (start === end) return 0;
  const sign = text.charCodeAt(start);
  if (sign === 90 || sign === 122) return start + 1 === end ? 0 : Number.NaN;
  if (sign !== 43 && sign !== 45) return Number.NaN;
  const hours = readCount(text, start + 1, start + 3);
  let at = start + 3;
  if (text.charCodeAt(at) === 58) at++;
  const minutes = at === end ? 0 : end - at === 2 ? readCount(text, at, end) : -1;
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return (sign === 45 ? -1 : 1) * (hours * 60 + minutes);
}

/** Writes an address literal as 16 bytes, IPv4 mapped; false for anything else. */
export function readAddress(text: string, start: number, end: number, out: Uint8Array): boolean {
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || part === 3) return readOtherAddress(text, start, end, out);
      out[12 + part++] = value;
      value = 0;
      digits = 0;
      continue;
    }
    const digit = code - ZERO;
    // A leading zero may mean octal: left to the parser that knows.
    if (digit < 0 || digit > 9 || digits === 3 || (digits > 0 && value === 0))
      return readOtherAddress(text, start, end, out);
    value = value * 10 + digit;
    digits++;
    // Four digits of an IPv6 address, or no address at all.
    if (value > 255) return readOtherAddress(text, start, end, out);
  }
  if (part !== 3 || digits === 0) return false;
  out[15] = value;
  out.fill(0, 0, 10);
  out[10] = 0xff;
  out[11] = 0xff;
  return true;
}

function readOtherAddress(text: string, start: number, end: number, out: Uint8Array): boolean {
  const bytes = parseAddress(text.slice(start, end));
  if (bytes === null) return false;
  out.set(bytes);
  return true;
}

/** Names that the tools write, as in /etc/protocols and in their own spelling. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['ip', 0],
  ['icmp', 1],
  ['igmp', 2],
  ['ggp', 3],
  ['ipencap', 4],
  ['ipip', 4],
  ['ipnip', 4],
  ['tcp', 6],
  ['egp', 8],
  ['udp', 17],
  ['rtp', 17],
  ['rtcp', 17],
  ['udt', 17],
  ['dccp', 33],
  ['ipv6', 41],
  ['rsvp', 46],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['ipv6-icmp', 58],
  ['icmp6', 58],
  ['icmpv6', 58],
  ['ipv6-no', 59],
  ['eigrp', 88],
  ['ospf', 89],
  ['ospfigp', 89],
  ['etherip', 97],
  ['pim', 103],
  ['vrrp', 112],
  ['carp', 112],
  ['l2tp', 115],
  ['sctp', 132],
  ['udplite', 136],
  ['unknown_transport', 255],
]);

/** The number of an IP protocol that is written as number or name; -1 for one that is not known. */
export function readProtocol(text: string, start: number, end: number): number {
  const number = readCount(text, start, end);
  if (number >= 0) return number <= 255 ? number : -1;
  const name = text.slice(start, end);
  return PROTOCOLS.get(name) ?? PROTOCOLS.get(name.toLowerCase()) ?? -1;
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite: what other protocols write in port fields are no ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 33 || protocol === 132 || protocol === 136;
}

/** Bits of the TCP flags column by letter, as nfdump, Argus and tcpdump write them. */
const FLAG_LETTERS: Readonly<Record<string, number>> = {
  F: 1,
  S: 2,
  R: 4,
  P: 8,
  A: 16,
  U: 32,
  E: 64,
  C: 128,
};

/** TCP flags written as letters, dots and blanks between them; -1 when something else is among them. */
export function readFlagLetters(text: string, start: number, end: number): number {
  let flags = 0;
  for (let i = start; i < end; i++) {
    const letter = text[i];
    if (letter === '.' || letter === ' ' || letter === '_') continue;
    const bit = FLAG_LETTERS[letter];
    if (bit === undefined) return -1;
    flags |= bit;
  }
  return flags;
}
