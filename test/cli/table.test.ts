import { describe, expect, it } from 'vitest';
import { formatBytes, formatTable, printable } from '../../src/cli/table.ts';

describe('a table on a terminal', () => {
  it('is aligned', () => {
    const text = formatTable(
      [
        { title: 'HOST', value: (row: { host: string; n: number }) => row.host },
        { title: 'N', value: (row) => row.n, align: 'right' },
      ],
      [
        { host: '192.0.2.55', n: 7 },
        { host: '192.0.2.1', n: 12345 },
      ],
    );
    expect(text).toBe('HOST            N\n192.0.2.55      7\n192.0.2.1   12345\n');
  });

  it('shows nothing that a terminal would act on', () => {
    expect(printable('mail\u001b[2J\r\n\u202eevil\u0007')).toBe('mail?[2J???evil?');
  });

  it('shows octets for reading', () => {
    expect([0, 999, 1000, 1_234_567, 5e15].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.2 MB',
      '5000.0 TB',
    ]);
  });
});
