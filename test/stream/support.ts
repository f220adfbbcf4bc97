/** What the tests of the in-process stream share: directories that go away, a log that is kept, messages. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createLocalStream, type LocalStreamOptions } from '../../src/stream/local/local-stream.ts';
import type { Delivery, ReceivedMessage, StreamMessage, StreamName } from '../../src/stream/stream.ts';

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-stream-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface LoggedLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: object;
  readonly message: string;
}

export function keptLog() {
  const lines: LoggedLine[] = [];
  const add = (level: LoggedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, info: add('info'), warn: add('warn'), error: add('error') };
}

/** A stream that is started, and stopped at the end of the test. */
export async function startStream(options: Partial<LocalStreamOptions> & { directory: string }) {
  const stream = createLocalStream({
    maxBytesPerStream: 1 << 30,
    now: () => 0,
    log: keptLog(),
    ...options,
  });
  await stream.start();
  onTestFinished(() => stream.stop());
  return stream;
}

export function message(
  text: string,
  options: { key?: string; id?: string; rows?: number } = {},
): StreamMessage {
  return {
    key: options.key ?? '',
    id: options.id ?? '',
    value: Buffer.from(text),
    rows: options.rows ?? 1,
  };
}

export const textOf = ({ value }: { value: Uint8Array }) => Buffer.from(value).toString();

/** Keeps what is delivered, and waits for it. */
export function collector() {
  const deliveries: Delivery[] = [];
  const messages: ReceivedMessage[] = [];
  let waiting: (() => void)[] = [];
  return {
    deliveries,
    messages,
    texts: () => messages.map(textOf),
    async onDelivery(delivery: Delivery) {
      deliveries.push(delivery);
      messages.push(...delivery.messages);
      for (const resolve of waiting.splice(0)) resolve();
    },
    async until(enough: () => boolean): Promise<void> {
      while (!enough()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    release() {
      for (const resolve of waiting) resolve();
      waiting = [];
    },
  };
}

export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('did not come true within 5 s');
}

export async function published(
  stream: Awaited<ReturnType<typeof startStream>>,
  name: StreamName,
  texts: readonly string[],
) {
  for (const text of texts) await stream.publish(name, [message(text)]);
}
