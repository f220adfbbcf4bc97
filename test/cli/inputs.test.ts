/** Every kind of file that `decode` and `replay` take, end to end: the same mail session in each, the same verdict. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeCommand } from '../../src/cli/decode.ts';
import { replayCommand } from '../../src/cli/replay.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseAddress } from '../../src/flow/address.ts';
import {
  ethernet,
  etherTypeOf,
  fragments4,
  ipv6,
  pcap,
  pcapngBlocks,
  udp4,
  udpHeader,
} from '../support/capture-builder.ts';
import { collected } from '../support/collected.ts';
import { ipfix, set, TUPLE, template, tuple } from '../support/datagrams.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-inputs-'));
  const config = [
    'networks: { internal: [10.0.0.0/8] }',
    'senders: [{ name: mail, hosts: [10.0.0.25] }]',
    'block: { mode: publish }',
    'acl: { targets: [{ name: edge, platform: nftables, kind: offenders }] }',
  ];
  await writeFile(join(directory, 'config.yaml'), `${config.join('\n')}\n`);
});
afterAll(() => rm(directory, { recursive: true }));

async function fileOf(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, bytes);
  return path;
}

async function decode(path: string): Promise<Record<string, unknown>[]> {
  const stdout = collected();
  await decodeCommand([path], {}, { stdout: stdout.stream, stderr: collected().stream });
  return stdout
    .text()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

async function replay(paths: readonly string[], out?: string, isTTY = false) {
  const stdout = collected();
  const stderr = collected(isTTY);
  const loaded = loadConfig({ file: join(directory, 'config.yaml') });
  const flags = out === undefined ? {} : { out };
  await replayCommand(loaded, paths, flags, { stdout: stdout.stream, stderr: stderr.stream });
  return {
    alerts: stdout.text(),
    stderr: stderr.text(),
    summary: JSON.parse(stderr.text().slice(stderr.text().indexOf('{"packets"'))),
  };
}

async function contentOf(path: string): Promise<Record<string, string>> {
  const names = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  const files = names.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(path.length), await readFile(file, 'utf8')])),
  );
}

const payload = ipfix([set(2, template(300, TUPLE)), set(300, tuple())]);
const packet = udp4({ payload });
const packet6 = ipv6(
  udpHeader({ payload }),
  parseAddress('2001:db8::7') as Uint8Array,
  parseAddress('2001:db8::9') as Uint8Array,
);
const cooked = (bytes: Uint8Array) =>
  Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]), etherTypeOf(bytes), bytes]);
const cooked2 = (bytes: Uint8Array) =>
  Buffer.concat([
    etherTypeOf(bytes),
    Buffer.from([0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]),
    bytes,
  ]);
const b = pcapngBlocks();
const pcapng = Buffer.concat([
  b.section(),
  b.interface(1),
  b.enhanced(0, 1_700_000_000_000_000n, ethernet(packet)),
]);

const CAPTURES: Readonly<Record<string, Uint8Array>> = {
  'pcap of Ethernet': pcap([{ bytes: ethernet(packet) }]),
  'pcap of Ethernet with a VLAN tag': pcap([{ bytes: ethernet(packet, [0x8100]) }]),
  'pcap of Linux cooked': pcap([{ bytes: cooked(packet) }], { linkType: 113 }),
  'pcap of Linux cooked v2 with IPv6': pcap([{ bytes: cooked2(packet6) }], { linkType: 276 }),
  'pcap of raw IPv4': pcap([{ bytes: packet }], { linkType: 101 }),
  'pcap of raw IPv6': pcap([{ bytes: packet6 }], { linkType: 101 }),
  'pcap of IP fragments': pcap(fragments4({ payload }, 48, 7).map((bytes) => ({ bytes: ethernet(bytes) }))),
  'pcap, big endian with nanoseconds': pcap([{ bytes: ethernet(packet) }], {
    bigEndian: true,
    nanoseconds: true,
  }),
  pcapng,
  'raw IPFIX': payload,
};

describe.each(Object.entries(CAPTURES))('a %s', (name, bytes) => {
  it.each(['plain', 'gzip'])('(%s) is decoded and replayed', async (form) => {
    const path = await fileOf(`${name} ${form}`, form === 'gzip' ? gzipSync(bytes) : bytes);
    expect(await decode(path)).toMatchObject([
      { version: 'ipfix', src_addr: '10.0.0.1', dst_addr: '192.0.2.25', dst_port: 25, packets: 10 },
    ]);
    const { alerts, summary } = await replay([path]);
    expect(alerts).toContain('opened 10.0.0.1 connected');
    expect(summary).toMatchObject({ datagrams: 1, mail_flows: 1, incidents: 1, dropped: {}, logs: [] });
  });
});

/** The same session in three connections, told by each tool. */
const session = (i: number) => ({
  port: 40_000 + i,
  start: 1_700_000_000 + 10 * i,
  end: 1_700_000_002 + 10 * i,
});
const iso = (seconds: number) => new Date(seconds * 1000).toISOString();
const calendar = (seconds: number) => iso(seconds).replace('T', ' ').replace('Z', '');
const three = [0, 1, 2].map(session);
const lines = (...text: readonly string[]) => `${text.join('\n')}\n`;

const zeekRow = ({ port, start }: ReturnType<typeof session>) => ({
  ts: start,
  'id.orig_h': '10.0.0.1',
  'id.orig_p': port,
  'id.resp_h': '192.0.2.25',
  'id.resp_p': 25,
  proto: 'tcp',
  duration: 2,
  conn_state: 'SF',
  history: 'ShAdDafF',
  orig_pkts: 20,
  orig_ip_bytes: 3000,
  resp_pkts: 15,
  resp_ip_bytes: 900,
});

