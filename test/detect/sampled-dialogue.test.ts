/** The sequential test over samples keeps the error rates that its docstring gives: computed, and simulated with a fixed seed. */

import { describe, expect, it } from 'vitest';
import {
  isAccepted,
  MAX_SCORE,
  noSamples,
  noteSample,
  sessionsToBeSeen,
} from '../../src/detect/sampled-dialogue.ts';
import { readTruth } from '../scenarios/mail-lab.ts';
import { detect, ROGUE } from '../support/detecting.ts';
import type { Flow } from '../support/flows.ts';
import { randomNumbers } from '../support/random.ts';

const ACK = 16;
/** A check a minute for a week. */
const WEEK_OF_CHECKS = 7 * 24 * 60;

/** What the test makes of one packet with this payload, from this sum. */
function after(score: number, payload: number): number {
  const test = { ...noSamples(), score };
  noteSample(test, 1, 52 + payload, ACK, false);
  return test.score;
}

/**
 * Probability that the test accepts a host that holds a session with these packets (octets of payload) every minute for a week,
 * of which one packet in `rate` is taken: exactly, from the chain of sums.
 */
function acceptedInWeek(payloads: readonly number[], rate = 10): number {
  const trials = Math.ceil((WEEK_OF_CHECKS * payloads.length) / rate);
  const sizes = [...new Set(payloads)].map((payload) => ({
    share: payloads.filter((other) => other === payload).length / payloads.length,
    to: Array.from({ length: MAX_SCORE }, (_, score) => after(score, payload)),
  }));
  let states = new Float64Array(MAX_SCORE);
  states[0] = 1;
  let accepted = 0;
  for (let n = 0; n < trials; n++) {
    const next = new Float64Array(MAX_SCORE);
    for (let score = 0; score < MAX_SCORE; score++) {
      const p = states[score];
      if (p < 1e-40) continue;
      for (const { share, to } of sizes) {
        if (to[score] < MAX_SCORE) next[to[score]] += p * share;
        else accepted += p * share;
      }
    }
    states = next;
  }
  return accepted;
}

