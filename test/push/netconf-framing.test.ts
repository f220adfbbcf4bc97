import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createDeframer, frame } from '../../src/push/netconf-framing.ts';

const HELLO = '<hello/>';

function readAll(pieces: readonly Buffer[], framing: 'chunked' | 'end-of-message'): readonly string[] {
  const deframer = createDeframer();
  const out: string[] = [];
  for (const piece of pieces) {
    out.push(...deframer.push(piece));
    if (out.length === 1) {
      deframer.use(framing);
      out.push(...deframer.push(Buffer.alloc(0)));
    }
  }
  return out;
}

it.each(['chunked', 'end-of-message'] as const)(
  'messages come out as they went in, wherever the stream is cut (%s)',
  (framing) => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (messages, step) => {
          fc.pre(messages.every((one) => !one.includes(']]>')));
          const wire = Buffer.from(
            frame(HELLO, 'end-of-message') + messages.map((one) => frame(one, framing)).join(''),
          );
          const pieces = Array.from({ length: Math.ceil(wire.length / step) }, (_, i) =>
            wire.subarray(i * step, (i + 1) * step),
          );
          expect(readAll(pieces, framing)).toEqual([HELLO, ...messages]);
        },
      ),
    );
  },
);

it('the example of RFC 6242 section 4.2 is read', () => {
  const example =
    '\n#4\n<rpc\n#18\n message-id="102"\n\n#79\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n  <close-session/>\n</rpc>\n##\n';
  expect(readAll([Buffer.from(`${HELLO}]]>]]>`), Buffer.from(example)], 'chunked')[1]).toBe(
    '<rpc message-id="102"\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n  <close-session/>\n</rpc>',
  );
});

it.each([
  '\n#0\n',
  '\n#01\nx',
  '#4\nabcd',
  '\n##\n',
  '\n#99999999999\n',
  'abc',
  '\n#-1\n',
  '\n#9999999999\nx',
])('what is no chunk ends the session: %j', (bytes) => {
  const deframer = createDeframer();
  deframer.use('chunked');
  expect(() => deframer.push(Buffer.from(bytes))).toThrow();
});

it('a message without an end is given up', () => {
  const deframer = createDeframer();
  expect(() => {
    for (let i = 0; i < 20; i++) deframer.push(Buffer.alloc(1024 * 1024, 'x'));
  }).toThrow(/no end/);
});
