import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

/** As nfdump 1.7.1 of Debian 12 wrote it; 1.6 has the same columns. */
const HEADER =
  'ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,mpls2,mpls3,mpls4,mpls5,mpls6,mpls7,mpls8,mpls9,mpls10,cl,sl,al,ra,eng,exid,tr';
const TAIL =
  '0.0.0.0,0.0.0.0,0,0,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,00:00:00:00:00:00,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,0-0-0,    0.000,    0.000,    0.000,127.0.0.1,2/7,1,2026-11-24 12:08:08.674';
const TCP_ROW = `2026-11-24 11:29:17,2026-11-24 11:29:18,0.003,192.0.2.100,198.51.100.25,45333,25,TCP,...AP.SF,66,0,13,3822,0,0,3,4,0,0,0,0,0,0,${TAIL}`;
const BIFLOW_ROW = `2026-11-24 11:29:23,2026-11-24 11:29:23,0.022,192.0.2.55,198.51.100.25,33641,25,TCP,...AP.SF,0,0,39,11466,36,2223,3,3,0,0,0,0,0,1,${TAIL}`;
const ICMP_ROW = `2026-11-24 11:29:36,2026-11-24 11:29:36,0.000,fe80::1415:9fff:fec4:7216,fe80::802a:c0ff:fe5c:7a39,0,34816,ICMP6,........,0,0,1,64,0,0,0,0,0,0,0,0,0,0,${TAIL}`;

describe('what nfdump -o csv writes', () => {
  it('up to 1.7.2 is read with the router as exporter, its receive time, and the totals behind the rows passed over', async () => {
    const totals = 'Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n3,15352,53,1,1,1\n';
    const { records, counters } = await readLog(`${HEADER}\n${TCP_ROW}\n${ICMP_ROW}\n${totals}`);
    expect(records.map(inShort)).toEqual([
      '192.0.2.100:45333 > 198.51.100.25:25 FSPA 13/3822',
      'fe80::1415:9fff:fec4:7216:- > fe80::802a:c0ff:fe5c:7a39:- - 1/64',
    ]);
    expect(records[0]).toMatchObject({
      received_at: '2026-11-24T12:08:08.674Z',
      start: '2026-11-24T11:29:17.000Z',
      end: '2026-11-24T11:29:18.000Z',
      exporter: '127.0.0.1',
      domain: 2 * 256 + 7,
      in_if: 3,
      out_if: 4,
      forwarding: 66,
      sampling_rate: 0,
      direction: null,
    });
    expect(records[1]).toMatchObject({ protocol: 58, forwarding: null, tcp_flags: null });
    expect(counters).toMatchObject({ flows: 2, skipped: { header: 4 }, rejected: {} });
  });

  it('of both directions in a row is two rows without the flags, which are those of both', async () => {
    const { records } = await readLog(`${HEADER}\n${BIFLOW_ROW}\n`);
    expect(records.map(inShort)).toEqual([
      '192.0.2.55:33641 > 198.51.100.25:25 - 39/11466',
      '198.51.100.25:25 > 192.0.2.55:33641 - 36/2223 reverse',
    ]);
    expect(records[0].direction).toBe('egress');
  });

  it('since 1.7.3 has other names and no end', async () => {
    const text = [
      'firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows',
      '2026-03-01 10:00:00.250,1.500,TCP,192.0.2.55,33641,198.51.100.25,25,39,11466,1',
      '2026-03-01 10:00:00.250,00:01:01.500,TCP,192.0.2.55,33641,198.51.100.25,25,39,11466,1',
    ];
    const { records, counters } = await readLog(`${text.join('\n')}\n`);
    expect(records.map(inShort)).toEqual(Array(2).fill('192.0.2.55:33641 > 198.51.100.25:25 - 39/11466'));
    expect(records.map(({ end }) => end)).toEqual(['2026-03-01T10:00:01.750Z', '2026-03-01T10:01:01.750Z']);
    expect(records[0]).toMatchObject({ received_at: '2026-03-01T10:00:01.750Z', exporter: '::' });
    expect(counters.rejected).toEqual({});
  });

  it('with chosen columns is read too, times as seconds included', async () => {
    const text = [
      'received,lastSeen,firstSeen,srcAddr,dstAddr,srcPort,dstPort,proto,packets,bytes,flags,routerIP,direction',
      '1772359205.123,1772359202.000,1772359200.500,192.0.2.55,198.51.100.25,33641,25,6,39,11466,....AP.SF,192.0.2.254,E',
    ];
    const { records } = await readLog(`${text.join('\n')}\n`);
    expect(records.map(inShort)).toEqual(['192.0.2.55:33641 > 198.51.100.25:25 FSPA 39/11466']);
    expect(records[0]).toMatchObject({
      received_at: '2026-03-01T10:00:05.123Z',
      end: '2026-03-01T10:00:02.000Z',
      exporter: '192.0.2.254',
      direction: 'egress',
    });
  });

  it('without any flow is an empty log, not an error', async () => {
    const { error, counters } = await readLog(`${HEADER}\nNo matching flows\nSummary\n`);
    expect(error).toBeNull();
    expect(counters).toMatchObject({ lines: 3, flows: 0, skipped: { header: 3 } });
  });

  it('of several files joined begins anew at each header', async () => {
    const one = `${HEADER}\n${TCP_ROW}\nSummary\nflows,bytes\n1,2\n`;
    expect((await readLog(one + one)).counters).toMatchObject({ flows: 2, skipped: { header: 8 } });
  });

  it('has times that nobody told as 1970: the receive time stands for them', async () => {
    const untold = TCP_ROW.replaceAll('2026-11-24 11:29:1', '1970-01-01 00:00:0')
      .replaceAll('00:00:07', '00:00:00')
      .replaceAll('00:00:08', '00:00:00');
    const { records } = await readLog(`${HEADER}\n${untold}\n`);
    expect(records[0]).toMatchObject({ received_at: '2026-11-24T12:08:08.674Z', start: null, end: null });
  });

  it.each([
    ['field_count', TCP_ROW.slice(0, 100)],
    ['bad_time', TCP_ROW.replace('2026-11-24', '2026-13-24')],
    ['bad_address', TCP_ROW.replace('192.0.2.100', '192.0..100')],
    ['bad_port', TCP_ROW.replace('45333', '75333')],
    ['bad_protocol', TCP_ROW.replace('TCP', 'TPC')],
    ['bad_count', TCP_ROW.replace('3822', '3.8 K')],
  ])('rejects a line with %s: %s', async (reason, text) => {
    const { records, counters } = await readLog(`${HEADER}\n${text}\n${TCP_ROW}\n`);
    expect(records).toHaveLength(1);
    expect(counters.rejected).toEqual({ [reason]: 1 });
    expect(linesCounted(counters)).toBe(counters.lines);
  });
});
