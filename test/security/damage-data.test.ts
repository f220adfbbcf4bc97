/** What `check --data`, the damage report and readiness say of a data directory that is damaged. */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkCommand } from '../../src/cli/check.ts';
import { createSequenceFile } from '../../src/collect/sequence-file.ts';
import { loadTemplates, saveTemplates } from '../../src/collect/template-file.ts';
import { copyText, parseList } from '../../src/config/lists.ts';
import { loadConfig } from '../../src/config/load.ts';
import { checkedText, withChecksum } from '../../src/files/checked-text.ts';
import { createLogger } from '../../src/logger.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { createListMemory } from '../../src/publish/list-state.ts';
import { createDamageReport } from '../../src/service/damage-report.ts';
import { createHealth } from '../../src/service/health.ts';
import { createSteadyClock } from '../../src/steady-clock.ts';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import { collected } from '../support/collected.ts';

let root: string;
let data: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rogue-smtp-data-'));
  data = join(root, 'data');
  mkdirSync(data);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const log = createLogger('silent');
const KEY = '|192.0.2.55';

/** As a run leaves it, but for a store. */
async function leave(): Promise<void> {
  const stream = createLocalStream({
    directory: join(data, 'stream'),
    maxBytesPerStream: 1 << 24,
    now: () => 0,
    log,
  });
  await stream.start();
  await stream.publish('incidents', [
    { key: KEY, id: 'a', value: Buffer.from('{"host":"192.0.2.55"}'), rows: 1 },
  ]);
  const group = await stream.subscribe({
    streams: ['alerts'],
    group: 'g',
    unit: 'message',
    onDelivery: async () => undefined,
  });
  await group.stop();
  await stream.stop();
  const memory = createListMemory(() => data);
  await memory.open();
  await memory.change({
    admissions: { admitted: { [KEY]: { listed_at: null, time_to_block_ms: null } }, held: {} },
  });
  await saveTemplates(join(data, 'templates.json'), { templates: [1, 2, 3] });
  const sequences = createSequenceFile(join(data, 'sequences.ndjson'), () => undefined);
  await sequences.open(0);
  sequences.keep([
    {
      address: new Uint8Array(16).fill(1),
      port: 0,
      version: 'v5',
      domain: 7,
      lastSeenMs: 5,
      lost: 0,
      marks: [{ counting: 'flows', next: 30, exportMs: 0, uptimeMs: null }],
    },
  ]);
  await sequences.close();
  writeFileSync(join(data, 'audit.ndjson'), '{"at":"x"}\n');
  const clock = createSteadyClock({ directory: data, log, onStep: () => undefined });
  clock.start();
  await clock.stop();
  const report = reportOf([]);
  report.start();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await report.stop();
}

function reportOf(damages: readonly string[], told: Alert[] = []) {
  return createDamageReport({
    directory: data,
    parts: ['stream'],
    damages: () => damages,
    gaps: () => [],
    log,
    now: Date.now,
    tell: (alert) => void told.push(alert),
    policyVersion: () => 'v',
  });
}

async function check(): Promise<{ readonly code: number; readonly text: string }> {
  const file = join(root, 'c.yaml');
  writeFileSync(file, `data: ${data}\nhttp: { listen: "127.0.0.1:1" }\n`);
  const stdout = collected();
  const code = await checkCommand(loadConfig({ file }), { stdout: stdout.stream }, { data: true });
  return { code, text: stdout.text() };
}

function flip(file: string, at: number, bit = 1): void {
  const bytes = readFileSync(join(data, file));
  bytes[at] ^= bit;
  writeFileSync(join(data, file), bytes);
}

describe('check --data', () => {
  it('finds nothing in what a run left, and changes nothing', async () => {
    await leave();
    const { code, text } = await check();
    expect([code, text]).toEqual([0, expect.not.stringContaining('FAIL')]);
    expect(text).toMatch(/^ok {4}stream$/m);
  });

  it.each([
    ['lists.json', 30, /state of the lists: .*lists\.json is damaged/],
    ['templates.json', 16, /templates: .*checksum/],
    ['sequences.ndjson', 20, /sequences: .*1 line/],
    ['audit.ndjson', 0, /audit log: .*1 line/],
    ['clock.json', 3, /clock\.json is damaged/],
    ['parts.json', 3, /parts\.json is damaged/],
    ['stream/groups/g.json', 11, /positions of a group are damaged/],
    [`stream/incidents/${'0'.repeat(15)}.ndjson`, 10, /stream: .*1 message\(s\) are damaged or gone/],
    [`stream/incidents/${'0'.repeat(15)}.index`, 48, /stream: .*1 message\(s\) are damaged or gone/],
  ])('names a flipped bit in %s, and exits with 1, again and again', async (file, at, words) => {
    await leave();
    flip(file, at);
    for (let i = 0; i < 2; i++) {
      const { code, text } = await check();
      expect([code, text]).toEqual([1, expect.stringMatching(words)]);
    }
  });

  it('names listed hosts whose incident is gone, and directories that were removed', async () => {
    await leave();
    rmSync(join(data, 'stream', 'incidents'), { recursive: true });
    expect((await check()).text).toMatch(/incidents is missing\n(.*\n)*.*192\.0\.2\.55/);
    rmSync(join(data, 'stream'), { recursive: true });
    const { code, text } = await check();
    expect(code).toBe(1);
    expect(text).toMatch(/FAIL {2}directories: .*stream was removed/);
    expect(text).toMatch(
      /FAIL {2}state of the lists: 1 host\(s\) in the lists have no incident any more \(192\.0\.2\.55\)/,
    );
  });

  it('says so where there is no data, or another process works on it', async () => {
    await leave();
    const stream = createLocalStream({
      directory: join(data, 'stream'),
      maxBytesPerStream: 1 << 24,
      now: () => 0,
      log,
    });
    await stream.start();
    expect(await check()).toMatchObject({
      code: 1,
      text: expect.stringMatching(/stream: .*in use by process/),
    });
    await stream.stop();
    rmSync(data, { recursive: true });
    expect(await check()).toMatchObject({ code: 1, text: expect.stringContaining('it is not there') });
  });
});

