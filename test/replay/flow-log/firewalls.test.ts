import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const NETFILTER =
  '2026-11-28T12:00:00+01:00 gw kernel: [1.2] UFW BLOCK IN=eth0 OUT=eth1 SRC=10.1.2.3 DST=198.51.100.7 LEN=60 TOS=0x00 PROTO=TCP SPT=40000 DPT=25 WINDOW=1 RES=0x00 SYN URGP=0 ';
const FILTERLOG =
  '<134>1 2026-11-28T11:00:00+00:00 fw filterlog 1 - [meta sequenceId="1"] 5,,,1,em0,match,block,in,4,0x0,,64,1,0,DF,6,tcp,60,10.1.2.3,198.51.100.7,40000,25,0,S,1,,64240,,';
const FILTERLOG6 =
  '2026-11-28T11:00:00Z fw filterlog[9]: 5,,,1,em0,match,pass,in,6,0x00,0x0,64,tcp,6,80,2001:db8::3,2001:db8::25,40000,25,0,SA,1,,64240,,';
const PFLOG =
  '2026-11-28 11:00:00.000000 rule 2/0(match): block in on em0: 10.1.2.3.40000 > 198.51.100.7.25: Flags [S], seq 1, length 0';
const BUILT =
  'Nov 28 2026 11:00:00 asa : %ASA-6-302013: Built outbound TCP connection 7 for outside:198.51.100.7/25 (198.51.100.7/25) to inside:10.1.2.3/40000 (203.0.113.5/40000)';
const TEARDOWN =
  'Nov 28 2026 11:00:05 asa : %ASA-6-302014: Teardown TCP connection 7 for outside:198.51.100.7/25 to inside:10.1.2.3/40000 duration 0:00:05 bytes 14000 TCP FINs from inside';
const DENY =
  'Nov 28 2026 11:00:00 asa : %ASA-4-106023: Deny tcp src inside:10.1.2.3/40000 dst outside:198.51.100.7/25 by access-group "in" [0x0, 0x0]';
const BY_LIST =
  'Nov 28 2026 11:00:00: %ASA-6-106100: access-list in denied tcp inside/10.1.2.3(40000) -> outside/198.51.100.7(25) hit-cnt 3 300-second interval [0x0, 0x0]';
const FORTIGATE =
  'date=2026-11-28 time=12:00:00 devname="F" tz="+0100" type="traffic" srcip=10.1.2.3 srcport=40000 dstip=198.51.100.7 dstport=25 proto=6 action="close" duration=5 sentbyte=1400 rcvdbyte=200 sentpkt=20 rcvdpkt=18';
const CEF =
  'Nov 28 2026 11:00:00 f CEF:0|Fortinet|Fortigate|v7|00013|traffic:forward deny|3|deviceExternalId=F src=10.1.2.3 spt=40000 dst=198.51.100.7 dpt=25 proto=6 act=deny rt=1795863600000 out=0 in=0';
const PANOS =
  '<14>Nov 28 11:00:05 pa 1,2026/11/28 11:00:05,001,TRAFFIC,end,1,2026/11/28 11:00:05,10.1.2.3,198.51.100.7,0.0.0.0,0.0.0.0,"a, b",,,smtp,v,t,u,e,e,d,x,1,1,40000,25,0,0,0x1c,tcp,allow,1600,1400,200,38,2026/11/28 11:00:00,5,any,0,1,0x0,US,US,0,20,18,tcp-fin';
const PANOS_EXPORT =
  'Domain,Receive Time,Type,Threat/Content Type,Generate Time,Source address,Destination address,Source Port,Destination Port,IP Protocol,Action,Bytes Sent,Bytes Received,Packets Sent,Packets Received\n' +
  '1,2026/11/28 11:00:00,TRAFFIC,deny,2026/11/28 11:00:00,10.1.2.3,198.51.100.7,40000,25,tcp,deny,60,0,1,0';
const JUNOS =
  '<14>1 2026-11-28T11:00:05Z srx RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636 reason="TCP FIN" source-address="10.1.2.3" source-port="40000" destination-address="198.51.100.7" destination-port="25" protocol-id="6" packets-from-client="20" bytes-from-client="1400" packets-from-server="18" bytes-from-server="200" elapsed-time="5"]';
const JUNOS_TEXT =
  '2026-11-28T11:00:05Z srx RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed TCP FIN: 10.1.2.3/40000->198.51.100.7/25 junos-smtp 203.0.113.5/1->198.51.100.7/25 nat None 6 out trust untrust 1234 20(1400) 18(200) 5 UNKNOWN';
const FTD =
  '2026-11-28T11:00:05Z fw %FTD-1-430003: EventPriority: Low, DeviceUUID: 1-2, FirstPacketSecond: 2026-11-28T11:00:00Z, AccessControlRuleAction: Allow, SrcIP: 10.1.2.3, DstIP: 198.51.100.7, SrcPort: 40000, DstPort: 25, Protocol: tcp, ConnectionDuration: 5, InitiatorPackets: 20, ResponderPackets: 18, InitiatorBytes: 1400, ResponderBytes: 200';
