/**
 * What was once read as rows without addresses, as the length of a sample or as a denial: whole files through the whole
 * path, to the block. Each case is a host that mails to 20 servers, or answers to a forger's packets.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { replayFiles } from '../../src/replay/replay.ts';
import { ethernet as frameOf, pcap, udp4 } from '../support/capture-builder.ts';
import { type Field, integer, ipfix, ipv4, set, template, u16, u32, v9 } from '../support/datagrams.ts';
import { CASES_DIR, haveCases } from '../support/field-cases.ts';
import { CONTROL_WORD, ethernet, ipv4Packet, mpls, tcp, tunnelled } from '../support/packets.ts';
import { flowSample, opaque, rawHeader, sflow } from '../support/sflow-datagrams.ts';

const folder = mkdtempSync(join(tmpdir(), 'rogue-smtp-packets-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = configSchema.parse({
  networks: { internal: ['10.0.0.0/8', '2001:db8:1::/48'] },
  senders: [{ name: 'mail', hosts: ['10.0.0.25'] }],
  block: { mode: 'publish' },
});
const T0 = 1_772_359_200_000;
const BLOCKED = { '10.1.2.3': ['bulk', 'published'] };

async function replay(file: string) {
  const { incidents, alerts, summary } = await replayFiles([file], config, {});
  return {
    verdicts: Object.fromEntries(incidents.map(({ host, grade, block }) => [host, [grade, block.state]])),
    coverage: alerts.flatMap(({ coverage }) => (coverage === undefined ? [] : [coverage.cause])),
    alerts,
    summary,
  };
}

/** Export datagrams two seconds apart. */
function capture(datagrams: readonly Buffer[]): string {
  const file = join(folder, `${Math.random()}.pcap`);
  const packets = datagrams.map((payload, i) => ({
    timeMs: T0 + 2000 * i,
    bytes: frameOf(udp4({ source: '198.51.100.1', payload })),
  }));
  writeFileSync(file, pcap(packets));
  return file;
}

/** 40 samples: two packets to each of 20 servers. */
function samples(sample: (packet: Buffer, i: number) => Buffer): string {
  return capture(
    Array.from({ length: 40 }, (_, i) => {
      const destination = `203.0.113.${10 + (i % 20)}`;
      return sflow([sample(ipv4Packet(tcp(40_000 + i, 25), { destination }), i)], {
        sequence: i + 1,
        uptimeMs: 60_000 + 2000 * i,
      });
    }),
  );
}

const header = (protocol: number, packet: Buffer, frameBytes = packet.length) =>
  rawHeader(protocol, packet.subarray(0, 128), frameBytes);

describe.runIf(haveCases)('cases from the field (needs CASES_DIR or ../shared/cases)', () => {
  it.each([
    'sflow-control',
    'sflow-mpls-13',
    'sflow-eompls-cw',
    'ipfix-315-inline-monitoring',
    'sflow-juniper-framelen132',
    'sflow-ovn-out-0x40000100',
    'sflow-huawei-3rec-data',
  ])('%s: the host is blocked', async (name) => {
    expect((await replay(`${CASES_DIR}/decode/${name}.pcap.gz`)).verdicts).toEqual(BLOCKED);
  });

  it.each(['sflow-huawei-3rec-rst', 'ipfix-yaf-stml-backscatter', 'ipfix-yaf-toplevel-backscatter-control'])(
    '%s: no incident',
    async (name) => {
      expect((await replay(`${CASES_DIR}/decode/${name}.pcap.gz`)).verdicts).toEqual({});
    },
  );

  it.each(['v9-in-zero-out-set', 'v9-meraki-server-first', 'v9-meraki-server-first-end-of-file'])(
    '%s: a conversation',
    async (name) => {
      const { verdicts } = await replay(`${CASES_DIR}/decode/${name}.pcap.gz`);
      expect(verdicts['10.1.2.3']?.[0]).toBe('conversed');
    },
  );

  it('ipfix-antrea-negative-delta: the totals of one session, with a server that may have sent a certificate', async () => {
    const { verdicts } = await replay(`${CASES_DIR}/decode/ipfix-antrea-negative-delta.pcap.gz`);
    // Of 30 packets and 4500 octets 2940 are payload: more than a check takes, and one session of TLS proves no message.
    expect(verdicts['10.1.2.3']?.[0]).toBe('connected');
  });
});

