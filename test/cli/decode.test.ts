import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCommand } from '../../src/cli/decode.ts';
import { parseFlowFilter } from '../../src/flow/flow-filter.ts';
import { ethernet, pcap, udp4 } from '../support/capture-builder.ts';
import { collected } from '../support/collected.ts';
import {
  type Field,
  set,
  TUPLE,
  template,
  tuple,
  u32,
  v5,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import { haveVectors, readVectors } from '../support/vectors.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-decode-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let files = 0;
async function captureOf(...datagrams: readonly Buffer[]): Promise<string> {
  const path = join(directory, `${files++}.pcap`);
  await writeFile(path, pcap(datagrams.map((payload) => ({ bytes: ethernet(udp4({ payload })) }))));
  return path;
}

function collect() {
  const { stream, text } = collected();
  return {
    stream,
    text,
    records: () =>
      text()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

async function decode(paths: readonly string[], flags: Parameters<typeof decodeCommand>[1] = {}) {
  const stdout = collect();
  const stderr = collect();
  let error: unknown = null;
  try {
    await decodeCommand(paths, flags, { stdout: stdout.stream, stderr: stderr.stream });
  } catch (thrown) {
    error = thrown;
  }
  return { records: stdout.records(), summary: stderr.text(), error };
}

test('each flow record is one object a line, and the summary counts them', async () => {
  const path = await captureOf(v5([{}, { dstPort: 443 }]), Buffer.from('no export'));
  const { records, summary } = await decode([path]);
  expect(records.map((record) => [record.version, record.exporter, record.dst_port])).toEqual([
    ['v5', '192.0.2.1', 25],
    ['v5', '192.0.2.1', 443],
  ]);
  expect(summary).toContain('2 packets: 2 datagrams');
  expect(summary).toContain('2 flows: v5 2');
  expect(summary).toContain('not_an_export 1');
});

test('a filter chooses what is printed, not what is counted', async () => {
  const path = await captureOf(v5([{}, { dstPort: 443 }]));
  const parsed = parseFlowFilter('dst port 443');
  if (!parsed.ok) throw new Error(parsed.reason);
  const { records, summary, error } = await decode([path], { filter: parsed.filter });
  expect(records.map((record) => record.dst_port)).toEqual([443]);
  expect(summary).toContain('2 flows: v5 2');
  expect(error).toBeNull();
});

test('CSV has a line of names and then one a record', async () => {
  const path = await captureOf(v5([{}, { dstPort: 443 }]));
  const stdout = collect();
  await decodeCommand([path], { format: 'csv' }, { stdout: stdout.stream, stderr: collect().stream });
  const [names, ...lines] = stdout.text().trimEnd().split('\n');
  const at = names.split(',').indexOf('dst_port');
  expect(lines.map((line) => line.split(',')[at])).toEqual(['25', '443']);
  expect((await decode([path], { format: 'csv', options: true })).error).toMatchObject({ code: 'usage' });
});

const SAMPLER: readonly Field[] = [[34, 4]];

test('options records are printed only when asked for', async () => {
  const path = await captureOf(
    v9([set(1, v9OptionsTemplate(400, [[1, 4]], SAMPLER)), set(400, u32(0, 1000))]),
    v5([{}]),
  );
  expect((await decode([path])).records).toHaveLength(1);
  const { records, summary } = await decode([path], { options: true });
  expect(records).toHaveLength(2);
  expect(records[0]).toMatchObject({ kind: 'options', version: 'v9', template: 400 });
  expect(summary).toContain('1 options records');
});

test('templates of one file serve the next', async () => {
  const first = await captureOf(v9([set(0, template(300, TUPLE))]));
  const second = await captureOf(v9([set(300, tuple())], { sequence: 1 }));
  expect((await decode([first, second])).records).toHaveLength(1);
  const alone = await decode([second]);
  expect(alone.records).toHaveLength(0);
  expect(alone.summary).toContain('no_template 1');
});

test('a file that breaks off badly gives what came before, the summary and the error', async () => {
  const path = await captureOf(v5([{}]));
  const broken = join(directory, 'broken.pcap');
  await writeFile(
    broken,
    Buffer.concat([pcap([{ bytes: ethernet(udp4({ payload: v5([{}]) })) }]), Buffer.alloc(40, 0xff)]),
  );
  const { records, summary, error } = await decode([path, broken]);
  expect(records).toHaveLength(2);
  expect(summary).toContain('2 flows');
  expect(error).toMatchObject({ code: 'io', message: expect.stringContaining(broken) });
});

describe('output', () => {
  const many = Array.from({ length: 2000 }, () => v5(Array.from({ length: 30 }, () => ({}))));

  test('waits for whoever reads slowly', async () => {
    const path = await captureOf(...many);
    let waiting = 0;
    let most = 0;
    let lines = 0;
    const slow = new Writable({
      highWaterMark: 1024,
      write(chunk, _encoding, done) {
        lines += String(chunk).split('\n').length - 1;
        setTimeout(done, 1);
      },
    });
    const { write } = slow;
    slow.write = ((chunk: string) => {
      waiting = slow.writableLength;
      most = Math.max(most, waiting);
      return write.call(slow, chunk, 'utf8');
    }) as typeof slow.write;
    await decodeCommand([path], {}, { stdout: slow, stderr: collect().stream });
    await new Promise<void>((resolve) => slow.end(resolve));
    expect(lines).toBe(60_000);
    expect(most).toBeLessThan(300_000);
  });

  test('ends quietly when nobody reads any more', async () => {
    const path = await captureOf(...many);
    let writes = 0;
    const closed = new Writable({
      write(_chunk, _encoding, done) {
        writes++;
        done(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
      },
    });
    await decodeCommand([path], {}, { stdout: closed, stderr: collect().stream });
    expect(writes).toBe(1);
  });

  test('that fails otherwise is an error', async () => {
    const path = await captureOf(...many);
    const full = new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
      },
    });
    await expect(decodeCommand([path], {}, { stdout: full, stderr: collect().stream })).rejects.toThrow(
      'no space',
    );
  });
});

describe.skipIf(!haveVectors)('captures of real devices (skipped without the shared vectors)', () => {
  /** Why more records than the list tells: buffered data, biflows as two records, variable length in v9. */
  const MORE: Readonly<Record<string, number>> = {
    'bitkeks/v9-data-before-template-same-packet': 8,
    'bitkeks/v9-data-before-template-then-more': 44,
    'logstash/ipfix-netscaler-with-variable-length-fields-2': 6,
    'logstash/ipfix-yaf-basic-with-applabel': 4,
    'logstash/netflow-9-cisco-asa-2': 34,
    'logstash/netflow-9-h3c-netstream-with-varstring': 1,
    'telegraf/ipfix_example': 56,
  };

  test('give the number of flow and options records that their list tells', async () => {
    const vectors = readVectors();
    expect(vectors.length).toBeGreaterThan(60);
    for (const vector of vectors) {
      const { records, error } = await decode([vector.path], { options: true });
      // Only what gives nothing at all is an error: data whose templates are missing.
      if (records.length > 0) expect(error).toBeNull();
      const options = records.filter((record) => record.kind === 'options').length;
      expect([vector.name, records.length - options, options]).toEqual([
        vector.name,
        MORE[vector.name] ?? vector.data,
        vector.options,
      ]);
    }
  });
});
