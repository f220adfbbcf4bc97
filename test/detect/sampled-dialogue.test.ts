/** The sequential test over samples keeps the error rates that its docstring gives: simulated with a fixed seed. */

import { describe, expect, it } from 'vitest';
import {
  isAccepted,
  isDialogueSample,
  noSamples,
  noteTrial,
  type SampledDialogue,
  sessionsToBeSeen,
  TRIAL,
} from '../../src/detect/sampled-dialogue.ts';
import { detect, ROGUE } from '../support/detecting.ts';
import type { Flow } from '../support/flows.ts';
import { randomNumbers } from '../support/random.ts';

/** Trials until the test accepts, at most `limit`. */
function trialsUntilAccepted(share: number, limit: number, random: () => number): number {
  const test = noSamples();
  for (let n = 1; n <= limit; n++) {
    noteTrial(test, TRIAL.none, random() < share ? TRIAL.success : TRIAL.failure);
    if (isAccepted(test)) return n;
  }
  return Number.POSITIVE_INFINITY;
}

function run(share: number, hosts: number, limit: number, seed: number) {
  const random = randomNumbers(seed);
  const trials = Array.from({ length: hosts }, () => trialsUntilAccepted(share, limit, random));
  const accepted = trials.filter(Number.isFinite);
  return {
    accepted: accepted.length,
    mean: accepted.reduce((sum, n) => sum + n, 0) / Math.max(1, accepted.length),
  };
}

/** Mean trials until acceptance, exactly: the chain of scores, iterated until its survival is geometric. */
function meanTrials(share: number): number {
  const accept = 54;
  let states = new Float64Array(accept);
  states[0] = 1;
  let mean = 0;
  let alive = 1;
  for (let n = 0; alive > 1e-9 && n < 200_000; n++) {
    mean += alive;
    const next = new Float64Array(accept);
    let left = 0;
    for (let s = 0; s < accept; s++) {
      if (states[s] === 0) continue;
      next[Math.max(0, s - 1)] += states[s] * (1 - share);
      if (s + 8 < accept) next[s + 8] += states[s] * share;
    }
    for (const p of next) left += p;
    // The tail is geometric once the distribution has settled.
    if (n > 2000 && left > 0.999 * alive) return mean + left / (1 - left / alive);
    alive = left;
    states = next;
  }
  return mean;
}

describe('the test over sampled sessions', () => {
  it('accepts no host that only probes, in a thousand sampled sessions of 2000 hosts at 1 % and 300 at 5 % each', () => {
    expect(run(0.01, 2000, 1000, 1).accepted).toBe(0);
    // At exactly 5 % the expectation is 300 * 1000 / mean, which is below 26 by Lorden's bound.
    expect(run(0.05, 300, 1000, 2).accepted).toBeLessThanOrEqual(26);
  });

  it('takes over 11,600 trials on average to a false acceptance at 5 %, and over 10 million at 1 %', () => {
    expect(meanTrials(0.05)).toBeGreaterThan(11_600);
    expect(meanTrials(0.01)).toBeGreaterThan(1e7);
  });

  it.each([
    [0.2, 63],
    [0.4, 21],
    [0.6, 13],
  ])('accepts every host that holds dialogues: at a share of %d after about %d trials', (share, about) => {
    const { accepted, mean } = run(share, 2000, 5000, 3);
    expect(accepted).toBe(2000);
    expect(mean / about).toBeGreaterThan(0.75);
    expect(mean / about).toBeLessThan(1.25);
    expect(Math.abs(meanTrials(share) / mean - 1)).toBeLessThan(0.1);
  });

  it('finds a host that was harmless for long as fast as a new one', () => {
    const test = noSamples();
    for (let i = 0; i < 10_000; i++) noteTrial(test, TRIAL.none, TRIAL.failure);
    for (let i = 0; i < 7; i++) noteTrial(test, TRIAL.none, TRIAL.success);
    expect(isAccepted(test)).toBe(true);
  });

  it('does not count a session twice, and gives no failure back', () => {
    const test: SampledDialogue = noSamples();
    noteTrial(test, TRIAL.none, TRIAL.failure);
    noteTrial(test, TRIAL.failure, TRIAL.failure);
    noteTrial(test, TRIAL.failure, TRIAL.success);
    noteTrial(test, TRIAL.success, TRIAL.success);
    expect(test).toEqual({ score: 8, trials: 1, successes: 1 });
  });

  it('knows the packets of a dialogue by their size, and no SYN is one', () => {
    expect(isDialogueSample(1, 1500, 16)).toBe(true);
    expect(isDialogueSample(3, 600, 0)).toBe(true);
    expect(isDialogueSample(1, 98, 24)).toBe(false);
    expect(isDialogueSample(10, 1500, 24)).toBe(false);
    expect(isDialogueSample(1, 1500, 2)).toBe(false);
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
    ['PA', 300],
    ['A', 1500],
    ['A', 1500],
    ['PA', 500],
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
    const { of } = detect(samples(MAIL, 8 * rate + 40, rate, rate));
    const incident = of(ROGUE);
    expect(['conversed', 'bulk']).toContain(incident?.grade);
    expect(incident?.flags).toContain('sampled');
    expect(incident?.reasons.join()).toContain('samples prove dialogues');
    expect(incident?.block.state).toBe('published');
    // Seen, not estimated.
    expect(incident?.packets).toBeLessThan(rate === 4 ? 400 : 300);
  });

  it.each([4, 100, 1000])('that probes every server it finds stays connected at 1:%d', (rate) => {
    const { of } = detect(samples(PROBE, 8 * rate + 400, rate, rate));
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
    expect(of(ROGUE)?.missing.join()).toContain('proof of a dialogue');
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
