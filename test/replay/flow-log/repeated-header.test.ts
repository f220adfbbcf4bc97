import { describe, expect, it } from 'vitest';
import { inShort, readLog } from '../../support/logs.ts';

const NFDUMP = 'firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows';
const nfdumpRow = (a: string, b: string) => `2026-03-01 10:00:00.000,5.000,TCP,${a},40000,${b},25,20,3000,1`;
const CLIENT = '192.0.2.55';
const SERVER = '198.51.100.25';
const FORWARD = `${CLIENT}:40000 > ${SERVER}:25`;

async function flowsOf(...lines: readonly string[]) {
  const { records, counters } = await readLog(`${lines.join('\n')}\n`);
  return { flows: records.map((record) => inShort(record).split(' ').slice(0, 3).join(' ')), counters };
}

describe('a header within a flow log', () => {
  it('of nfdump with exchanged columns is followed, also when its first columns are the same', async () => {
    const exchanged = 'firstSeen,duration,proto,dstAddr,srcPort,srcAddr,dstPort,packets,bytes,flows';
    const { flows, counters } = await flowsOf(
      NFDUMP,
      nfdumpRow(CLIENT, SERVER),
      exchanged,
      nfdumpRow(SERVER, CLIENT),
      NFDUMP,
      nfdumpRow(CLIENT, SERVER),
    );
    expect(flows).toEqual([FORWARD, FORWARD, FORWARD]);
    expect(counters).toMatchObject({ flows: 3, skipped: { header: 3 }, rejected: {} });
  });

  it('of nfdump is followed behind the totals of the log before', async () => {
    const { flows } = await flowsOf(
      NFDUMP,
      nfdumpRow(CLIENT, SERVER),
      'Summary',
      'flows,bytes,packets,avg_bps,avg_pps,avg_bpp',
      '1,3000,20,1,1,1',
      'proto,firstSeen,duration,srcAddr,srcPort,dstAddr,dstPort,packets,bytes',
      `TCP,2026-03-01 10:00:00.000,5.000,${CLIENT},40000,${SERVER},25,20,3000`,
    );
    expect(flows).toEqual([FORWARD, FORWARD]);
  });

  it('that lacks what is needed makes its rows rejected, not misread', async () => {
    const { flows, counters } = await flowsOf(
      NFDUMP,
      nfdumpRow(CLIENT, SERVER),
      'firstSeen,duration,proto,dstAddr,srcPort,nextHop,dstPort,packets,bytes,flows',
      nfdumpRow(SERVER, CLIENT),
      nfdumpRow(SERVER, CLIENT),
      NFDUMP,
      nfdumpRow(CLIENT, SERVER),
    );
    expect(flows).toEqual([FORWARD, FORWARD]);
    expect(counters).toMatchObject({ lines: 7, rejected: { no_header: 2 } });
  });

  it('of Argus with exchanged columns is followed', async () => {
    const row = (a: string, b: string) => `2026/03/01 10:00:00.000000,tcp,${a},40000,${b},25,20,3000,FIN`;
    const { flows } = await flowsOf(
      'StartTime,Proto,SrcAddr,Sport,DstAddr,Dport,SrcPkts,SrcBytes,State',
      row(CLIENT, SERVER),
      'StartTime,Proto,DstAddr,Sport,SrcAddr,Dport,SrcPkts,SrcBytes,State',
      row(SERVER, CLIENT),
    );
    // Argus counts both directions; here it does not say how much came back.
    expect(flows.filter((flow) => flow.endsWith(':25'))).toEqual([FORWARD, FORWARD]);
  });

  it('of AWS with exchanged columns is followed', async () => {
    const row = (a: string, b: string) =>
      `eni-1 ${a} ${b} 40000 25 6 20 3000 1772359200 1772359205 ACCEPT OK`;
    const rest = 'srcport dstport protocol packets bytes start end action log-status';
    const { flows } = await flowsOf(
      `interface-id srcaddr dstaddr ${rest}`,
      row(CLIENT, SERVER),
      `interface-id dstaddr srcaddr ${rest}`,
      row(SERVER, CLIENT),
    );
    expect(flows).toEqual([FORWARD, FORWARD]);
  });

  it('of Zeek with exchanged columns is followed', async () => {
    const names = (a: string, b: string) =>
      `#fields\tts\tuid\tid.${a}\tid.orig_p\tid.${b}\tid.resp_p\tproto\tduration\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes`;
    const row = (a: string, b: string) =>
      `1772359200.000000\tC1\t${a}\t40000\t${b}\t25\ttcp\t5.0\t20\t3000\t0\t0`;
    const { flows } = await flowsOf(
      '#separator \\x09',
      names('orig_h', 'resp_h'),
      row(CLIENT, SERVER),
      names('resp_h', 'orig_h'),
      row(SERVER, CLIENT),
    );
    expect(flows).toEqual([FORWARD, FORWARD]);
  });
});
