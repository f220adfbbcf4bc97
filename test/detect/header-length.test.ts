/** The length of headers is proven by sessions that repeat each other, and by nothing else. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareSession,
  HEADER,
  headerOf,
  isComparable,
  noSizes,
  packSizes,
  type RepeatedSizes,
  SIZE_WORDS,
  unpackSizes,
} from '../../src/detect/header-length.ts';
import { tcpFlags } from '../support/flows.ts';

const WHOLE = tcpFlags('FSPA');

interface Shape {
  readonly forward: number;
  readonly reply: number;
}

function sizesOf({ forward, reply }: Shape, header: number, more = 0, flags = WHOLE) {
  return {
    forwardPackets: forward,
    forwardBytes: 1000 + header * forward + more,
    forwardFlags: flags,
    replyPackets: reply,
    replyBytes: 4000 + header * reply,
    replyFlags: flags,
    ipv6: header >= 60,
  };
}

const headerAfter = (sessions: readonly ReturnType<typeof sizesOf>[]) => {
  const known = noSizes();
  for (const session of sessions) compareSession(known, session);
  return headerOf(known);
};

const shape = fc.record({ forward: fc.integer({ min: 5, max: 60 }), reply: fc.integer({ min: 5, max: 60 }) });

describe('headers', () => {
  it.each([
    [40, HEADER.bare],
    [60, HEADER.bare],
    [52, HEADER.timed],
    [72, HEADER.timed],
  ] as const)('of %d octets are told by the lone ACKs of three sessions', (header, expected) => {
    const sessions = [
      { forward: 12, reply: 14 },
      { forward: 14, reply: 14 },
      { forward: 15, reply: 17 },
    ].map((each) => sizesOf(each, header));
    expect(headerAfter(sessions)).toBe(expected);
    expect(headerAfter(sessions.slice(0, 1))).toBe(HEADER.unknown);
  });

  it('are never taken for those of the other kind, whatever packets come and go', () => {
    const wrong = { 40: HEADER.timed, 52: HEADER.bare, 60: HEADER.timed, 72: HEADER.bare } as const;
    fc.assert(
      fc.property(fc.constantFrom(40, 52, 60, 72), fc.array(shape, { maxLength: 30 }), (header, shapes) => {
        expect(headerAfter(shapes.map((each) => sizesOf(each, header)))).not.toBe(wrong[header as 40]);
      }),
    );
  });

  it('are not told by the same two sessions in turn, by a RST, or once something was sent twice', () => {
    const usual = sizesOf({ forward: 12, reply: 14 }, 52);
    const oneLess = { ...usual, replyPackets: 13, replyBytes: usual.replyBytes - 40 };
    expect(headerAfter([usual, oneLess, usual, oneLess, usual, oneLess])).toBe(HEADER.unknown);
    const reset = sizesOf({ forward: 14, reply: 16 }, 40, 0, tcpFlags('RSPA'));
    expect(headerAfter([sizesOf({ forward: 12, reply: 14 }, 40), reset])).toBe(HEADER.unknown);
    const twice = sizesOf({ forward: 12, reply: 14 }, 40, 24);
    const others = [14, 16, 18, 20].map((forward) => sizesOf({ forward, reply: 14 }, 40));
    expect(headerAfter(others)).toBe(HEADER.bare);
    expect(headerAfter([sizesOf({ forward: 12, reply: 14 }, 40), twice, ...others])).toBe(HEADER.unknown);
  });

  it('are compared only of sessions that are there from their SYN to their end', () => {
    const whole = sizesOf({ forward: 12, reply: 14 }, 40);
    expect(isComparable(whole)).toBe(true);
    expect(isComparable({ ...whole, forwardFlags: tcpFlags('SPA') })).toBe(false);
    expect(isComparable({ ...whole, replyFlags: tcpFlags('FPA') })).toBe(false);
    expect(isComparable({ ...whole, forwardFlags: 0 })).toBe(false);
    expect(isComparable({ ...whole, replyBytes: 70_000 })).toBe(false);
  });
});

describe('what is known of the sizes', () => {
  const weight = fc.integer({ min: 0, max: 8 });
  const sizes: fc.Arbitrary<RepeatedSizes> = fc.record({
    forwardPackets: fc.integer({ min: 0, max: 255 }),
    forwardBytes: fc.integer({ min: 0, max: 65_535 }),
    replyPackets: fc.integer({ min: 0, max: 255 }),
    replyBytes: fc.integer({ min: 0, max: 65_535 }),
    votedForward: fc.integer({ min: 0, max: 255 }),
    votedReply: fc.integer({ min: 0, max: 255 }),
    disturbed: fc.boolean(),
    score: fc.integer({ min: -2, max: 3 }),
    fullReply: fc.integer({ min: 0, max: 65_535 }),
    weight,
    weightBare: weight,
    weightTimed: weight,
  });

  it('comes out of its words as it went in', () => {
    fc.assert(
      fc.property(sizes, (given) => {
        const words = new Uint32Array(SIZE_WORDS + 1);
        packSizes(given, words, 1);
        const read = noSizes();
        unpackSizes(read, words, 1);
        expect(read).toEqual(given);
      }),
    );
  });

  it('is within its bounds whatever the words are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 4, maxLength: 4 }),
        (words) => {
          const read = noSizes();
          unpackSizes(read, Uint32Array.from(words), 0);
          expect(read.score).toBeGreaterThanOrEqual(-2);
          expect(read.score).toBeLessThanOrEqual(3);
          expect(read.forwardBytes).toBeLessThanOrEqual(65_535);
        },
      ),
    );
  });
});
