import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RogueSmtpError } from '../../src/errors.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { engineError } from '../../src/store/failures.ts';
import type { Engine } from '../../src/store/store.ts';
import { createStoreWriter } from '../../src/store/writer.ts';
import type { Delivery, Stream, StreamName, SubscribeOptions } from '../../src/stream/stream.ts';
import { alertMessage, DATABASE, flowBatch, incidentMessage, silentLog } from './fixture.ts';

interface Insert {
  readonly table: string;
  readonly token: string;
  readonly content: string;
}

const away = () => new RogueSmtpError('store', 'the engine is away', { transient: true });
const never = () => new RogueSmtpError('store', 'the engine will never take this');

/** An engine that keeps what it is given, and fails as told. */
function fakeEngine(
  fail: (insert: Insert) => Error | null = () => null,
  /** What an insert of no rows is answered with. */
  failEmpty: () => Error | null = () => null,
) {
  const inserts: Insert[] = [];
  const take = async (insert: Insert) => {
    const error = fail(insert);
    if (error !== null) throw error;
    inserts.push(insert);
  };
  const engine: Engine = {
    start: async () => undefined,
    stop: async () => undefined,
    command: async () => {
      const error = failEmpty();
      if (error !== null) throw error;
    },
    query: async () => [],
    queryBytes: async () => new Uint8Array(),
    insertNative: (table, source, { token }) =>
      take({
        table,
        token,
        content:
          'file' in source ? readFileSync(source.file, 'utf8') : Buffer.concat(source.bytes).toString(),
      }),
    walls: async () => [],
    insertJson: (table, rows, { token }) => take({ table, token, content: rows.join('\n') }),
  };
  return { engine, inserts };
}

/** A stream whose deliveries the test makes; what was committed is remembered. */
function fakeStream() {
  const subscriptions: SubscribeOptions[] = [];
  const committed: Partial<Record<StreamName, number>> = {};
  let lag = 0;
  const stream: Stream = {
    start: async () => undefined,
    stop: async () => undefined,
    partitions: () => 1,
    publish: async () => ({ accepted: 0, dropped: 0 }),
    async *latest() {},
    counters: {
      published: { flows: 0, mail: 0, alerts: 0, incidents: 0, decisions: 0 },
      dropped: { flows: 0, mail: 0, alerts: 0, incidents: 0, decisions: 0 },
      spoolBytes: 0,
    },
    async subscribe(options) {
      subscriptions.push(options);
      return {
        commit: async (name, _partition, offset) => {
          committed[name] = offset;
        },
        lag: () => lag,
        isUpToDate: () => true,
        assigned: Promise.resolve(),
        stop: async () => undefined,
      };
    },
  };
  return {
    stream,
    committed,
    subscriptions,
    setLag: (value: number) => {
      lag = value;
    },
    deliver(delivery: Delivery): Promise<void> {
      const to = subscriptions.find(({ streams }) => streams.includes(delivery.stream));
      if (to === undefined) throw new Error(`nobody reads ${delivery.stream}`);
      return to.onDelivery(delivery, new AbortController().signal);
    },
  };
}

function delivery(
  stream: StreamName,
  firstOffset: number,
  values: readonly (string | Uint8Array)[],
  file?: string,
): Delivery {
  return {
    stream,
    partition: 0,
    firstOffset,
    lastOffset: firstOffset + values.length - 1,
    rows: values.length,
    messages:
      file === undefined
        ? values.map((value, i) => ({
            key: '',
            id: '',
            rows: 1,
            offset: firstOffset + i,
            value: Buffer.from(value),
          }))
        : [],
    ...(file === undefined ? {} : { file }),
  };
}

