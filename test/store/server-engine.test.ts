/** The engine over HTTP against a real one: CLICKHOUSE_URL, or the embedded engine behind HTTP. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { migrate } from '../../src/store/migrate.ts';
import * as queries from '../../src/store/queries.ts';
import { replayDeadLetters } from '../../src/store/replay-dead-letters.ts';
import { textOf } from '../../src/store/rows.ts';
import { createServerEngine } from '../../src/store/server.ts';
import type { Engine } from '../../src/store/store.ts';
import { createStoreWriter } from '../../src/store/writer.ts';
import { type ClickHouseServer, startClickHouse } from '../support/clickhouse-server.ts';
import { createDrivenStream } from '../support/driven-stream.ts';
import { alertMessage, chdbInstalled, flowBatch, RETENTION, silentLog, withoutChdb } from './fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);
const possible = chdbInstalled || process.env.CLICKHOUSE_URL !== undefined;

describe.skipIf(!possible)(possible ? 'the engine over HTTP, against a real engine' : withoutChdb, () => {
  let server: ClickHouseServer;
  let engine: Engine;
  let directory = '';
  let tokens = 0;
  const token = () => `server-${tokens++}`;
  const options = (more: object = {}) => ({
    url: server.url,
    database: server.database,
    username: server.username,
    password: server.password,
    log: silentLog,
    ...more,
  });
  const one = (src: string, more: object = {}) =>
    encodeNative(flowBatch([{ at: NOW, src, dst: '192.0.2.25', srcPort: 5000, dstPort: 25, ...more }]));
  const countOf = async (src: string) => {
    const sql = 'SELECT count() AS n FROM flows WHERE src_addr = toIPv6({src:String})';
    const [row] = await engine.query<{ n: number }>(sql, { params: { src } });
    return row?.n;
  };
  const isInsert = (statement: string) => statement.startsWith('INSERT');

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-server-'));
    server = await startClickHouse();
    engine = createServerEngine(options());
    await engine.start();
    await migrate(engine, { database: server.database, retention: RETENTION });
  }, 120_000);
  beforeEach(() => {
    server.seen.length = 0;
    server.mishap = () => null;
  });
  afterAll(async () => {
    await engine?.stop();
    await server?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test('migrates, and finds nothing to do the second time', async () => {
    expect(await migrate(engine, { database: server.database, retention: RETENTION })).toEqual([]);
  });

  test('a changed retention reaches the tables', async () => {
    const retention = { ...RETENTION, flows: RETENTION.flows / 2 };
    await migrate(engine, { database: server.database, retention });
    expect(server.seen.filter(({ statement }) => statement.startsWith('ALTER TABLE'))).toHaveLength(1);
    await migrate(engine, { database: server.database, retention: RETENTION });
  });

  test('stores flow blocks from memory and from files, and messages; what the program asks comes back', async () => {
    const file = join(directory, 'segment');
    writeFileSync(file, Buffer.concat([one('10.1.0.1'), one('10.1.0.1', { at: NOW + 1000 })]));
    await engine.insertNative('flows', { file }, { token: token() });
    await engine.insertNative('flows', { bytes: [one('10.1.0.1', { bytes: 2 ** 40 })] }, { token: token() });
    const alert = alertMessage({ alert_id: "a'\\ü", host: '10.1.0.1' });
    await engine.insertJson('alerts', [JSON.stringify({ message: JSON.stringify(alert) })], {
      token: token(),
    });
    expect(await queries.alerts(engine, { limit: 10, host: '10.1.0.1' })).toEqual([alert]);
    const records = await queries.evidence(engine, {
      host: '10.1.0.1',
      site: '',
      sites: [],
      from: new Date(NOW).toISOString(),
      to: new Date(NOW + 1000).toISOString(),
      limit: 10,
    });
    expect(records.map(({ src_addr, bytes }) => [src_addr, bytes])).toEqual(
      expect.arrayContaining([
        ['10.1.0.1', 100],
        ['10.1.0.1', 2 ** 40],
      ]),
    );
    expect(records).toHaveLength(3);
    expect((await queries.exporters(engine))[0]?.flows_stored).toBe(3);
  });

  test.each([
    ['the answer', 'answer_lost'],
    ['the request', 'request_lost'],
  ] as const)(
    'when %s is lost, the repeat carries the same token and the rows are there once',
    async (_what, lost) => {
      const src = lost === 'answer_lost' ? '10.2.0.1' : '10.2.0.2';
      let times = 0;
      server.mishap = (statement) => (isInsert(statement) && times++ < 2 ? lost : null);
      const same = token();
      await engine.insertNative('flows', { bytes: [one(src)] }, { token: same });
      const inserts = server.seen.filter(({ statement }) => isInsert(statement));
      expect(inserts.map(({ params }) => params.get('insert_deduplication_token'))).toEqual(
        Array(3).fill(same),
      );
      expect(await countOf(src)).toBe(1);
      const rollup = 'SELECT sum(records) AS n FROM mail_5m WHERE client = toIPv6({src:String})';
      expect(await engine.query(rollup, { params: { src } })).toEqual([{ n: 1 }]);
    },
  );

  test('damaged blocks are refused by the engine itself, and nothing of them is stored', async () => {
    const good = one('10.3.0.1');
    await expect(
      engine.insertNative('flows', { bytes: [good.subarray(0, -3)] }, { token: token() }),
    ).rejects.toMatchObject({ code: 'store', engine: { code: 33 } });
    expect(await countOf('10.3.0.1')).toBe(0);
  });

  test('while the server is away a writer refuses deliveries, commits nothing, and stores all of it once afterwards', async () => {
    const stream = createDrivenStream();
    const writer = createStoreWriter({
      stream,
      engine,
      log: silentLog,
      archive: 'all',
      directory,
      database: server.database,
    });
    await writer.start();
    const blocks = Array.from({ length: 4 }, (_, i) => one('10.4.0.1', { at: NOW + i }));
    let away = true;
    // Some of what seems lost has arrived.
    server.mishap = (statement) =>
      !away || !isInsert(statement) ? null : server.seen.length % 2 === 0 ? 'answer_lost' : 'request_lost';
    for (const [offset, block] of blocks.entries())
      await expect(stream.deliver('flows', [block], offset)).rejects.toMatchObject({ transient: true });
    expect(stream.journal).toEqual([]);
    expect(writer.counters).toMatchObject({ flowsStored: 0, retries: 4, rowsDeadLettered: 0 });
    away = false;
    for (const [offset, block] of blocks.entries()) await stream.deliver('flows', [block], offset);
    expect(stream.journal).toEqual(blocks.map((_, offset) => `commit flows ${offset}`));
    expect(await countOf('10.4.0.1')).toBe(4);
    await writer.stop();
  });

  test('a writer sets aside what the engine cannot read, and lets wait what an administrator can mend', async () => {
    const stream = createDrivenStream();
    const data = mkdtempSync(join(tmpdir(), 'rogue-smtp-server-letters-'));
    const writer = createStoreWriter({
      stream,
      engine,
      log: silentLog,
      archive: 'all',
      directory: data,
      database: server.database,
    });
    await writer.start();
    const block = (i: number) => one('10.6.0.1', { at: NOW + i });
    await stream.deliver('flows', [block(0), block(1).subarray(0, -3), block(2)], 0);
    await stream.deliver('flows', [Buffer.from([255, 255, 255, 255, 15, 1])], 3);
    expect(await countOf('10.6.0.1')).toBe(2);
    expect(await writer.deadLetters()).toEqual({ letters: 2, rows: 2 });
    const rename = (from: string, to: string) =>
      engine.command(`ALTER TABLE ${server.database}.flows RENAME COLUMN ${from} TO ${to}`);
    await rename('vrf', 'was_vrf');
    for (let i = 0; i < 2; i++)
      await expect(stream.deliver('flows', [block(4)], 4)).rejects.toMatchObject({
        engine: {
          name: expect.stringMatching(/NO_SUCH_COLUMN_IN_TABLE|UNKNOWN_IDENTIFIER|THERE_IS_NO_COLUMN/),
        },
      });
    await rename('was_vrf', 'vrf');
    await stream.deliver('flows', [block(4)], 4);
    expect(await countOf('10.6.0.1')).toBe(3);
    expect(await writer.deadLetters()).toEqual({ letters: 2, rows: 2 });
    const { left } = await replayDeadLetters(engine, join(data, 'dead-letters'));
    expect(left).toEqual({ letters: 2, rows: 2 });
    await writer.stop();
    rmSync(data, { recursive: true, force: true });
  });

  test('with compression both ways are gzip, and the rows are the same', async () => {
    const packed = createServerEngine(options({ compression: true }));
    await packed.start();
    try {
      const rows = Array.from({ length: 500 }, (_, i) => ({
        at: NOW + i,
        src: '10.5.0.1',
        dst: '192.0.2.25',
        srcPort: 5000,
        dstPort: 25,
      }));
      const block = encodeNative(flowBatch(rows));
      server.seen.length = 0;
      await packed.insertNative('flows', { bytes: [block] }, { token: token() });
      const [insert] = server.seen;
      expect(insert?.headers['content-encoding']).toBe('gzip');
      expect(insert?.bytes).toBeLessThan(block.length / 2);
      expect(
        await packed.query("SELECT count() AS n FROM flows WHERE src_addr = toIPv6('10.5.0.1')"),
      ).toEqual([{ n: 500 }]);
      expect(server.seen.at(-1)?.headers['accept-encoding']).toContain('gzip');
    } finally {
      await packed.stop();
    }
  });

  test('passes a statement of a user on, read-only, with what its request brought along, and gives the bytes back', async () => {
    const ask = (sql: string, format: string) =>
      engine.queryBytes(sql, format, {
        readonly: true,
        request: { params: { text: "x\\'y" }, settings: { output_format_json_quote_64bit_integers: '1' } },
      });
    expect(textOf(await ask('SELECT {text:String} AS t, toUInt64(5) AS n', 'JSONEachRow'))).toBe(
      '{"t":"x\'y","n":"5"}\n',
    );
    expect([...(await ask('SELECT toUInt16(511)', 'RowBinary'))]).toEqual([255, 1]);
    await expect(ask('SELECT * FROM system.users', 'CSV')).rejects.toMatchObject({ code: 'refused' });
  });

  test('a wrong password is an error that can be put right, and tells no password', async () => {
    const stranger = createServerEngine(options({ password: 'not the word' }));
    const error = await stranger.start().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'store',
      transient: true,
      message: expect.stringMatching(/Authentication failed/),
    });
    expect(String(error)).not.toContain('not the word');
    await stranger.stop();
  });

  test('errors carry the code of the server, and a slow read ends at its limit', async () => {
    await expect(engine.query('SELECT * FROM nowhere_at_all')).rejects.toMatchObject({
      engine: { code: 60, name: 'UNKNOWN_TABLE' },
    });
    await expect(
      engine.query('SELECT sum(cityHash64(number)) AS n FROM numbers_mt(100000000000)', { timeoutMs: 1000 }),
    ).rejects.toMatchObject({ engine: { name: 'TIMEOUT_EXCEEDED' } });
  });
});