const FTD_BLOCKED =
  '2026-11-28T11:00:05Z fw %FTD-1-430002: AccessControlRuleAction: Block with reset, SrcIP: 10.1.2.3, DstIP: 198.51.100.7, SrcPort: 40000, DstPort: 25, Protocol: tcp, InitiatorPackets: 1, ResponderPackets: 0, InitiatorBytes: 60, ResponderBytes: 0';
const ENDS = '10.1.2.3:40000 > 198.51.100.7:25';
const BACK = '198.51.100.7:25 > 10.1.2.3:40000';

describe('a firewall log', () => {
  it.each([
    ['netfilter', NETFILTER, [`${ENDS} S 1/60`], 128],
    ['filterlog', FILTERLOG, [`${ENDS} S 1/60`], 128],
    ['filterlog of IPv6', FILTERLOG6, ['2001:db8::3:40000 > 2001:db8::25:25 SA 1/80'], 64],
    ['pflog', PFLOG, [`${ENDS} S 1/-`], 128],
    ['an ASA session', `${BUILT}\n${TEARDOWN}`, [`${ENDS} FSA -/-`, `${BACK} FSA -/- reverse`], 64],
    [
      'an ASA session whose beginning is missing',
      TEARDOWN,
      [`${ENDS} FSA -/-`, `${BACK} FSA -/- reverse`],
      64,
    ],
    ['an ASA denial', DENY, [`${ENDS} - 1/-`], 128],
    ['an ASA denial with hits', BY_LIST, [`${ENDS} - 3/-`], 128],
    ['an FTD connection', FTD, [`${ENDS} - 20/1400`, `${BACK} - 18/200 reverse`], 64],
    ['an FTD connection that was blocked', FTD_BLOCKED, [`${ENDS} - 1/60`], 128],
    ['pflog with names of mail ports', PFLOG.replace('.7.25:', '.7.smtp:'), [`${ENDS} S 1/-`], 128],
    [
      'netfilter in the journal, without a time of its own',
      JSON.stringify({
        __REALTIME_TIMESTAMP: '1795863600000000',
        MESSAGE: NETFILTER.slice(NETFILTER.indexOf('[1.2]')),
      }),
      [`${ENDS} S 1/60`],
      128,
    ],
    [
      'netfilter in Docker, without a year',
      JSON.stringify({
        log: `Nov 28 11:00:00 gw kernel: DROP ${NETFILTER.slice(NETFILTER.indexOf('IN='))}`,
        time: '2026-11-28T11:00:01Z',
      }),
      [`${ENDS} S 1/60`],
      128,
    ],
    [
      'netfilter in CSV, without a time of its own',
      `timestamp,message\n2026-11-28 11:00:00,"DROP ${NETFILTER.slice(NETFILTER.indexOf('IN='))}"`,
      [`${ENDS} S 1/60`],
      128,
    ],
    ['FortiGate', FORTIGATE, [`${ENDS} - 20/1400`, `${BACK} - 18/200 reverse`], 64],
    ['FortiGate CEF', CEF, [`${ENDS} - -/-`], 128],
    ['Palo Alto', PANOS, [`${ENDS} - 20/1400`, `${BACK} - 18/200 reverse`], 64],
    ['a Palo Alto export', PANOS_EXPORT, [`${ENDS} - 1/60`], 128],
    ['Juniper, structured', JUNOS, [`${ENDS} - 20/1400`, `${BACK} - 18/200 reverse`], 64],
    ['Juniper, text', JUNOS_TEXT, [`${ENDS} - 20/1400`, `${BACK} - 18/200 reverse`], 64],
  ])('of %s', async (_, text, rows, forwarding) => {
    const { records, counters, error } = await readLog(`${text}\nsomething else\n`);
    expect(error).toBeNull();
    expect(records.map(inShort)).toEqual(rows);
    expect(records[0].forwarding).toBe(forwarding);
    expect(records[0].end?.slice(0, 14)).toBe('2026-11-28T11:');
    expect(linesCounted(counters)).toBe(counters.lines);
  });

  it('with lines of two firewalls is refused with the formats, and read as the one that is named', async () => {
    const text = `${NETFILTER}\n${DENY}\n`;
    const { error } = await readLog(text);
    expect(String(error)).toContain('netfilter');
    expect(String(error)).toContain('--format');
    const named = await readLog(text, 0, 0, { format: 'asa' });
    expect(named.counters).toMatchObject({ flows: 1, skipped: { other_event: 1 } });
  });

  it.each([
    ['CET', '10:00:05'],
    ['EDT', '15:00:05'],
    ['ASAFW', '11:00:05'],
  ])('with "%s" behind the time is read in that zone, if it is one', async (zone, end) => {
    const { records } = await readLog(`${TEARDOWN.replace(' asa', ` ${zone} asa`)}\n`);
    expect(records[0].end).toBe(`2026-11-28T${end}.000Z`);
  });

  it('with a zone of which there are several is not dated by a guess', async () => {
    const { counters } = await readLog(`${TEARDOWN.replace(' asa', ' CST asa')}\n`);
    expect(counters.rejected).toEqual({ bad_time: 1 });
  });

  it.each([
    ['pflog', PFLOG.replace('198.51.100.7.25', 'mail.example.smtp')],
    ['an ASA session', TEARDOWN.replace('198.51.100.7', 'mail')],
    ['an ASA denial', DENY.replace('198.51.100.7', 'mail')],
  ])('of %s that names hosts is rejected, not passed over', async (_, line) => {
    expect((await readLog(`${line}\n`)).counters.rejected).toEqual({ bad_address: 1 });
  });

  it('whose lines begin with uptimes is no JSON', async () => {
    const { counters } = await readLog(`${NETFILTER.slice(NETFILTER.indexOf('[1.2]'))}\n`.repeat(2));
    expect(counters).toMatchObject({ lines: 2, rejected: { bad_time: 2 } });
  });

  it('takes the year of a time without one from the time of the file', async () => {
    const line = NETFILTER.replace('2026-11-28T12:00:00+01:00', 'Dec 31 23:00:00');
    const { records } = await readLog(line, 0, 0, { latestMs: Date.UTC(2026, 0, 2) });
    expect(records[0].end).toBe('2025-12-31T23:00:00.000Z');
    expect((await readLog(line)).counters.rejected).toEqual({ no_year: 1 });
  });
});

