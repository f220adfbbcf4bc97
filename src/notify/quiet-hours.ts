/** Quiet hours: whether a moment is in them, by the wall clock of their time zone. Pure. */

import type { NotifyTarget } from '../config/notify.ts';

type QuietHours = NonNullable<NotifyTarget['quiet_hours']>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** From `from` (inclusive) to `to` (exclusive), over midnight where `to` is earlier. Daylight saving time shifts them with the clock on the wall. */
export function isQuiet(hours: QuietHours | undefined, nowMs: number): boolean {
  if (hours === undefined) return false;
  const now = wallClock(nowMs, hours.time_zone);
  const { from, to } = hours;
  return from < to ? from <= now && now < to : now >= from || now < to;
}

/** `HH:MM`, which compares as text. */
function wallClock(nowMs: number, timeZone: string): string {
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  formats.set(timeZone, format);
  return format.format(nowMs);
}