describe('the report of damage', () => {
  it('tells what parts find, once, as alerts and for an hour to readiness', async () => {
    const told: Alert[] = [];
    const damages = ['a segment is damaged'];
    const report = reportOf(damages, told);
    report.start();
    report.note('a template is damaged');
    await expect.poll(() => told.length, { timeout: 5000 }).toBe(2);
    damages.push('another one');
    await expect.poll(() => told.length, { timeout: 5000 }).toBe(3);
    expect(told.map(({ kind, coverage }) => [kind, coverage?.cause])).toEqual(
      Array(3).fill(['coverage', 'data_damaged']),
    );
    expect(report.troubles()).toEqual(['a template is damaged', 'a segment is damaged', 'another one']);
    await report.stop();
  });

  it('tells of a directory that is removed while it is used, and at the next start', async () => {
    await leave();
    const told: Alert[] = [];
    const report = reportOf([], told);
    report.start();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    rmSync(join(data, 'stream'), { recursive: true });
    await expect.poll(() => told.length, { timeout: 5000 }).toBe(1);
    expect(report.troubles().join()).toMatch(/stream is missing/);
    await report.stop();
    const again = reportOf([], told);
    again.start();
    expect(again.troubles().join()).toMatch(/stream was removed since the last run/);
    await again.stop();
  });
});

describe('readiness', () => {
  const healthOf = (ask: (() => Promise<unknown>) | null, storeLimitMs = 300) =>
    createHealth({ parts: [() => []], askStore: () => ask, storeLimitMs, dataDirectory: root });

  it('says what a store says that fails, and when one hangs, within seconds', async () => {
    expect(await healthOf(null).troubles()).toEqual([]);
    expect(await healthOf(async () => 1).troubles()).toEqual([]);
    expect(await healthOf(() => Promise.reject(new Error('refused'))).troubles()).toEqual(['refused']);
    let answer: (value: unknown) => void = () => undefined;
    let asked = 0;
    const health = healthOf(() => {
      asked++;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    const begun = performance.now();
    for (let i = 0; i < 3; i++)
      expect(await health.troubles()).toEqual([expect.stringMatching(/the store does not answer for \d+ s/)]);
    expect(performance.now() - begun).toBeLessThan(3000);
    // One question at a time, however often readiness is asked for.
    expect(asked).toBe(1);
    answer(1);
    await expect.poll(() => health.troubles()).toEqual([]);
  });

  it('names a data directory that cannot be looked at', async () => {
    const health = createHealth({
      parts: [() => ['the collector']],
      askStore: () => null,
      storeLimitMs: 100,
      dataDirectory: join(root, 'nowhere'),
    });
    expect(await health.troubles()).toEqual(['the collector', expect.stringContaining('ENOENT')]);
  });
});

describe('files with a checksum', () => {
  it('never give another text than was written, whichever bit is flipped', async () => {
    const file = join(data, 'templates.json');
    await saveTemplates(file, { a: 'b'.repeat(40), list: [1, 2, { c: null }] });
    const good = readFileSync(file);
    const before = await loadTemplates(file);
    for (let bit = 0; bit < 8 * good.length; bit++) {
      copyFileSync(file, `${file}.bad`);
      flip('templates.json.bad', bit >> 3, 1 << (bit & 7));
      const loaded = await loadTemplates(`${file}.bad`);
      // A bit in the name of the checksum leaves an object with a member more, as of a newer version.
      if (loaded.kind === 'snapshot')
        expect(loaded.snapshot).toMatchObject((before as typeof loaded).snapshot as object);
    }
  });

  it('keep an empty object and text of earlier versions', () => {
    expect(checkedText(withChecksum('{}'))).toBe('{}');
    expect(checkedText('{"a":1}')).toBe('{"a":1}');
    expect(checkedText(withChecksum('{"a":1}').replace('1', '2'))).toBeNull();
  });

  it('are fetched lists, too: a damaged copy is missing, never another list', () => {
    const text = copyText(parseList('', '192.0.2.1\n192.0.2.64/26\n'), { etag: null, lastModified: null });
    const config = join(root, 'lists.yaml');
    writeFileSync(config, `data: ${data}\nlists: [{ name: p, url: "https://p.example/x" }]\n`);
    const [{ file }] = loadConfig({ file: config }).lists;
    mkdirSync(join(data, 'lists'));
    writeFileSync(file, text);
    expect(loadConfig({ file: config }).lists[0]).toMatchObject({ missing: false, prefixes: [{}, {}] });
    writeFileSync(file, text.replace('192.0.2.1', '192.0.2.3'));
    expect(loadConfig({ file: config }).lists[0]).toMatchObject({ missing: true, prefixes: [] });
  });
});
