/** Damage of a stream's files: found, reported for what it is, and never taken for a message. */

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/logger.ts';
import { createLocalStream, type LocalStream } from '../../src/stream/local/local-stream.ts';
import { verifyStreams } from '../../src/stream/local/verify.ts';
import type { CompactedStream, StreamName } from '../../src/stream/stream.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rogue-smtp-damage-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const log = createLogger('silent');
const running: LocalStream[] = [];
afterEach(async () => {
  for (const stream of running.splice(0)) await stream.stop();
});

async function start(directory: string): Promise<LocalStream> {
  const stream = createLocalStream({ directory, maxBytesPerStream: 64 << 20, now: () => 0, log });
  await stream.start();
  running.push(stream);
  return stream;
}
const message = (key: string, text: string) => ({
  key,
  id: `${key}.${text}`,
  value: Buffer.from(text),
  rows: 1,
});
const VALUES: readonly (readonly [string, string])[] = [
  ['|192.0.2.55', '{"host":"192.0.2.55","block":"published"}'],
  ['|192.0.2.56', '{"host":"192.0.2.56","block":"published"}'],
  ['|192.0.2.57', '{"host":"192.0.2.57","block":"none"}'],
];

async function written(stream: StreamName): Promise<string> {
  const directory = join(root, 'good');
  const first = await start(directory);
  await first.publish(
    stream,
    VALUES.map(([key, text]) => message(key, text)),
  );
  await running.pop()?.stop();
  return directory;
}

async function latest(stream: LocalStream, name: CompactedStream): Promise<(readonly [string, string])[]> {
  const found: (readonly [string, string])[] = [];
  for await (const { key, value } of stream.latest(name, [0]))
    found.push([key, Buffer.from(value).toString()]);
  return found;
}

describe.each(['incidents', 'decisions'] as const)('a flipped bit in %s', (name) => {
  it('never makes another message of one, and is reported unless all are whole', async () => {
    const good = await written(name);
    expect(await verifyStreams(good)).toEqual([]);
    const files = readdirSync(join(good, name)).filter((file) => /\.(index|ndjson)$/.test(file));
    expect(files).toHaveLength(2);
    let damagedFound = 0;
    for (const file of files) {
      const bytes = readFileSync(join(good, name, file));
      for (let bit = 0; bit < 8 * bytes.length; bit += 23) {
        const directory = join(root, `bad`);
        cpSync(good, directory, { recursive: true });
        const bad = Buffer.from(bytes);
        bad[bit >> 3] ^= 1 << (bit & 7);
        writeFileSync(join(directory, name, file), bad);
        const verified = await verifyStreams(directory);
        const stream = await start(directory);
        const found = await latest(stream, name);
        for (const one of found) expect(VALUES).toContainEqual(one);
        if (found.length < VALUES.length) {
          damagedFound++;
          expect([file, bit, verified.length > 0, (stream.damages?.() ?? []).length > 0]).toEqual([
            file,
            bit,
            true,
            true,
          ]);
          expect(stream.counters.damaged[name]).toBeGreaterThan(0);
        }
        await running.pop()?.stop();
        rmSync(directory, { recursive: true });
      }
    }
    expect(damagedFound).toBeGreaterThan(50);
  }, 120_000);
});

describe('the data of a stream', () => {
  it('that was truncated is reported, with the number of messages', async () => {
    const directory = await written('incidents');
    const data = join(directory, 'incidents', `${'0'.repeat(15)}.ndjson`);
    truncateSync(data, 60);
    expect(await verifyStreams(directory)).toEqual([
      expect.stringContaining('2 message(s) are damaged or gone'),
    ]);
    const stream = await start(directory);
    expect(stream.damages?.()).toEqual([
      expect.stringContaining('2 message(s) at its end are damaged or gone'),
    ]);
    expect(await latest(stream, 'incidents')).toEqual([VALUES[0]]);
  });

  it('that a kill left half-written is no damage', async () => {
    const directory = await written('incidents');
    const index = join(directory, 'incidents', `${'0'.repeat(15)}.index`);
    writeFileSync(index, `{"offset":3,"at":1`, { flag: 'a' });
    expect(await verifyStreams(directory)).toEqual([]);
    expect((await start(directory)).damages?.()).toEqual([]);
  });

  it('that lay on disk is read against its checksums before it is handed out as a file', async () => {
    const again = join(root, 'again');
    const writer = await start(again);
    await writer.publish('flows', [message('', 'aaaa'), message('', 'bbbb'), message('', 'cccc')]);
    await running.pop()?.stop();
    const data = join(again, 'flows', `${'0'.repeat(15)}.native`);
    writeFileSync(data, 'aaaabbXbcccc');
    const stream = await start(again);
    const seen: string[] = [];
    await stream.subscribe({
      streams: ['flows'],
      group: 'g',
      unit: 'segment',
      onDelivery: async ({ file, messages }) => {
        seen.push(
          ...(file === undefined ? messages.map(({ value }) => Buffer.from(value).toString()) : [file]),
        );
      },
    });
    await expect.poll(() => seen).toEqual(['aaaa', 'cccc']);
    expect(stream.damages?.()[0]).toMatch(/1 message\(s\) are damaged or gone/);
  });

  it('is reported when its directory was removed since the last run', async () => {
    const directory = join(root, 'gone');
    const first = await start(directory);
    await first.publish('incidents', [message(...VALUES[0])]);
    const subscription = await first.subscribe({
      streams: ['incidents'],
      group: 'g',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    await subscription.commit('incidents', 0, 0);
    await running.pop()?.stop();
    rmSync(join(directory, 'incidents'), { recursive: true });
    expect(await verifyStreams(directory)).toEqual([expect.stringMatching(/incidents is missing/)]);
    expect((await start(directory)).damages?.()).toEqual([
      expect.stringMatching(/incidents was removed since the last run/),
    ]);
  });

  it('is reported when it is removed under a running stream, which goes on in a new one', async () => {
    const directory = join(root, 'live');
    const stream = await start(directory);
    await stream.publish('incidents', [message(...VALUES[0]), message(...VALUES[1])]);
    rmSync(directory, { recursive: true });
    await expect
      .poll(() => stream.damages?.().join(), { timeout: 5000 })
      .toMatch(/removed while it runs, with 2 message/);
    await stream.publish('incidents', [message(...VALUES[2])]);
    expect(readdirSync(join(directory, 'incidents'))).toHaveLength(2);
    const seen: number[] = [];
    const subscription = await stream.subscribe({
      streams: ['incidents'],
      group: 'g',
      unit: 'message',
      onDelivery: async ({ lastOffset }) => {
        await subscription.commit('incidents', 0, lastOffset);
        seen.push(lastOffset);
      },
    });
    await expect.poll(() => seen.length, { timeout: 5000 }).toBeGreaterThan(0);
    expect(stream.counters.damaged.incidents).toBe(2);
    // Nothing lay in this one.
    rmSync(join(directory, 'mail'), { recursive: true });
    await expect.poll(() => stream.damages?.().join(), { timeout: 5000 }).toMatch(/stream mail were removed/);
    expect(await stream.publish('mail', [message('', 'x')])).toEqual({ accepted: 1, dropped: 0 });
  });
});
