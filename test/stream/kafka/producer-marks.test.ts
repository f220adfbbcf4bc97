import { describe, expect, it } from 'vitest';
import { ProducerMarks } from '../../../src/stream/kafka/producer-marks.ts';

const from = (producer: string, sequence: number, rowsBefore?: number, rows = 1) => ({
  rows,
  origin: { producer, sequence, ...(rowsBefore !== undefined && { rowsBefore }) },
});

describe('marks of producers', () => {
  it('know what was taken, by producer, and nothing of messages without a number', () => {
    const marks = new ProducerMarks(true).with([from('a', 3), from('b', 9), { rows: 1 }]);
    expect(marks.isRepeated({ producer: 'a', sequence: 3 })).toBe(true);
    expect(marks.isRepeated({ producer: 'a', sequence: 4 })).toBe(false);
    expect(marks.isRepeated({ producer: 'c', sequence: 0 })).toBe(false);
    expect(marks.isRepeated(undefined)).toBe(false);
  });

  it('never move back, and leave the marks before as they were', () => {
    const before = new ProducerMarks(true).with([from('a', 3)]);
    const after = before.with([from('a', 9), from('a', 5)]);
    expect(after.isRepeated({ producer: 'a', sequence: 9 })).toBe(true);
    expect(before.isRepeated({ producer: 'a', sequence: 9 })).toBe(false);
  });

  it('are the same after a journey through the metadata of an offset', () => {
    const marks = new ProducerMarks(true).with([
      from('0123456789ab-1a2b3c', Date.now(), 2 ** 50, 40),
      from('ba9876543210', 0),
    ]);
    const again = ProducerMarks.decode(marks.encode());
    expect(again.encode()).toBe(marks.encode());
    expect(again.isRepeated({ producer: 'ba9876543210', sequence: 0 })).toBe(true);
    expect(again.isRepeated({ producer: 'ba9876543210', sequence: 1 })).toBe(false);
  });

  it('read metadata that is none of theirs as no marks', () => {
    for (const metadata of ['', 'x', '=1', 'a=', 'a=?? b', '{"a":1}']) {
      expect(ProducerMarks.decode(metadata).encode()).toBe('');
    }
  });

  it('stay within what a broker keeps, and forget who was silent longest', () => {
    let marks = new ProducerMarks(true);
    for (let i = 0; i < 1000; i++) marks = marks.with([from(`p${i}`, Date.now())]);
    marks = marks.with([from('p0', Date.now() + 1)]);
    const text = marks.encode();
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
    expect(ProducerMarks.decode(text).isRepeated({ producer: 'p0', sequence: 1 })).toBe(true);
    expect(ProducerMarks.decode(text).isRepeated({ producer: 'p1', sequence: 1 })).toBe(false);
    // What a forgotten producer had published cannot be told from what was lost.
    expect(ProducerMarks.decode(text).missingBefore(from('p1', 9, 100).origin)).toBe(0);
  });

  it('count the rows that a producer published in between, and none where that is not known', () => {
    const marks = new ProducerMarks(true).with([from('a', 3, 0, 10), from('old', 3)]);
    const missing = (producer: string, sequence: number, rowsBefore?: number) =>
      marks.missingBefore(from(producer, sequence, rowsBefore).origin);
    expect(missing('a', 4, 10)).toBe(0);
    expect(missing('a', 9, 35)).toBe(25);
    expect(missing('a', 3, 0)).toBe(0);
    expect(missing('a', 9)).toBe(0);
    expect(missing('old', 9, 35)).toBe(0);
    // One that nobody has heard of lost its first messages, unless the reading began in the middle.
    expect(missing('new', 5, 7)).toBe(7);
    expect(new ProducerMarks(false).missingBefore(from('new', 5, 7).origin)).toBe(0);
  });

  it('tell the parts of a divided message apart by their rows, and know each of them again', () => {
    const first = from('a', 3, 0, 10);
    const second = from('a', 3, 10, 10);
    const half = new ProducerMarks(true).with([first]);
    expect([half.isRepeated(first.origin), half.isRepeated(second.origin)]).toEqual([true, false]);
    expect(half.missingBefore(second.origin)).toBe(0);
    const both = half.with([second]);
    expect([both.isRepeated(first.origin), both.isRepeated(second.origin)]).toEqual([true, true]);
    expect(both.missingBefore(from('a', 4, 20).origin)).toBe(0);
  });
});
