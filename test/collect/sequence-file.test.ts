import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSequenceFile } from '../../src/collect/sequence-file.ts';
import type { SequenceMark } from '../../src/decode/types.ts';
import { parseAddress } from '../../src/flow/address.ts';

const NOW = 1_767_225_600_000;
let directory = '';
let path = '';
const failures: string[] = [];
const file = () => createSequenceFile(path, (reason) => failures.push(reason));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-sequences-'));
  path = join(directory, 'sequences.ndjson');
  failures.length = 0;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function mark(exporter: string, next: number, more: Partial<SequenceMark> = {}): SequenceMark {
  const address = parseAddress(exporter);
  if (address === null) throw new Error(exporter);
  return {
    address,
    port: 0,
    version: 'v5',
    domain: 7,
    lastSeenMs: NOW,
    lost: 3,
    marks: [{ counting: 'flows', next, exportMs: NOW - 5, uptimeMs: 1000 }],
    ...more,
  };
}

async function written(...batches: readonly (readonly SequenceMark[])[]): Promise<void> {
  const writing = file();
  await writing.open(NOW);
  for (const batch of batches) writing.keep(batch);
  await writing.close();
}

describe('the file of sequences', () => {
  test('is not needed: without it nothing is known', async () => {
    expect(await file().open(NOW)).toEqual([]);
    expect(failures).toEqual([]);
  });

  test('gives back the newest mark of each exporter, version and domain', async () => {
    const other = mark('2001:db8::1', 4_294_967_295, {
      version: 'ipfix',
      marks: [
        { counting: 'records', next: null, exportMs: 0, uptimeMs: null },
        { counting: 'datagrams', next: 9, exportMs: 0, uptimeMs: null },
      ],
    });
    await written([mark('192.0.2.1', 30), other], [mark('192.0.2.1', 60)]);
    const marks = await file().open(NOW);
    expect(marks).toEqual([mark('192.0.2.1', 60), other]);
  });

  test('keeps agents behind one address apart, and rates', async () => {
    const marks = ['192.0.2.11', '2001:db8::12'].map((agent, i) =>
      mark('192.0.2.1', 30 + i, {
        version: 'sflow',
        agent: parseAddress(agent) ?? undefined,
        marks: [{ counting: 'datagrams', next: i, exportMs: 0, uptimeMs: 5, receivedMs: NOW, perSecond: 70 }],
      }),
    );
    await written(marks);
    expect(await file().open(NOW)).toEqual(marks);
  });

  test('goes on behind a line that was cut off, and passes over what is no mark', async () => {
    await written([mark('192.0.2.1', 30)]);
    await appendFile(path, '{"exporter":"x"}\n[]\n\u0000\n{"exporter":"192.0.2.1","por');
    const again = file();
    expect(await again.open(NOW)).toEqual([mark('192.0.2.1', 30)]);
    again.keep([mark('192.0.2.1', 90)]);
    await again.close();
    expect(await file().open(NOW)).toEqual([mark('192.0.2.1', 90)]);
    expect(failures).toEqual([]);
  });

  test('forgets who was silent for more than a day', async () => {
    await written([mark('192.0.2.1', 30)]);
    expect(await file().open(NOW + 86_400_001)).toEqual([]);
  });

  test('does not grow with time', async () => {
    const writing = file();
    await writing.open(NOW);
    for (let i = 0; i < 200; i++) {
      writing.keep(Array.from({ length: 100 }, (_, e) => mark(`192.0.2.${e}`, i)));
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await writing.close();
    expect((await stat(path)).size).toBeLessThan(2 << 20);
    const marks = await file().open(NOW);
    expect(marks).toHaveLength(100);
    expect(new Set(marks.map(({ marks: [{ next }] }) => next))).toEqual(new Set([199]));
  });

  test('that cannot be read or written is told once and costs nothing else', async () => {
    path = join(directory, 'missing', 'sequences.ndjson');
    const writing = file();
    expect(await writing.open(NOW)).toEqual([]);
    writing.keep([mark('192.0.2.1', 30)]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    writing.keep([mark('192.0.2.1', 60)]);
    await writing.close();
    expect(failures).toHaveLength(1);
  });

  test('of something else is replaced', async () => {
    await writeFile(path, 'not ours');
    await written([mark('192.0.2.1', 30)]);
    expect(await readFile(path, 'utf8')).not.toContain('not ours');
  });
});
