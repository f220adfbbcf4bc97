import { describe, expect, it } from 'vitest';
import { createBadMessages } from '../../src/service/bad-messages.ts';

describe('messages that nobody can use', () => {
  it('are told at once and then once a minute for each stream, with how many there were', () => {
    const told: string[] = [];
    let now = 0;
    const bad = createBadMessages({ now: () => now, note: (text) => void told.push(text) });
    for (; now < 90_000; now += 10) bad.passedOver('mail', 'no block');
    bad.setAside('flows', 7, 'block claims 9 rows', true);
    bad.setAside('flows', 9, 'block claims 9 rows', false);
    expect(told).toEqual([
      '1 message(s) of mail cannot be used and were passed over: no block',
      '6000 message(s) of mail cannot be used and were passed over: no block',
      '1 message(s) of flows with 7 row(s) cannot be stored, and lie in dead-letters: block claims 9 rows',
      '1 message(s) of flows with 9 row(s) cannot be stored, and are lost: dead-letters is full: block claims 9 rows',
    ]);
  });
});
