import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/flow/address.ts';
import {
  readAddress,
  readCount,
  readPort,
  readProtocol,
  readSeconds,
  readTime,
} from '../../../src/replay/flow-log/values.ts';

/** With something around it, so that a reader that looks beyond its field is found out. */
const within = <T>(read: (text: string, start: number, end: number) => T, text: string) =>
  read(`9${text}9`, 1, 1 + text.length);

const time = (text: string) => {
  const ms = within(readTime, text);
  return ms < 0 ? null : new Date(ms).toISOString();
};

describe('a time', () => {
  it.each([
    ['1700000000', '2023-11-14T22:13:20.000Z'],
    ['1700000000.123456', '2023-11-14T22:13:20.123Z'],
    ['1700000000123', '2023-11-14T22:13:20.123Z'],
    ['2023-11-14 22:13:20', '2023-11-14T22:13:20.000Z'],
    ['2023/11/14 22:13:20.123456', '2023-11-14T22:13:20.123Z'],
    ['2023-11-14T22:13:20.123456Z', '2023-11-14T22:13:20.123Z'],
    ['2023-11-14T22:13:20.123456+0200', '2023-11-14T20:13:20.123Z'],
    ['2023-11-14T22:13:20-05:30', '2023-11-15T03:43:20.000Z'],
    ['2023-11-14T22:13:20+02', '2023-11-14T20:13:20.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(time(text)).toBe(expected);
  });

  it.each([
    '',
    '-',
    '-1',
    '1e400',
    '09:46:59.607825',
    '2023-11-14',
    '2023-13-14 22:13:20',
    '2023-11-14 25:13:20',
    '2023-11-14T22:13:20+2',
    '2023-11-14T22:13:20 CET',
    '2023/11-14 22:13:20',
    '1969-12-31 23:59:59',
    '99999999999999999999',
  ])('is not made of %o', (text) => {
    expect(time(text)).toBeNull();
  });

  it('is read from every ISO form of every date', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('2299-12-31'), noInvalidDate: true }), (date) => {
        expect(time(date.toISOString())).toBe(date.toISOString());
        expect(within(readTime, String(date.getTime() / 1000))).toBeCloseTo(date.getTime(), 2);
      }),
    );
  });
});

describe('an address', () => {
  const read = (text: string) => {
    const out = new Uint8Array(16).fill(7);
    return within((t, start, end) => readAddress(t, start, end, out), text) ? formatAddress(out) : null;
  };

  it('is read as the parser of configurations reads it, from whatever text', () => {
    const octet = fc.oneof(fc.nat(255).map(String), fc.constantFrom('', '256', '01', '-1', '1e1', ' 1'));
    const dotted = fc.array(octet, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.oneof(dotted, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        const parsed = parseAddress(text);
        expect(read(text)).toBe(parsed === null ? null : formatAddress(parsed));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('numbers', () => {
  it('are whole, decimal and not negative, or nothing', () => {
    for (const [text, value] of [
      ['0', 0],
      ['9007199254740991', 9007199254740991],
      ['18446744073709551615', -1],
      ['', -1],
      ['-1', -1],
      ['1.5', -1],
      ['1 M', -1],
    ] as const)
      expect(within(readCount, text)).toBe(value);
  });

  it('as ports are at most 65535, in hexadecimal too', () => {
    for (const [text, value] of [
      ['65535', 65535],
      ['65536', -1],
      ['0x0019', 25],
      ['0x', -1],
      ['smtp', -1],
    ] as const)
      expect(within(readPort, text)).toBe(value);
  });

  it('of seconds may have a fraction or an exponent', () => {
    for (const [text, value] of [
      ['1.5', 1500],
      ['0', 0],
      ['9e-06', 0.009],
      ['1.5E+1', 15000],
      ['1.2.3', -1],
      ['.', -1],
      ['e', -1],
    ] as const)
      expect(within(readSeconds, text)).toBeCloseTo(value);
  });

  it('of protocols may be names', () => {
    for (const [text, value] of [
      ['6', 6],
      ['TCP', 6],
      ['047', 47],
      ['ipv6-icmp', 58],
      ['256', -1],
      ['', -1],
    ] as const)
      expect(within(readProtocol, text)).toBe(value);
  });
});
