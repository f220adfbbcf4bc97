/** What `status`, `exporters` and `top` make of the answers of an instance. */

import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { hiddenByExporters } from '../../src/cli/check.ts';
import { exporterLines, exportersCommand, exportersTable } from '../../src/cli/exporters.ts';
import { describeStatus, statusCommand, statusReport } from '../../src/cli/status.ts';
import { topCommand, topLines } from '../../src/cli/top.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { ExporterRow } from '../../src/store/queries.ts';
import { COLLECTION_AT, collectionOf, liveExporter, statusOf } from '../support/collection.ts';
import { EMPTY_MODEL, startHttpServer, stopHttpServers } from '../support/http-server.ts';

afterEach(stopHttpServers);

const NOW_MS = Date.parse(COLLECTION_AT);
const WELL = { flows: 10, ignored: {}, strangers: [] };

const STORED: ExporterRow = {
  exporter: '192.0.2.9',
  domain: 4,
  version: 'v9',
  first_seen: '2026-02-01 00:00:00.000',
  last_seen: '2026-02-02 00:00:00.000',
  flows_stored: 1,
  flows: 70,
  datagrams: 7,
  sequence_lost: 2,
  sequence_reordered: 0,
  sequence_resets: 0,
  sampling_rates: [1000],
  clock_skew_ms: null,
  unread: 3,
  unread_reasons: ['no_ports'],
  out_counters: null,
};

/** An instance that answers with this status, as a command finds it by --url. */
async function instanceWith(status = statusOf(collectionOf())): Promise<LoadedConfig> {
  const url = await startHttpServer(undefined, {
    model: { ...EMPTY_MODEL, status: async () => status, exporters: async () => [STORED] },
  });
  const loaded: LoadedConfig = {
    config: configSchema.parse({}),
    file: null,
    text: null,
    lists: [],
    warnings: [],
    placeOf: () => '',
    again: () => loaded,
    instance: { url },
  };
  return loaded;
}

function output() {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk) => {
    text += String(chunk);
  });
  return { stream, text: () => text };
}

describe('status', () => {
  it('is working where flows come in and nothing is wrong', () => {
    const report = statusReport(statusOf(collectionOf()), null, WELL, null);
    expect(report).toMatchObject({ state: 'working', troubles: [], blocks: null });
    expect(describeStatus(report)[0]).toMatch(/^state +working$/);
  });

  it('is trouble where the instance is not ready, decodes nothing, or can judge nothing', () => {
    const state = (...given: Parameters<typeof statusReport>) => statusReport(...given).state;
    const fine = statusOf(collectionOf());
    expect(state(fine, 'not ready: the store', WELL, null)).toBe('trouble');
    expect(state(statusOf(collectionOf({ exporters: [] }), { flows: 0 }), null, WELL, null)).toBe('trouble');
    expect(state(fine, null, { flows: 4, ignored: { foreign: 4 }, strangers: [] }, null)).toBe('trouble');
    const broken = statusOf(collectionOf(), { policy: { ...fine.policy, error: 'rogue-smtp.yaml:3: no' } });
    const report = statusReport(broken, null, WELL, null);
    expect(report.state).toBe('trouble');
    expect(report.troubles[0]).toContain('rogue-smtp.yaml:3: no');
  });

  it('is idle within the first minute, and where flows have come before', () => {
    const collection = collectionOf({ flows_per_second: 0 });
    expect(statusReport(statusOf(collection), null, WELL, null).state).toBe('idle');
    const fresh = statusOf(collection, { flows: 0, started_at: '2026-03-01T09:59:50.000Z' });
    expect(statusReport(fresh, null, WELL, null).state).toBe('idle');
  });

  it('works with a process that does not collect', () => {
    const lines = describeStatus(statusReport(statusOf(undefined), null, null, null));
    expect(lines.join('\n')).toContain('this process does not collect');
  });

  it('prints one JSON object, and exits with 1 where something is wrong', async () => {
    const { stream, text } = output();
    const deaf = await instanceWith(statusOf(collectionOf({ exporters: [] }), { flows: 0 }));
    expect(await statusCommand(deaf, { json: true }, { stdout: stream })).toBe(1);
    expect(JSON.parse(text())).toMatchObject({ state: 'trouble', status: { version: '1.2.3' } });
    expect(await statusCommand(await instanceWith(), {}, { stdout: output().stream })).toBe(0);
  });
});

