import { describe, expect, it } from 'vitest';
import { ProducerMarks } from '../../../src/stream/kafka/producer-marks.ts';

const from = (producer: string, sequence: number) => ({ origin: { producer, sequence } });

describe('marks of producers', () => {
  it('know what was taken, by producer, and nothing of messages without a number', () => {
    const marks = new ProducerMarks().with([from('a', 3), from('b', 9), {}]);
    expect(marks.isRepeated({ producer: 'a', sequence: 3 })).toBe(true);
    expect(marks.isRepeated({ producer: 'a', sequence: 4 })).toBe(false);
    expect(marks.isRepeated({ producer: 'c', sequence: 0 })).toBe(false);
    expect(marks.isRepeated(undefined)).toBe(false);
  });

  it('never move back, and leave the marks before as they were', () => {
    const before = new ProducerMarks().with([from('a', 3)]);
    const after = before.with([from('a', 9), from('a', 5)]);
    expect(after.isRepeated({ producer: 'a', sequence: 9 })).toBe(true);
    expect(before.isRepeated({ producer: 'a', sequence: 9 })).toBe(false);
  });

  it('are the same after a journey through the metadata of an offset', () => {
    const marks = new ProducerMarks().with([from('0123456789ab', Date.now()), from('ba9876543210', 0)]);
    const again = ProducerMarks.decode(marks.encode());
    expect(again.encode()).toBe(marks.encode());
    expect(again.isRepeated({ producer: 'ba9876543210', sequence: 0 })).toBe(true);
    expect(again.isRepeated({ producer: 'ba9876543210', sequence: 1 })).toBe(false);
  });

  it('read metadata that is none of theirs as no marks', () => {
    for (const metadata of [null, '', 'x', '=1', 'a=', 'a=?? b', '{"a":1}']) {
      expect(ProducerMarks.decode(metadata).encode()).toBe('');
    }
  });

  it('stay within what a broker keeps, and forget who was silent longest', () => {
    let marks = new ProducerMarks();
    for (let i = 0; i < 1000; i++) marks = marks.with([from(`p${i}`, Date.now())]);
    marks = marks.with([from('p0', Date.now() + 1)]);
    const text = marks.encode();
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
    expect(ProducerMarks.decode(text).isRepeated({ producer: 'p0', sequence: 1 })).toBe(true);
    expect(ProducerMarks.decode(text).isRepeated({ producer: 'p1', sequence: 1 })).toBe(false);
  });
});
