/** Where a command writes, and what it has written. */

import { Writable } from 'node:stream';

export function collected(isTTY = false) {
  let text = '';
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY }), text: () => text };
}
