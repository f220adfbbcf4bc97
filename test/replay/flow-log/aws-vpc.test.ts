import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const V2 =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status';
const row = (changes: Record<string, string> = {}, header = V2) => {
  const values: Record<string, string> = {
    version: '2',
    'account-id': '123456789010',
    'interface-id': 'eni-1235b8ca123456789',
    srcaddr: '172.31.16.139',
    dstaddr: '198.51.100.7',
    srcport: '40000',
    dstport: '25',
    protocol: '6',
    packets: '20',
    bytes: '4249',
    start: '1700000000',
    end: '1700000060',
    action: 'ACCEPT',
    'log-status': 'OK',
    ...changes,
  };
  return header
    .split(' ')
    .map((name) => values[name] ?? '-')
    .join(' ');
};
const MAIL = '172.31.16.139:40000 > 198.51.100.7:25';

describe('an AWS VPC flow log', () => {
  it('in the default format is read with its header line, and without it', async () => {
    for (const text of [`${V2}\n${row()}\n`, `${row()}\n`, `2023-11-14T22:15:00.000Z ${row()}\n`]) {
      const { records, error } = await readLog(text);
      expect(error).toBeNull();
      expect(records.map(inShort)).toEqual([`${MAIL} - 20/4249`]);
      expect(records[0]).toMatchObject({
        received_at: '2023-11-14T22:14:20.000Z',
        start: '2023-11-14T22:13:20.000Z',
        end: '2023-11-14T22:14:20.000Z',
        forwarding: 64,
        sampling_rate: 1,
      });
    }
  });

  it('says what a security group or network ACL refused', async () => {
    const { records } = await readLog(`${V2}\n${row({ action: 'REJECT' })}\n`);
    expect(records[0].forwarding).toBe(128);
  });

  it('counts intervals without traffic, and those whose records were lost, each for itself', async () => {
    const nothing = '2 123456789010 eni-1 - - - - - - - 1700000000 1700000060 -';
    const { records, counters } = await readLog(`${V2}\n${nothing} NODATA\n${nothing} SKIPDATA\n${row()}\n`);
    expect(records).toHaveLength(1);
    expect(counters.skipped).toEqual({ header: 1, no_data: 1, skip_data: 1 });
    expect(linesCounted(counters)).toBe(4);
  });

  it('in a custom format is read by its header: any order, the ends of the packet, direction, several files joined', async () => {
    const header =
      'version vpc-id subnet-id instance-id interface-id type srcaddr dstaddr srcport dstport pkt-srcaddr pkt-dstaddr ' +
      'protocol bytes packets start end action tcp-flags log-status flow-direction traffic-path region';
    const text = row(
      {
        version: '5',
        'pkt-srcaddr': '10.20.33.164',
        'pkt-dstaddr': '-',
        'tcp-flags': '3',
        'flow-direction': 'egress',
        type: 'IPv4',
        region: 'eu-west-1',
      },
      header,
    );
    const { records, counters } = await readLog(`${header}\n${text}\n${header}\n${text}\n`);
    expect(records.map(inShort)).toEqual(Array(2).fill('10.20.33.164:40000 > 198.51.100.7:25 FSA 20/4249'));
    expect(records[0].direction).toBe('egress');
    expect(counters.skipped).toEqual({ header: 2 });
  });

  it.each([
    // SYN, FIN, RST and SYN-ACK are all that AWS tells: payload and FIN go with an ACK.
    ['2', '1', '60', 'S'],
    ['2', '3', '180', '-'],
    ['2', '2', '112', '-'],
    ['2', '20', '4249', 'SA'],
    ['3', '20', '4249', 'FSA'],
    ['18', '1', '60', 'SA'],
    ['4', '1', '40', 'R'],
    ['1', '2', '80', 'FA'],
    ['0', '9', '468', '-'],
    ['-', '9', '468', '-'],
  ])('of tcp-flags %s in %s packets of %s bytes says %s', async (flags, packets, bytes, expected) => {
    const header = `${V2} tcp-flags`;
    const { records } = await readLog(`${header}\n${row({ 'tcp-flags': flags, packets, bytes }, header)}\n`);
    expect(inShort(records[0])).toBe(`${MAIL} ${expected} ${packets}/${bytes}`);
  });

  it('tells network interfaces apart as observers', async () => {
    const { records } = await readLog(`${V2}\n${row()}\n${row({ 'interface-id': 'eni-2' })}\n${row()}\n`);
    expect(records[0].domain).not.toBe(records[1].domain);
    expect(records[0].domain).toBe(records[2].domain);
  });

  it.each([
    ['field_count', `${row()} more`],
    ['bad_time', row({ end: '-' })],
    ['bad_time', row({ start: 'x' })],
    ['bad_address', row({ srcaddr: '-' })],
    ['bad_port', row({ dstport: 'smtp' })],
    ['bad_protocol', row({ protocol: '256' })],
    ['bad_count', row({ packets: '-5' })],
  ])('rejects a line with %s: %s', async (reason, text) => {
    const { records, counters } = await readLog(`${V2}\n${text}\n${row()}\n`);
    expect(records).toHaveLength(1);
    expect(counters.rejected).toEqual({ [reason]: 1 });
  });
});
