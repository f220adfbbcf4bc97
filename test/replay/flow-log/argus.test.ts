import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const FULL =
  'StartTime,LastTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SrcBytes,DstBytes,State';
const row = (
  from: string,
  arrow: string,
  to: string,
  counts: string,
  state: string,
  start = '1700000000.500000',
) => `${start},1700000002.750000,tcp,${from},${arrow},${to},${counts},${state}`;
const MAIL = row('10.0.0.66,40000', '   ->', '198.51.100.7,25', '20,15,3000,900', 'FSPA_FSA');

async function short(...lines: readonly string[]): Promise<string[]> {
  const { records, error } = await readLog(`${lines.join('\n')}\n`);
  expect(error).toBeNull();
  return records.map(inShort);
}

describe('what Argus ra -c writes', () => {
  it('is two rows a line, with the flags of each side', async () => {
    const { records, counters } = await readLog(`${FULL}\n${MAIL}\n`);
    expect(records.map(inShort)).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 FSPA 20/3000',
      '198.51.100.7:25 > 10.0.0.66:40000 FSA 15/900 reverse',
    ]);
    expect(records[0]).toMatchObject({
      received_at: '2023-11-14T22:13:22.750Z',
      start: '2023-11-14T22:13:20.500Z',
      end: '2023-11-14T22:13:22.750Z',
      sampling_rate: 1,
    });
    expect(counters).toMatchObject({ format: 'Argus CSV', flows: 1, rows: 2, skipped: { header: 1 } });
  });

  it('turned round by its arrow has the side that opened the connection first', async () => {
    const turned = row('198.51.100.7,25', '<-', '10.0.0.66,40000', '15,20,900,3000', 'FSA_FSPA');
    expect(await short(FULL, turned)).toEqual(await short(FULL, MAIL));
  });

  it.each(['|', ';', '\t'])('is read with %o between the fields', async (separator) => {
    expect(await short(FULL.replaceAll(',', separator), MAIL.replaceAll(',', separator))).toHaveLength(2);
  });

  it('says nothing of a direction that its totals do not prove', async () => {
    const header =
      'StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label';
    const line = (state: string, counts: string) =>
      `2011/08/10 09:46:59.607825,1.026539,tcp,10.0.0.66,40000,   ->,198.51.100.7,25,${state},0,0,${counts},flow=x`;
    // 15 packets of 54 bytes and more can be the server's at most, 20 of 35 are the client's at least.
    expect(await short(header, line('FSPA_FSPA', '35,3810,3000'))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 FSPA 20/3000',
      '198.51.100.7:25 > 10.0.0.66:40000 FSPA 11/810 reverse',
    ]);
    // Answers alone could be that many, but a third of a connection's packets are each side's own.
    expect(await short(header, line('FSPA_FSPA', '24,6276,4156'))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 FSPA 8/4156',
      '198.51.100.7:25 > 10.0.0.66:40000 FSPA 8/2120 reverse',
    ]);
    // Of a large transfer that is not certain.
    expect(await short(header, line('FSPA_FSPA', '200,120000,110000'))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 FSPA 15/110000',
      '198.51.100.7:25 > 10.0.0.66:40000 FSPA 1/10000 reverse',
    ]);
    // Nobody answered: all is the client's.
    expect(await short(header, line('S_', '3,180,180'))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 S 3/180',
    ]);
    const { records } = await readLog(`${header}\n${line('S_', '3,180,180')}\n`);
    expect(records[0]).toMatchObject({ start: '2011-08-10T09:46:59.607Z', end: '2011-08-10T09:47:00.634Z' });
  });

  it('in the default columns has flags by state, and counts only of what went one way', async () => {
    const header = 'StartTime,Flgs,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,TotPkts,TotBytes,State';
    const line = (state: string) =>
      `1700000000.5, e        ,tcp,10.0.0.66,40000,->,198.51.100.7,smtp,4,240,${state}`;
    expect(await short(header, line('REQ'), line('CON'), line('RST'))).toEqual([
      '10.0.0.66:40000 > 198.51.100.7:25 S 4/240',
      '10.0.0.66:40000 > 198.51.100.7:25 A -/-',
      '198.51.100.7:25 > 10.0.0.66:40000 A -/- reverse',
      '10.0.0.66:40000 > 198.51.100.7:25 - -/-',
      '198.51.100.7:25 > 10.0.0.66:40000 - -/- reverse',
    ]);
  });

  it('counts what is not IP, and has no ports for ICMP', async () => {
    const arp = MAIL.replace(',tcp,', ',arp,').replace('10.0.0.66,40000', '00:00:5e:00:53:01,');
    const man = MAIL.replace(',tcp,', ',man,');
    const ping = MAIL.replace(',tcp,', ',icmp,').replace(',40000,', ',0x0008,').replace(',25,', ',0x1900,');
    const { records, counters } = await readLog(`${FULL}\n${arp}\n${man}\n${ping}\n`);
    expect(counters).toMatchObject({ skipped: { header: 1, not_ip: 2 }, rejected: {} });
    expect(records[0]).toMatchObject({ protocol: 1, src_port: null, dst_port: null, tcp_flags: null });
  });

  it.each([
    ['field_count', MAIL.slice(0, 60)],
    // Without a date a time cannot be placed.
    ['bad_time', MAIL.replace('1700000000.500000', '09:46:59.607825')],
    ['bad_address', MAIL.replace('10.0.0.66', 'host.example')],
    ['bad_port', MAIL.replace(',40000,', ',x11,')],
    ['bad_protocol', MAIL.replace(',tcp,', ',foo,')],
    ['bad_count', MAIL.replace(',3000,', ',3e3,')],
  ])('rejects a line with %s: %s', async (reason, text) => {
    const { records, counters } = await readLog(`${FULL}\n${text}\n${MAIL}\n`);
    expect(records).toHaveLength(2);
    expect(counters.rejected).toEqual({ [reason]: 1 });
    expect(linesCounted(counters)).toBe(counters.lines);
  });
});
