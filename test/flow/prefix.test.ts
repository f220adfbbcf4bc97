import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/flow/address.ts';
import {
  createPrefixTable,
  formatPrefix,
  type Prefix,
  parsePrefix,
  prefixContains,
} from '../../src/flow/prefix.ts';

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
}

/** Prefixes crowded into few networks, so that they really overlap. */
const anyPrefix = fc
  .tuple(
    fc.constantFrom(
      '10.0.0.0',
      '10.128.0.0',
      '255.255.255.255',
      '2001:db8::',
      '::',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    ),
    fc.nat(128),
    fc.nat(255),
  )
  .map(([text, length, low]): Prefix => {
    const bytes = parseAddress(text)!;
    bytes[15] ^= low;
    return {
      bytes: bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff),
      length,
    };
  });
const anyAddress = anyPrefix.map((p) => p.bytes);

describe('prefixes', () => {
  it.each(['10.0.0.0/8', '192.0.2.1', '0.0.0.0/0', '2001:db8::/32', '::/0', '2001:db8::1'])(
    'print as written: %s',
    (text) => {
      expect(formatPrefix(prefix(text))).toBe(text);
    },
  );

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '::/129',
    '10.0.0.0/8/8',
    'x/8',
    '10.0.0.0/-1',
    '10.0.0.0/1e1',
  ])('refuse %s', (text) => {
    expect(parsePrefix(text).ok).toBe(false);
  });

  it('refuse host bits and name the network that was probably meant', () => {
    expect(parsePrefix('10.1.2.3/8')).toMatchObject({
      ok: false,
      reason: expect.stringContaining('10.0.0.0/8'),
    });
  });
});

describe('a prefix table', () => {
  it('finds the longest prefix', () => {
    const table = createPrefixTable(['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3', '2001:db8::/32'].map(prefix));
    const index = (text: string) => table.lookup(parseAddress(text)!);
    expect(
      [
        '10.9.9.9',
        '10.1.9.9',
        '10.1.2.3',
        '10.1.2.4',
        '2001:db8::5',
        '11.0.0.0',
        '9.255.255.255',
        '::',
        '2001:db9::',
      ].map(index),
    ).toEqual([0, 1, 2, 1, 3, -1, -1, -1, -1]);
  });

  it('of nothing holds nothing', () => {
    expect(createPrefixTable([]).lookup(parseAddress('10.0.0.1')!)).toBe(-1);
  });

  it('agrees with trying every prefix in turn', () => {
    fc.assert(
      fc.property(
        fc.array(anyPrefix, { maxLength: 30 }),
        fc.array(anyAddress, { minLength: 1, maxLength: 20 }),
        (prefixes, addresses) => {
          const table = createPrefixTable(prefixes);
          for (const address of addresses) {
            let best = -1;
            prefixes.forEach((candidate, i) => {
              if (
                prefixContains(candidate, address) &&
                (best < 0 || candidate.length >= prefixes[best].length)
              )
                best = i;
            });
            expect(table.lookup(address)).toBe(best);
          }
        },
      ),
    );
  });
});