describe('the store writer', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-writer-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  async function start(engine: Engine, archive: 'all' | 'mail' = 'all') {
    const fake = fakeStream();
    const writer = createStoreWriter({
      stream: fake.stream,
      engine,
      log: silentLog,
      archive,
      directory,
      database: DATABASE,
    });
    await writer.start();
    return { ...fake, writer };
  }
  const deadLetters = () =>
    existsSync(join(directory, 'dead-letters')) ? readdirSync(join(directory, 'dead-letters')).sort() : [];

  test('reads all flows, or the mail stream alone, by segment, and alerts and incidents by message', async () => {
    const { engine } = fakeEngine();
    const names = (subscriptions: readonly SubscribeOptions[]) =>
      subscriptions.map(({ streams, unit, group }) => [group, unit, ...streams]);
    expect(names((await start(engine)).subscriptions)).toEqual([
      ['store', 'segment', 'flows'],
      ['store', 'message', 'alerts', 'incidents'],
    ]);
    expect(names((await start(engine, 'mail')).subscriptions)[0]).toEqual(['store', 'segment', 'mail']);
  });

  test('inserts a segment from its file and commits it afterwards', async () => {
    const { engine, inserts } = fakeEngine();
    const { deliver, committed, writer } = await start(engine);
    const file = join(directory, 'segment');
    writeFileSync(file, 'blocks');
    await deliver(delivery('flows', 10, ['a', 'b'], file));
    expect(inserts).toEqual([
      { table: 'flows', token: expect.stringMatching(/^flows-0-10-11-[0-9a-f]{16}$/), content: 'blocks' },
    ]);
    expect(committed).toEqual({ flows: 11 });
    expect(writer.counters).toMatchObject({ flowsStored: 2, inserts: 1, retries: 0, lastError: '' });
  });

  test('uses the same token when a delivery comes again, another for other bytes at the same offsets', async () => {
    const { engine, inserts } = fakeEngine();
    const { deliver } = await start(engine);
    await deliver(delivery('flows', 1, ['x', 'y']));
    await deliver(delivery('flows', 1, ['x', 'y']));
    await deliver(delivery('flows', 1, ['z', 'y']));
    const [first, again, other] = inserts.map(({ token }) => token);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('refuses a delivery while the engine is away, and commits nothing', async () => {
    let isAway = true;
    const { engine, inserts } = fakeEngine(() => (isAway ? away() : null));
    const { deliver, committed, writer } = await start(engine);
    await expect(deliver(delivery('flows', 0, ['a']))).rejects.toThrow('away');
    await expect(deliver(delivery('alerts', 0, [JSON.stringify(alertMessage())]))).rejects.toThrow('away');
    expect(committed).toEqual({});
    expect(writer.counters).toMatchObject({ retries: 2, lastError: 'the engine is away', flowsStored: 0 });
    isAway = false;
    await deliver(delivery('flows', 0, ['a']));
    expect(inserts.length).toBe(1);
    expect(committed).toEqual({ flows: 0 });
    expect(writer.counters.lastError).toBe('');
    expect(deadLetters()).toEqual([]);
  });

  /** One column and one row, which then are no such thing. */
  const HEAD = '\u0001\u0001';

  test('sets aside flows that the engine will never take, with the reason, and goes on', async () => {
    const { engine, inserts } = fakeEngine(({ content }) => (content.includes('bad') ? never() : null));
    const { deliver, committed, writer } = await start(engine);
    await deliver(delivery('flows', 0, [`${HEAD}bad`, `${HEAD}x`]));
    await deliver(delivery('flows', 2, [`${HEAD}good`]));
    expect(inserts.map(({ content }) => content)).toEqual([`${HEAD}good`]);
    expect(committed).toEqual({ flows: 2 });
    expect(writer.counters).toMatchObject({ flowsStored: 1, rowsDeadLettered: 2, rowsDropped: 0 });
    const [data, reason] = deadLetters();
    expect(readFileSync(join(directory, 'dead-letters', data!), 'utf8')).toBe(`${HEAD}bad${HEAD}x`);
    expect(JSON.parse(readFileSync(join(directory, 'dead-letters', reason!), 'utf8'))).toEqual({
      rows: 2,
      reason: 'the engine will never take this',
    });
  });

  const block = (second = 0) =>
    encodeNative(
      flowBatch([
        {
          at: Date.UTC(2026, 2, 1) + 1000 * second,
          src: '10.0.0.1',
          dst: '192.0.2.1',
          srcPort: 1,
          dstPort: 25,
        },
      ]),
    );
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

  test.each([32, 33, 115, 164, 36, 16, 43, 46, 47, 50, 27, 117, 252, 241])(
    'sound flows that are refused with code %i wait, however often, and go in once it is mended',
    async (code) => {
      let mended = false;
      const { engine, inserts } = fakeEngine(() => (mended ? null : engineError('it says no', code)));
      const { deliver, committed, writer } = await start(engine);
      for (let i = 0; i < 3; i++)
        await expect(deliver(delivery('flows', 0, [block()]))).rejects.toMatchObject({ engine: { code } });
      expect(writer.counters).toMatchObject({ waitsFor: 'it says no', rowsDeadLettered: 0, flowsStored: 0 });
      expect(deadLetters()).toEqual([]);
      expect(committed).toEqual({});
      mended = true;
      await deliver(delivery('flows', 0, [block()]));
      expect(inserts.map(({ content }) => content)).toEqual([text(block())]);
      expect(writer.counters).toMatchObject({ waitsFor: '', flowsStored: 1 });
    },
  );

  test('the same holds for messages of the schema, also when another one is damaged beside them', async () => {
    let mended = false;
    const { engine, inserts } = fakeEngine(() => (mended ? null : engineError('no', 16)));
    const { deliver, writer } = await start(engine);
    const good = JSON.stringify(alertMessage());
    for (let i = 0; i < 3; i++)
      await expect(deliver(delivery('alerts', 5, [good, 'not json']))).rejects.toThrow('no');
    expect(deadLetters()).toEqual([]);
    mended = true;
    await deliver(delivery('alerts', 5, [good, 'not json']));
    expect(inserts).toHaveLength(1);
    expect(writer.counters).toMatchObject({ alertsStored: 1, rowsDeadLettered: 1 });
  });

  test('a block that is cut is set aside, and the sound ones beside it go in, each once however often they come', async () => {
    const cut = block(7).subarray(0, -3);
    const { engine, inserts } = fakeEngine(({ content }) =>
      content.includes(text(cut)) && !content.includes(text(block(7))) ? engineError('cut', 33) : null,
    );
    const { deliver, committed, writer } = await start(engine);
    for (let i = 0; i < 2; i++) await deliver(delivery('flows', 0, [block(1), cut, block(2)]));
    expect(inserts.map(({ content }) => content)).toEqual([1, 2, 1, 2].map((n) => text(block(n))));
    expect(new Set(inserts.map(({ token }) => token)).size).toBe(2);
    expect(committed).toEqual({ flows: 2 });
    expect(writer.counters).toMatchObject({ flowsStored: 4, rowsDeadLettered: 1 });
    expect(await writer.deadLetters()).toEqual({ letters: 1, rows: 1 });
  });

  test('a damaged block waits while nothing at all can be inserted, and when the second answer is another one', async () => {
    let empty: Error | null = engineError('no rights', 497);
    const codes = [33, 33, 33, 242, 33, 33];
    const { engine } = fakeEngine(
      () => engineError('no', codes.shift() ?? 0),
      () => empty,
    );
    const { deliver, committed } = await start(engine);
    const damaged = [block().subarray(0, 40)];
    await expect(deliver(delivery('flows', 0, damaged))).rejects.toMatchObject({ engine: { code: 497 } });
    empty = null;
    await expect(deliver(delivery('flows', 0, damaged))).rejects.toMatchObject({ engine: { code: 242 } });
    expect(deadLetters()).toEqual([]);
    expect(committed).toEqual({});
    await deliver(delivery('flows', 0, damaged));
    expect(deadLetters()).toHaveLength(2);
  });

  test('a column of a type that only the engine may know waits unless the engine does not know it either', async () => {
    const newer = Buffer.from(block());
    newer.write('UInt99', newer.indexOf('UInt16'));
    const codes = [33, 50, 50];
    const { engine } = fakeEngine(() => engineError('no', codes.shift() ?? 0));
    const { deliver } = await start(engine);
    await expect(deliver(delivery('flows', 0, [newer]))).rejects.toMatchObject({ engine: { code: 33 } });
    await deliver(delivery('flows', 0, [newer]));
    expect(deadLetters()).toHaveLength(2);
  });

  test('never gives an engine a block that claims what it does not have, or of a version to come', async () => {
    const { engine, inserts } = fakeEngine();
    const { deliver, committed, writer } = await start(engine);
    const four = delivery('flows', 0, [block(1), block(2), block(3), block(4)]);
    const [first, second, third, fourth] = four.messages;
    // 2^35 - 1 rows.
    const claims = Buffer.concat([Buffer.from([1, 0xff, 0xff, 0xff, 0xff, 0x7f]), block().subarray(2)]);
    for (let i = 0; i < 2; i++)
      await deliver({
        ...four,
        messages: [{ ...first!, value: claims }, { ...second!, foreignVersion: '2' }, third!, fourth!],
      });
    expect(inserts.map(({ content }) => content)).toEqual([3, 4, 3, 4].map((n) => text(block(n))));
    expect(committed).toEqual({ flows: 3 });
    expect(writer.counters).toMatchObject({ rowsDeadLettered: 2, rowsDropped: 0 });
    expect(await writer.deadLetters()).toEqual({ letters: 2, rows: 2 });
  });

  test('nothing is inserted while it is held, and stopping does not wait for it', async () => {
    const { engine, inserts } = fakeEngine();
    const fake = fakeStream();
    let held = 'a migration waits';
    const writer = createStoreWriter({
      stream: fake.stream,
      engine,
      log: silentLog,
      archive: 'all',
      directory,
      database: DATABASE,
      heldFor: () => held,
    });
    await writer.start();
    await expect(fake.deliver(delivery('flows', 0, [block()]))).rejects.toThrow('a migration waits');
    expect(writer.counters).toMatchObject({ lastError: 'a migration waits', retries: 1 });
    held = '';
    await fake.deliver(delivery('flows', 0, [block()]));
    expect(inserts).toHaveLength(1);
    held = 'the store is away';
    fake.setLag(3);
    expect(await writer.stop(60_000)).toBe(false);
  });

  test('a message is set aside only while another one of the table goes in', async () => {
    const known = JSON.stringify(alertMessage({ alert_id: 'known' }));
    let fits = false;
    const { engine, inserts } = fakeEngine(({ content }) =>
      fits && content.includes('known') ? null : engineError('no date', 41),
    );
    const withRows: Engine = { ...engine, query: async <Row>() => [{ message: known }] as Row[] };
    const { deliver, writer } = await start(withRows);
    const odd = JSON.stringify(alertMessage({ alert_id: 'odd' }));
    // A column whose default fails refuses every message.
    for (let i = 0; i < 3; i++)
      await expect(deliver(delivery('alerts', 5, [odd]))).rejects.toThrow('no date');
    expect(deadLetters()).toEqual([]);
    fits = true;
    await deliver(delivery('alerts', 5, [odd]));
    expect(inserts.map(({ content }) => JSON.parse(content).message)).toEqual([known]);
    expect(writer.counters.rowsDeadLettered).toBe(1);
  });

  test('other bytes at an offset that was set aside before get a letter of their own', async () => {
    const { engine } = fakeEngine();
    const { deliver, writer } = await start(engine);
    await deliver(delivery('alerts', 5, ['of the old topic']));
    await deliver(delivery('alerts', 5, ['of the new topic']));
    await deliver(delivery('alerts', 5, ['of the new topic']));
    expect(writer.counters.rowsDeadLettered).toBe(2);
    expect(await writer.deadLetters()).toEqual({ letters: 2, rows: 2 });
  });

  test('stores messages whole and sets aside those that are none, one by one', async () => {
    const { engine, inserts } = fakeEngine();
    const { deliver, committed, writer } = await start(engine);
    const good = JSON.stringify(alertMessage());
    await deliver(delivery('alerts', 5, ['not json', good, '{"schema":"rogue-smtp.alert"}']));
    expect(inserts.map(({ table, content }) => [table, JSON.parse(content)])).toEqual([
      ['alerts', { message: good }],
    ]);
    expect(committed).toEqual({ alerts: 7 });
    expect(writer.counters).toMatchObject({ alertsStored: 1, rowsDeadLettered: 2 });
    expect(deadLetters().filter((name) => name.endsWith('.ndjson'))).toEqual([
      'alerts-0-5.ndjson',
      'alerts-0-7.ndjson',
    ]);
  });

  test('one message that the table refuses does not hold back those beside it', async () => {
    const { engine, inserts } = fakeEngine(({ content }) => (content.includes('10.0.0.66') ? never() : null));
    const { deliver, committed, writer } = await start(engine);
    const messages = ['10.0.0.1', '10.0.0.66', '10.0.0.2'].map((host) =>
      JSON.stringify(incidentMessage({ host })),
    );
    await deliver(delivery('incidents', 0, messages));
    expect(inserts.length).toBe(2);
    expect(committed).toEqual({ incidents: 2 });
    expect(writer.counters).toMatchObject({ incidentsStored: 2, rowsDeadLettered: 1 });
  });

  test('stopping waits for what is left, up to its time, and tells whether all is stored', async () => {
    const { engine } = fakeEngine();
    const late = await start(engine);
    late.setLag(3);
    expect(await late.writer.stop(20)).toBe(false);
    const done = await start(engine);
    done.setLag(3);
    setTimeout(() => done.setLag(0), 20);
    expect(await done.writer.stop(5000)).toBe(true);
    const unstarted = createStoreWriter({
      stream: fakeStream().stream,
      engine,
      log: silentLog,
      archive: 'all',
      directory,
      database: DATABASE,
    });
    expect(await unstarted.stop(5000)).toBe(false);
  });
});
