import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareStreams, unreadStreams } from '../../src/service/stream-memory.ts';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import { keptLog, message } from '../stream/support.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-memory-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function compare(identity: string | null): Promise<string[]> {
  const told: string[] = [];
  await compareStreams({
    directory,
    stream: { identity: async (stream) => (identity === null ? null : `${identity} ${stream}`) },
    log: keptLog() as never,
    note: (text) => void told.push(text),
  });
  return told;
}

describe('the memory of the streams of a data directory', () => {
  it('tells that they are others, once, and nothing where that cannot be known', async () => {
    expect(await compare('cluster x')).toEqual([]);
    expect(await compare('cluster x')).toEqual([]);
    expect(await compare(null)).toEqual([]);
    const [text, ...more] = await compare('cluster y');
    expect(text).toMatch(
      /flows, mail, alerts, incidents, decisions are others .*cluster x flows, now cluster y flows/,
    );
    expect(more).toEqual([]);
    expect(await compare('cluster y')).toEqual([]);
  });

  it('says what lies unread in the embedded streams', async () => {
    expect(await unreadStreams(directory)).toBeNull();
    const local = createLocalStream({
      directory: join(directory, 'stream'),
      maxBytesPerStream: 1 << 24,
      now: () => 0,
      log: keptLog(),
    });
    await local.start();
    const subscription = await local.subscribe({
      streams: ['flows', 'alerts'],
      group: 'store',
      unit: 'message',
      onDelivery: async () => undefined,
    });
    await local.publish('flows', [
      message('a', { rows: 5 }),
      message('b', { rows: 7 }),
      message('c', { rows: 9 }),
    ]);
    await local.publish('alerts', [message('x')]);
    await subscription.commit('flows', 0, 0);
    await subscription.commit('alerts', 0, 0);
    await local.stop();
    expect(await unreadStreams(directory)).toMatch(
      /nobody reads while kafka.brokers is set: 16 of flows\. .*migrate --streams/,
    );
    expect(await compare('cluster x')).toEqual([expect.stringContaining('16 of flows')]);
  });
});
