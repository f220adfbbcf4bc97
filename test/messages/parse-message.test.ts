import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeNative, encodeNative } from '../../src/flow/native.ts';
import { judgeJson } from '../../src/messages/parse-message.ts';
import { judgeBlocks } from '../../src/stream/judge-blocks.ts';
import { batchOf } from '../support/flows.ts';

const schema = z.object({ v: z.literal(1) });
const json = (value: unknown) => ({ value: Buffer.from(JSON.stringify(value)) });
const block = encodeNative(batchOf([{ from: '10.0.0.5', to: '198.51.100.25' }]));

describe('the judgement of a message', () => {
  it.each([
    ['no JSON', { value: Buffer.from('{') }, /^not JSON/],
    ['of another schema', json({ v: 2 }), /^not of the schema: v/],
    ['of a version to come', { ...json({ v: 1 }), foreignVersion: '2' }, /^schema_version 2 is not known/],
    ['too large', { value: Buffer.alloc(5 << 20, 0x20) }, /bytes are more than/],
    ['no JSON, and long', { value: Buffer.from('x'.repeat(1 << 20)) }, /^not JSON/],
  ])('is a short reason where JSON is %s', (_, message, reason) => {
    const judged = judgeJson(schema, message);
    expect(judged).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(judged).length).toBeLessThan(300);
  });

  it('takes fields that are added', () => {
    expect(judgeJson(schema, json({ v: 1, later: true })).ok).toBe(true);
  });

  const varint = [0xff, 0xff, 0xff, 0xff, 0x7f];
  it.each([
    ['claims more rows than bytes', Buffer.from([1, ...varint, 0]), /claims 34359738367 rows/],
    ['claims more columns than bytes', Buffer.from([...varint, 1, 0]), /cut/],
    [
      'has a name of megabytes',
      Buffer.concat([
        Buffer.from([1, 1, 0x80, 0x80, 0x40]),
        Buffer.alloc(1 << 20, 0x61),
        Buffer.from([1, 0x62]),
      ]),
      /unknown type/,
    ],
    ['is nothing', Buffer.alloc(0), /cut/],
    ['is followed by half of one', Buffer.concat([block, block.subarray(0, 40)]), /cut/],
    ['is of a version to come', block, /not known/, '9'],
  ])('is a short reason where a block %s', (_, value, reason, foreignVersion?: string) => {
    const judged = judgeBlocks({ value, foreignVersion });
    expect(judged).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    expect(JSON.stringify(judged).length).toBeLessThan(300);
  });

  it('agrees with the decoder about every damage, and counts the rows', () => {
    expect(judgeBlocks({ value: Buffer.concat([block, block, block]) })).toEqual({ ok: true, content: 3 });
    fc.assert(
      fc.property(fc.nat({ max: block.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const damaged = Buffer.from(block);
        damaged[at] = byte;
        const decoded = decodeNative(damaged);
        const isWhole = decoded.ok && decoded.next === damaged.length;
        if (isWhole)
          expect(judgeBlocks({ value: damaged })).toEqual({ ok: true, content: decoded.batch.length });
        else if (!decoded.ok) expect(judgeBlocks({ value: damaged }).ok).toBe(false);
      }),
    );
  });
});
