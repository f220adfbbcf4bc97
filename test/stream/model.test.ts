/**
 * The stream against a plain array: whatever is published, committed, restarted and killed, every acknowledged message
 * is delivered in order and at least once, and a committed one never again.
 *
 * A kill is a directory cut at random in what was written last, as if that write had been under way. Kills of a real
 * process are in kill.test.ts.
 */

import { readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLocalStream, type LocalStream } from '../../src/stream/local/local-stream.ts';
import { eventually, keptLog, temporaryDirectory, textOf } from './support.ts';

type Step =
  | { readonly do: 'publish'; readonly sizes: readonly number[] }
  | { readonly do: 'consume'; readonly group: 'a' | 'b'; readonly unit: 'message' | 'segment' }
  | { readonly do: 'restart' }
  | { readonly do: 'kill'; readonly unacknowledged: readonly number[]; readonly cut: number };

const sizes = fc.array(fc.nat(300), { minLength: 1, maxLength: 8 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('publish' as const), sizes }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('consume' as const),
        group: fc.constantFrom('a' as const, 'b' as const),
        unit: fc.constantFrom('message' as const, 'segment' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('kill' as const),
        unacknowledged: sizes,
        cut: fc.nat(400),
      }),
    },
  ),
  { maxLength: 14 },
);

const open = (directory: string): LocalStream =>
  createLocalStream({
    directory,
    maxBytesPerStream: 1 << 30,
    now: () => 0,
    log: keptLog(),
    streams: { mail: { sealMessages: 5, sealAgeMs: 1 } },
  });

it('delivers every acknowledged message in order at least once, and no committed one again', async () => {
  const root = await temporaryDirectory();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (todo) => {
      const directory = join(root, `run${run++}`);
      let stream = open(directory);
      await stream.start();
      let count = 0;
      const acknowledged: string[] = [];
      const maybe = new Set<string>();
      const done = { a: new Set<string>(), b: new Set<string>() };
      const known = { a: false, b: false };

      const make = (lengths: readonly number[]) =>
        lengths.map((length) => {
          const text = `${count++}`.padEnd(length, '.');
          return { key: '', id: `${count}`, rows: 1, value: Buffer.from(`${text};`) };
        });

      async function consume(group: 'a' | 'b', unit: 'message' | 'segment'): Promise<void> {
        const got: string[] = [];
        const isNew = !known[group];
        known[group] = true;
        const subscription = await stream.subscribe({
          streams: ['mail'],
          group,
          unit,
          async onDelivery({ messages, file, lastOffset, rows }) {
            const texts = messages.map(textOf);
            if (file !== undefined) texts.push(...(await textsOf(file)));
            expect(texts).toHaveLength(rows);
            got.push(...texts);
            await subscription.commit('mail', 0, lastOffset);
          },
        });
        await eventually(() => subscription.lag() === 0);
        await subscription.stop();
        const sequence = got.map((text) => Number.parseInt(text, 10));
        expect(sequence).toEqual([...sequence].sort((x, y) => x - y));
        expect(new Set(got).size).toBe(got.length);
        for (const text of got) {
          expect(done[group].has(text)).toBe(false);
          expect(acknowledged.includes(text) || maybe.has(text)).toBe(true);
          done[group].add(text);
        }
        // What every known group has committed may be gone for a group that comes later, and only for such a one.
        const others = (['a', 'b'] as const).filter((other) => other !== group && known[other]);
        for (const text of acknowledged) {
          const removable = isNew && others.length > 0 && others.every((other) => done[other].has(text));
          if (!removable) expect(done[group].has(text)).toBe(true);
          else done[group].add(text);
        }
      }

      for (const step of todo) {
        if (step.do === 'publish') {
          const messages = make(step.sizes);
          const outcome = await stream.publish('mail', messages);
          expect(outcome).toEqual({ accepted: messages.length, dropped: 0 });
          acknowledged.push(...messages.map(textOf));
        } else if (step.do === 'consume') {
          await consume(step.group, step.unit);
        } else if (step.do === 'restart') {
          await stream.stop();
          stream = open(directory);
          await stream.start();
        } else {
          const before = await lengths(directory);
          const messages = make(step.unacknowledged);
          for (const { value } of messages) maybe.add(textOf({ value }));
          await stream.publish('mail', messages);
          // Stopping writes nothing: what is cut afterwards is what a kill would have left unwritten.
          await stream.stop();
          await cutNewest(directory, before, step.cut);
          stream = open(directory);
          await stream.start();
        }
      }
      await consume('a', 'message');
      await consume('b', 'segment');
      await stream.stop();
      await rm(directory, { recursive: true });
    }),
    { numRuns: 60 },
  );
}, 60_000);

it('tells the newest message of every key of a compacted stream over any restarts', async () => {
  const root = await temporaryDirectory();
  let run = 0;
  const keyed = fc.array(fc.tuple(fc.nat(6), fc.nat(3000)), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(keyed, fc.constant('restart' as const)), { maxLength: 20 }),
      async (todo) => {
        const directory = join(root, `compacted${run++}`);
        const settings = { incidents: { sealMessages: 3, sealBytes: 4000 } };
        const start = async () => {
          const stream = createLocalStream({
            directory,
            maxBytesPerStream: 1 << 30,
            now: () => 0,
            log: keptLog(),
            streams: settings,
          });
          await stream.start();
          return stream;
        };
        let stream = await start();
        const model: Record<string, string> = {};
        for (const step of [...todo, 'restart' as const]) {
          if (step === 'restart') {
            await stream.stop();
            stream = await start();
          } else {
            await stream.publish(
              'incidents',
              step.map(([key, length], i) => {
                model[key] = `${i}`.padEnd(length, '.');
                return { key: `${key}`, id: '', rows: 1, value: Buffer.from(model[key]) };
              }),
            );
          }
          const found: Record<string, string> = {};
          for await (const message of stream.latest('incidents', [0])) found[message.key] = textOf(message);
          expect(found).toEqual(model);
        }
        await stream.stop();
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

async function textsOf(file: string): Promise<string[]> {
  return (await readFile(file, 'utf8')).split(';').flatMap((text) => (text === '' ? [] : [`${text};`]));
}

/** Lengths of all files of the stream. */
async function lengths(directory: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const name of await readdir(join(directory, 'mail'))) {
    // A committed segment may be removed in this very moment.
    const file = await stat(join(directory, 'mail', name)).catch(() => null);
    if (file !== null) found.set(name, file.size);
  }
  return found;
}

/** Leaves of what came after `before` as much as a kill might: the data in part, or all of it and the index in part. */
async function cutNewest(directory: string, before: Map<string, number>, cut: number): Promise<void> {
  const names = (await readdir(join(directory, 'mail')))
    .filter((name) => /^\d+\.(native|index)$/.test(name))
    .sort();
  const stem = names.at(-1)?.split('.')[0];
  if (stem === undefined) return;
  const cutFile = async (end: 'native' | 'index', to: number) => {
    const name = `${stem}.${end}`;
    const file = join(directory, 'mail', name);
    const least = before.get(name) ?? 0;
    const size = (await stat(file)).size;
    if (size > least) await truncate(file, Math.max(least, size - to));
  };
  await cutFile('index', cut);
  if (cut > 200) {
    await cutFile('index', Number.MAX_SAFE_INTEGER);
    await cutFile('native', cut - 200);
  }
}
