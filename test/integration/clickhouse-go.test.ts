/** The SQL endpoint as Grafana reads it: by clickhouse-go over HTTP, which wants `Native` of the binary protocol. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createStoredModel } from '../../src/api/stored-read-model.ts';
import { configSchema } from '../../src/config/schema.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { createClickHouseEndpoint } from '../../src/http/clickhouse/endpoint.ts';
import { createHttpListener, type HttpListener } from '../../src/http/listener.ts';
import { DATABASE, flowBatch, openTestStore, type TestStore } from '../store/fixture.ts';
import { missingTools } from '../support/requirements.ts';

const run = promisify(execFile);
const SOURCE = new URL('./clickhouse-go/', import.meta.url).pathname;
const TOKEN = 'a-token-of-sixteen';
const NOW = Date.UTC(2026, 2, 1, 10);

/** Debian's Go is too old for the driver, so that this is no tool of CI: it runs where a newer one is. */
async function build(program: string): Promise<string | null> {
  if (missingTools('go').length > 0) return 'needs go';
  return run('go', ['build', '-o', program, '.'], {
    cwd: SOURCE,
    timeout: 280_000,
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  }).then(
    () => null,
    () => 'the reader cannot be built: needs Go 1.24 or newer, and its module proxy',
  );
}

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-go-'));
const program = join(directory, 'reader');
const reason = await build(program);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.skipIf(reason !== null)(`clickhouse-go${reason === null ? '' : ` (${reason})`}`, () => {
  let store: TestStore;
  let listener: HttpListener;
  let address = '';
  beforeAll(async () => {
    store = await openTestStore();
    const row = { src: '10.0.0.7', dst: '198.51.100.9', srcPort: 4000, dstPort: 25, packets: 3, bytes: 500 };
    const rows = [
      { ...row, at: NOW },
      { ...row, at: NOW + 1000 },
      { ...row, at: NOW + 60_000, src: '10.0.0.8' },
    ];
    await store.engine.insertNative('flows', { bytes: [encodeNative(flowBatch(rows))] }, { token: 't' });
    const app = createClickHouseEndpoint(
      { token: TOKEN, database: DATABASE },
      {
        query: createStoredModel(store.engine, () => configSchema.parse({})).query,
        onError: () => undefined,
      },
    );
    listener = createHttpListener('clickhouse.listen', { host: '127.0.0.1', port: 0 }, app.fetch);
    address = `127.0.0.1:${(await listener.start()).port}`;
  });
  afterAll(async () => {
    await listener?.stop();
    await store?.close();
  });

  it('reads series, tables and names, and is told of errors', async () => {
    const { stdout } = await run(program, [address, TOKEN]);
    const host = { dst_port: 25, both: [500, 3], low: 'x', none: null };
    expect(JSON.parse(stdout)).toEqual({
      series: [
        { time: '2026-03-01T10:00:00Z', flows: 2 },
        { time: '2026-03-01T10:01:00Z', flows: 1 },
      ],
      table: ['7', '7', '8'].map((last) => ({ ...host, host: `::ffff:10.0.0.${last}` })),
      tables: expect.arrayContaining([{ name: 'mail_5m' }, { name: 'mail_sessions' }]),
      none: [],
      error: [{ text: expect.stringContaining('UNKNOWN_IDENTIFIER') }],
    });
  });

  it('is refused without the token', async () => {
    await expect(run(program, [address, 'another'])).rejects.toMatchObject({
      stderr: expect.stringContaining('AUTHENTICATION_FAILED'),
    });
  });
});
