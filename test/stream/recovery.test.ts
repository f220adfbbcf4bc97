import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { StreamName } from '../../src/stream/stream.ts';
import {
  collector,
  eventually,
  keptLog,
  message,
  published,
  startStream,
  temporaryDirectory,
} from './support.ts';

type Started = Awaited<ReturnType<typeof startStream>>;

/** Everything that a new group finds. */
async function everything(stream: Started, name: StreamName = 'mail'): Promise<string[]> {
  const seen = collector();
  const subscription = await stream.subscribe({
    streams: [name],
    group: 'reader',
    unit: 'message',
    onDelivery: async (delivery) => {
      await seen.onDelivery(delivery);
      await subscription.commit(name, 0, delivery.lastOffset);
    },
  });
  await eventually(() => subscription.lag() === 0);
  await subscription.stop();
  return seen.texts();
}

async function prepared(texts: readonly string[]) {
  const directory = await temporaryDirectory();
  const stream = await startStream({ directory });
  await published(stream, 'mail', texts);
  await stream.stop();
  const files = (await readdir(join(directory, 'mail'))).map((name) => join(directory, 'mail', name));
  const ending = (end: string) => files.find((file) => file.endsWith(end)) ?? '';
  return { directory, data: ending('.native'), index: ending('.index') };
}

async function restarted(directory: string) {
  const log = keptLog();
  return { log, stream: await startStream({ directory, log }) };
}

describe('after a kill', () => {
  it('cuts data that no index line tells of', async () => {
    const { directory, data } = await prepared(['aa', 'bb']);
    await appendFile(data, 'torn');
    const { stream, log } = await restarted(directory);
    expect(await readFile(data, 'utf8')).toBe('aabb');
    expect(log.lines.some(({ message: text }) => text.includes('torn tail'))).toBe(true);
    expect(await everything(stream)).toEqual(['aa', 'bb']);
  });

  it('cuts an index line that is not whole, together with its data', async () => {
    const { directory, data, index } = await prepared(['aa', 'bb', 'cc']);
    await truncate(index, (await stat(index)).size - 3);
    const { stream } = await restarted(directory);
    expect(await readFile(data, 'utf8')).toBe('aabb');
    await stream.publish('mail', [message('dd')]);
    expect(await everything(stream)).toEqual(['aa', 'bb', 'dd']);
  });

  it('does not believe an index line whose data a power cut took', async () => {
    const { directory, data } = await prepared(['aa', 'bb', 'cc']);
    await truncate(data, 5);
    const { stream } = await restarted(directory);
    expect(await everything(stream)).toEqual(['aa', 'bb']);
  });

  it('does not believe data that a power cut left as zeros', async () => {
    const { directory, data } = await prepared(['aa', 'bb', 'cc']);
    await truncate(data, 4);
    await truncate(data, 6);
    const { stream } = await restarted(directory);
    expect(await everything(stream)).toEqual(['aa', 'bb']);
  });

  it('carries a removal through that was under way, whichever file was gone', async () => {
    for (const gone of [false, true]) {
      const { directory, data, index } = await prepared(['aa']);
      await writeFile(index.replace('.index', '.index.old'), await readFile(index));
      await rm(index);
      if (gone) await rm(data);
      const { stream } = await restarted(directory);
      expect(await readdir(join(directory, 'mail'))).toEqual([]);
      expect(await everything(stream)).toEqual([]);
    }
  });

  it('throws away a compaction that was not finished, and the sources of one that was', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    await first.publish('incidents', [message('old', { key: 'a' }), message('new', { key: 'a' })]);
    await first.stop();
    const folder = join(directory, 'incidents');
    const [data, index] = ['ndjson', 'index'].map((end) => join(folder, `${'0'.repeat(15)}.${end}`));
    const compacted = join(folder, `${'0'.repeat(15)}-${'1'.padStart(15, '0')}.1`);
    const line = (await readFile(index, 'utf8')).split('\n')[1];
    // As of a version without checksums of lines.
    const entry = { ...JSON.parse(line), at: 0, messages: 1, sum: 1, check: undefined };

    await writeFile(`${compacted}.ndjson`, 'new\n');
    await writeFile(`${compacted}.index.new`, `${JSON.stringify(entry)}\n`);
    const second = await restarted(directory);
    expect((await readdir(folder)).sort()).toEqual(
      [index, data].map((file) => file.slice(folder.length + 1)).sort(),
    );
    expect(await everything(second.stream, 'incidents')).toEqual(['old', 'new']);
    await second.stream.stop();

    await writeFile(`${compacted}.ndjson`, 'new\n');
    await writeFile(`${compacted}.index`, `${JSON.stringify(entry)}\n`);
    const third = await restarted(directory);
    expect((await readdir(folder)).every((name) => join(folder, name).startsWith(compacted))).toBe(true);
    const latest: string[] = [];
    for await (const { value } of third.stream.latest('incidents', [0]))
      latest.push(Buffer.from(value).toString());
    expect(latest).toEqual(['new']);
  });
});

