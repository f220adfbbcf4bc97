import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FlowBatch } from '../../src/flow/batch.ts';
import { PRESENT } from '../../src/flow/columns.ts';
import { parseFlowFilter } from '../../src/flow/flow-filter.ts';
import { batchOf } from '../support/flows.ts';

const BATCH = batchOf([
  {
    from: '10.1.2.3',
    to: '192.0.2.25',
    fromPort: 40_000,
    toPort: 25,
    flags: 'SA',
    packets: 10,
    bytes: 1500,
    inIf: 3,
    outIf: 4,
    vrf: 7,
  },
  {
    from: '192.0.2.25',
    to: '10.1.2.3',
    fromPort: 25,
    toPort: 40_000,
    flags: 'S',
    packets: 1,
    bytes: 60,
    inIf: 4,
    outIf: 3,
    exporter: '198.51.100.9',
  },
  {
    from: '2001:db8::1',
    to: '2001:db8:1::2',
    fromPort: 50_000,
    toPort: 587,
    flags: 'F',
    packets: 3,
    bytes: 2000,
  },
  {
    from: '172.16.0.1',
    to: '172.16.0.2',
    fromPort: 53,
    toPort: 53,
    protocol: 17,
    flags: null,
    packets: 2,
    bytes: 2_000_000,
  },
]);

/** Rows that a filter takes. */
function rows(text: string, batch: FlowBatch = BATCH): number[] {
  const parsed = parseFlowFilter(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return Array.from({ length: batch.length }, (_, row) => row).filter((row) => parsed.filter(batch, row));
}

function reason(text: string): string {
  const parsed = parseFlowFilter(text);
  return parsed.ok ? '' : parsed.reason;
}

describe('a filter', () => {
  test.each<[string, number[]]>([
    ['any', [0, 1, 2, 3]],
    ['port 25', [0, 1]],
    ['src port 25', [1]],
    ['dst port = 25', [0]],
    ['port 25 and src net 10.0.0.0/8', [0]],
    ['PORT 25 AND NOT src net 10.0.0.0/8', [1]],
    ['dst port >= 587', [1, 2]],
    ['dst port<26', [0]],
    ['src port > 40000 or dst port > 40000', [2]],
    ['host 192.0.2.25', [0, 1]],
    ['src ip 192.0.2.25', [1]],
    ['dst host 2001:db8:1::2', [2]],
    ['net 2001:db8::/32', [2]],
    ['net 172.16.0.0/12', [3]],
    ['exporter 198.51.100.9', [1]],
    ['exporter 198.51.100.0/24', [1]],
    ['tcp', [0, 1, 2]],
    ['udp', [3]],
    ['proto udp', [3]],
    ['proto 17', [3]],
    ['icmp or proto gre', []],
    ['ipv4', [0, 1, 3]],
    ['ipv6', [2]],
    ['flags S', [0, 1]],
    ['flags as', [0]],
    ['in if 3', [0]],
    ['out if 3', [1]],
    ['if 3', [0, 1]],
    ['vrf 7', [0]],
    ['packets > 2', [0, 2]],
    ['bytes >= 2m', [3]],
    ['bytes 2k', [2]],
    // "and" binds more than "or"; "not" more than both.
    ['udp or tcp and dst port 25', [0, 3]],
    ['(udp or tcp) and dst port 25', [0]],
    ['not udp and not ipv6', [0, 1]],
    ['not (udp or ipv6)', [0, 1]],
    ['!udp&&!ipv6||flags SA', [0, 1]],
    ['not not udp', [3]],
  ])('%s', (text, expected) => {
    expect(rows(text)).toEqual(expected);
  });

  test('does not take a field that the record does not have, and "not" does', () => {
    const batch = batchOf([{ from: '10.0.0.1', to: '10.0.0.2' }]);
    batch.columns.present[0] = 0;
    const tests = [
      'src port 0',
      'port < 1',
      'proto 0',
      'flags S',
      'vrf 0',
      'packets 0',
      'bytes < 9',
      'host ::',
      'net ::/0',
      'ipv4',
      'ipv6',
    ];
    for (const text of tests) {
      expect(rows(text, batch), text).toEqual([]);
      expect(rows(`not ${text}`, batch), text).toEqual([0]);
    }
    batch.columns.present[0] = PRESENT.DST_ADDR;
    expect(rows('ipv4 and not src net 0.0.0.0/0', batch)).toEqual([0]);
  });

  test.each([
    ['', 'the filter is empty'],
    ['port', 'the filter ends, where a number of 0 to 65535 is expected'],
    ['port 65536', 'has "65536" as word 2, where a number of 0 to 65535'],
    ['port 25 src net 10.0.0.0/8', 'has "src" as word 3, where "and", "or" or the end'],
    ['smtp', 'has "smtp" as word 1, where a test such as'],
    ['src net 10.0.0.1/8', '"10.0.0.1/8" has host bits set; the network is 10.0.0.0/8'],
    ['host mail.example', '"mail.example" is not an IP address'],
    ['host 10.0.0.0/8', 'where an address (a prefix follows "net")'],
    ['(port 25', 'the filter ends, where ")"'],
    ['port 25)', 'has ")" as word 3'],
    ['port 25 and', 'the filter ends, where a test'],
    ['flags X', 'letters of TCP flags'],
    ['in 3', 'where "if"'],
    ['src 10.0.0.1', 'where a test such as'],
    ['proto toString', 'has "toString"'],
    ['port 25 & udp', 'has "&" as word 3'],
    [`${'('.repeat(5000)}any`, 'more than 1000 words'],
  ])('that is wrong (%#) says where', (text, expected) => {
    expect(reason(text)).toContain(expected);
  });

  test('is read or refused, never more, whatever the text', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'src',
        'dst',
        'port',
        'net',
        'host',
        'not',
        'and',
        'or',
        '(',
        ')',
        '25',
        '<',
        '10.0.0.0/8',
        'udp',
        'flags',
        'if',
        'in',
      ),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        const parsed = parseFlowFilter(words.join(' '));
        if (parsed.ok) expect(typeof parsed.filter(BATCH, 0)).toBe('boolean');
        else expect(parsed.reason.length).toBeGreaterThan(0);
      }),
    );
  });

  test('holds as many words as it takes, however they nest', () => {
    expect(rows(`${'('.repeat(499)}udp${')'.repeat(499)}`)).toEqual([3]);
    expect(rows(`${'not '.repeat(998)}udp`)).toEqual([3]);
    expect(rows(Array.from({ length: 499 }, () => 'udp').join(' or '))).toEqual([3]);
  });
});