describe('check, of a running instance', () => {
  it('finds silence, unknown sampling, and IPv6 networks that only v5 looks at', () => {
    const { networks } = configSchema.parse({});
    const v5 = liveExporter({ version: 'v5', templates: null, sampling_rates: [] });
    const found = hiddenByExporters(statusOf(collectionOf({ exporters: [v5] })), { networks });
    expect(found.join('\n')).toMatch(
      /sampling rate of 192\.0\.2\.1 is not known[\s\S]*versions that carry IPv4 only/,
    );
    const fine = liveExporter({ sampling_rates: [1] });
    expect(
      hiddenByExporters(statusOf(collectionOf({ exporters: [v5, fine] })), { networks }).join(),
    ).not.toContain('IPv4 only');
    expect(hiddenByExporters(statusOf(collectionOf({ exporters: [fine] })), { networks })).toEqual([]);
    const silent = collectionOf({
      exporters: [],
      listeners: [{ name: '0.0.0.0:2055', datagrams: 0, kernel_drops: 0 }],
    });
    expect(hiddenByExporters(statusOf(silent), { networks })[0]).toMatch(/^No datagram has arrived/);
    expect(hiddenByExporters(statusOf(undefined), { networks })).toEqual([]);
  });
});

describe('exporters', () => {
  it('are those of the collector, then those that only the store knows', async () => {
    const lines = exporterLines(collectionOf(), [STORED, { ...STORED, exporter: '192.0.2.1', domain: 0 }]);
    expect(lines.map(({ exporter, heard }) => [exporter, heard])).toEqual([
      ['192.0.2.1', true],
      ['192.0.2.9', false],
    ]);
    expect(lines[1].troubles.join()).toMatch(
      /nothing since the start of the instance.*3 records carry no ports/,
    );
    const text = exportersTable(lines, NOW_MS);
    expect(text).toMatch(/192\.0\.2\.1 .* 30 .* unknown .* 2 .* 0 s ago .* ok/);
    expect(text).toMatch(/192\.0\.2\.9 .* - .* 1:1000 .* 2026-02-02/);
  });

  it('fit into 80 columns, with rates and losses kept', () => {
    const lines = exporterLines(
      collectionOf({ exporters: [liveExporter({ exporter: '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff' })] }),
      [],
    );
    const text = exportersTable(lines, NOW_MS, 80);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text).toMatch(/FLOWS\/S.*LOST.*LAST SEEN/);
  });

  it('are one JSON object a line with what is wrong, and the exit code is 1 without any flow', async () => {
    const { stream, text } = output();
    const streams = { stdout: stream, stderr: output().stream };
    expect(await exportersCommand(await instanceWith(), { json: true }, streams)).toBe(0);
    const rows = text()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.map(({ exporter }) => exporter)).toEqual(['192.0.2.1', '192.0.2.9']);
    expect(rows[0]).toMatchObject({ troubles: [], templates: 2, flows_per_second: 30 });
  });
});

describe('top', () => {
  const PICTURE = { report: statusReport(statusOf(collectionOf()), null, WELL, null), offenders: [] };

  it('never has more lines or columns than the terminal', () => {
    const lines = topLines(PICTURE, { columns: 30, rows: 5 });
    expect(lines).toHaveLength(5);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(30);
  });

  it('prints one picture without a terminal, without any control character', async () => {
    const { stream, text } = output();
    await topCommand(await instanceWith(), { interval: 50 }, { stdin: new PassThrough(), stdout: stream });
    expect(text()).toMatch(/^state +working\n[\s\S]*EXPORTER[\s\S]*No open incident\.\n$/);
    expect(text()).not.toContain('\x1b');
  });

  it('redraws until q, and gives the terminal back', async () => {
    const { stream, text } = output();
    const raw: boolean[] = [];
    const stdin = Object.assign(new PassThrough(), {
      isTTY: true,
      setRawMode: (on: boolean) => raw.push(on),
    });
    const stdout = Object.assign(stream, { isTTY: true, rows: 24, columns: 80 });
    const ended = topCommand(await instanceWith(), { interval: 20 }, { stdin, stdout });
    await expect.poll(() => text().split('EXPORTER').length).toBeGreaterThan(3);
    stdin.write('\x1b[A');
    stdin.write('x');
    stdin.write('q');
    await ended;
    expect(raw).toEqual([true, false]);
    expect(text().startsWith('\x1b[?1049h')).toBe(true);
    expect(text().endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  it('says that the instance has gone, and goes on asking', async () => {
    const { stream, text } = output();
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const stdout = Object.assign(stream, { isTTY: true, rows: 24, columns: 120 });
    const ended = topCommand(await instanceWith(), { interval: 20 }, { stdin, stdout });
    await expect.poll(text).toContain('q ends');
    await stopHttpServers();
    await expect.poll(text).toContain('no running instance answers');
    stdin.write('\x03');
    await ended;
  });
});
