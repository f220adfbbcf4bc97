import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFlowBatch, type FlowBatch, KIND_ELEMENTS } from '../../../src/flow/batch.ts';
import { FLOW_COLUMN_NAMES, FLOW_COLUMNS, KIND_CLICKHOUSE } from '../../../src/flow/columns.ts';
import { decodeNative, encodeNative } from '../../../src/flow/native.ts';
import { createEmbeddedEngine } from '../../../src/store/embedded/engine.ts';
import { textOf } from '../../../src/store/rows.ts';
import { quoteName } from '../../../src/store/sql.ts';
import {
  chdbInstalled,
  DATABASE,
  flowBatch,
  openTestStore,
  silentLog,
  type TestStore,
  withoutChdb,
} from '../fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);

/** Random columns of any bits, with extremes made likely. */
function anyBatch(): fc.Arbitrary<FlowBatch> {
  return fc.integer({ min: 1, max: 20 }).chain((rows) =>
    fc
      .tuple(
        ...FLOW_COLUMN_NAMES.map((name) => {
          const kind = FLOW_COLUMNS[name];
          const length = rows * KIND_ELEMENTS[kind];
          const max = kind === 'u8' || kind === 'address' ? 0xff : kind === 'u16' ? 0xffff : 0xffffffff;
          const value = fc.oneof(fc.constant(0), fc.constant(max), fc.integer({ min: 0, max }));
          return fc.array(value, { minLength: length, maxLength: length });
        }),
      )
      .map((columns) => {
        const batch = createFlowBatch(rows);
        FLOW_COLUMN_NAMES.forEach((name, i) => {
          batch.columns[name].set(columns[i]);
        });
        batch.length = rows;
        return batch;
      }),
  );
}

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'the embedded engine' : withoutChdb, () => {
  let store: TestStore;
  let tokens = 0;
  const token = () => `test-${tokens++}`;
  const count = async (table: string) =>
    (await store.engine.query<{ n: number }>(`SELECT count() AS n FROM ${table}`))[0].n;

  beforeAll(async () => {
    store = await openTestStore();
  }, 60_000);
  afterAll(() => store?.close());

  test('takes our Native blocks, whatever the values, and gives the same bytes back', async () => {
    const { engine, directory } = store;
    const columns = FLOW_COLUMN_NAMES.map(
      (name) => `${quoteName(name)} ${KIND_CLICKHOUSE[FLOW_COLUMNS[name]]}`,
    );
    await engine.command(`CREATE TABLE ${DATABASE}.trip (${columns.join(', ')}) ENGINE = Memory`);
    const file = join(directory, 'trip.native');
    await fc.assert(
      fc.asyncProperty(anyBatch(), async (batch) => {
        await engine.command(`TRUNCATE TABLE ${DATABASE}.trip`);
        const sent = encodeNative(batch);
        await engine.insertNative('trip', { bytes: [sent] }, { token: token() });
        await engine.command(
          `INSERT INTO FUNCTION file('${file}', 'Native') SELECT * FROM ${DATABASE}.trip SETTINGS engine_file_truncate_on_insert = 1`,
        );
        const written = readFileSync(file);
        expect(written.equals(sent)).toBe(true);
        const decoded = decodeNative(written);
        expect(decoded.ok && decoded.batch.length).toBe(batch.length);
      }),
      { numRuns: 60 },
    );
  });

  test('takes any values into the real table too, extremes of time included', async () => {
    const batch = createFlowBatch(3);
    for (const name of FLOW_COLUMN_NAMES) {
      batch.columns[name].fill(
        0xffffffff,
        KIND_ELEMENTS[FLOW_COLUMNS[name]],
        2 * KIND_ELEMENTS[FLOW_COLUMNS[name]],
      );
      batch.columns[name].fill(0x7f, 2 * KIND_ELEMENTS[FLOW_COLUMNS[name]]);
    }
    batch.length = 3;
    const before = await count('flows');
    await store.engine.insertNative('flows', { bytes: [encodeNative(batch)] }, { token: token() });
    expect(await count('flows')).toBe(before + 3);
  });

  test('means by a value what we mean: addresses, times, counters', async () => {
    const bytes = encodeNative(
      flowBatch([
        { at: NOW + 7, src: '10.9.8.7', dst: '2001:db8::25', srcPort: 40000, dstPort: 25, bytes: 2 ** 40 },
      ]),
    );
    await store.engine.insertNative('flows', { bytes: [bytes] }, { token: token() });
    const rows = await store.engine.query(
      'SELECT received_at, src_addr, dst_addr, src_port, dst_port, bytes FROM flows WHERE src_addr = toIPv6({a:String})',
      { params: { a: '10.9.8.7' } },
    );
    expect(rows).toEqual([
      {
        received_at: '2026-03-01T10:00:00.007Z',
        src_addr: '::ffff:10.9.8.7',
        dst_addr: '2001:db8::25',
        src_port: 40000,
        dst_port: 25,
        bytes: 2 ** 40,
      },
    ]);
  });

  test('reads a file of several blocks by column name, also blocks that lack columns or have others', async () => {
    const file = join(store.directory, 'several {a,b} *.native');
    const ours = encodeNative(
      flowBatch([{ at: NOW, src: '10.7.0.1', dst: '192.0.2.7', srcPort: 1, dstPort: 25 }]),
    );
    const other = join(store.directory, 'other.native');
    await store.engine.command(
      `INSERT INTO FUNCTION file('${other}', 'Native') SELECT toUInt8(9) AS added_later, toIPv6('10.7.0.2') AS src_addr, toDateTime64('2026-03-01 10:00:00', 3, 'UTC') AS received_at`,
    );
    writeFileSync(file, Buffer.concat([ours, ours, readFileSync(other)]));
    await store.engine.insertNative('flows', { file }, { token: token() });
    const rows = await store.engine.query(
      "SELECT src_addr, dst_port, count() AS n FROM flows WHERE src_addr IN (toIPv6('10.7.0.1'), toIPv6('10.7.0.2')) GROUP BY ALL ORDER BY src_addr",
    );
    expect(rows).toEqual([
      { src_addr: '::ffff:10.7.0.1', dst_port: 25, n: 2 },
      { src_addr: '::ffff:10.7.0.2', dst_port: 0, n: 1 },
    ]);
    expect(existsSync(file)).toBe(true);
    expect(readdirSync(join(store.directory, 'incoming'))).toEqual([]);
  });

  test('inserts the same token once, in the table and in all that is fed from it', async () => {
    const source = {
      bytes: [
        encodeNative(
          flowBatch([{ at: NOW, src: '10.6.0.1', dst: '192.0.2.9', srcPort: 5000, dstPort: 25, packets: 4 }]),
        ),
        encodeNative(
          flowBatch([
            {
              at: NOW + 86_400_000,
              src: '10.6.0.1',
              dst: '192.0.2.9',
              srcPort: 5000,
              dstPort: 25,
              packets: 5,
            },
          ]),
        ),
      ],
    };
    const same = token();
    const sums = `SELECT (SELECT count() FROM flows WHERE src_addr = toIPv6('10.6.0.1')) AS flows,
      (SELECT sum(packets_to_server) FROM mail_sessions WHERE client = toIPv6('10.6.0.1')) AS sessions,
      (SELECT sum(packets_to_server) FROM mail_5m WHERE client = toIPv6('10.6.0.1')) AS rollup,
      (SELECT sum(flows_stored) FROM exporters) AS exporters`;
    const [before] = await store.engine.query<{ exporters: number }>(sums);
    for (let i = 0; i < 3; i++) await store.engine.insertNative('flows', source, { token: same });
    expect(await store.engine.query(sums)).toEqual([
      { flows: 2, sessions: 9, rollup: 9, exporters: before.exporters + 2 },
    ]);
    await store.engine.insertNative('flows', source, { token: token() });
    expect((await store.engine.query<{ flows: number }>(sums))[0].flows).toBe(4);
  });

  test('inserts JSON rows once by token, with any text in them', async () => {
    const message = JSON.stringify({
      alert_id: "a'b\\ \u0000 \n ü 𝄞",
      host: '10.0.0.1',
      emitted_at: '2026-03-01T10:00:00.000Z',
    });
    const same = token();
    for (let i = 0; i < 2; i++)
      await store.engine.insertJson('alerts', [JSON.stringify({ message })], { token: same });
    expect(await store.engine.query('SELECT message, alert_id FROM alerts')).toEqual([
      { message, alert_id: "a'b\\ \u0000 \n ü 𝄞" },
    ]);
    await store.engine.insertJson('alerts', [], { token: token() });
  });

  test('takes many and large JSON rows in one insert', async () => {
    const rows = Array.from({ length: 2000 }, (_, i) =>
      JSON.stringify({
        message: JSON.stringify({
          alert_id: `many-${i}`,
          host: 'many',
          emitted_at: '2026-03-01T10:00:00.000Z',
          pad: 'x'.repeat(3000),
        }),
      }),
    );
    await store.engine.insertJson('alerts', rows, { token: token() });
    expect(
      await store.engine.query(
        "SELECT count() AS n, sum(length(message)) > 6000000 AS large FROM alerts WHERE host = 'many'",
      ),
    ).toEqual([{ n: 2000, large: 1 }]);
  });

  test('damaged blocks are refused with a code of the engine, and nothing of them is stored', async () => {
    const good = encodeNative(
      flowBatch([{ at: NOW, src: '10.5.0.1', dst: '192.0.2.9', srcPort: 5000, dstPort: 25 }]),
    );
    for (const bytes of [
      good.subarray(0, good.length - 3),
      Buffer.concat([good, Buffer.from('garbage')]),
      Buffer.from([255, 255, 255, 255, 15, 1]),
    ]) {
      await expect(
        store.engine.insertNative('flows', { bytes: [bytes] }, { token: token() }),
      ).rejects.toMatchObject({ code: 'store', engine: { code: expect.any(Number) } });
    }
    expect(
      await store.engine.query("SELECT count() AS n FROM flows WHERE src_addr = toIPv6('10.5.0.1')"),
    ).toEqual([{ n: 0 }]);
  });

  test('errors carry what the engine says and whether trying again helps', async () => {
    await expect(store.engine.query('SELEC 1')).rejects.toMatchObject({
      code: 'store',
      transient: false,
      message: expect.stringContaining('Syntax error'),
    });
    await expect(store.engine.query('SELECT * FROM nowhere')).rejects.toMatchObject({
      code: 'store',
      message: expect.stringContaining('nowhere'),
    });
    await expect(
      store.engine.insertNative('flows', { file: '/nowhere/x.native' }, { token: token() }),
    ).rejects.toMatchObject({ code: 'store', transient: false });
  });

  test('parameters are values, whatever is in them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 30 }),
        fc.array(fc.string({ maxLength: 8 }), { maxLength: 3 }),
        async (text, list) => {
          const rows = await store.engine.query(
            'SELECT {text:String} AS text, {list:Array(String)} AS list',
            { params: { text, list } },
          );
          expect(rows).toEqual([{ text, list }]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a read does not wait for the inserts before it', async () => {
    const order: string[] = [];
    const slow = store.engine
      .command("INSERT INTO FUNCTION null('x UInt64') SELECT sleepEachRow(1) FROM numbers(2)")
      .then(() => order.push('insert'));
    await store.engine.query('SELECT 1').then(() => order.push('read'));
    await slow;
    expect(order).toEqual(['read', 'insert']);
  });

  test('a slow read ends at its time limit and leaves others be', async () => {
    const slow = store.engine.query('SELECT sum(cityHash64(number)) FROM numbers_mt(100000000000)', {
      timeoutMs: 1000,
    });
    await expect(slow).rejects.toMatchObject({
      code: 'store',
      message: expect.stringMatching(/imeout|TIMEOUT/),
    });
    expect(await store.engine.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('a query that wants too much memory fails alone', async () => {
    const greedy = store.engine.query('SELECT length(groupArray(toString(number))) FROM numbers(1000000000)');
    await expect(greedy).rejects.toMatchObject({ code: 'store', message: expect.stringMatching(/memory/i) });
    expect(await store.engine.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  describe('SQL of a user', () => {
    const ask = async (sql: string, format = 'TabSeparated') =>
      textOf(await store.engine.queryBytes(sql, format, { readonly: true, timeoutMs: 5000 }));

    test('reads the tables, in any format that needs no more than its name', async () => {
      expect(await ask('SELECT 1 AS x, 2 AS y', 'CSVWithNames')).toBe('"x","y"\n1,2\n');
      expect(await ask('SHOW TABLES')).toContain('mail_sessions');
      expect(await ask('DESCRIBE offenders')).toContain('block_state');
      expect(await ask('SELECT tuple(1, 2).2 AS t')).toBe('2\n');
      expect([...(await store.engine.queryBytes('SELECT 255', 'RowBinary', { readonly: true }))]).toEqual([
        255,
      ]);
      await expect(ask('SELECT 1', 'Protobuf')).rejects.toMatchObject({ code: 'usage' });
    });

    test('reaches no file, no network, no other statement, no setting', async () => {
      const secret = join(store.directory, 'secret.csv');
      writeFileSync(secret, 'hush\n');
      const requests: string[] = [];
      const server = createServer((request, response) => {
        requests.push(request.url ?? '');
        response.end('hush\n');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/x`;
      const out = join(store.directory, 'out.csv');
      const attacks = [
        `SELECT file('${secret}')`,
        `SELECT * FROM file('${secret}')`,
        `SELECT * FROM default.\`${secret}\``,
        `SELECT * FROM '${secret}'`,
        `SELECT * FROM \`${secret}\``,
        `DESCRIBE file('${secret}')`,
        `DESCRIBE url('${url}')`,
        `SELECT * FROM url('${url}', 'CSV', 'a String')`,
        `SELECT * FROM s3('${url}', 'CSV', 'a String')`,
        `SELECT 1 INTO OUTFILE '${out}'`,
        `INSERT INTO FUNCTION file('${out}', 'CSV', 'a Int8') VALUES (1)`,
        `SELECT '${secret}' AS p, * APPLY(file) FROM (SELECT '${secret}')`,
        `SELECT arrayMap(file, ['${secret}'])`,
        `SELECT * FROM eval('SELECT 1')`,
        `SELECT * FROM executable('cat ${secret}', 'TSV', 'a String')`,
        `SELECT 1 SETTINGS readonly = 0`,
        `SELECT 1 SETTINGS max_execution_time = 1000000`,
        'SELECT 1; DROP TABLE flows',
        'DROP TABLE flows',
        'KILL QUERY WHERE 1',
        'SELECT * FROM system.processes',
        'USE default',
      ];
      for (const attack of attacks)
        await expect(ask(attack), attack).rejects.toMatchObject({
          code: expect.stringMatching(/refused|store/),
        });
      server.close();
      expect(requests).toEqual([]);
      expect(existsSync(out)).toBe(false);
    });

    test('is bounded in rows and in time, and the next statement is not affected', async () => {
      await expect(ask('SELECT number FROM numbers(2000000)')).rejects.toMatchObject({
        message: expect.stringContaining('Limit for result'),
      });
      await expect(
        store.engine.queryBytes('SELECT sum(cityHash64(number)) FROM numbers_mt(100000000000)', 'CSV', {
          readonly: true,
          timeoutMs: 1000,
        }),
      ).rejects.toMatchObject({ code: 'store' });
      await store.engine.command(`CREATE TABLE ${DATABASE}.still_writable (x UInt8) ENGINE = Memory`);
    });
  });

  test('kill -9 of the engine in the middle of inserts: calls fail as transient, every acknowledged row is there once', async () => {
    const { engine } = store;
    const one = (n: number) => ({
      bytes: [
        encodeNative(
          flowBatch(
            Array.from({ length: 500 }, (_, i) => ({
              at: NOW + i,
              src: '10.4.0.1',
              dst: '192.0.2.9',
              srcPort: n,
              dstPort: 25,
              packets: 1,
            })),
          ),
        ),
      ],
    });
    const acknowledged = new Set<number>();
    let kills = 0;
    let failures = 0;
    for (let n = 0; n < 60; n++) {
      if (n % 20 === 10) {
        kills++;
        const pid = engine.pid();
        setTimeout(() => pid !== undefined && process.kill(pid, 'SIGKILL'), 3);
      }
      while (!acknowledged.has(n)) {
        try {
          await engine.insertNative('flows', one(n), { token: `kill-${n}` });
          acknowledged.add(n);
        } catch (error) {
          failures++;
          expect(error).toMatchObject({ code: 'store', transient: true });
          await sleep(50);
        }
      }
    }
    expect(kills).toBe(3);
    expect(failures).toBeGreaterThan(0);
    expect(
      await engine.query(
        `SELECT (SELECT count() FROM flows WHERE src_addr = toIPv6('10.4.0.1')) AS flows,
          (SELECT sum(packets_to_server) FROM mail_sessions WHERE client = toIPv6('10.4.0.1')) AS sessions,
          (SELECT sum(packets_to_server) FROM mail_5m WHERE client = toIPv6('10.4.0.1')) AS rollup`,
      ),
    ).toEqual([{ flows: 30_000, sessions: 30_000, rollup: 30_000 }]);
  }, 60_000);

  test('a second process is told that the directory is in use', async () => {
    const second = createEmbeddedEngine({
      directory: store.directory,
      database: DATABASE,
      log: silentLog,
      lockWaitMs: 300,
    });
    await expect(second.start()).rejects.toMatchObject({
      code: 'store',
      transient: false,
      message: expect.stringContaining('in use'),
    });
    await second.stop();
  }, 30_000);

  test('what was stored is there after a stop and a start', async () => {
    const before = await count('flows');
    await store.engine.stop();
    await expect(store.engine.query('SELECT 1')).rejects.toMatchObject({ transient: true });
    await store.engine.start();
    expect(await count('flows')).toBe(before);
  });
});
