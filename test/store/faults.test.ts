/**
 * The store writer against a server that fails in any order: codes, deaths before and after the work, hangs, answers that are
 * cut, kills of our own process, and deliveries of which some are damaged.
 *
 * Whatever the order, stored + waiting + set aside is what was received, and nothing is stored twice. ROGUE_SMTP_FAULT_RUNS is the
 * number of orders, by hand a thousand or more; by default so many as take seconds.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { replayDeadLetters } from '../../src/store/replay-dead-letters.ts';
import { createServerEngine } from '../../src/store/server.ts';
import { createStoreWriter } from '../../src/store/writer.ts';
import { createDrivenStream } from '../support/driven-stream.ts';
import { type FakeClickHouse, type Fate, startFakeClickHouse } from '../support/fake-clickhouse.ts';
import { alertMessage, flowBatch, silentLog } from './fixture.ts';

const RUNS = Number(process.env.ROGUE_SMTP_FAULT_RUNS ?? 25);
const DATABASE = 'd';
const NOW = Date.UTC(2026, 2, 1);
const EXPECTED_CODES = [
  3, 16, 32, 33, 36, 43, 46, 47, 50, 60, 115, 159, 164, 202, 210, 241, 242, 252, 319, 497, 999,
];

/** Only of flows: an engine that says so of one alert twice, and takes another, has said that the alert is damaged. */
const VALUE_CODES = [27, 117];

/** What a message is: sound, or damaged so that nothing can ever read it. */
type Kind = 'sound' | 'damaged';
interface Work {
  readonly stream: 'flows' | 'alerts';
  readonly messages: readonly Kind[];
}

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 4, arbitrary: fc.constantFrom(...EXPECTED_CODES, ...VALUE_CODES).map((code) => ({ code })) },
  // An answer that says no although the work is done: a shard or the network failed after it.
  { weight: 2, arbitrary: fc.constantFrom(32, 209, 210, 319, 159).map((code) => ({ code, done: true })) },
  { weight: 3, arbitrary: fc.constantFrom<Fate>('die', 'die_after', 'cut') },
);
const kind: fc.Arbitrary<Kind> = fc.constantFrom('sound', 'sound', 'sound', 'damaged');
const work: fc.Arbitrary<Work> = fc.record({
  stream: fc.constantFrom('flows', 'alerts'),
  messages: fc.array(kind, { minLength: 1, maxLength: 4 }),
});

const ROWS = 2;
function bytesOf(stream: Work['stream'], offset: number, what: Kind): Buffer {
  if (stream === 'alerts')
    return Buffer.from(
      what === 'sound' ? JSON.stringify(alertMessage({ alert_id: `a${offset}` })) : `broken ${offset}`,
    );
  const row = { at: NOW, src: '10.0.0.1', dst: '192.0.2.1', srcPort: 1, dstPort: 25 };
  const block = encodeNative(
    flowBatch(Array.from({ length: ROWS }, (_, i) => ({ ...row, sequence: ROWS * offset + i }))),
  );
  return what === 'sound' ? block : block.subarray(0, -1);
}