describe('a FortiGate session that is logged while it goes on', () => {
  interface Line {
    readonly id?: number | null;
    readonly action?: string;
    readonly more?: string;
    readonly port?: number;
  }
  const line = (
    minute: number,
    [sentPackets, sent, receivedPackets, received]: readonly [number, number, number, number],
    { id = 7, action = 'accept', more = '', port = 40_000 }: Line = {},
  ) =>
    `date=2026-11-28 time=12:${String(minute).padStart(2, '0')}:00 devname="F" tz="+0000" logid="${action === 'accept' ? '0000000020' : '0000000013'}" type="traffic" ` +
    `srcip=10.1.2.3 srcport=${port} dstip=198.51.100.7 dstport=25 ${id === null ? '' : `sessionid=${id} `}proto=6 action="${action}" duration=${60 * minute} ` +
    `sentbyte=${sent} rcvdbyte=${received} sentpkt=${sentPackets} rcvdpkt=${receivedPackets} ${more}`;
  const read = async (...lines: string[]) => (await readLog(`${lines.join('\n')}\n`)).records;

  it('counts once what all of its lines have', async () => {
    const records = await read(
      line(2, [20, 1400, 18, 200]),
      line(4, [30, 9000, 25, 300]),
      line(4, [3, 180, 2, 120], { id: 8, port: 40_001 }),
      line(5, [31, 9040, 26, 340], { action: 'close' }),
    );
    expect(records.map(inShort)).toEqual([
      `${ENDS} - 20/1400`,
      `${BACK} - 18/200 reverse`,
      `${ENDS} - 10/7600`,
      `${BACK} - 7/100 reverse`,
      '10.1.2.3:40001 > 198.51.100.7:25 - 3/180',
      '198.51.100.7:25 > 10.1.2.3:40001 - 2/120 reverse',
      `${ENDS} - 1/40`,
      `${BACK} - 1/40 reverse`,
    ]);
    expect(records[2].start).toBe('2026-11-28T12:02:00.000Z');
  });

  it('begins anew under the same number', async () => {
    const records = await read(
      line(2, [20, 1400, 18, 200], { action: 'close' }),
      line(4, [30, 9000, 25, 300], { action: 'close' }),
      line(6, [9, 900, 8, 80]),
      line(8, [3, 300, 2, 20]),
    );
    expect(records.map(inShort).filter((row) => row.startsWith(ENDS))).toEqual([
      `${ENDS} - 20/1400`,
      `${ENDS} - 30/9000`,
      `${ENDS} - 9/900`,
      `${ENDS} - 3/300`,
    ]);
  });

  it('is read by the differences that it tells, where no line before is known', async () => {
    const deltas = 'sentdelta=400 rcvddelta=50';
    const records = await read(
      line(2, [20, 1400, 18, 200], { id: null, more: deltas }),
      line(4, [20, 1400, 18, 200], { id: null, more: `${deltas} sentpktdelta=4 rcvdpktdelta=3` }),
      line(6, [4, 400, 3, 50], { id: null, more: deltas }),
    );
    expect(records.map(inShort)).toEqual([
      `${ENDS} - -/400`,
      `${BACK} - -/50 reverse`,
      `${ENDS} - 4/400`,
      `${BACK} - 3/50 reverse`,
      `${ENDS} - 4/400`,
      `${BACK} - 3/50 reverse`,
    ]);
  });
});
