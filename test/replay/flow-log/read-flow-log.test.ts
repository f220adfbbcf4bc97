import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_LINE_BYTES } from '../../../src/replay/flow-log/limits.ts';
import { linesCounted, readLog } from '../../support/logs.ts';

const row = (changes: object = {}) =>
  JSON.stringify({
    ts: 1700000000.5,
    'id.orig_h': '10.0.0.66',
    'id.orig_p': 40000,
    'id.resp_h': '198.51.100.7',
    'id.resp_p': 25,
    proto: 'tcp',
    conn_state: 'S0',
    history: 'S',
    orig_pkts: 1,
    orig_ip_bytes: 60,
    resp_pkts: 0,
    resp_ip_bytes: 0,
    ...changes,
  });

/** One small log of each format. */
const LOGS: Readonly<Record<string, string>> = {
  'Zeek conn': `#separator \\x09\n#unset_field\t-\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\torig_pkts\n1700000000.5\t10.0.0.66\t40000\t198.51.100.7\t25\ttcp\tS0\t1\n`,
  'Zeek conn (JSON)': `${row()}\n`,
  'Suricata EVE': `{"timestamp":"2021-06-06T15:57:37.272281+0200","event_type":"stats","stats":{}}\n{"timestamp":"2021-06-06T15:57:37.272281+0200","event_type":"flow","src_ip":"10.0.0.66","src_port":40000,"dest_ip":"198.51.100.7","dest_port":25,"proto":"TCP","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":60,"bytes_toclient":0,"start":"2021-06-06T17:34:31.140759+0200","end":"2021-06-06T17:34:31.141012+0200"}}\n`,
  'AWS VPC flow log':
    '2 123456789010 eni-1 10.0.0.66 198.51.100.7 40000 25 6 1 60 1700000000 1700000060 ACCEPT OK\n',
  'nfdump CSV':
    'firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows\n2026-03-01 10:00:00.250,1.500,TCP,10.0.0.66,40000,198.51.100.7,25,1,60,1\n',
  'Argus CSV':
    'StartTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,State\n1700000000.5,tcp,10.0.0.66,40000,->,198.51.100.7,25,1,0,S_\n',
};

describe('a flow log', () => {
  it.each(Object.entries(LOGS))(
    'of the kind %s is told by its content, plain and as gzip',
    async (name, text) => {
      for (const bytes of [
        text,
        gzipSync(text),
        text.replaceAll('\n', '\r\n'),
        `\ufeff${text}`,
        text.trimEnd(),
      ]) {
        const { records, counters, error } = await readLog(bytes);
        expect(error).toBeNull();
        expect(counters.format).toBe(name);
        expect(records).toMatchObject([
          { src_addr: '10.0.0.66', dst_addr: '198.51.100.7', src_port: 40000, dst_port: 25, protocol: 6 },
        ]);
        expect(counters.rejected).toEqual({});
        expect(linesCounted(counters)).toBe(counters.lines);
      }
    },
  );

  it.each([
    ['text', 'hello\nworld\n'],
    ['binary', Buffer.from([1, 2, 3, 0xff, 0])],
    [
      'a Zeek log that is not of connections',
      '#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tquery\n',
    ],
    ['other JSON', '{"a":1}\n{"b":2}\n'],
    ['a JSON document', '{\n  "event_type": "flow"\n}\n'],
    ['a CSV of something else', 'name,address,port\nx,10.0.0.1,25\n'],
    ['blank lines', '\n\n\n'],
  ])('is not %s: the error names what was expected, and how the file begins', async (_, bytes) => {
    const { error, records } = await readLog(bytes);
    expect(records).toEqual([]);
    expect(error).toMatchObject({ code: 'io' });
    for (const word of ['pcap', 'Zeek conn', 'Suricata EVE', 'AWS VPC', 'nfdump', 'Argus', 'it begins with'])
      expect(String(error)).toContain(word);
  });

  it('that is empty is refused', async () => {
    for (const bytes of ['', gzipSync('')])
      expect((await readLog(bytes)).error).toMatchObject({
        code: 'io',
        message: expect.stringContaining('empty'),
      });
  });

  it('shows the first rejected lines by number, cut to a length', async () => {
    const bad = `{"x":"${'y'.repeat(500)}`;
    const { counters } = await readLog([row(), bad, row(), ...Array(10).fill(bad), ''].join('\n'));
    expect(counters.rejected).toEqual({ bad_json: 11 });
    expect(counters.examples.map(({ line }) => line)).toEqual([2, 4, 5, 6, 7]);
    for (const { text } of counters.examples) expect(text).toHaveLength(160);
  });

  it('with lines longer than any event passes over them in bounded memory, and numbers the others rightly', async () => {
    const long = `{"x":"${'y'.repeat(3 * MAX_LINE_BYTES)}"}`;
    const { records, places, counters } = await readLog([row(), long, row(), long].join('\n'));
    expect(records).toHaveLength(2);
    expect(places.map(([line]) => line)).toEqual([1, 3]);
    expect(counters).toMatchObject({ lines: 4, flows: 2, rejected: { too_long: 2 } });
    expect(counters.examples[0].text).toHaveLength(160);
  });

  it('with a line as long as allowed reads it', async () => {
    const padded = (length: number) => row({ x: 'y'.repeat(length - row({ x: '' }).length) });
    const { counters } = await readLog(
      `${row()}\n${padded(MAX_LINE_BYTES)}\n${padded(MAX_LINE_BYTES + 1)}\n`,
    );
    expect(counters).toMatchObject({ flows: 2, rejected: { too_long: 1 } });
  });

  it('whose gzip breaks off gives what came before, and counts that it did', async () => {
    const whole = gzipSync(
      Array.from({ length: 5000 }, (_, i) => row({ uid: `C${(i * 2654435761) >>> 0}` })).join('\n'),
    );
    const { records, counters, error } = await readLog(whole.subarray(0, whole.length - 100));
    expect(error).toBeNull();
    expect(records.length).toBeGreaterThan(1000);
    expect(counters.rejected.cut_file).toBe(1);
    expect(linesCounted(counters)).toBe(counters.lines);
  });

  it('of more lines than a block holds is read to the last', async () => {
    const count = 20_000;
    const { places, counters } = await readLog(`${row()}\n`.repeat(count));
    expect(counters).toMatchObject({ lines: count, flows: count, rows: count });
    expect(places.map(([line]) => line)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  });

  it('is never an exception but for its kind, whatever is done to it, and every line is counted', async () => {
    const change = fc.record({
      at: fc.nat(10_000),
      with: fc.constantFrom('', '\t', ',', ' ', '\n', '"', '-', '9', '\u00e9', '{', '#', '\0'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.values(LOGS)),
        fc.array(change, { maxLength: 8 }),
        async (log, changes) => {
          let text = log.repeat(3);
          for (const { at, with: piece } of changes) {
            const from = at % text.length;
            text = text.slice(0, from) + piece + text.slice(from + 1);
          }
          const { counters, error } = await readLog(text);
          if (error === null) expect(linesCounted(counters)).toBe(counters.lines);
          else expect(error).toMatchObject({ code: 'io' });
        },
      ),
      { numRuns: 1500 },
    );
  });
});