const LOGS: Readonly<Record<string, string>> = {
  'Zeek conn': lines(
    '#separator \\x09',
    '#path\tconn',
    `#fields\t${Object.keys(zeekRow(session(0))).join('\t')}`,
    ...three.map((s) => Object.values(zeekRow(s)).join('\t')),
  ),
  'Zeek conn (JSON)': lines(...three.map((s) => JSON.stringify(zeekRow(s)))),
  'Suricata EVE': lines(
    ...three.map(({ port, start, end }) =>
      JSON.stringify({
        timestamp: iso(end + 60),
        event_type: 'flow',
        src_ip: '10.0.0.1',
        src_port: port,
        dest_ip: '192.0.2.25',
        dest_port: 25,
        proto: 'TCP',
        flow: {
          pkts_toserver: 20,
          pkts_toclient: 15,
          bytes_toserver: 3000,
          bytes_toclient: 900,
          start: iso(start),
          end: iso(end),
        },
        tcp: { tcp_flags_ts: '1b', tcp_flags_tc: '1b' },
      }),
    ),
  ),
  'AWS VPC flow log': lines(
    'version interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action tcp-flags log-status',
    ...three.flatMap(({ port, start, end }) => [
      `5 eni-1 10.0.0.1 192.0.2.25 ${port} 25 6 20 3000 ${start} ${end} ACCEPT 3 OK`,
      `5 eni-1 192.0.2.25 10.0.0.1 25 ${port} 6 15 900 ${start} ${end} ACCEPT 19 OK`,
    ]),
  ),
  'nfdump CSV': lines(
    'firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows',
    ...three.flatMap(({ port, start }) => [
      `${calendar(start)},2.000,TCP,10.0.0.1,${port},192.0.2.25,25,20,3000,1`,
      `${calendar(start)},2.000,TCP,192.0.2.25,25,10.0.0.1,${port},15,900,1`,
    ]),
  ),
  'Argus CSV': lines(
    'StartTime,LastTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SrcBytes,DstBytes,State',
    ...three.map(
      ({ port, start, end }) =>
        `${start}.0,${end}.0,tcp,10.0.0.1,${port},->,192.0.2.25,25,20,15,3000,900,FSPA_FSPA`,
    ),
  ),
};

describe.each(Object.entries(LOGS))('a flow log of the kind %s', (name, text) => {
  it.each(['plain', 'gzip'])(
    '(%s) is replayed to the same verdict, twice to the same bytes',
    async (form) => {
      const path = await fileOf(`${name} ${form}`, form === 'gzip' ? gzipSync(text) : text);
      const outs = [`${path} one`, `${path} two`];
      for (const out of outs) {
        await mkdir(out);
        const { alerts, summary } = await replay([path], out);
        expect(alerts).toContain('10.0.0.1 conversed');
        expect(summary).toMatchObject({ datagrams: 0, flows: {}, mail_flows: 6, incidents: 1, late_rows: 0 });
        expect(summary.logs).toMatchObject([
          { file: path, format: name, rows: 6, rejected: {}, examples: [] },
        ]);
        expect(summary.last).toBe('2023-11-14T22:13:42.000Z');
      }
      const [one, two] = await Promise.all(outs.map(contentOf));
      expect(two).toEqual(one);
      expect(one['/acl/edge.4.txt']).toContain('10.0.0.1');
      expect(JSON.parse(one['/incidents.ndjson'])).toMatchObject({
        host: '10.0.0.1',
        grade: 'conversed',
        sessions: 3,
        block: { state: 'published' },
      });
    },
  );

  it('is no capture for decode, and the error says so', async () => {
    const path = await fileOf(`${name} decoded`, text);
    await expect(decode(path)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('neither pcap'),
    });
  });
});

describe('replay of flow logs', () => {
  it('says which lines it did not understand, how many more, and goes on', async () => {
    const [header, ...rows] = LOGS['AWS VPC flow log'].trimEnd().split('\n');
    const bad = Array(7).fill('5 eni-1 10.0.0.1 oops');
    const path = await fileOf('with bad lines', lines(header, ...bad, ...rows));
    const { stderr, alerts, summary } = await replay([path]);
    expect(stderr).toContain(`${path}:2: field_count: 5 eni-1 10.0.0.1 oops\n`);
    expect(stderr).toContain(`${path}: 2 more lines rejected\n`);
    expect(summary.logs[0]).toMatchObject({
      lines: 14,
      flows: 6,
      skipped: { header: 1 },
      rejected: { field_count: 7 },
    });
    expect(alerts).toContain('10.0.0.1 conversed');
  });

  it('shows its progress on a terminal', async () => {
    const path = await fileOf('for a terminal', LOGS['Zeek conn']);
    expect((await replay([path], undefined, true)).stderr).toContain('100 %');
  });

  it('takes rotated files in any order, and captures beside them', async () => {
    const rows = LOGS['Zeek conn (JSON)'].trimEnd().split('\n');
    const parts = await Promise.all(rows.map((row, i) => fileOf(`rotated ${i}`, `${row}\n`)));
    const forward = await replay(parts);
    const backward = await replay([...parts].reverse());
    expect(backward.alerts).toBe(forward.alerts);
    expect(backward.summary.late_rows).toBe(0);
    const capture = await fileOf('beside', CAPTURES.pcapng);
    const { summary } = await replay([...parts, capture]);
    expect(summary).toMatchObject({ datagrams: 1, mail_flows: 7, incidents: 1 });
  });

  it('of a file of no known kind is an error that names what was expected', async () => {
    const path = await fileOf('unknown', 'hello\n');
    await expect(replay([path])).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/pcap.*Zeek conn.*Suricata EVE.*AWS VPC.*nfdump.*Argus/),
    });
  });
});
