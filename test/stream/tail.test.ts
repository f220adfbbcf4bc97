import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { TAIL_BYTES } from '../../src/stream/local/settings.ts';
import { Tail } from '../../src/stream/local/tail.ts';

const MESSAGE_BYTES = 256 * 1024;
const message = (offset: number) => ({
  key: '',
  id: '',
  value: new Uint8Array(MESSAGE_BYTES),
  rows: 1,
  offset,
});

describe('the tail of a stream', () => {
  it('gives the newest messages, and nothing from before them', () => {
    const tail = new Tail();
    const count = 3 * (TAIL_BYTES / MESSAGE_BYTES);
    for (let offset = 0; offset < count; offset++) tail.push(message(offset));

    expect(tail.from(count - 2, { messages: 10, bytes: TAIL_BYTES }).map(({ offset }) => offset)).toEqual([
      count - 2,
      count - 1,
    ]);
    expect(tail.from(0, { messages: 10, bytes: TAIL_BYTES })).toEqual([]);
  });

  it('holds no more than its bound, whatever has passed through it', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const tail = new Tail();
    // Not cut yet: just under half of the messages have been dropped.
    const values = Array.from({ length: 2 * (TAIL_BYTES / MESSAGE_BYTES) - 3 }, (_, offset) => {
      const one = message(offset);
      tail.push(one);
      return new WeakRef(one.value);
    });
    // What a WeakRef was made of in this turn is kept until its end.
    await new Promise(setImmediate);
    collect();

    const held = values.filter((value) => value.deref() !== undefined).length;
    expect(held).toBeLessThanOrEqual(TAIL_BYTES / MESSAGE_BYTES);
    expect(tail.from(values.length - 1, { messages: 1, bytes: 1 })).toHaveLength(1);
  });
});
