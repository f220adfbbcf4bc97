import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withRevision } from '../../../src/http/clickhouse/native-revision.ts';
import { chdbInstalled, openTestStore, type TestStore, withoutChdb } from '../../store/fixture.ts';

const BLOCK_INFO = [1, 0, 2, 255, 255, 255, 255, 0];

/** Each makes a column of two or three rows, of a type that a query may give. */
const COLUMNS = [
  'number',
  'toInt8(number)',
  'toString(number * 12345678)',
  "toFixedString('abc', 3)",
  'if(number = 1, NULL, number)',
  'NULL',
  'NULL::Nullable(String)',
  'now64(3)',
  "toDateTime('2026-03-01 10:00:00', 'Europe/Berlin')",
  "toDateTime64('2026-03-01 10:00:00', 6, 'UTC')",
  'today()',
  "toIPv6('2001:db8::1')",
  "toIPv4('10.0.0.1')",
  'generateUUIDv4()',
  "toDecimal32('1.5', 2)",
  "toDecimal64('1.5', 2)",
  "toDecimal128('1.5', 2)",
  "toDecimal256('1.5', 2)",
  'toInt128(5)',
  'toUInt256(5)',
  'toFloat32(1.5)',
  'number = 1',
  "CAST(1 AS Enum8('a, (b' = 1, 'c''' = 2))",
  "CAST('a' AS Enum16('a' = 1000))",
  'toIntervalDay(3)',
  '[number, 7]',
  "CAST([], 'Array(String)')",
  "[['a'], [], ['b', 'c']]",
  "[toLowCardinality('a'), toLowCardinality('b')]",
  "CAST([], 'Array(LowCardinality(String))')",
  'toLowCardinality(toString(number))',
  "CAST(if(number = 1, NULL, 'x'), 'LowCardinality(Nullable(String))')",
  "(number, 'x', toLowCardinality('y'))",
  "CAST((1, 'a'), 'Tuple(n UInt8, `odd name` String)')",
  "map('a', 1, 'b', number)",
  "CAST(map('k', [1]), 'Map(LowCardinality(String), Array(UInt8))')",
  "CAST(number, 'SimpleAggregateFunction(sum, UInt64)')",
];

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'Native for the binary protocol' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
  }, 60_000);
  afterAll(() => store?.close());

  const native = (sql: string) => store.engine.queryBytes(sql, 'Native', { readonly: true });

  test.each(COLUMNS)('walks over a column of %s and what follows it', async (column) => {
    // The second column and block are found only when the length of the first was right.
    const block = await native(`SELECT ${column} AS a, 77 AS b FROM numbers(3)`);
    const two = Buffer.concat([block, block]);
    expect([...withRevision(two, 54_000)]).toEqual([...BLOCK_INFO, ...block, ...BLOCK_INFO, ...block]);
    const late = withRevision(two, 54_460);
    expect(late.length).toBe(two.length + 2 * (BLOCK_INFO.length + 2));
    expect([...late.subarray(-4)]).toEqual([0, 77, 77, 77]);
  });

  test('a result without rows keeps its columns', async () => {
    const block = await native('SELECT 1 AS a FROM numbers(0)');
    if (block.length > 0) expect(withRevision(block, 54_460).length).toBe(block.length + 9);
    expect(withRevision(new Uint8Array(), 54_460).length).toBe(0);
  });

  test('a type whose length cannot be told is an error, not a guess', async () => {
    const block = await native(
      "SELECT servers FROM mail_5m UNION ALL SELECT uniqCombinedState(12)(toIPv6('::'))",
    );
    expect(() => withRevision(block, 54_460)).toThrow(/AggregateFunction/);
  });

  test('a block that is cut short is an error', async () => {
    const block = await native("SELECT 'abc'");
    expect(() => withRevision(block.subarray(0, -1), 54_460)).toThrow(RangeError);
  });
});
