/** Tables as CSV, for spreadsheets that believe what they open. */

type Field = string | number | null | readonly string[];

/** RFC 4180, but for LF: a field with a comma, quote or line break is quoted. A leading = + - @ is no formula. */
export function csv(header: readonly string[], rows: readonly (readonly Field[])[]): string {
  const field = (value: Field) => {
    const text = value === null ? '' : typeof value === 'object' ? value.join(' ') : String(value);
    const safe = typeof value !== 'number' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return [header, ...rows].map((row) => `${row.map(field).join(',')}\n`).join('');
}
