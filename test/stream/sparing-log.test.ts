import { describe, expect, it } from 'vitest';
import { createSparingLog } from '../../src/stream/sparing-log.ts';
import { keptLog } from './support.ts';

describe('a sparing log', () => {
  it('says the same once a minute, however its figures differ, and how often it would have been said', () => {
    const kept = keptLog();
    let now = 0;
    const log = createSparingLog(kept, () => now);
    for (; now < 180_000; now += 1000) {
      log.warn({ groupId: 'store', pauseMs: now, error: `no answer from port ${now}` }, 'the consumer ended');
      log.error({ stream: 'mail', pauseMs: now }, 'a delivery failed');
    }
    expect(kept.lines).toHaveLength(6);
    expect(kept.lines[2]?.fields).toMatchObject({ again: 59, pauseMs: 60_000 });
  });

  it('says at once what is about something else', () => {
    const kept = keptLog();
    const log = createSparingLog(kept, () => 0);
    for (const topic of ['a', 'b', 'a']) log.warn({ topic }, 'it is gone');
    log.info({}, 'it is gone');
    log.warn({}, 'it is back');
    expect(kept.lines.map(({ fields }) => fields)).toEqual([{ topic: 'a' }, { topic: 'b' }, {}, {}]);
  });

  it('remembers a bounded number of things', () => {
    const kept = keptLog();
    const log = createSparingLog(kept, () => 0);
    for (let i = 0; i < 2000; i++) log.warn({ topic: `t${i}` }, 'it is gone');
    expect(kept.lines).toHaveLength(2000);
  });
});
