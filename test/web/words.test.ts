/** The words of the page: sentences say no more than is known, and text from outside cannot lie about itself. */

import { describe, expect, it } from 'vitest';
import { bytes, duration, percent } from '../../src/web/words/format.ts';
import { stateStatement, truthStatement } from '../../src/web/words/sentences.ts';
import { shown, shownLines } from '../../src/web/words/shown.ts';
import { emptyOverview, overview } from '../e2e/page/answers.ts';

const state = (changes: Parameters<typeof overview>[0]) => stateStatement(overview(changes));

describe('the sentence at the top', () => {
  it('says who sends and whether it is stopped', () => {
    expect(state({})).toEqual({
      text: '3 hosts send mail without permission. 2 are blocked, 1 waits for you. 1 other host tried or only connected.',
      mood: 'act',
    });
    const one = { open: 1, by_grade: { attempted: 0, connected: 0, conversed: 1, bulk: 0 }, waiting: 0 };
    expect(state({ ...one, blocked: 0, mode: 'observe' })).toEqual({
      text: '1 host sends mail without permission. 1 is not blocked, because block.mode is observe.',
      mood: 'alarm',
    });
    expect(state({ ...one, blocked: 0, passing: 1 }).text).toBe(
      '1 host sends mail without permission. 1 still passes although in the lists.',
    );
  });

  it('does not call a network clean that nobody looks at', () => {
    expect(stateStatement(emptyOverview()).mood).toBe('unknown');
    const { coverage } = overview();
    const none = {
      open: 0,
      by_grade: { attempted: 0, connected: 0, conversed: 0, bulk: 0 },
      blocked: 0,
      waiting: 0,
    };
    expect(state({ ...none, coverage: { ...coverage, reporting: 0 } }).mood).toBe('unknown');
    expect(state(none)).toEqual({ text: 'No host sends mail without permission.', mood: 'calm' });
  });

  it('says how far it is true', () => {
    expect(truthStatement(overview())).toBe(
      'True for 2 of 3 routers; 0.02 % of records lost in the last hour; 192.0.2.3 is silent for 4 min; 192.0.2.2 looks at 1 packet in 1,000.',
    );
  });
});

describe('text from outside', () => {
  it('has what cannot be seen written out, and keeps scripts and emoji of the world', () => {
    expect(shown('a\u202eb\u0000\u2028\u200b')).toBe('a\\u{202E}b\\u{0000}\\u{2028}\\u{200B}');
    expect(shown('مضيف 👩‍💻')).toBe('مضيف 👩‍💻');
    expect(shownLines('a\n\tb\u202e')).toBe('a\n\tb\\u{202E}');
  });

  it('is cut with its length beside it, never within a character', () => {
    expect(shown('a'.repeat(10_240), 10)).toBe('aaaaaaaaaa… (10,240 characters)');
    expect(shown('😀😀', 3)).toBe('😀… (4 characters)');
  });
});

it('numbers carry their units', () => {
  expect([bytes(12), bytes('1230000'), percent(0.0002, 1), percent(0, 1), duration(240_000)]).toEqual([
    '12 B',
    '1.2 MB',
    '0.02 %',
    '0 %',
    '4 min',
  ]);
});