describe('a host that mails to 20 servers is blocked', () => {
  it.each([
    ['PPP (7)', (packet: Buffer) => header(7, Buffer.concat([u16(0xff03, 0x0021), packet]))],
    ['MPLS (13)', (packet: Buffer) => header(13, mpls([16_001], packet))],
    [
      'Ethernet over MPLS',
      (packet: Buffer) =>
        header(
          1,
          ethernet(0x8847, mpls([100, 200], Buffer.concat([CONTROL_WORD, ethernet(0x0800, packet)]))),
        ),
    ],
    [
      'the length of the sample as that of the frame',
      (packet: Buffer) => header(1, ethernet(0x0800, packet), 132),
    ],
    ...Object.keys(tunnelled(Buffer.alloc(20))).map(
      (name) =>
        [name, (packet: Buffer) => header(1, ethernet(0x0800, tunnelled(packet)[name] ?? packet))] as const,
    ),
  ] as const)('sampled as %s', async (_, headerOf) => {
    const { verdicts, coverage } = await replay(
      samples((packet) => flowSample([headerOf(packet)], { rate: 1000 })),
    );
    expect(verdicts).toEqual(BLOCKED);
    expect(coverage).toEqual([]);
  });

  it.each([256, 261, 777])('though its packets are marked as dropped for reason %i', async (reason) => {
    const file = samples((packet) =>
      flowSample([header(1, ethernet(0x0800, packet))], { rate: 1000, output: 0x40000000 + reason }),
    );
    expect((await replay(file)).verdicts).toEqual(BLOCKED);
  });

  it('by records of two headers', async () => {
    const fields: Field[] = [
      [27, 16],
      [28, 16],
      [7, 2],
      [11, 2],
      [4, 1],
      [8, 4],
      [12, 4],
      [7, 2],
      [11, 2],
      [4, 1],
      [6, 1],
      [2, 4],
      [1, 4],
    ];
    const record = (i: number) =>
      Buffer.concat([
        Buffer.alloc(32, 0x20),
        u16(0, 0),
        Buffer.from([4]),
        ipv4('10.1.2.3'),
        ipv4(`203.0.113.${i}`),
        u16(40_000 + i, 25),
        Buffer.from([6, 0x1b]),
        u32(15, 3000),
      ]);
    const datagrams = Array.from({ length: 20 }, (_, i) =>
      ipfix([...(i === 0 ? [set(2, template(256, fields))] : []), set(256, record(i + 1))], {
        sequence: i,
        seconds: T0 / 1000 + 2 * i,
      }),
    );
    expect((await replay(capture(datagrams))).verdicts).toEqual(BLOCKED);
  });
});

describe('a host is left alone', () => {
  it('that only answers to packets of a forger, by the flags that the agent parsed', async () => {
    const file = samples((_, i) => {
      const packet = ipv4Packet(tcp(40_000 + i, 25, 0, 0x04));
      const parsed = opaque(
        3,
        Buffer.concat([u32(40, 6), ipv4('10.1.2.3'), ipv4('203.0.113.10'), u32(40_000 + i, 25, 4, 0)]),
      );
      return flowSample([rawHeader(1, ethernet(0x0800, packet).subarray(0, 44), 60), parsed], { rate: 1000 });
    });
    expect((await replay(file)).verdicts).toEqual({});
  });

  it('whose greeting an exporter of negative deltas repeats in totals', async () => {
    const fields: Field[] = [
      [8, 4],
      [12, 4],
      [7, 2],
      [11, 2],
      [4, 1],
      [6, 1],
      [2, 8],
      [86, 8],
      [1, 8],
      [85, 8],
    ];
    const bad = (1n << 64n) - 1n;
    const record = Buffer.concat([
      ipv4('10.1.2.3'),
      ipv4('203.0.113.25'),
      u16(40_000, 25),
      Buffer.from([6, 0x1b]),
      ...[bad, 5n, bad, 300n].map((value) => integer(value, 8)),
    ]);
    const datagrams = Array.from({ length: 6 }, (_, i) =>
      ipfix([...(i === 0 ? [set(2, template(256, fields))] : []), set(256, record)], {
        sequence: i,
        seconds: T0 / 1000 + 2 * i,
      }),
    );
    expect((await replay(capture(datagrams))).verdicts).toEqual({ '10.1.2.3': ['connected', 'none'] });
  });
});

describe('traffic whose addresses were not read', () => {
  it('is a coverage finding, with exporter and reason', async () => {
    const { verdicts, alerts, summary } = await replay(samples((packet) => flowSample([header(18, packet)])));
    expect(verdicts).toEqual({});
    expect(alerts).toMatchObject([
      {
        kind: 'coverage',
        coverage: { cause: 'unread_addresses', exporters: 1, lost: 40 },
        exporters: [{ address: '198.51.100.1' }],
      },
    ]);
    expect(alerts[0]?.reasons[0]).toContain(
      'of 40 records 40 have no address that could be read (unknown_protocol)',
    );
    expect(summary.exporters).toMatchObject([{ unread: { unknown_protocol: 40 } }]);
  });

  it('is none when it carries no IP', async () => {
    const { coverage } = await replay(
      samples(() => flowSample([header(1, ethernet(0x0806, Buffer.alloc(28)))])),
    );
    expect(coverage).toEqual([]);
  });

  it('of layer 2 records is a finding', async () => {
    const fields: Field[] = [
      [56, 6],
      [80, 6],
      [2, 4],
      [1, 4],
    ];
    const file = capture([v9([set(0, template(256, fields)), set(256, Buffer.alloc(20, 1))])]);
    expect((await replay(file)).coverage).toEqual(['unread_addresses']);
  });
});
