import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../src/decode/token-bucket.ts';

function takes(bucket: TokenBucket, nowMs: number): number {
  let taken = 0;
  while (taken < 1000 && bucket.take(nowMs)) taken++;
  return taken;
}

describe('a token bucket', () => {
  it('gives the burst at once and then the rate', () => {
    const bucket = new TokenBucket(5, 2, 1000);
    expect(takes(bucket, 1000)).toBe(5);
    expect(takes(bucket, 1499)).toBe(0);
    expect(takes(bucket, 2000)).toBe(2);
  });

  it('keeps fractions of what it is given', () => {
    const bucket = new TokenBucket(1, 1, 0);
    expect(takes(bucket, 0)).toBe(1);
    for (let nowMs = 100; nowMs < 1000; nowMs += 100) expect(bucket.take(nowMs)).toBe(false);
    expect(bucket.take(1000)).toBe(true);
  });

  it('never holds more than the burst, and a clock that is set back gives nothing', () => {
    const bucket = new TokenBucket(3, 100, 1e6);
    expect(takes(bucket, 1e9)).toBe(3);
    expect(takes(bucket, 0)).toBe(0);
    expect(takes(bucket, 10)).toBe(1);
  });
});
