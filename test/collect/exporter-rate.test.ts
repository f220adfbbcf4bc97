import { expect, test } from 'vitest';
import { createExporterRate } from '../../src/collect/exporter-rate.ts';

test('an exporter may send a second of its rate at once, and the rate after that', () => {
  const rate = createExporterRate(100);
  const sent = (nowMs: number) => Array.from({ length: 300 }, () => rate.admit('192.0.2.1', nowMs));
  expect(sent(1000).filter(Boolean)).toHaveLength(100);
  expect(sent(1500).filter(Boolean)).toHaveLength(50);
  expect(rate.limitedDatagrams()).toBe(450);
});

test('an exporter over its limit takes nothing from the others', () => {
  const rate = createExporterRate(2);
  for (let i = 0; i < 1000; i++) rate.admit('192.0.2.1', 0);
  expect(rate.admit('192.0.2.2', 0)).toBe(true);
  expect(rate.takeLimited()).toEqual(['192.0.2.1']);
  expect(rate.takeLimited()).toEqual([]);
});

test('forged addresses without number are bounded, and named only in part', () => {
  const rate = createExporterRate(1);
  for (let i = 0; i < 40_000; i++) {
    const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    expect(rate.admit(address, 0)).toBe(true);
    rate.admit(address, 0);
  }
  expect(rate.limitedDatagrams()).toBe(40_000);
  expect(rate.takeLimited()).toHaveLength(10);
});
