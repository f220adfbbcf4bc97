/** The engine over HTTP against a server that fails: what is repeated, what is cancelled, and how soon it ends. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLiveModel } from '../../src/api/stored-read-model.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { readingFor } from '../../src/store/reader.ts';
import { createServerEngine } from '../../src/store/server.ts';
import type { Engine } from '../../src/store/store.ts';
import { type FakeClickHouse, startFakeClickHouse } from '../support/fake-clickhouse.ts';
import { silentLog } from './fixture.ts';

let server: FakeClickHouse;
let engine: Engine;
const reads = () => server.requests.filter(({ statement }) => statement.startsWith('SELECT 7'));
const kills = () => server.requests.filter(({ statement }) => statement.startsWith('KILL QUERY'));
const isOurs = (statement: string) => statement.startsWith('SELECT 7');

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(condition()).toBe(true);
}

beforeEach(async () => {
  server = await startFakeClickHouse();
  engine = createServerEngine({
    url: server.url,
    database: 'd',
    username: 'u',
    password: 'p',
    log: silentLog,
  });
  await engine.start();
});
afterEach(async () => {
  await engine.stop();
  await server.stop();
});

describe('a read', () => {
  test.each([
    [159, 'limit of time'],
    [160, 'too slow'],
    [241, 'memory'],
    [201, 'quota'],
    [394, 'killed'],
    [60, 'unknown table'],
    [81, 'unknown database'],
    [158, 'too many rows'],
    [307, 'too many bytes'],
    [396, 'too large a result'],
    [497, 'no rights'],
    [516, 'password'],
    [62, 'syntax'],
    [47, 'unknown column'],
    [115, 'unknown setting'],
    [164, 'readonly'],
    [43, 'type of an argument'],
  ])('that ends with code %i (%s) is not sent again', async (code) => {
    server.fate = ({ statement }) => (isOurs(statement) ? { code } : null);
    await expect(engine.query('SELECT 7')).rejects.toMatchObject({ code: 'store', engine: { code } });
    expect(reads()).toHaveLength(1);
  });

  test.each([
    ['dies', 'die'],
    ['dies after the work', 'die_after'],
    ['cuts its answer', 'cut'],
    ['has lost a shard', { code: 32 }],
    ['is full of statements', { code: 202 }],
    ['cannot reach a replica', { code: 279 }],
  ] as const)('of a server that %s is sent again, and its answer counts', async (_what, fate) => {
    let times = 0;
    server.fate = ({ statement }) => (isOurs(statement) && times++ < 2 ? fate : null);
    expect(await engine.query('SELECT 7')).toEqual([]);
    expect(reads()).toHaveLength(3);
    expect(new Set(reads().map(({ params }) => params.get('query_id'))).size).toBe(3);
  });

  test('that nobody waits for any more is cancelled at the server', async () => {
    server.fate = ({ statement }) => (isOurs(statement) ? 'hang' : null);
    const gone = new AbortController();
    const result = readingFor(gone.signal, () => engine.query('SELECT 7'));
    const rejected = expect(result).rejects.toThrow('the reader has gone');
    await until(() => reads().length === 1);
    gone.abort();
    await rejected;
    await until(() => kills().length === 1);
    expect(kills()[0]?.statement).toContain(reads()[0]?.params.get('query_id') ?? 'no id');
    await until(() => reads()[0]?.left === true);
    expect(reads()).toHaveLength(1);
  });

  test('whose answer stands still in the middle ends with its limit of time, or with its reader', async () => {
    server.fate = ({ statement }) => (isOurs(statement) ? 'stall' : null);
    const gone = new AbortController();
    const read = expect(readingFor(gone.signal, () => engine.query('SELECT 7'))).rejects.toThrow('has gone');
    const limited = expect(engine.query('SELECT 7', { timeoutMs: 1 })).rejects.toThrow('no answer within');
    await until(() => reads().length === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    gone.abort();
    await read;
    await limited;
    await until(() => kills().length === 2);
  });

  test('that goes on while the server answers otherwise has its time, and is cancelled at its end', async () => {
    server.fate = ({ statement }) => (isOurs(statement) ? 'hang' : null);
    const began = performance.now();
    await expect(engine.query('SELECT 7', { timeoutMs: 1 })).rejects.toThrow('no answer within 5001 ms');
    expect(performance.now() - began).toBeGreaterThan(4900);
    expect(reads()).toHaveLength(1);
    await until(() => kills().length === 1);
  });
});

describe('a server that hangs', () => {
  test('ends everything under way within five seconds, and what comes after sooner', async () => {
    server.fate = () => 'hang';
    const timed = async (work: () => Promise<unknown>) => {
      const began = performance.now();
      await expect(work()).rejects.toMatchObject({ code: 'store', transient: true });
      return performance.now() - began;
    };
    const took = await Promise.all([
      timed(() => engine.query('SELECT 7')),
      timed(() => engine.queryBytes('SELECT 7', 'CSV')),
      timed(() => engine.insertJson('alerts', ['{}'], { token: 't' })),
      timed(() => engine.command('CREATE TABLE x')),
      timed(() => engine.walls()),
      timed(async () => {
        const other = createServerEngine({
          url: server.url,
          database: 'd',
          username: 'u',
          password: 'p',
          log: silentLog,
        });
        await other.start().finally(() => other.stop());
      }),
    ]);
    expect(Math.max(...took)).toBeLessThan(5000);
    expect(reads()).toHaveLength(2);
    expect(await timed(() => engine.query('SELECT 7'))).toBeLessThan(2000);
    server.fate = () => null;
    expect(await engine.query('SELECT 7')).toEqual([]);
  });
});

test('a client of the API that goes away has its statement cancelled', async () => {
  const unused = () => {
    throw new Error('not asked for');
  };
  const config = configSchema.parse({});
  const model = createLiveModel(engine, () => config, {
    status: unused,
    blocked: () => [],
    exempt: () => [],
    recentAlerts: () => [],
    blocks: async () => null,
    decisionAbout: () => null,
    refreshExporters: async () => undefined,
  });
  const http = createHttpServer(
    { listen: { host: '127.0.0.1', port: 0 } },
    {
      model,
      clickhouse: unused,
      metrics: unused,
      notReady: () => [],
      onAlert: () => () => undefined,
      blockedHosts: () => [],
      heldLists: () => [],
      aclTarget: unused,
      desk: null,
      reload: unused,
      onError: () => undefined,
    },
  );
  const { host, port } = await http.start();
  try {
    server.fate = ({ statement }) => (statement.includes('offenders') ? 'hang' : null);
    const gone = new AbortController();
    const asked = fetch(`http://${host}:${port}/api/v1/offenders`, { signal: gone.signal });
    asked.catch(() => undefined);
    await until(() => server.requests.some(({ statement }) => statement.includes('offenders')));
    gone.abort();
    await expect(asked).rejects.toThrow();
    await until(() => kills().length === 1);
  } finally {
    await http.stop();
  }
});
