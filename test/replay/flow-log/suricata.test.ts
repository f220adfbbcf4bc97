import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const FLOW = {
  timestamp: '2021-06-06T15:57:37.272281+0200',
  event_type: 'flow',
  src_ip: '192.168.1.129',
  src_port: 48938,
  dest_ip: '198.51.100.7',
  dest_port: 25,
  proto: 'TCP',
  flow: {
    pkts_toserver: 20,
    pkts_toclient: 15,
    bytes_toserver: 3000,
    bytes_toclient: 900,
    start: '2021-06-06T17:34:31.140759+0200',
    end: '2021-06-06T17:34:33.941012+0200',
    state: 'closed',
  },
  tcp: { tcp_flags: '1b', tcp_flags_ts: '1b', tcp_flags_tc: '1a' },
};

const NETFLOW = {
  ...FLOW,
  event_type: 'netflow',
  flow: undefined,
  netflow: { pkts: 20, bytes: 3000, start: FLOW.flow.start, end: FLOW.flow.end },
  tcp: { tcp_flags: '1b' },
};

const line = (event: object) => `${JSON.stringify(event)}\n`;

describe('a Suricata EVE log', () => {
  it('gives two rows for a flow event: to the server, and back', async () => {
    const { records, counters } = await readLog(line(FLOW));
    expect(records.map(inShort)).toEqual([
      '192.168.1.129:48938 > 198.51.100.7:25 FSPA 20/3000',
      '198.51.100.7:25 > 192.168.1.129:48938 SPA 15/900 reverse',
    ]);
    expect(records[0]).toMatchObject({
      received_at: '2021-06-06T15:34:33.941Z',
      start: '2021-06-06T15:34:31.140Z',
      end: '2021-06-06T15:34:33.941Z',
      version: 'log',
      sampling_rate: 1,
      forwarding: null,
    });
    expect(counters).toMatchObject({ format: 'Suricata EVE', lines: 1, flows: 1, rows: 2 });
  });

  it('gives one row for a netflow event, as of another observer', async () => {
    const { records } = await readLog(line(NETFLOW) + line(FLOW));
    expect(records.map(inShort)[0]).toBe('192.168.1.129:48938 > 198.51.100.7:25 FSPA 20/3000');
    expect(records).toHaveLength(3);
    expect(records[0].domain).not.toBe(records[1].domain);
  });

  it('gives no row for a side that sent nothing', async () => {
    const flow = { ...FLOW.flow, pkts_toclient: 0, bytes_toclient: 0 };
    expect((await readLog(line({ ...FLOW, flow }))).records).toHaveLength(1);
  });

  it('tells what an inline Suricata dropped', async () => {
    const dropped = { ...FLOW, flow: { ...FLOW.flow, action: 'drop' } };
    const verdict = { ...FLOW, verdict: { action: 'drop' } };
    const { records } = await readLog(line(dropped) + line(verdict));
    expect(records.map(({ forwarding }) => forwarding)).toEqual([128, 128, 128, 128]);
  });

  it('passes over events of other types and counts them, also those that hold a flow object or speak of one', async () => {
    const alert = { ...FLOW, event_type: 'alert' };
    const http = { ...FLOW, event_type: 'http', http: { url: '/?"event_type":"flow"' } };
    const { records, counters } = await readLog(line(alert) + line(http) + line(FLOW));
    expect(records).toHaveLength(2);
    expect(counters.skipped).toEqual({ other_event: 2 });
  });

  it('is read with blanks after the colons, and without flags', async () => {
    const { tcp: _, ...event } = FLOW;
    const spaced = JSON.stringify(event)
      .replaceAll(':', ': ')
      .replaceAll(/(\d\d): (\d\d)/g, '$1:$2')
      .replaceAll(/(\d\d): (\d\d)/g, '$1:$2');
    const { records } = await readLog(`${spaced}\n`);
    expect(records[0]).toMatchObject({ tcp_flags: null, dst_port: 25, packets: 20 });
  });

  it('has no ports for ICMP, and protocols by number too', async () => {
    const icmp = {
      ...FLOW,
      proto: 'IPv6-ICMP',
      src_ip: 'fe80::1',
      dest_ip: 'fe80::2',
      icmp_type: 25,
      tcp: undefined,
    };
    const gre = { ...FLOW, proto: '047' };
    const { records } = await readLog(line(icmp) + line(gre));
    expect(records[0]).toMatchObject({ protocol: 58, src_port: null, dst_port: null, tcp_flags: null });
    expect(records[2]).toMatchObject({ protocol: 47, src_port: null });
  });

  it.each([
    ['bad_json', JSON.stringify(FLOW).slice(0, 300)],
    ['bad_json', `${JSON.stringify(FLOW).slice(0, 300)}}`],
    ['bad_time', JSON.stringify({ ...FLOW, flow: { ...FLOW.flow, end: 'never' } })],
    ['bad_time', JSON.stringify({ ...FLOW, timestamp: undefined, flow: {} })],
    ['bad_address', JSON.stringify({ ...FLOW, src_ip: '' })],
    ['bad_port', JSON.stringify({ ...FLOW, dest_port: 70000 })],
    ['bad_protocol', JSON.stringify({ ...FLOW, proto: {} })],
    ['bad_count', JSON.stringify({ ...FLOW, flow: { ...FLOW.flow, pkts_toserver: 'many' } })],
  ])('rejects a line with %s: %s', async (reason, text) => {
    const { records, counters } = await readLog(`${line(FLOW)}${text}\n${line(FLOW)}`);
    expect(records).toHaveLength(4);
    expect(counters.rejected).toEqual({ [reason]: 1 });
    expect(counters.examples).toMatchObject([{ line: 2, reason }]);
    expect(linesCounted(counters)).toBe(counters.lines);
  });
});
