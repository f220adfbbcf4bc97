import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { beginningOf, moveOf } from '../../../src/stream/kafka/place-moves.ts';
import { decodeNote, encodeNote } from '../../../src/stream/kafka/position-note.ts';
import { ProducerMarks } from '../../../src/stream/kafka/producer-marks.ts';

const A = 'a'.repeat(32);
const B = 'b'.repeat(32);
const found = (more: object = {}) => ({ topicId: A, low: 0, end: 100, epochEnd: null, ...more });

describe('a place in a partition', () => {
  it.each([
    ['is where it was', { topicId: A, next: 50 }, found(), null],
    ['at the end has not moved', { topicId: A, next: 100 }, found(), null],
    ['below what is kept is a gap, no move', { topicId: A, next: 5 }, found({ low: 20 }), null],
    ['of a topic that was made anew and is shorter', { topicId: B, next: 150 }, found(), 'recreated 0'],
    ['of a topic that was made anew and is longer already', { topicId: B, next: 50 }, found(), 'recreated 0'],
    [
      'of a new topic of which retention has taken something',
      { topicId: B, next: 50 },
      found({ low: 7 }),
      'recreated 7',
    ],
    ['of a log that was cut, by epochs', { topicId: A, next: 150 }, found({ epochEnd: 90 }), 'cut 90'],
    [
      'of a log that was cut and has grown again',
      { topicId: A, next: 95 },
      found({ epochEnd: 90 }),
      'cut 90',
    ],
    [
      'of a log that was cut below what is kept',
      { topicId: A, next: 95 },
      found({ low: 92, epochEnd: 90 }),
      'cut 92',
    ],
    [
      'beyond an end that lags behind, as epochs tell',
      { topicId: A, next: 150 },
      found({ epochEnd: 150 }),
      null,
    ],
    [
      'beyond the end, where nothing else is known',
      { topicId: null, next: 150 },
      found({ topicId: null }),
      'cut 0',
    ],
    ['is believed where nothing is known', { topicId: null, next: 50 }, found({ topicId: null }), null],
    ['is believed where it was not known before', { topicId: null, next: 50 }, found(), null],
  ] as const)('%s', (_, remembered, there, expected) => {
    const move = moveOf(remembered, there);
    expect(move === null ? null : `${move.kind} ${move.from}`).toBe(expected);
  });

  it('never moves forward over what was not read, and never while it is the same log', () => {
    const offsets = fc.nat({ max: 1000 });
    fc.assert(
      fc.property(
        fc.constantFrom(A, B, null),
        fc.constantFrom(A, B, null),
        offsets,
        fc.tuple(offsets, offsets).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
        fc.option(offsets),
        (before, now, next, [low, end], epochEnd) => {
          const move = moveOf({ topicId: before, next }, { topicId: now, low, end, epochEnd });
          const isOther = before !== null && now !== null && before !== now;
          if (isOther) expect(move).toEqual({ kind: 'recreated', from: low });
          else if (epochEnd !== null) expect(move !== null).toBe(epochEnd < next);
          else expect(move !== null).toBe(end < next);
          // Everything that is kept and was not read lies at or behind the new place.
          if (move?.kind === 'cut') expect(move.from).toBeLessThanOrEqual(Math.max(low, next));
        },
      ),
    );
  });
});

describe('where a group begins', () => {
  const memory = { topicId: A, committed: 50 };
  const position = (committed: number | null, more: object = {}) => ({
    committed,
    topicId: committed === null ? null : A,
    isOurs: committed !== null,
    ...more,
  });
  it.each([
    ['with everything that is kept, when it is new', position(null), null, found(), null, null],
    ['where it stood', position(60), null, found(), 60, null],
    ['where another consumer has come to meanwhile', position(60), memory, found(), 60, null],
    [
      'at the beginning of a topic that was made anew',
      position(60, { topicId: B }),
      null,
      found(),
      0,
      'recreated',
    ],
    [
      'at the beginning of a new topic, which took the positions with it',
      position(null),
      { ...memory, topicId: B },
      found(),
      0,
      'recreated',
    ],
    [
      'there too when it had not committed yet',
      position(null),
      { topicId: B, committed: -1 },
      found(),
      0,
      'recreated',
    ],
    [
      'where this process stood, when the positions were removed',
      position(null),
      memory,
      found(),
      50,
      'removed',
    ],
    [
      'where somebody else has set it back',
      position(10, { isOurs: false, topicId: null }),
      memory,
      found(),
      10,
      'set',
    ],
    [
      'where somebody else has set it forward',
      position(90, { isOurs: false, topicId: null }),
      memory,
      found(),
      90,
      'set',
    ],
    [
      'where somebody else has set it while nobody read',
      position(60, { isOurs: false, topicId: null }),
      null,
      found(),
      60,
      'set',
    ],
    ['at the cut of a log', position(60), null, found({ epochEnd: 55 }), 55, 'cut'],
  ] as const)('%s', (_, at, remembered, there, from, story) => {
    expect(beginningOf(at, remembered, there)).toEqual({ from, story });
  });
});

describe('the note of a position', () => {
  it('comes back as it went, and is told from what others write', () => {
    const marks = new ProducerMarks(true).with([
      { rows: 3, origin: { producer: 'p', sequence: 5, rowsBefore: 9 } },
    ]);
    for (const [topicId, epoch] of [
      [A, 0],
      [A, 37],
      [null, -1],
    ] as const) {
      const note = decodeNote(encodeNote({ topicId, epoch, marks }));
      expect([note?.topicId, note?.epoch]).toEqual([topicId, epoch]);
      expect(note?.marks.encode()).toBe(marks.encode());
    }
    expect(
      decodeNote(encodeNote({ topicId: A, epoch: 1, marks: new ProducerMarks(true) }))?.marks.encode(),
    ).toBe('');
    for (const other of ['', 'p=5', 'x@1', '@zz', '{"a":1}']) expect(decodeNote(other)).toBeNull();
  });

  it('fits into what a broker keeps', () => {
    let marks = new ProducerMarks(true);
    for (let i = 0; i < 1000; i++)
      marks = marks.with([
        { rows: 1, origin: { producer: `${i}`.padStart(19, 'f'), sequence: 2 ** 50, rowsBefore: 2 ** 50 } },
      ]);
    expect(encodeNote({ topicId: A, epoch: 2 ** 31 - 1, marks }).length).toBeLessThanOrEqual(4096);
  });
});