/** Payload of the client's packets after the SYN, in the median session of each case of the mail lab. */
const lab = readTruth().map(({ name, kind, dialogue }) => ({
  name,
  kind,
  payloads: dialogue.filter((payload) => payload >= 0),
}));
const mean = (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

describe('the test over sampled packets', () => {
  it('accepts the worst check of the mail lab in a week less than once in 100 million weeks, all of them less than once in 10 million', () => {
    const checks = lab.filter(
      ({ kind, payloads }) => kind !== 'delivering' && kind !== 'authorised' && payloads.length > 0,
    );
    expect(checks.length).toBeGreaterThan(200);
    const worst = checks.sort((a, b) => mean(b.payloads) - mean(a.payloads)).slice(0, 8);
    const errors = worst.map(({ payloads }) => acceptedInWeek(payloads));
    expect(Math.max(...errors)).toBeLessThan(1e-8);
    // From the ninth on, each has less than the eighth.
    expect(errors.reduce((sum, p) => sum + p, 0) + checks.length * errors[7]).toBeLessThan(1e-7);
  });

  it.each([
    ['a session of eight packets', [0, 20, 10, 1448, 270, 90, 0, 0], 1e-5],
    ['a ticket beside the key', [0, 20, 10, 1448, 612, 90, 30, 0, 0, 0], 1e-5],
    ['a hello joined by receive offload', [0, 30, 10, 1719, 90, 30, 20, 0, 0], 1e-3],
    ['link headers counted', [18, 18, 42, 28, 1466, 123, 98, 46, 42, 18], 1e-8],
  ])('keeps the error of a week small for checks that the lab does not have: %s', (_, payloads, bound) => {
    expect(acceptedInWeek(payloads)).toBeLessThan(bound);
  });

  it.each([
    'smtplib-10000-plain',
    'postfix-10000-postfix',
    'exim-chunking-10000-exim',
    'smtplib-tls-10000-chain',
    'smtplib-100000-exim',
  ])('accepts %s at 1:10 before 130 mails are sent, in 19 of 20 cases', (name) => {
    const payloads = lab.find((each) => each.name === name)?.payloads ?? [];
    const random = randomNumbers(5);
    const late = Array.from({ length: 100 }, () => {
      const test = noSamples();
      for (let mail = 0; mail < 130; mail++) {
        const taken = payloads.filter(() => random() < 0.1);
        const bytes = taken.reduce((sum, payload) => sum + 52 + payload, 0);
        noteSample(test, taken.length, bytes, ACK, false);
      }
      return isAccepted(test) ? 0 : 1;
    });
    expect(late.reduce<number>((sum, n) => sum + n, 0)).toBeLessThanOrEqual(5);
  });

  it('finds a host that was harmless for long as fast as a new one', () => {
    const test = noSamples();
    for (let i = 0; i < 10_000; i++) noteSample(test, 1, 52, ACK, false);
    for (let i = 0; i < 23; i++) noteSample(test, 1, 1500, ACK, false);
    expect(isAccepted(test)).toBe(true);
  });

  it('forgets what a host gathered that goes on harmlessly', () => {
    const test = noSamples();
    noteSample(test, 10, 15_000, ACK, false);
    expect(test.score).toBe(114);
    for (let i = 0; i < 40; i++) noteSample(test, 1, 52, ACK, false);
    expect(test).toEqual({ score: 0, trials: 50, payload: 14_480 });
  });

  it('adds up over the packets of a record', () => {
    const test = noSamples();
    noteSample(test, 3, 1500 + 1500 + 52, ACK, false);
    expect(test).toEqual({ score: 19, trials: 3, payload: 2896 });
  });

  it('takes no SYN for a packet of a dialogue, and longer headers for no payload', () => {
    const test = noSamples();
    noteSample(test, 1, 60, 2, false);
    expect(test.trials).toBe(0);
    noteSample(test, 2, 60 + 452, 2 | ACK, false);
    expect(test).toEqual({ score: 1, trials: 1, payload: 400 });
    noteSample(test, 1, 472, ACK, true);
    expect(test).toEqual({ score: 2, trials: 2, payload: 800 });
  });

  it('keeps its counts within 32 bits, whatever a record says', () => {
    const test = noSamples();
    for (let i = 0; i < 3; i++) noteSample(test, 2 ** 40, 2 ** 40, 0, false);
    expect(test).toEqual({ score: 0, trials: 2 ** 32 - 1, payload: 0 });
    noteSample(test, 1, 2 ** 40, 0, false);
    expect(test).toMatchObject({ score: MAX_SCORE, payload: 2 ** 32 - 1 });
  });
});

describe('sessions until a host is seen', () => {
  it.each([
    [1, 1],
    [100, 28],
    [500, 137],
    [1000, 273],
  ])('at 1:%d with 95 in 100 it takes %d', (rate, sessions) => {
    expect(sessionsToBeSeen(rate)).toBe(sessions);
  });

  it('agrees with the sampling of packets', () => {
    const random = randomNumbers(4);
    const sessions = sessionsToBeSeen(100);
    let seen = 0;
    for (let host = 0; host < 2000; host++) {
      for (let packet = 0; packet < sessions * 11; packet++) {
        if (random() >= 1 / 100) continue;
        seen++;
        break;
      }
    }
    expect(seen / 2000).toBeGreaterThan(0.935);
    expect(seen / 2000).toBeLessThan(0.97);
  });
});

describe('a host behind sampling, whole', () => {
  /** Client packets of one session: octets and flags. */
  const MAIL: [string, number][] = [
    ['S', 60],
    ['A', 52],
    ['PA', 73],
    ['PA', 85],
    ['PA', 80],
    ['PA', 58],
    ['A', 1500],
    ['A', 1500],
    ['A', 1500],
    ['A', 1500],
    ['PA', 900],
    ['PA', 58],
    ['FA', 52],
  ];
  const PROBE: [string, number][] = [
    ['S', 60],
    ['A', 52],
    ['PA', 100],
    ['A', 52],
    ['PA', 58],
    ['FA', 52],
  ];

  /** sFlow-like: one record a sampled packet, in a datagram of its own. */
  function samples(packets: [string, number][], sessions: number, rate: number, seed: number): Flow[] {
    const random = randomNumbers(seed);
    const flows: Flow[] = [];
    for (let i = 0; i < sessions; i++) {
      for (const [flags, bytes] of packets) {
        if (random() >= 1 / rate) continue;
        flows.push({
          from: ROGUE,
          to: `198.51.${i % 5}.${i % 200}`,
          fromPort: 1024 + (i % 60_000),
          flags,
          packets: 1,
          bytes,
          sampling: rate,
          at: i * 100,
        });
      }
    }
    return flows;
  }

  it.each([4, 100, 1000])('that mails reaches conversed or more at 1:%d, and is blocked', (rate) => {
    const { of } = detect(samples(MAIL, 14 * rate + 40, rate, rate));
    const incident = of(ROGUE);
    expect(['conversed', 'bulk']).toContain(incident?.grade);
    expect(incident?.flags).toContain('sampled');
    expect(incident?.reasons.join()).toContain('samples prove messages');
    expect(incident?.block.state).toBe('published');
    // Seen, not estimated.
    expect(incident?.packets).toBeLessThan(rate === 4 ? 400 : 300);
  });

  it.each([4, 100, 1000])('that probes every server it finds stays connected at 1:%d', (rate) => {
    const { of } = detect(samples(PROBE, 8 * rate + 400, rate, rate));
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
    expect(of(ROGUE)?.missing.join()).toContain('proof of a message');
  });

  it('that scans with bare ACKs is never more than connected', () => {
    const { of } = detect(samples([['A', 40]], 40_000, 100, 9));
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
  });

  it('is seen, and called connected only, on one sample of one session', () => {
    const { of } = detect([
      { from: ROGUE, to: '198.51.100.1', flags: 'A', packets: 1, bytes: 1500, sampling: 1000 },
    ]);
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', packets: 1, bytes: 1500, sessions: 1 });
  });
});
