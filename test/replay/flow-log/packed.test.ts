import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inShort, linesCounted, readLog } from '../../support/logs.ts';

const VPC = '2 1 eni-1 10.1.2.3 198.51.100.7 40000 25 6 20 4249 1700000000 1700000060 ACCEPT OK';
const GATEWAY =
  '6 TransitGateway 1 tgw-1 tgw-attach-1 1 - vpc-1 - subnet-1 - eni-1 - az1 - tgw-attach-2 10.1.2.3 198.51.100.7 40000 25 6 20 4249 1700000000 1700000060 OK IPv4 0 0 0 0 27 us-east-1 ingress - -';
const ROW = '10.1.2.3:40000 > 198.51.100.7:25';
const FIELDS =
  'version account_id interface_id srcaddr dstaddr srcport dstport protocol packets bytes start end action log_status';
const object = Object.fromEntries(FIELDS.split(' ').map((name, i) => [name, VPC.split(' ')[i]]));
const events = [VPC, VPC].map((message, i) => ({ id: String(i), timestamp: 1, message }));

describe('records that are packed', () => {
  it.each([
    ['an export of CloudWatch', `timestamp,message\n1700000000000,${VPC}\n1700000000000,${VPC}\n`],
    ['an export of Insights', `"@timestamp","@message"\n"2023-11-14 22:13:20.000","${VPC}"\n"x","${VPC}"\n`],
    [
      'Insights with the columns that were asked for',
      `@timestamp,@message,srcAddr,dstAddr,srcPort,dstPort,protocol,packets,bytes\n${`2023-11-14 22:13:20.000,${VPC},10.1.2.3,198.51.100.7,40000,25,6,20,4249\n`.repeat(2)}`,
    ],
    [
      'Insights with columns, of records that do not tell their format',
      `@timestamp,@message,srcAddr,dstAddr,srcPort,dstPort,protocol,packets,bytes\n${`2023-11-14 22:13:20.000,eni-1 10.1.2.3 198.51.100.7,10.1.2.3,198.51.100.7,40000,25,6,20,4249\n`.repeat(2)}`,
    ],
    [
      'Insights with columns only',
      `"@timestamp","interfaceId","pktSrcAddr","pktDstAddr","srcAddr","dstAddr","srcPort","dstPort","protocol","packets","bytes","start","end","logStatus","tcpFlags","flowDirection"\n${'"2023-11-14 22:13:20.000","eni-1","10.1.2.3","198.51.100.7","10.9.9.9","198.51.100.7","40000","25","6","20","4249","1700000000","1700000060","OK","0","egress"\n'.repeat(2)}`,
    ],
    ['aws logs, indented', JSON.stringify({ events, searchedLogStreams: [] }, null, 4)],
    [
      'a subscription',
      `${JSON.stringify({ messageType: 'DATA_MESSAGE', logEvents: [events[0]] })}${JSON.stringify({ logEvents: [events[1]] })}`,
    ],
    [
      'Insights as JSON',
      JSON.stringify({
        results: [VPC, VPC].map((value) => [
          { field: '@message', value },
          { field: '@ptr', value: 'x' },
        ]),
      }),
    ],
    ['Filebeat', `${JSON.stringify(events[0])}\n${JSON.stringify(events[1])}\n`],
    [
      'Filebeat over Docker',
      `${JSON.stringify({ message: JSON.stringify({ log: `${VPC}\n` }) })}\n`.repeat(2),
    ],
    [
      'Athena as CSV',
      `${FIELDS.split(' ')
        .map((name) => `"${name}"`)
        .join(',')}\n${`${VPC.split(' ')
        .map((word) => `"${word}"`)
        .join(',')}\n`.repeat(2)}`,
    ],
    ['Athena as JSON', `${JSON.stringify(object)}\n`.repeat(2)],
    ['an array', JSON.stringify([object, object])],
    ['an indented array', JSON.stringify([object, object], null, 2)],
    [
      'Elasticsearch',
      JSON.stringify({ hits: { total: 2, hits: events.map((_source) => ({ _source })) } }, null, 1),
    ],
  ])('by %s are read as they are', async (_, text) => {
    const { records, counters, error } = await readLog(text);
    expect(error).toBeNull();
    expect(records.map(inShort)).toEqual([`${ROW} - 20/4249`, `${ROW} - 20/4249`]);
    expect(linesCounted(counters)).toBe(counters.lines);
    expect(counters.rejected).toEqual({});
  });

  it('of a VPC and a transit gateway are told apart line by line', async () => {
    for (const lines of [
      [VPC, GATEWAY, VPC],
      [GATEWAY, VPC, GATEWAY],
    ]) {
      const { records, counters } = await readLog(lines.join('\n'));
      expect(records.map((record) => record.dst_port)).toEqual([25, 25, 25]);
      expect(counters.rejected).toEqual({});
    }
  });

  it('without a header are read by the fields that the caller names', async () => {
    const text = '10.1.2.3 198.51.100.7 25 6 1700000060\n';
    expect((await readLog(text)).error).not.toBeNull();
    const fields = ['srcaddr', 'dstaddr', 'dstport', 'protocol', 'end'];
    const { records } = await readLog(text, 0, 0, { format: 'aws', fields });
    expect(records.map((record) => record.dst_port)).toEqual([25]);
  });

  it('in Parquet are refused by name', async () => {
    expect(String((await readLog('PAR1\u0015\u0004')).error)).toContain('Parquet');
  });

  it('in a damaged array cost the entries that are damaged, which are counted', async () => {
    const text = JSON.stringify([object, object, object], null, 2).replace('"eni-1"', '"eni-1');
    const { records, counters } = await readLog(text);
    expect(records.length).toBeGreaterThanOrEqual(1);
    expect(counters.rejected.bad_json).toBeGreaterThanOrEqual(1);
    const cut = await readLog(JSON.stringify([object, object]).slice(0, -20));
    expect(cut.counters).toMatchObject({ flows: 1, rejected: { bad_json: 1 } });
  });

  it('never throw anything but what is meant, and never lose a line uncounted, whatever is done to them', async () => {
    const texts = [
      JSON.stringify({ events }, null, 1),
      JSON.stringify([object, object]),
      `timestamp,message\n1,${VPC}\n`,
      `${VPC}\n${GATEWAY}\n`,
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...texts),
        fc.nat(),
        fc.string({ maxLength: 4 }),
        async (text, at, noise) => {
          const place = at % text.length;
          const { counters, error } = await readLog(text.slice(0, place) + noise + text.slice(place + 1));
          if (error !== null) expect(error).toMatchObject({ code: 'io' });
          expect(linesCounted(counters)).toBe(counters.lines);
        },
      ),
      { numRuns: 150 },
    );
  });
});
