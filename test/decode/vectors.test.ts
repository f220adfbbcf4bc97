import { describe, expect, it } from 'vitest';
import { collector } from '../support/decoding.ts';
import { readPcap } from '../support/pcap.ts';
import { haveVectors, readVectors, VECTORS_DIR } from '../support/vectors.ts';

/** Where our number of flow rows is not the `data` column, which counts without waiting for templates: rows and why. */
const EXCEPTIONS: Readonly<Record<string, readonly [rows: number, reason: string]>> = {
  'bitkeks/v9-data-before-template-same-packet': [8, 'data waits for its template'],
  'bitkeks/v9-data-before-template-then-more': [44, 'data waits for its template'],
  'logstash/ipfix-netscaler-with-variable-length-fields-2': [6, 'data waits for its template'],
  'logstash/ipfix-yaf-basic-with-applabel': [4, 'two biflows, each with an answer, are four rows'],
  'logstash/netflow-9-cisco-asa-2': [34, '15 of 19 records count what the responder sent, a row of its own'],
  'logstash/netflow-9-h3c-netstream-with-varstring': [
    1,
    'v9 with a variable length, which the scan does not read',
  ],
  'telegraf/ipfix_example': [56, '27 of 29 records are biflows with an answer'],
};

function decodeCapture(path: string) {
  const collected = collector({ templateScope: 'address_port' });
  const sums = { flows: 0, options: 0, templates: 0, dropped: 0 };
  for (const { payload, source, sourcePort, receivedAtMs } of readPcap(path)) {
    const outcome = collected.decode(payload, { exporter: source, port: sourcePort, nowMs: receivedAtMs });
    for (const key of ['flows', 'options', 'templates', 'dropped'] as const) sums[key] += outcome[key];
  }
  return { ...collected, sums };
}

const captures = readVectors().filter(({ version }) => ['v5', 'v9', 'ipfix'].includes(version));

describe.skipIf(!haveVectors)('captures of real exporters (needs VECTORS_DIR or ../shared/vectors)', () => {
  it('are there in full', () => {
    expect(captures.length).toBeGreaterThanOrEqual(60);
  });

  it.each(captures)('$name: flow rows, options records and templates are those of the README', (vector) => {
    const { sums, rows, decoder } = decodeCapture(vector.path);
    const expected = EXCEPTIONS[vector.name]?.[0] ?? vector.data;
    expect(sums).toMatchObject({ flows: expected, options: vector.options, templates: vector.templates });
    expect(rows()).toHaveLength(expected);
    // What never found its template is counted when it has waited long enough, set by set.
    decoder.expire(Number.MAX_SAFE_INTEGER);
    const { no_template: unresolved } = decoder.counters.dropped;
    if (EXCEPTIONS[vector.name] === undefined) expect(unresolved).toBe(vector.unresolved);
  });

  it.each([
    'bitkeks/ipfix',
    'bitkeks/ipfix-ether',
    'bitkeks/v9',
    'logstash/ipfix',
    'logstash/netflow-5-valid-01',
  ])('%s, recorded without loss from softflowd, shows no loss', (name) => {
    const { decoder } = decodeCapture(`${VECTORS_DIR}/${name}.pcap`);
    expect([...decoder.exporters()]).toMatchObject([
      { sequenceLost: 0, sequenceReordered: 0, sequenceResets: 0 },
    ]);
  });

  it('find the mail flows that are known to be in them', () => {
    const port25 = (name: string) =>
      decodeCapture(`${VECTORS_DIR}/${name}.pcap`)
        .rows()
        .filter((row) => row.src_port === 25 || row.dst_port === 25)
        .map((row) => `${row.src_addr}:${row.src_port} > ${row.dst_addr}:${row.dst_port}`);
    expect(port25('vflow/v5-port25')).toEqual(['210.55.143.48:26411 > 111.65.230.100:25']);
    expect(port25('logstash/netflow-9-macaddress').sort()).toEqual([
      '172.16.32.1:59169 > 172.16.32.201:25',
      '172.16.32.201:25 > 172.16.32.1:59169',
    ]);
  });
});

/** Rows and drops of the hostile captures, as their README expects them. */
const MALFORMED: Readonly<Record<string, readonly [rows: number, dropped: Record<string, number>]>> = {
  'v5-count-55582': [30, { truncated: 1 }],
  'v5-count-163': [30, { truncated: 1 }],
  'v9-invalid01-unaligned': [2, {}],
  'v9-incomplete': [0, {}],
  'v9-concatenated': [2, { truncated: 1, bad_template: 1, unsupported: 1 }],
  'ipfix-telegraf-14370-zero-len-field': [2, { truncated: 1 }],
  'ipfix-vmware-unknown-datasets': [4, { truncated: 2, bad_length: 1, bad_template: 1 }],
  'ipfix-v9-style-template-sets': [0, { truncated: 2, bad_length: 3, bad_template: 3, unsupported: 1 }],
  'v9-template-split': [0, { bad_length: 1, bad_template: 1 }],
  'ipfix-options+template+data-one-message-121': [0, { truncated: 1, bad_length: 1 }],
  'v9-record-sizes-dont-divide-105': [3, {}],
  'v9-zero-filled-paloalto': [1, {}],
  'v9-zero-filled-infinite-loop-36': [0, {}],
  'not-netflow-ff': [0, { not_an_export: 1 }],
};

describe.skipIf(!haveVectors)('malformed captures (needs VECTORS_DIR or ../shared/vectors)', () => {
  it.each(Object.entries(MALFORMED))('%s gives %j', (name, [rows, dropped]) => {
    const { sums, decoder } = decodeCapture(`${VECTORS_DIR}/malformed/${name}.pcap`);
    expect(sums.flows).toBe(rows);
    const counted = Object.fromEntries(Object.entries(decoder.counters.dropped).filter(([, n]) => n > 0));
    expect(counted).toEqual(dropped);
  });
});