describe('damage', () => {
  it('of one value costs that message only, and is counted', async () => {
    const { directory, data } = await prepared(['aa', 'bb', 'cc']);
    await writeFile(data, 'aaXXcc');
    const { stream } = await restarted(directory);
    expect(await everything(stream)).toEqual(['aa', 'cc']);
    expect(stream.counters.damaged.mail).toBe(1);
  });

  it('of one index line costs that message only', async () => {
    const { directory, index } = await prepared(['aa', 'bb', 'cc']);
    const lines = (await readFile(index, 'utf8')).split('\n');
    lines[1] = lines[1].replace('{', '#');
    await writeFile(index, lines.join('\n'));
    const { stream } = await restarted(directory);
    expect(await everything(stream)).toEqual(['aa', 'cc']);
    expect(stream.counters.damaged.mail).toBe(1);
  });

  it('of a whole index leaves an empty stream that works, and does not use the offsets again', async () => {
    const { directory, index } = await prepared(['aa', 'bb']);
    await writeFile(index, Buffer.alloc(10_000, 0xff));
    const { stream } = await restarted(directory);
    await stream.publish('mail', [message('cc')]);
    expect(await everything(stream)).toEqual(['cc']);
  });

  it('that took the index away sets the data aside and says so', async () => {
    const { directory, index, data } = await prepared(['aa', 'bb']);
    await rm(index);
    const { stream, log } = await restarted(directory);
    expect(await readFile(`${data}.damaged`, 'utf8')).toBe('aabb');
    expect(log.lines.some(({ level }) => level === 'error')).toBe(true);
    expect(await everything(stream)).toEqual([]);
  });

  it.each(['message', 'segment'] as const)(
    'of a file that is removed under a running stream does not stop a consumer by %s',
    async (unit) => {
      const directory = await temporaryDirectory();
      const stream = await startStream({ directory, streams: { mail: { sealMessages: 1 } } });
      await published(stream, 'mail', ['aa', 'bb', 'cc']);
      await rm(join(directory, 'mail', `${'1'.padStart(15, '0')}.native`));
      const seen: number[] = [];
      await stream.subscribe({
        streams: ['mail'],
        group: 'g',
        unit,
        onDelivery: async ({ firstOffset }) => void seen.push(firstOffset),
      });
      await eventually(() => seen.includes(2));
      expect(seen).toEqual([0, 2]);
      expect(stream.counters.damaged.mail).toBe(1);
    },
  );

  it('of a positions file makes its group begin at the oldest message, which is kept until then', async () => {
    const directory = await temporaryDirectory();
    const first = await startStream({ directory });
    await published(first, 'mail', ['aa', 'bb']);
    for (const group of ['damaged', 'fine']) {
      const subscription = await first.subscribe({
        streams: ['mail'],
        group,
        unit: 'message',
        onDelivery: async () => undefined,
      });
      await subscription.commit('mail', 0, group === 'fine' ? 1 : 0);
    }
    await first.stop();
    await writeFile(join(directory, 'groups', 'damaged.json'), '{"mail":');
    const { stream, log } = await restarted(directory);
    expect(log.lines.some(({ level }) => level === 'error')).toBe(true);
    const seen = collector();
    await stream.subscribe({
      streams: ['mail'],
      group: 'damaged',
      unit: 'message',
      onDelivery: seen.onDelivery,
    });
    await seen.until(() => seen.messages.length === 2);
    expect(seen.texts()).toEqual(['aa', 'bb']);
    expect(await readdir(join(directory, 'groups'))).toContain('damaged.json.damaged');
  });

  it('is not seen in files that are not ours: they are left alone and named', async () => {
    const { directory } = await prepared(['aa']);
    const alien = join(directory, 'mail', 'notes.txt');
    await writeFile(alien, 'keep me');
    await mkdir(join(directory, 'mail', '000000000000099.native'));
    await writeFile(join(directory, 'groups', 'README'), 'not a group');
    const { stream, log } = await restarted(directory);
    expect(await everything(stream)).toEqual(['aa']);
    expect(await readFile(alien, 'utf8')).toBe('keep me');
    expect(JSON.stringify(log.lines)).toContain('notes.txt');
  });
});

