/**
 * Messages of earlier versions are read for ever: these were written down when their version first shipped, and must not be
 * changed. A message of a version to come is set aside, not half understood.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeNative } from '../../src/flow/native.ts';
import { alertSchema, incidentSchema } from '../../src/messages/alert.ts';
import * as queries from '../../src/store/queries.ts';
import { createStoreWriter } from '../../src/store/writer.ts';
import {
  chdbInstalled,
  DATABASE,
  openTestStore,
  silentLog,
  type TestStore,
  withoutChdb,
} from '../store/fixture.ts';
import { createDrivenStream } from '../support/driven-stream.ts';

const EVIDENCE_1 =
  '"incident_id":"inc-1","host":"10.0.0.5","site":"","grade":"conversed","flags":["half_seen"],' +
  '"first_seen":"2026-03-01T10:00:00.000Z","last_seen":"2026-03-01T10:01:00.000Z","sessions":3,"attempts":1,' +
  '"destinations":{"count":2,"exact":true,"top":[{"address":"198.51.100.7","sessions":3,"packets":60,"bytes":9000}]},' +
  '"packets":60,"bytes":9000,"ports":[25],"exporters":[{"address":"192.0.2.1","domain":0,"interface":3}],"sampling":[1],' +
  '"reasons":["a session of 20 packets"],"missing":[],"policy_version":"p1",' +
  '"block":{"state":"proposed","reason":"waits","since":"2026-03-01T10:00:00.000Z","until":null}';
const ALERT_1 = `{"schema":"rogue-smtp.alert","schema_version":1,"alert_id":"al-1","kind":"opened",${EVIDENCE_1},"emitted_at":"2026-03-01T10:01:00.000Z"}`;
const INCIDENT_1 = `{"schema":"rogue-smtp.incident","schema_version":1,${EVIDENCE_1},"state":"open","opened_at":"2026-03-01T10:00:00.000Z","updated_at":"2026-03-01T10:01:00.000Z","closed_at":null,"revision":7,"recurrence":0,"resume":{}}`;

const ofVersion2 = (message: string) => message.replace('"schema_version":1', '"schema_version":2');

/** A block of few columns, as a writer that knew no more would make it, and of one that nobody knows yet. */
function blockOf(
  columns: readonly (readonly [name: string, type: string, values: readonly number[]])[],
): Buffer {
  return Buffer.from([
    columns.length,
    1,
    ...columns.flatMap(([name, type, values]) => [
      name.length,
      ...Buffer.from(name),
      type.length,
      ...Buffer.from(type),
      ...values,
    ]),
  ]);
}

const TIME = new Uint8Array(new BigInt64Array([BigInt(Date.UTC(2026, 2, 1, 10))]).buffer);
const mapped = (...last: number[]) => [...new Uint8Array(10), 255, 255, ...last];
const OLDER = blockOf([
  ['received_at', "DateTime64(3, 'UTC')", [...TIME]],
  ['src_addr', 'IPv6', mapped(10, 7, 0, 1)],
  ['dst_addr', 'IPv6', mapped(198, 51, 100, 7)],
  ['dst_port', 'UInt16', [25, 0]],
  ['protocol', 'UInt8', [6]],
]);
const NEWER = blockOf([
  ['colour', 'UInt32', [1, 2, 3, 4]],
  ['received_at', "DateTime64(3, 'UTC')", [...TIME]],
  ['src_addr', 'IPv6', mapped(10, 7, 0, 2)],
  ['protocol', 'UInt8', [6]],
]);

describe('a message of version 1, as it first shipped', () => {
  test('is an alert, or an incident, of today', () => {
    expect(alertSchema.parse(JSON.parse(ALERT_1))).toEqual(JSON.parse(ALERT_1));
    expect(incidentSchema.parse(JSON.parse(INCIDENT_1))).toEqual(JSON.parse(INCIDENT_1));
  });

  test('of a version to come is none, and the reason says so', () => {
    for (const [schema, message] of [
      [alertSchema, ALERT_1],
      [incidentSchema, INCIDENT_1],
    ] as const) {
      const checked = schema.safeParse(JSON.parse(ofVersion2(message)));
      expect(checked.error?.issues.map(({ path }) => path)).toEqual([['schema_version']]);
    }
  });

  test('is a block whose columns are found by name', () => {
    for (const block of [OLDER, NEWER]) {
      const decoded = decodeNative(block);
      expect(decoded.ok && [...decoded.batch.columns.protocol]).toEqual([6]);
    }
  });
});

describe.skipIf(!chdbInstalled)(
  chdbInstalled ? 'the store, given messages of all versions' : withoutChdb,
  () => {
    let store: TestStore;
    let directory = '';
    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-versions-'));
      store = await openTestStore();
    }, 60_000);
    afterAll(async () => {
      await store?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    test('takes the earlier ones, sets the later ones aside with the reason, and goes on', async () => {
      const stream = createDrivenStream();
      const writer = createStoreWriter({
        stream,
        engine: store.engine,
        log: silentLog,
        archive: 'all',
        directory,
        database: DATABASE,
      });
      await writer.start();
      await stream.deliver('alerts', [Buffer.from(ofVersion2(ALERT_1)), Buffer.from(ALERT_1)], 0);
      await stream.deliver('incidents', [Buffer.from(INCIDENT_1), Buffer.from(ofVersion2(INCIDENT_1))], 0);
      await stream.deliver('flows', [OLDER, NEWER], 0);
      expect(stream.journal).toEqual(['commit alerts 1', 'commit incidents 1', 'commit flows 1']);
      expect(writer.counters).toMatchObject({ alertsStored: 1, incidentsStored: 1, rowsDeadLettered: 2 });
      const reasons = readdirSync(join(directory, 'dead-letters'))
        .map((name) => readFileSync(join(directory, 'dead-letters', name), 'utf8'))
        .join('\n');
      expect(reasons.match(/schema_version/g)?.length).toBeGreaterThanOrEqual(2);
      expect(await queries.alerts(store.engine, { limit: 9 })).toEqual([JSON.parse(ALERT_1)]);
      expect(await queries.incident(store.engine, '10.0.0.5')).toEqual(JSON.parse(INCIDENT_1));
      expect(
        await store.engine.query('SELECT src_addr, dst_port, bytes, exporter FROM flows ORDER BY src_addr'),
      ).toEqual([
        { src_addr: '::ffff:10.7.0.1', dst_port: 25, bytes: 0, exporter: '::' },
        { src_addr: '::ffff:10.7.0.2', dst_port: 0, bytes: 0, exporter: '::' },
      ]);
      await writer.stop();
    });
  },
);
