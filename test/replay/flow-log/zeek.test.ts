import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const FIELDS = [
  'ts',
  'uid',
  'id.orig_h',
  'id.orig_p',
  'id.resp_h',
  'id.resp_p',
  'proto',
  'duration',
  'orig_bytes',
  'resp_bytes',
  'conn_state',
  'history',
  'orig_pkts',
  'orig_ip_bytes',
  'resp_pkts',
  'resp_ip_bytes',
];

type Row = Partial<Record<string, string>>;

const MAIL: Row = {
  ts: '1700000000.123456',
  uid: 'Cx',
  'id.orig_h': '10.0.0.66',
  'id.orig_p': '40000',
  'id.resp_h': '198.51.100.7',
  'id.resp_p': '25',
  proto: 'tcp',
  duration: '1.500000',
  orig_bytes: '2000',
  resp_bytes: '300',
  conn_state: 'SF',
  history: 'ShAdDafF',
  orig_pkts: '20',
  orig_ip_bytes: '3000',
  resp_pkts: '15',
  resp_ip_bytes: '900',
};

interface Style {
  readonly separator?: string;
  readonly separatorLine?: string;
  readonly unset?: string;
  readonly fields?: readonly string[];
}

function tsv(rows: readonly Row[], style: Style = {}): string {
  const { separator = '\t', unset = '-', fields = FIELDS } = style;
  const header = [
    `#separator ${style.separatorLine ?? '\\x09'}`,
    `#set_separator${separator},`,
    `#empty_field${separator}(empty)`,
    `#unset_field${separator}${unset}`,
    `#path${separator}conn`,
    `#fields${separator}${fields.join(separator)}`,
    `#types${separator}${fields.map(() => 'string').join(separator)}`,
  ];
  const lines = rows.map((row) => fields.map((field) => row[field] ?? unset).join(separator));
  return `${[...header, ...lines, `#close${separator}2026-03-01-10-00-00`].join('\n')}\n`;
}

const json = (row: object) => `${JSON.stringify(row)}\n`;

const MAIL_JSON = {
  ts: 1700000000.123456,
  uid: 'Cx',
  'id.orig_h': '10.0.0.66',
  'id.orig_p': 40000,
  'id.resp_h': '198.51.100.7',
  'id.resp_p': 25,
  proto: 'tcp',
  duration: 1.5,
  conn_state: 'SF',
  history: 'ShAdDafF',
  orig_pkts: 20,
  orig_ip_bytes: 3000,
  resp_pkts: 15,
  resp_ip_bytes: 900,
};

const BOTH_HALVES = [
  '10.0.0.66:40000 > 198.51.100.7:25 FSPA 20/3000',
  '198.51.100.7:25 > 10.0.0.66:40000 FSPA 15/900 reverse',
];

async function short(text: string): Promise<string[]> {
  return (await readLog(text)).records.map(inShort);
}

