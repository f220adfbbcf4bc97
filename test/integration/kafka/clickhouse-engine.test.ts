/** ClickHouse's own Kafka engine reads the flows topic by the DDL that is shipped, in the embedded engine. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeNative } from '../../../src/flow/native.ts';
import { statementsOf } from '../../../src/store/migrate.ts';
import { chdbInstalled, flowBatch, openTestStore, type TestStore } from '../../store/fixture.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, oneBroker, startKafkaStream } from './support.ts';

const reason = (await cannotHaveKafka()) ?? (chdbInstalled ? null : 'chdb is not installed');
const DDL = new URL('../../../schemas/clickhouse/kafka-engine.sql', import.meta.url);
const NOW = Date.UTC(2026, 2, 1, 10);
const broker = oneBroker(reason);

describe.skipIf(reason !== null)(
  `the Kafka engine of ClickHouse${reason === null ? '' : ` (${reason})`}`,
  () => {
    let store: TestStore;
    beforeAll(async () => {
      // The engine reads from the broker itself here, as a server does; confined it opens no connection.
      store = await openTestStore({ confined: false });
    });
    afterAll(() => store?.close());

    it('takes every flow of the topic into the tables and rollups, and sets aside what is no block', async () => {
      const prefix = freshPrefix();
      const config = kafkaConfig(broker.cluster, prefix, { topics: { flows: { partitions: 2 } } });
      const stream = await startKafkaStream(config);
      const block = (batch: number, rows: number) =>
        encodeNative(
          flowBatch(
            Array.from({ length: rows }, (_, i) => ({
              at: NOW + batch * 1000 + i,
              src: '10.0.0.5',
              dst: '198.51.100.7',
              srcPort: 20_000 + i,
              dstPort: 25,
              packets: 2,
            })),
          ),
        );
      const publish = async (value: Uint8Array, rows: number, partition: number) => {
        // Topics that were just made may have no leader yet, for longer than the client tries.
        await comesTrue(
          () =>
            stream.publish('flows', [{ key: '', id: '', rows, value, partition }]).then(
              ({ dropped }) => dropped === 0,
              () => false,
            ),
          'a publication',
        );
      };
      for (let i = 0; i < 10; i++) await publish(block(i, 100), 100, i % 2);
      const text = readFileSync(DDL, 'utf8')
        .replaceAll('kafka-1.example.net:9092', broker.cluster.brokers.join(','))
        .replaceAll("'rogue-smtp.", `'${prefix}.`);
      for (const statement of statementsOf(text)) await store.engine.command(statement);
      const numbers = async () => {
        const [row] = await store.engine.query<{ flows: number; sessions: number; errors: number }>(
          `SELECT (SELECT count() FROM flows) AS flows, (SELECT sum(packets_to_server) FROM mail_sessions) AS sessions,
          (SELECT count() FROM flows_from_kafka_errors) AS errors`,
        );
        return row;
      };
      await comesTrue(async () => (await numbers())?.flows === 1000, 'the flows published before', 120_000);
      await publish(Buffer.from('no block at all'), 1, 0);
      for (let i = 10; i < 15; i++) await publish(block(i, 100), 100, i % 2);
      // The views are fed one after another.
      await expect
        .poll(numbers, { timeout: 120_000, interval: 200 })
        .toEqual({ flows: 1500, sessions: 3000, errors: 1 });
      // Of a writer that knows fewer columns, and one that nobody knows yet.
      const other = await store.engine.queryBytes(
        "SELECT toUInt8(9) AS added_later, toIPv6('10.7.0.2') AS src_addr, toDateTime64('2026-03-01 10:00:00', 3, 'UTC') AS received_at",
        'Native',
      );
      await publish(other, 1, 1);
      await comesTrue(async () => (await numbers())?.flows === 1501, 'a block of another version', 120_000);
    }, 300_000);
  },
);