/** A server under whose connections the fates lie, each request of an insert taking the next. */
async function runOrder(
  server: FakeClickHouse,
  fates: readonly Fate[],
  works: readonly Work[],
  kills: readonly number[],
) {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-faults-'));
  const left = [...fates];
  server.fate = ({ statement }) => {
    const next = statement.startsWith('INSERT') ? (left.shift() ?? null) : null;
    const isOfValues = typeof next === 'object' && next !== null && VALUE_CODES.includes(next.code);
    return isOfValues && !statement.includes('flows') ? null : next;
  };
  const engine = createServerEngine({
    url: server.url,
    database: DATABASE,
    username: 'u',
    password: '',
    log: silentLog,
  });
  await engine.start();
  const open = async () => {
    const stream = createDrivenStream();
    const writer = createStoreWriter({
      stream,
      engine,
      log: silentLog,
      archive: 'all',
      directory,
      database: DATABASE,
    });
    await writer.start();
    return { stream, writer };
  };
  let { stream, writer } = await open();
  let lost = 0;
  let attempts = 0;
  const sent: Record<Work['stream'], { sound: string[]; damaged: number }> = {
    flows: { sound: [], damaged: 0 },
    alerts: { sound: [], damaged: 0 },
  };
  const next = { flows: 0, alerts: 0 };
  for (const { stream: name, messages } of works) {
    const first = next[name];
    next[name] += messages.length;
    const values = messages.map((what, i) => bytesOf(name, first + i, what));
    messages.forEach((what, i) => {
      if (what === 'damaged') sent[name].damaged++;
      else if (name === 'alerts') sent.alerts.sound.push(JSON.stringify({ message: values[i].toString() }));
      else for (let row = 0; row < ROWS; row++) sent.flows.sound.push(`${NOW}/${ROWS * (first + i) + row}`);
    });
    for (;;) {
      if (kills.includes(attempts++)) {
        lost += writer.counters.rowsDeadLettered;
        await writer.stop();
        ({ stream, writer } = await open());
      }
      try {
        await stream.deliver(name, values, first);
        break;
      } catch (error) {
        // It waits: nothing of it is committed, and it comes again.
        expect(error).toMatchObject({ code: 'store' });
        expect(
          stream.journal.filter((line) => line === `commit ${name} ${first + values.length - 1}`),
        ).toEqual([]);
      }
    }
  }
  lost += writer.counters.rowsDeadLettered;
  const deadLetters = await writer.deadLetters();
  const dropped = writer.counters.rowsDropped;
  const replayed = await replayDeadLetters(engine, join(directory, 'dead-letters'));
  await writer.stop();
  await engine.stop();
  rmSync(directory, { recursive: true, force: true });
  return { sent, lost, deadLetters, dropped, replayed };
}

test(`whatever fails in whatever order, stored and set aside is what was received, and nothing is there twice (${RUNS} orders)`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 30 }),
      fc.array(work, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(20), { maxLength: 3 }),
      async (fates, works, kills) => {
        const server = await startFakeClickHouse();
        try {
          const { sent, lost, deadLetters, dropped, replayed } = await runOrder(server, fates, works, kills);
          // In a table of a server alerts replace one another by their id; here each token is one.
          expect([...(server.rows.get('flows') ?? [])].sort()).toEqual([...sent.flows.sound].sort());
          expect(new Set(server.rows.get('alerts'))).toEqual(new Set(sent.alerts.sound));
          // The messages of the driven stream are one row each.
          expect(deadLetters.rows).toBe(sent.flows.damaged + sent.alerts.damaged);
          expect([lost, dropped]).toEqual([deadLetters.rows, 0]);
          expect(replayed).toMatchObject({ stored: { letters: 0 }, left: { rows: deadLetters.rows } });
        } finally {
          await server.stop();
        }
      },
    ),
    {
      numRuns: RUNS,
      ...(process.env.ROGUE_SMTP_FAULT_SEED !== undefined && {
        seed: Number(process.env.ROGUE_SMTP_FAULT_SEED),
      }),
    },
  );
}, 600_000);

test('a server that hangs in the middle of an insert, before or after the work, has its rows once in the end', async () => {
  for (const hang of ['hang', 'hang_after'] as const) {
    const server = await startFakeClickHouse();
    try {
      let asked = 0;
      const works: Work[] = [{ stream: 'flows', messages: ['sound', 'sound'] }];
      const run = runOrder(server, [], works, []);
      server.fate = ({ statement }) => {
        // It is stopped for as long as the insert and the question beside it wait.
        if (statement.startsWith('INSERT')) asked++;
        return asked !== 1 || statement.startsWith('SELECT version') ? null : hang;
      };
      const { sent } = await run;
      expect(server.rows.get('flows')?.toSorted()).toEqual(sent.flows.sound);
    } finally {
      await server.stop();
    }
  }
}, 60_000);