describe('a Zeek conn log, tab separated', () => {
  it('is two rows a line: the originator first, the responder as the reverse of it', async () => {
    const { records, places, counters, error } = await readLog(tsv([MAIL]), 3, 100);
    expect(error).toBeNull();
    expect(records.map(inShort)).toEqual(BOTH_HALVES);
    expect(records[0]).toMatchObject({
      received_at: '2023-11-14T22:13:21.623Z',
      start: '2023-11-14T22:13:20.123Z',
      end: '2023-11-14T22:13:21.623Z',
      exporter: '::',
      version: 'log',
      protocol: 6,
      sampling_rate: 1,
      forwarding: null,
      direction: null,
    });
    // The eighth line of the file, with 100 lines in the files before.
    expect(places).toEqual([
      [108, 3],
      [108, 3],
    ]);
    expect(counters).toMatchObject({ lines: 9, flows: 1, rows: 2, skipped: { header: 8 }, rejected: {} });
  });

  it('has only the half of which packets were seen', async () => {
    const syn = { ...MAIL, conn_state: 'S0', history: 'S', orig_pkts: '2', orig_ip_bytes: '120' };
    expect(await short(tsv([{ ...syn, resp_pkts: '0', resp_ip_bytes: '0', duration: '-' }]))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 S 2/120',
    ]);
    const { counters } = await readLog(tsv([{ ...MAIL, orig_pkts: '0', resp_pkts: '0' }]));
    expect(counters).toMatchObject({ rows: 0, skipped: { no_packets: 1 } });
  });

  it.each([
    ['ShR', 'SR', 'SA'],
    ['Sr', 'S', 'R'],
    ['^hCdf', '-', 'FSPA'],
    ['ShAGaTtWw', 'SPA', 'SPA'],
  ])('has the flags that the history %s asserts, and none that it does not', async (history, orig, resp) => {
    const [one, other] = await short(tsv([{ ...MAIL, history }]));
    expect([one.split(' ')[3], other.split(' ')[3]]).toEqual([orig, resp]);
  });

  it.each([
    ['S0', 'S', '-'],
    ['REJ', 'S', 'R'],
    ['SF', 'FSA', 'FSA'],
    ['RSTOS0', 'SR', '-'],
    ['OTH', '-', '-'],
  ])('without a history has the flags that the state %s asserts', async (conn_state, orig, resp) => {
    const [one, other] = await short(tsv([{ ...MAIL, conn_state, history: '-' }]));
    expect([one.split(' ')[3], other.split(' ')[3]]).toEqual([orig, resp]);
  });

  it.each([
    { separator: ',', separatorLine: ',' },
    { separator: '|', separatorLine: '\\x7c', unset: 'NULL' },
    { separator: '::', separatorLine: '\\x3a\\x3a' },
  ])('is read with other separators and markers: %o', async (style) => {
    expect(await short(tsv([MAIL, { ...MAIL, duration: undefined }], style))).toEqual([
      ...BOTH_HALVES,
      ...BOTH_HALVES,
    ]);
  });

  it('is read with its columns in another order, label columns, and the header again in the middle', async () => {
    const fields = [...FIELDS].reverse();
    const other = tsv([MAIL], { fields: [...fields, 'label   detailed-label'] });
    expect(await short(tsv([MAIL]) + other)).toEqual([...BOTH_HALVES, ...BOTH_HALVES]);
  });

  it('has payload bytes where Zeek did not count packets, and the half that opened', async () => {
    const bare = { ...MAIL, orig_pkts: '-', orig_ip_bytes: '-', resp_pkts: '-', resp_ip_bytes: '-' };
    expect(await short(tsv([bare]))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 FSPA -/2000',
      '198.51.100.7:25 > 10.0.0.66:40000 FSPA -/300 reverse',
    ]);
    const unknown = { ...bare, orig_bytes: '-', resp_bytes: '-', history: '-', conn_state: 'OTH' };
    expect(await short(tsv([unknown]))).toEqual(['10.0.0.66:40000 > 198.51.100.7:25 - -/-']);
  });

  it('has no ports for ICMP, whose type and code stand in their place', async () => {
    const ping = { ...MAIL, proto: 'icmp', 'id.orig_p': '8', 'id.resp_p': '25', history: '-' };
    expect((await short(tsv([ping])))[0]).toBe('10.0.0.66:- > 198.51.100.7:- - 20/3000');
  });

  it('has IPv6', async () => {
    const v6 = { ...MAIL, 'id.orig_h': '2001:db8::66', 'id.resp_h': '2001:db8:ffff::25' };
    expect((await short(tsv([v6])))[0]).toBe('2001:db8::66:40000 > 2001:db8:ffff::25:25 FSPA 20/3000');
  });

  it.each<[string, Row]>([
    ['bad_time', { ts: 'yesterday' }],
    ['bad_time', { ts: '-1.0' }],
    ['bad_time', { duration: 'long' }],
    ['bad_time', { ts: '99999999999999' }],
    ['bad_address', { 'id.orig_h': '10.0.0.256' }],
    ['bad_address', { 'id.resp_h': 'mail.example' }],
    ['bad_port', { 'id.resp_p': '65536' }],
    ['bad_protocol', { proto: 'carrier-pigeon' }],
    ['bad_count', { orig_pkts: '2x' }],
  ])('rejects a line with %s: %o', async (reason, changes) => {
    const { records, counters } = await readLog(tsv([{ ...MAIL, ...changes }, MAIL]));
    expect(records).toHaveLength(2);
    expect(counters.rejected).toEqual({ [reason]: 1 });
    expect(counters.examples).toMatchObject([{ line: 8, reason }]);
    expect(linesCounted(counters)).toBe(counters.lines);
  });

  it('rejects lines that were cut short instead of reading smaller numbers', async () => {
    const text = tsv([MAIL]);
    const cut = text.slice(0, text.indexOf('\t900'));
    expect((await readLog(cut)).counters).toMatchObject({ flows: 0, rejected: { field_count: 1 } });
  });

  it('takes labels that only the header, only the lines, or one field of both has (IoT-23)', async () => {
    const labels = { tunnel_parents: '(empty)', label: 'Malicious', 'detailed-label': 'Spam' };
    const labelled = [...FIELDS, ...Object.keys(labels)];
    const rows = [{ ...MAIL, ...labels }];
    const all = tsv(rows, { fields: labelled });
    expect(await short(all)).toEqual(BOTH_HALVES);
    expect(await short(all.replace('\tlabel\tdetailed-label\n', '\n'))).toEqual(BOTH_HALVES);
    expect(await short(all.replace('\tMalicious\tSpam\n', '\n'))).toEqual(BOTH_HALVES);
    const inOne = (text: string) =>
      text.replace('\tlabel\t', '   label   ').replace('\tMalicious\t', '   Malicious   ');
    expect(await short(inOne(all))).toEqual(BOTH_HALVES);
    // A line that ends in the last count may have been cut in it.
    const cut = `${all.slice(0, all.indexOf('\t(empty)\tMalicious'))}\n`;
    expect((await readLog(cut)).counters).toMatchObject({ flows: 0, rejected: { field_count: 1 } });
  });
});

