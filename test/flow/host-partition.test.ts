import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/flow/address.ts';
import { hostPartition } from '../../src/flow/host-partition.ts';

const bytes = (text: string) => parseAddress(text) ?? new Uint8Array(16);

describe('the partition of a host', () => {
  it('is the only one where there is one', () => {
    expect(hostPartition(bytes('10.0.0.1'), 0, 1)).toBe(0);
  });

  it('never changes: collectors and detectors of all versions must agree', () => {
    const places = ['10.0.0.1', '10.0.0.2', '192.168.1.77', '2001:db8:1::42'].map((host) =>
      hostPartition(bytes(host), 0, 12),
    );
    expect(places).toEqual([1, 5, 5, 4]);
  });

  it('depends on the address only, not on where it lies', () => {
    const column = new Uint8Array(48);
    column.set(bytes('10.1.2.3'), 32);
    expect(hostPartition(column, 32, 7)).toBe(hostPartition(bytes('10.1.2.3'), 0, 7));
  });

  it('spreads the neighbours of a network evenly', () => {
    for (const partitions of [2, 6, 12, 64]) {
      const counts = new Array<number>(partitions).fill(0);
      for (let i = 0; i < 6400; i++)
        counts[hostPartition(bytes(`10.0.${i >> 8}.${i & 255}`), 0, partitions)]++;
      expect(Math.max(...counts) / (6400 / partitions)).toBeLessThan(1.5);
    }
  });
});
