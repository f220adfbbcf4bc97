import { expect, test } from 'vitest';
import { createExporterAccess } from '../../src/collect/exporter-access.ts';
import { formatAddress } from '../../src/flow/address.ts';
import { type Prefix, parsePrefix } from '../../src/flow/prefix.ts';

function prefixes(...texts: string[]): Prefix[] {
  return texts.map((text) => {
    const parsed = parsePrefix(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.prefix;
  });
}

test('without a list everyone is admitted', () => {
  const access = createExporterAccess([]);
  expect(formatAddress(access.admit('203.0.113.9') as Uint8Array)).toBe('203.0.113.9');
  expect(access.refusedDatagrams()).toBe(0);
});

test('with a list only its prefixes are admitted, and the others counted by address', () => {
  const access = createExporterAccess(prefixes('192.0.2.0/24', '2001:db8::/32'));
  expect(access.admit('192.0.2.200')).not.toBeNull();
  expect(access.admit('2001:db8::5')).not.toBeNull();
  expect(access.admit('::ffff:192.0.2.7')).not.toBeNull();
  for (const stranger of ['198.51.100.1', '198.51.100.1', '2001:db9::1']) {
    expect(access.admit(stranger)).toBeNull();
  }
  expect(access.refusedDatagrams()).toBe(3);
  expect(access.refused()).toEqual([
    { address: '198.51.100.1', datagrams: 2 },
    { address: '2001:db9::1', datagrams: 1 },
  ]);
});

test('a link-local exporter is known without its zone', () => {
  const access = createExporterAccess(prefixes('fe80::/10'));
  expect(formatAddress(access.admit('fe80::1%eth0') as Uint8Array)).toBe('fe80::1');
});

test('strangers without number are counted, and told apart only up to a bound', () => {
  const access = createExporterAccess(prefixes('192.0.2.0/24'));
  for (let i = 0; i < 40_000; i++) access.admit(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  expect(access.refusedDatagrams()).toBe(40_000);
  expect(access.refused()).toHaveLength(1024);
  expect(access.admit('192.0.2.1')).not.toBeNull();
});
