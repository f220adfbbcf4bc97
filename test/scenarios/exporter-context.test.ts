/**
 * What stale or mixed-up context of exporters once led to, whole files through the whole path: false losses, an innocent
 * host blocked, a session at the end of a file that was never reported.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { recordOf } from '../../src/flow/record.ts';
import { replayFiles } from '../../src/replay/replay.ts';
import { ethernet, ipv4 as ipPacket, pcap, udpHeader } from '../support/capture-builder.ts';
import { type Field, ipfix, set, TUPLE, template, tuple, v9 } from '../support/datagrams.ts';
import { CASES_DIR, haveCases } from '../support/field-cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'rogue-smtp-context-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = configSchema.parse({
  networks: { internal: ['10.0.0.0/8'] },
  senders: [{ name: 'mail', hosts: ['10.0.0.25'] }],
  block: { mode: 'publish' },
});

async function replay(file: string) {
  const rows: ReturnType<typeof recordOf>[] = [];
  const { alerts, incidents, summary } = await replayFiles([file], config, {
    onFlows: async (batch) => {
      for (let row = 0; row < batch.length; row++) rows.push(recordOf(batch, row));
    },
  });
  const sum = (of: 'sequence_lost' | 'sequence_unknown') =>
    summary.exporters.reduce((total, exporter) => total + exporter[of], 0);
  return {
    rows,
    summary,
    coverage: alerts.flatMap(({ coverage }) => (coverage === undefined ? [] : [coverage.cause])),
    lost: sum('sequence_lost'),
    verdicts: Object.fromEntries(incidents.map(({ host, grade, block }) => [host, [grade, block.state]])),
  };
}

describe.runIf(haveCases)('cases from the field (needs CASES_DIR or ../shared/cases)', () => {
  const decode = (name: string) => replay(`${CASES_DIR}/decode/${name}`);

  it.each(['sflow-relay-2agents', 'ipfix-templates-counted-in-seq', 'ipfix-restart-from-3500M-to-0'])(
    '%s lost nothing',
    async (name) => {
      expect(await decode(`${name}.pcap.gz`)).toMatchObject({ lost: 0 });
    },
  );

  it.each(['same', 'other'])(
    'v9-2probes-one-address-%s-layout lost nothing, and has its ends right',
    async (layout) => {
      const { lost, rows } = await decode(`v9-2probes-one-address-${layout}-layout.pcap.gz`);
      expect(lost).toBe(0);
      expect(rows).toHaveLength(240);
      const directions = new Set(
        rows.map(({ src_addr, dst_port }) => `${src_addr?.startsWith('10.')} ${dst_port === 25}`),
      );
      expect(directions.size).toBe(1);
    },
  );

  it('v9-restart-stale-template: the good host is innocent', async () => {
    const { verdicts, summary } = await decode('v9-restart-stale-template-good-host-blocked.pcap.gz');
    expect(verdicts).not.toHaveProperty('10.0.0.30');
    expect(summary.dropped).toEqual({});
  });

  it('v9-scope-interface: greetings at 1:1000 block nobody', async () => {
    const { verdicts } = await decode('v9-scope-interface-greetings-if1-1000-if2-1.pcap.gz');
    expect(verdicts).toEqual({ '10.1.2.3': ['connected', 'none'] });
  });

  it('nfdump-concat-columns-exchanged: the good host is innocent', async () => {
    expect((await decode('nfdump-concat-columns-exchanged.csv')).verdicts).toEqual({});
  });

  it('v9-meraki-server-first-end-of-file is reported at the end of the file', async () => {
    expect((await decode('v9-meraki-server-first-end-of-file.pcap.gz')).verdicts).toHaveProperty('10.1.2.3');
  });
});

const EXCHANGED: readonly Field[] = [[12, 4], [8, 4], ...TUPLE.slice(2)];
const T0 = 1_772_359_200;

/** A datagram a second; each is the sets of a v9 datagram, with its number and the exporter's uptime. */
function capture(
  name: string,
  datagrams: readonly { sets: Buffer[]; sequence: number; uptimeMs: number }[],
  wrap = v9,
): string {
  const packets = datagrams.map(({ sets, sequence, uptimeMs }, i) => ({
    timeMs: 1000 * (T0 + i),
    bytes: ethernet(ipPacket(udpHeader({ payload: wrap(sets, { sequence, seconds: T0 + i, uptimeMs }) }))),
  }));
  const file = join(folder, name);
  writeFileSync(file, pcap(packets));
  return file;
}

