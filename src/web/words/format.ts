/** Numbers with their units, and times in the zone of the reader. Pure; the time now is handed in. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** A count, with thousands set apart. Counts beyond 2^53 come as text. */
export const count = (n: number | string): string => whole.format(Number(n));

/** `1 host`, `3 hosts`. */
export const plural = (n: number | string, one: string, many = `${one}s`): string =>
  `${count(n)} ${Number(n) === 1 ? one : many}`;

const scaled = (value: number, units: readonly string[]): string => {
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit === 0 ? whole.format(rest) : tenth.format(rest)} ${units[unit]}`;
};

/** Octets: `12 B`, `1.2 MB`. */
export const bytes = (n: number | string): string => scaled(Number(n), ['B', 'kB', 'MB', 'GB', 'TB']);

/** Events a second: `0.4/s`, `41 k/s`. */
export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 1)
    return perSecond < 0.05 ? 'under 0.1/s' : `${tenth.format(perSecond)}/s`;
  const text = scaled(perSecond, ['', 'k', 'M', 'G']);
  return `${text.trim()}/s`;
}

/** A share as percent: `0 %`, `0.02 %`, `12 %`. */
export function percent(part: number, all: number): string {
  if (all <= 0 || part <= 0) return '0 %';
  const value = (100 * part) / all;
  if (value < 0.01) return 'under 0.01 %';
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(2).replace(/\.?0+$/, '')} %`;
}

/** How long: `40 s`, `4 min`, `3 h`, `2 days`. */
export function duration(ms: number): string {
  const size = Math.max(0, ms);
  if (size < SECOND) return `${whole.format(size)} ms`;
  if (size < MINUTE) return `${Math.round(size / SECOND)} s`;
  if (size < 2 * HOUR) return `${Math.round(size / MINUTE)} min`;
  if (size < 2 * DAY) return `${Math.round(size / HOUR)} h`;
  return `${Math.round(size / DAY)} days`;
}

/** The moment of ISO 8601 text, or of ClickHouse's form of it, which is UTC; null for what is no time. */
export function moment(text: string | null | undefined): number | null {
  if (text === null || text === undefined || text === '') return null;
  const ms = Date.parse(/[Zz]|[+-]\d\d:\d\d$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
  return Number.isNaN(ms) ? null : ms;
}

/** `4 min ago`, `in 3 h`. */
export function relative(ms: number, nowMs: number): string {
  const past = nowMs - ms;
  if (Math.abs(past) < SECOND) return 'now';
  return past >= 0 ? `${duration(past)} ago` : `in ${duration(-past)}`;
}

const two = (n: number): string => String(n).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `13:40` today, `28 Nov 13:40` within the year, else with the year: in the zone of the reader. */
export function clockTime(ms: number, nowMs: number, withSeconds = false): string {
  const time = new Date(ms);
  const now = new Date(nowMs);
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}${withSeconds ? `:${two(time.getSeconds())}` : ''}`;
  const sameYear = time.getFullYear() === now.getFullYear();
  if (sameYear && time.getMonth() === now.getMonth() && time.getDate() === now.getDate()) return clock;
  return `${time.getDate()} ${MONTHS[time.getMonth()]}${sameYear ? '' : ` ${time.getFullYear()}`} ${clock}`;
}

/** `UTC`, `UTC+01:00`: the zone of the reader at that moment. */
export function zone(ms: number): string {
  const minutes = -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** `2026-11-29 13:40:07 UTC+01:00`: in full, for a tooltip or a ticket. */
export function fullTime(ms: number): string {
  const time = new Date(ms);
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())} ${zone(ms)}`;
}