describe('a Zeek conn log, JSON lines', () => {
  it('is the same as tab separated', async () => {
    expect((await readLog(json(MAIL_JSON))).records).toEqual((await readLog(tsv([MAIL]))).records);
  });

  it.each([1700000000123, '2023-11-14T22:13:20.123456Z', '2023-11-14T23:13:20.123456+0100'])(
    'is read with the time as %s',
    async (ts) => {
      const [record] = (await readLog(json({ ...MAIL_JSON, ts }))).records;
      expect(record.start).toBe('2023-11-14T22:13:20.123Z');
    },
  );

  it('is read with flattened and with nested ids', async () => {
    const { ...rest } = MAIL_JSON;
    const id = { orig_h: '10.0.0.66', orig_p: 40000, resp_h: '198.51.100.7', resp_p: 25 };
    const bare = Object.fromEntries(Object.entries(rest).filter(([key]) => !key.startsWith('id.')));
    const flat = Object.fromEntries(Object.entries(id).map(([key, value]) => [`id_${key}`, value]));
    expect(await short(json({ ...bare, id }) + json({ ...bare, ...flat }))).toEqual([
      ...BOTH_HALVES,
      ...BOTH_HALVES,
    ]);
  });

  it('passes over lines of other logs in the same file, and counts them', async () => {
    const dns = { _path: 'dns', ts: 1700000000, 'id.orig_h': '10.0.0.66', query: 'example.org' };
    const { records, counters } = await readLog(json(dns) + json({ ...MAIL_JSON, _path: 'conn' }));
    expect(records).toHaveLength(2);
    expect(counters.skipped).toEqual({ other_event: 1 });
  });

  it.each([
    ['bad_json', '{"ts":1700000000,"id.orig_h"'],
    ['bad_json', '[1]'],
    ['bad_time', JSON.stringify({ ...MAIL_JSON, ts: {} })],
    ['bad_time', JSON.stringify({ ...MAIL_JSON, duration: 'x' })],
    ['bad_address', JSON.stringify({ ...MAIL_JSON, 'id.orig_h': 167772226 })],
    ['bad_port', JSON.stringify({ ...MAIL_JSON, 'id.resp_p': -1 })],
    ['bad_protocol', JSON.stringify({ ...MAIL_JSON, proto: null })],
    ['bad_count', JSON.stringify({ ...MAIL_JSON, orig_pkts: 1.5 })],
  ])('rejects a line with %s: %s', async (reason, line) => {
    const { records, counters } = await readLog(`${json(MAIL_JSON)}${line}\n`);
    expect(records).toHaveLength(2);
    expect(counters.rejected).toEqual({ [reason]: 1 });
    expect(counters.examples).toMatchObject([{ line: 2, reason }]);
  });
});
