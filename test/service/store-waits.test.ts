/** The whole service on a server that gives no right to create: what waits is counted and said, and is stored once in the end. */

import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { createLogger } from '../../src/logger.ts';
import { createService } from '../../src/service/run.ts';
import { loadMigrations } from '../../src/store/migrate.ts';
import { v5 } from '../support/datagrams.ts';
import { type FakeClickHouse, startFakeClickHouse } from '../support/fake-clickhouse.ts';
import { metricOf } from '../support/service.ts';

let server: FakeClickHouse;
let directory = '';
beforeAll(async () => {
  server = await startFakeClickHouse();
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-waits-'));
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const result = (names: readonly string[], data: readonly (readonly unknown[])[]) =>
  JSON.stringify({
    meta: names.map((name) => ({ name, type: name === 'number' ? 'UInt32' : 'String' })),
    data,
  });
const isDdl = (statement: string) => /^(CREATE|ALTER)/.test(statement);

test('a store without the rights to migrate waits with its reason, and needs none once it is done by others', async () => {
  const file = join(directory, 'c.yaml');
  writeFileSync(
    file,
    `data: ${join(directory, 'data')}
log: { level: silent }
collector: { listen: ["127.0.0.1:0"], archive: all }
http: { listen: "127.0.0.1:0" }
clickhouse: { url: "${server.url}", database: d }
`,
  );
  server.fate = ({ statement }) => (isDdl(statement) ? { code: 497, name: 'ACCESS_DENIED' } : null);
  const service = createService(loadConfig({ file }), 'test', createLogger('silent'));
  const { http, udp } = await service.start();
  const get = async (path: string) => (await fetch(`http://${http.host}:${http.port}${path}`)).text();
  const lag = async () => metricOf(await get('/metrics'), 'rogue_smtp_store_lag_messages');
  try {
    const flow = { src: '10.0.0.1', dst: '192.0.2.1', srcPort: 5000, dstPort: 25 };
    const socket = createSocket('udp4');
    for (let i = 0; i < 5; i++)
      socket.send(v5([flow, flow], { sequence: 2 * i }), udp[0]!.port, udp[0]!.host);
    await vi.waitFor(
      async () => expect(await get('/readyz')).toMatch(/a migration waits: .*ACCESS_DENIED/),
      10_000,
    );
    await vi.waitFor(async () => expect(await lag()).toBeGreaterThan(0), 10_000);
    expect(server.rows.size).toBe(0);

    const applied = (await loadMigrations()).map(({ number, name, checksum }) => [number, name, checksum]);
    const tables = ['schema_migrations', 'flows', 'alerts', 'incidents'];
    const ttl = (table: string) =>
      `TTL stored_at + toIntervalSecond(${(table === 'flows' ? 30 : 365) * 86_400})`;
    server.answers = (statement) =>
      statement.includes('schema_migrations')
        ? result(['number', 'name', 'checksum'], applied)
        : statement.includes('engine_full')
          ? result(
              ['name', 'engine_full'],
              tables.map((table) => [table, ttl(table)]),
            )
          : undefined;
    const before = server.requests.length;
    await vi.waitFor(() => expect(server.rows.get('flows')).toHaveLength(10), {
      timeout: 20_000,
      interval: 100,
    });
    await vi.waitFor(async () => expect(await lag()).toBe(0), 5000);
    expect(await get('/readyz')).not.toContain('a migration waits');
    expect(server.requests.slice(before).filter(({ statement }) => isDdl(statement))).toEqual([]);
    socket.close();
  } finally {
    await service.stop();
  }
}, 60_000);