describe('the same, made here', () => {
  it('a restart with another layout blames nobody before the template comes', async () => {
    const server = (i: number) => `198.51.100.${i + 1}`;
    const before = Array.from({ length: 5 }, (_, i) => ({
      sets: [set(0, template(256, TUPLE)), set(256, tuple('10.9.9.9', server(i), 40_000 + i, 443, 20, 3000))],
      sequence: 900 + i,
      uptimeMs: 500_000_000 + 1000 * i,
    }));
    // Mail to the good server, in a layout that the old template would turn round.
    const after = Array.from({ length: 25 }, (_, i) => ({
      sets: [
        ...(i === 24 ? [set(0, template(256, EXCHANGED))] : []),
        set(256, tuple('10.0.0.30', server(i), 40_000 + i, 25, 20, 3000)),
      ],
      sequence: i,
      uptimeMs: 10_000 + 1000 * i,
    }));
    const { verdicts, rows, summary } = await replay(capture('restart.pcap', [...before, ...after]));
    expect(verdicts).toEqual({});
    expect(rows).toHaveLength(30);
    expect(summary.dropped).toEqual({});
  });

  it.each([
    ['v9', v9, 0],
    ['IPFIX', ipfix, 2],
  ] as const)(
    'two exporters of %s behind one address and port, of one layout each, blame nobody',
    async (name, wrap, id) => {
      // The one sees web traffic, the other the mail that the good server gets. In the layout of the first that is mail
      // which the good server sends, to forty others.
      const exporters = [
        { layout: TUPLE, record: (i: number) => tuple('10.9.9.9', `198.51.100.${i + 1}`, 40_000 + i, 443) },
        {
          layout: EXCHANGED,
          record: (i: number) => tuple('10.0.0.30', `203.0.113.${i + 1}`, 40_000 + i, 25, 20, 30_000),
        },
      ];
      const datagrams = Array.from({ length: 160 }, (_, at) => {
        const i = at >> 1;
        const { layout, record } = exporters[at & 1] ?? exporters[0];
        return {
          sets: [...(i % 20 === 0 ? [set(id, template(256, layout))] : []), set(256, record(i))],
          sequence: 900 + i,
          uptimeMs: 500_000_000 + 1000 * at,
        };
      });
      const { verdicts, rows, summary, coverage } = await replay(
        capture(`two-behind-one-${name}.pcap`, datagrams, wrap),
      );
      expect(verdicts).toEqual({});
      expect(rows.filter(({ src_addr }) => src_addr === '10.0.0.30')).toEqual([]);
      const { ambiguous_template = 0, no_template = 0 } = summary.dropped;
      expect(rows.length + ambiguous_template + no_template).toBe(160);
      expect(ambiguous_template).toBeGreaterThan(0);
      expect(coverage).toEqual(['unread_addresses']);
    },
  );

  it.each([
    ['grow', (i: number) => 900 + i],
    ['never change', () => 900],
  ])('a host is blocked on two datagrams, whose numbers %s', async (name, numberOf) => {
    const datagrams = Array.from({ length: 25 }, (_, i) => ({
      sets: [
        set(0, template(256, TUPLE)),
        set(256, tuple('10.1.2.3', `198.51.100.${i + 1}`, 40_000 + i, 25, 20, 30_000)),
      ],
      sequence: numberOf(i),
      uptimeMs: 1_000_000 + 1000 * i,
    }));
    const { verdicts } = await replay(capture(`numbers-${name}.pcap`, datagrams));
    expect(verdicts).toEqual({ '10.1.2.3': ['bulk', 'published'] });
  });

  it('data whose template never comes is counted at the end of the file', async () => {
    const data = Array.from({ length: 3 }, (_, i) => ({
      sets: [set(256, tuple())],
      sequence: i,
      uptimeMs: 1000 * i,
    }));
    const { summary } = await replay(capture('no-template.pcap', data));
    expect(summary.dropped).toEqual({ no_template: 3 });
  });

  it("a session of which only the server's half came is reported at the end of the file", async () => {
    const reply = tuple('198.51.100.7', '10.1.2.3', 25, 40_000, 20, 2000);
    const file = capture('half.pcap', [
      { sets: [set(0, template(256, TUPLE)), set(256, reply)], sequence: 0, uptimeMs: 1000 },
    ]);
    // What a server answered never proves more than a connection.
    expect((await replay(file)).verdicts).toEqual({ '10.1.2.3': ['connected', 'none'] });
  });
});