const mayMount = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0;

describe.skipIf(!mayMount)('a full disk (needs root for a small tmpfs)', () => {
  async function smallDisk(megabytes: number): Promise<string> {
    const directory = await temporaryDirectory();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory]);
    if (mounted.status !== 0) throw new Error(mounted.stderr.toString());
    onTestFinished(() => void spawnSync('umount', ['-l', directory]));
    return directory;
  }

  it('drops and counts, says it once, keeps what was accepted, and goes on when there is room again', async () => {
    const directory = await smallDisk(2);
    const log = keptLog();
    const stream = await startStream({ directory, log });
    const value = 'v'.repeat(100_000);
    let accepted = 0;
    let dropped = 0;
    for (let i = 0; i < 40; i++) {
      const outcome = await stream.publish('mail', [message(`${i}:${value}`, { rows: 5 })]);
      accepted += outcome.accepted;
      dropped += outcome.dropped;
    }
    expect(accepted + dropped).toBe(200);
    expect(accepted).toBeGreaterThan(50);
    expect(stream.counters.dropped.mail).toBe(dropped);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    const texts: string[] = [];
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'reader',
      unit: 'message',
      async onDelivery({ messages, lastOffset }) {
        texts.push(...messages.map(({ value: bytes }) => Buffer.from(bytes).toString()));
        await subscription.commit('mail', 0, lastOffset);
      },
    });
    await eventually(() => subscription.lag() === 0);
    expect(texts.map((text) => Number.parseInt(text, 10))).toEqual([...Array(accepted / 5).keys()]);
    await eventually(async () => (await stream.publish('mail', [message('again')])).accepted === 1);
    expect(log.lines.some(({ message: text }) => text.includes('again'))).toBe(true);
  });

  it('still lets a consumer commit in the end: what it has committed makes the room', async () => {
    const directory = await smallDisk(2);
    const stream = await startStream({ directory, streams: { mail: { sealMessages: 4 } } });
    const value = 'v'.repeat(50_000);
    let done = -1;
    const subscription = await stream.subscribe({
      streams: ['mail'],
      group: 'g',
      unit: 'message',
      async onDelivery({ lastOffset }) {
        done = lastOffset;
      },
    });
    let accepted = 0;
    for (let i = 0; i < 60; i++) accepted += (await stream.publish('mail', [message(value)])).accepted;
    spawnSync('dd', ['if=/dev/zero', `of=${join(directory, 'ballast')}`, 'bs=1k']);
    await expect(writeFile(join(directory, 'one-more'), 'x')).rejects.toMatchObject({ code: 'ENOSPC' });
    await eventually(() => done === accepted - 1);
    const last = done;
    await expect(subscription.commit('mail', 0, last)).rejects.toMatchObject({ code: 'io', transient: true });
    await eventually(async () => (await stream.publish('mail', [message('again')])).accepted === 1);
    await subscription.commit('mail', 0, last);
    expect(JSON.parse(await readFile(join(directory, 'groups', 'g.json'), 'utf8'))).toMatchObject({
      mail: last,
    });
  });
});
