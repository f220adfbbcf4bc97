/**
 * The head of a syslog line: when it was written, and by whom.
 *
 * RFC 5424, RFC 3164 (whose times have no year and no zone), the forms with year and zone that rsyslog and Cisco write,
 * seconds since 1970, and `dmesg -T`. Without a zone a time is UTC. Without a year it is the newest year in which the
 * line is not later than the file: a file is not older than its last line. A line without a time has that of the JSON
 * object or CSV row that it was packed in.
 */

import { readTime } from './values.ts';

export interface LogClues {
  /** Lines are not later than this: when the file was last written to. Absent when that is not known. */
  readonly latestMs?: number;
  /** AWS: the fields in their order, for logs that do not name them. */
  readonly fields?: readonly string[];
  /** Of the line under way: what the object or row that it is packed in says of its time. The unpacking sets it. */
  readonly packed?: PackedTime;
}

export interface PackedTime {
  /** Milliseconds since 1970, -1 for what is not told. */
  ms: number;
}

export interface SyslogHead {
  /** Milliseconds since 1970; -1 without a time that is understood, -2 for one without a year where none can be told. */
  timeMs: number;
  /** The word behind the time, which is the host mostly; empty for none. */
  host: string;
  /** Where the text behind the time begins. */
  end: number;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const PRIORITY = /^<\d{1,3}>(?:1 |: ?)?/;
const ISO = /^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]?:?(?= |$)/;
const NAMED =
  /^[*.]?(?:\[?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([A-Z][a-z]{2}) {1,2}(\d{1,2})(?: (\d{4}))? (\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?: (\d{4})\]?)?(?: ([A-Z]{3,4})(?=:? ))?:?(?= |$)/;
const EPOCH = /^(\d{10}(?:\.\d{1,9})?)(?= )/;

/**
 * Hours ahead of UTC of the zones that Cisco's `clock timezone` is given most. NaN: zones of several countries have the name, so
 * that the time cannot be told. Any other word behind a time is a host's name.
 */
const ZONE_HOURS: ReadonlyMap<string, number> = new Map([
  ...['UTC', 'GMT', 'WET'].map((name) => [name, 0] as const),
  ...['CET', 'MEZ', 'WEST'].map((name) => [name, 1] as const),
  ...['CEST', 'MESZ', 'EET', 'SAST'].map((name) => [name, 2] as const),
  ...['EEST', 'MSK'].map((name) => [name, 3] as const),
  ...['HKT', 'SGT', 'AWST'].map((name) => [name, 8] as const),
  ...['JST', 'KST'].map((name) => [name, 9] as const),
  ['AEST', 10],
  ['AEDT', 11],
  ['NZST', 12],
  ['NZDT', 13],
  ['BRT', -3],
  ['EDT', -4],
  ...['EST', 'CDT'].map((name) => [name, -5] as const),
  ['MDT', -6],
  ...['MST', 'PDT'].map((name) => [name, -7] as const),
  ...['PST', 'AKDT'].map((name) => [name, -8] as const),
  ...['AST', 'BST', 'CST', 'IST'].map((name) => [name, Number.NaN] as const),
]);

/** The line lies in `text` from `start` to `end`. `head` is filled. */
export function readSyslogHead(text: string, clues: LogClues, head: SyslogHead): void {
  let at = PRIORITY.exec(text)?.[0].length ?? 0;
  let rest = text.slice(at, at + 64);
  head.timeMs = -1;
  const iso = ISO.exec(rest);
  const named = iso === null ? NAMED.exec(rest) : null;
  const epoch = iso === null && named === null ? EPOCH.exec(rest) : null;
  const found = iso ?? named ?? epoch;
  const zone = named?.[9];
  const hours = zone === undefined ? undefined : ZONE_HOURS.get(zone);
  // A word in capitals that is no zone is the host.
  if (found !== null) at += found[0].length;
  if (zone !== undefined && hours === undefined) at = text.indexOf(` ${zone}`, at - zone.length - 2);
  if (iso !== null) {
    const time = iso[1].replace(',', '.');
    head.timeMs = readTime(time, 0, time.length);
  } else if (named !== null) {
    const ms = namedTime(named, clues);
    head.timeMs = ms < 0 ? ms : Number.isNaN(hours) ? -1 : ms - (hours ?? 0) * HOUR_MS;
  } else if (epoch !== null) {
    head.timeMs = readTime(epoch[1], 0, epoch[1].length);
  }
  const packedMs = clues.packed?.ms ?? -1;
  if (head.timeMs < 0 && packedMs >= 0 && !Number.isNaN(hours)) head.timeMs = packedMs;
  head.end = at;
  rest = text.slice(at, at + 260);
  // A Cisco line without a host goes on with a colon.
  head.host = found === null ? '' : (/^ +([^\s:%]+)(?= |$)/.exec(rest)?.[1] ?? '');
}

function namedTime(match: RegExpExecArray, clues: LogClues): number {
  const [, monthName, day, before, hour, minute, second, fraction = '', behind] = match;
  const month = MONTHS.indexOf(monthName);
  if (month < 0) return -1;
  const inYear = (year: number): number => {
    const text = `${year}-${String(month + 1).padStart(2, '0')}-${day.padStart(2, '0')}T${hour}:${minute}:${second}${fraction}`;
    return readTime(text, 0, text.length);
  };
  const year = before ?? behind;
  if (year !== undefined) return inYear(Number(year));
  const packedMs = clues.packed?.ms ?? -1;
  const latestMs = packedMs >= 0 ? packedMs : clues.latestMs;
  if (latestMs === undefined) return -2;
  const latest = latestMs + DAY_MS;
  const thisYear = new Date(latest).getUTCFullYear();
  const ms = inYear(thisYear);
  return ms > latest ? inYear(thisYear - 1) : ms;
}

export function createSyslogHead(): SyslogHead {
  return { timeMs: -1, host: '', end: 0 };
}
