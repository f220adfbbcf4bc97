import { describe, expect, test } from 'vitest';
import { parsePrefix } from '../../src/flow/prefix.ts';
import { addressRange, inAnyPrefix } from '../../src/store/conditions.ts';
import { engineError } from '../../src/store/failures.ts';
import { parseRows } from '../../src/store/rows.ts';
import { insertSettings, quoteName, quoteText, resultFormat } from '../../src/store/sql.ts';

test('a literal cannot be left by quotes or backslashes', () => {
  expect(quoteText("a'b\\")).toBe("'a\\'b\\\\'");
  expect(insertSettings("x', readonly = 0")).toContain("insert_deduplication_token = 'x\\', readonly = 0',");
});

test('a name that is more than a name is a mistake of the caller', () => {
  expect(quoteName('mail_5m')).toBe('`mail_5m`');
  for (const name of ['', 'a`b', 'a.b', '1a', 'a b', 'é']) expect(() => quoteName(name)).toThrow();
});

test('only formats that need no schema file are taken, and nothing that is no name', () => {
  for (const format of ['CSVWithNames', 'Native', 'Parquet']) expect(resultFormat(format)).toBe(format);
  for (const format of ['Protobuf', 'CapnProto', 'Template', 'CSV; DROP', "x'", '']) {
    expect(() => resultFormat(format)).toThrow(expect.objectContaining({ code: 'usage' }));
  }
});

describe('rows of a JSONCompact result', () => {
  const rows = (type: string, value: unknown) =>
    parseRows<{ x: unknown }>(
      Buffer.from(JSON.stringify({ meta: [{ name: 'x', type }], data: [[value]] })),
    )[0]?.x;

  test('64-bit integers are numbers where that is exact, else text', () => {
    expect(rows('UInt64', '5')).toBe(5);
    expect(rows('UInt64', '18446744073709551615')).toBe('18446744073709551615');
    expect(rows('Int64', '-9007199254740991')).toBe(-9007199254740991);
    expect(rows('Nullable(Int64)', null)).toBe(null);
    expect(rows('Nullable(Int64)', '7')).toBe(7);
    expect(rows('Array(UInt64)', ['1', '2'])).toEqual([1, 2]);
    expect(rows('LowCardinality(Nullable(UInt64))', '3')).toBe(3);
    expect(rows('SimpleAggregateFunction(sum, UInt64)', '3')).toBe(3);
  });

  test('digits in a String stay text', () => {
    expect(rows('String', '5')).toBe('5');
    expect(rows('Array(String)', ['5'])).toEqual(['5']);
  });

  test('what is not such a result is an error of the store', () => {
    for (const text of ['', 'Code: 62', '[]', '{"meta":[]}'])
      expect(() => parseRows(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'store' }));
  });
});

test('what can pass by itself is told from what cannot', () => {
  expect(engineError('x', null).transient).toBe(true);
  expect(engineError('memory limit', 241).transient).toBe(true);
  expect(engineError('unknown table, perhaps not migrated yet', 60).transient).toBe(true);
  expect(engineError('syntax', 62).transient).toBe(false);
  // A shard that died while it sent, a profile, an older table: all of it can be mended.
  for (const code of [32, 33, 115, 164, 36, 16, 43, 46, 47, 50])
    expect(engineError('x', code).transient).toBe(true);
});

test('a prefix becomes the range of its addresses', () => {
  const prefix = (text: string) => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.prefix;
  };
  expect(addressRange('a', prefix('10.1.0.0/16'))).toBe(
    "a BETWEEN toIPv6('0:0:0:0:0:ffff:a01:0') AND toIPv6('0:0:0:0:0:ffff:a01:ffff')",
  );
  expect(addressRange('a', prefix('10.1.2.3'))).toBe("a = toIPv6('0:0:0:0:0:ffff:a01:203')");
  expect(addressRange('a', prefix('fc00::/7'))).toContain(
    "AND toIPv6('fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')",
  );
  expect(inAnyPrefix('a', [])).toBe('0');
});
