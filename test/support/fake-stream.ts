/** A stream that keeps what is published, and answers when and how the test says. */

import { type DecodedBlock, decodeNative } from '../../src/flow/native.ts';
import type { Stream, StreamMessage, StreamName } from '../../src/stream/stream.ts';

export interface FakeStream extends Stream {
  readonly messages: { readonly stream: StreamName; readonly message: StreamMessage }[];
  /** How the next publications end; `hold` keeps them waiting until `release`. */
  answer: 'accept' | 'refuse' | 'fail' | 'hold';
  release(): void;
  rows(stream: StreamName): number;
}

export function createFakeStream(): FakeStream {
  const held: (() => void)[] = [];
  const counts = () => ({ flows: 0, mail: 0, alerts: 0, incidents: 0, decisions: 0 });
  const fake: FakeStream = {
    messages: [],
    answer: 'accept',
    counters: { published: counts(), dropped: counts(), spoolBytes: 0 },
    async start() {},
    async stop() {},
    async publish(stream, messages) {
      const rows = messages.reduce((sum, message) => sum + message.rows, 0);
      if (fake.answer === 'refuse') return { accepted: 0, dropped: rows };
      if (fake.answer === 'fail') throw new Error('the disk is gone');
      if (fake.answer === 'hold') await new Promise<void>((resolve) => held.push(resolve));
      for (const message of messages) fake.messages.push({ stream, message });
      return { accepted: rows, dropped: 0 };
    },
    subscribe: () => Promise.reject(new Error('nobody reads a fake stream')),
    async *latest() {},
    partitions: () => 1,
    release() {
      fake.answer = 'accept';
      for (const resolve of held.splice(0)) resolve();
    },
    rows(stream) {
      return fake.messages
        .filter((entry) => entry.stream === stream)
        .reduce((sum, { message }) => sum + blockOf(message).batch.length, 0);
    },
  };
  return fake;
}

function blockOf(message: StreamMessage): Extract<DecodedBlock, { ok: true }> {
  const block = decodeNative(message.value);
  if (!block.ok) throw new Error(`published what cannot be read: ${block.reason}`);
  if (block.batch.length !== message.rows) throw new Error('the number of rows is told wrongly');
  return block;
}
