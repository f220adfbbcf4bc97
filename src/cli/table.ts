/**
 * Rows as an aligned table for a terminal.
 *
 * Values may come from the network: control characters are shown as `?`, so that nothing a router or a mail bot says
 * can move the cursor or recolour the operator's screen.
 */

import { printable } from '../messages/printable.ts';
import { storeTime } from '../store/rows.ts';

export { printable };

export interface TableColumn<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  readonly align?: 'left' | 'right';
  /** Where the table is wider than it may be, the columns with the highest numbers go first; absent: it stays. */
  readonly expendable?: number;
}

/** Columns of a terminal that has not been made wider. */
export const NARROW = 80;

/** At most `width` characters a line, as far as columns may be left out for it. */
export function formatTable<Row>(
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
  width = Number.POSITIVE_INFINITY,
): string {
  const shown = [...columns];
  for (;;) {
    const text = formatWhole(shown, rows);
    const widest = Math.max(...text.split('\n').map((line) => line.length));
    const least = Math.max(...shown.map(({ expendable }) => expendable ?? 0));
    if (widest <= width || least === 0) return text;
    shown.splice(
      shown.findLastIndex(({ expendable }) => expendable === least),
      1,
    );
  }
}

function formatWhole<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => printable(String(column.value(row)))));
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((line) => line[i].length)),
  );
  const line = (texts: readonly string[]) =>
    columns
      .map((column, i) =>
        column.align === 'right' ? texts[i].padStart(widths[i]) : texts[i].padEnd(widths[i]),
      )
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...cells.map(line)]
    .map((text) => `${text}\n`)
    .join('');
}

/** `1234567` as `1.2 MB`, `12` as `12 B`: octets for reading, not for arithmetic. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `2026-03-01T10:00:00.123Z` as `2026-03-01 11:00:00` in the zone of this process (UTC with `--utc`). Without a zone it is UTC. */
export function shortTime(iso: string): string {
  const ms = storeTime(iso);
  if (Number.isNaN(ms)) return iso;
  const time = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}

/** The zone of `shortTime` now: `UTC`, or `UTC+01:00`. */
export function zoneName(nowMs: number): string {
  const minutes = -new Date(nowMs).getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const two = (n: number) => String(n).padStart(2, '0');
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}
