import { networkInterfaces } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SourceNames } from '../../src/collect/source-names.ts';
import { SOCKADDR_BYTES } from '../../src/collect/udp-socket.ts';
import { formatAddress, parseAddress } from '../../src/flow/address.ts';

interface Source {
  readonly family: 'ipv4' | 'ipv6';
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly scope: number;
  readonly flow: number;
}

function put(names: Buffer, slot: number, { family, bytes, port, scope, flow }: Source): void {
  const at = slot * SOCKADDR_BYTES;
  // The kernel leaves what lies behind a shorter address as it was.
  names.writeUInt16LE(family === 'ipv4' ? 2 : 10, at);
  names.writeUInt16BE(port, at + 2);
  if (family === 'ipv4') names.set(bytes.subarray(0, 4), at + 4);
  else {
    names.writeUInt32LE(flow, at + 4);
    names.set(bytes, at + 8);
    names.writeUInt32LE(scope, at + 24);
  }
}

function textOf({ family, bytes, scope }: Source): string {
  if (family === 'ipv4') return bytes.subarray(0, 4).join('.');
  const text = formatAddress(bytes);
  return bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80 ? `${text}%${scope}` : text;
}

/** Few values for each byte, so that addresses share places and parts. */
const byte = fc.constantFrom(0, 1, 2, 0x80, 0xfe, 0xff);
const source = (family: Source['family']): fc.Arbitrary<Source> =>
  fc.record({
    family: fc.constant(family),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(byte, { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
    ),
    port: fc.nat(65_535),
    // No interface has these numbers, so that they stand for themselves.
    scope: fc.integer({ min: 1_000_000, max: 1_000_003 }),
    flow: fc.nat(3),
  });

describe('the text of a source', () => {
  test.each(['ipv4', 'ipv6'] as const)('is that of its address, whatever came before it (%s)', (family) => {
    fc.assert(
      fc.property(fc.array(source(family), { minLength: 1, maxLength: 200 }), (sources) => {
        const names = Buffer.from(new ArrayBuffer(3 * SOCKADDR_BYTES));
        const texts = new SourceNames(names);
        for (const [i, one] of [...sources, ...sources].entries()) {
          put(names, i % 3, one);
          expect(texts.of(i % 3)).toBe(textOf(one));
        }
      }),
      { numRuns: 50 },
    );
  });

  test('is right for more addresses than are remembered, in any order', () => {
    const names = Buffer.from(new ArrayBuffer(SOCKADDR_BYTES));
    const texts = new SourceNames(names);
    let wrong = 0;
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 20_000; i++) {
        const bytes = Uint8Array.of(10, i >>> 16, (i >>> 8) & 0xff, i & 0xff);
        put(names, 0, { family: 'ipv4', bytes, port: 1, scope: 0, flow: 0 });
        if (texts.of(0) !== bytes.join('.')) wrong++;
      }
    expect(wrong).toBe(0);
  });

  test('is made once for an exporter', () => {
    const names = Buffer.from(new ArrayBuffer(2 * SOCKADDR_BYTES));
    const texts = new SourceNames(names);
    const bytes = parseAddress('2001:db8::1') ?? new Uint8Array(16);
    put(names, 0, { family: 'ipv6', bytes, port: 1, scope: 0, flow: 0 });
    put(names, 1, { family: 'ipv6', bytes, port: 2, scope: 0, flow: 9 });
    expect(texts.of(0)).toBe('2001:db8::1');
    names.writeUInt16LE(77, SOCKADDR_BYTES + 8);
    names.set(bytes, SOCKADDR_BYTES + 8);
    expect(texts.of(1)).toBe('2001:db8::1');
  });

  test('of IPv4 on an IPv6 socket is dotted, and a link-local one names its interface', () => {
    const names = Buffer.from(new ArrayBuffer(SOCKADDR_BYTES));
    const texts = new SourceNames(names);
    const of = (text: string, scope: number) => {
      const bytes = parseAddress(text) ?? new Uint8Array(16);
      put(names, 0, { family: 'ipv6', bytes, port: 1, scope, flow: 0 });
      return texts.of(0);
    };
    expect(of('::ffff:192.0.2.7', 0)).toBe('192.0.2.7');
    const known = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
      addresses.flatMap((one) =>
        one.family === 'IPv6' && one.scopeid ? [[name, one.scopeid] as const] : [],
      ),
    );
    for (const [name, scope] of known) expect(of('fe80::1', scope)).toBe(`fe80::1%${name}`);
    expect(of('fe80::1', 1_000_000)).toBe('fe80::1%1000000');
  });
});
