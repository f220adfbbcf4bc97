/**
 * Rows as an aligned table for a terminal.
 *
 * Values may come from the network: control characters are shown as `?`, so that nothing a router or a mail bot says
 * can move the cursor or recolour the operator's screen.
 */

export interface TableColumn<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number;
  readonly align?: 'left' | 'right';
}

export function formatTable<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[]): string {
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

/** The text without anything a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
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

/** `2026-03-01T10:00:00.123Z` as `2026-03-01 10:00:00`. */
export function shortTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}
