import { describe, expect, it } from 'vitest';
import { createBadMessages } from '../../src/service/bad-messages.ts';

describe('messages that nobody can use', () => {
  it('are told at once and then once a minute for each stream, with how many there were', () => {
    const told: string[] = [];
    let now = 0;
    const bad = createBadMessages({ now: () => now, note: (text) => void told.push(text) });
    for (; now < 90_000; now += 10) bad.passedOver('mail', 'no block');
    expect(told).toEqual([
      '1 message(s) of mail cannot be used and were passed over: no block',
      '6000 message(s) of mail cannot be used and were passed over: no block',
    ]);
  });
});
