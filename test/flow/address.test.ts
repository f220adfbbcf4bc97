import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { compareAddresses, formatAddress, isIPv4, parseAddress } from '../../src/flow/address.ts';

const sixteenBytes = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe('addresses', () => {
  it('travel as 16 bytes, IPv4 in mapped form', () => {
    expect(Buffer.from(parseAddress('192.0.2.55')!).toString('hex')).toBe('00000000000000000000ffffc0000237');
    expect(Buffer.from(parseAddress('2001:db8::1')!).toString('hex')).toBe(
      '20010db8000000000000000000000001',
    );
  });

  it('print IPv4 dotted, also when it was written as mapped', () => {
    expect(formatAddress(parseAddress('::ffff:192.0.2.55')!)).toBe('192.0.2.55');
  });

  it.each([
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['fe80:0:0:0:0:0:0:0', 'fe80::'],
  ])('print %s as RFC 5952 wants: %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  it.each([
    '10.1',
    '010.0.0.1',
    '0x0a.0.0.1',
    '1.2.3.4.5',
    '256.0.0.1',
    '',
    ' 10.0.0.1',
    'fe80::1%eth0',
    ':::',
    'localhost',
    '10.0.0.1\n',
  ])('refuse %j', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  it('survive print and parse, whatever the bytes', () => {
    fc.assert(
      fc.property(sixteenBytes, (bytes) => {
        expect(parseAddress(formatAddress(bytes))).toEqual(bytes);
      }),
    );
  });

  it('print IPv6 as ipaddr.js does', () => {
    fc.assert(
      fc.property(sixteenBytes, (bytes) => {
        fc.pre(!isIPv4(bytes));
        expect(formatAddress(bytes)).toBe(new ipaddr.IPv6([...bytes]).toRFC5952String());
      }),
    );
  });

  it('sort numerically', () => {
    const sorted = ['10.0.0.10', '10.0.0.9', '2001:db8::', '9.0.0.0']
      .map((text) => parseAddress(text)!)
      .sort(compareAddresses);
    expect(sorted.map((bytes) => formatAddress(bytes))).toEqual([
      '9.0.0.0',
      '10.0.0.9',
      '10.0.0.10',
      '2001:db8::',
    ]);
  });
});
