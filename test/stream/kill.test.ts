import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { eventually, keptLog, startStream, temporaryDirectory } from './support.ts';

const SCRIPT = new URL('publish-until-killed.ts', import.meta.url).pathname;
const ROUNDS = 5;
const APART = 1_000_000;

it('has every message that a process acknowledged before it was killed in the middle of its work, each time', async () => {
  const directory = await temporaryDirectory();
  const acknowledged: number[] = [];
  const newestOfLane = new Map<string, number>();
  // A second group keeps everything: what the killed process itself removes was committed by both.
  const keeper = await startStream({ directory, now: Date.now });
  await (
    await keeper.subscribe({
      streams: ['mail'],
      group: 'keeper',
      unit: 'message',
      onDelivery: async () => undefined,
    })
  ).stop();
  await keeper.stop();

  for (let round = 0; round < ROUNDS; round++) {
    const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, directory, String(round * APART)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.length > 3000 + 500 * (round % 4)) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const line of whole.split('\n').filter((part) => part !== '')) {
      acknowledged.push(Number(line));
      newestOfLane.set(`lane${Number(line) % 4}`, Number(line));
    }
  }

  const log = keptLog();
  const stream = await startStream({ directory, now: Date.now, log });
  const delivered: number[] = [];
  const subscription = await stream.subscribe({
    streams: ['mail'],
    group: 'keeper',
    unit: 'message',
    async onDelivery({ messages, lastOffset }) {
      for (const { value } of messages) delivered.push(Number.parseInt(Buffer.from(value).toString(), 10));
      await subscription.commit('mail', 0, lastOffset);
    },
  });
  await eventually(() => subscription.lag() === 0);
  const found = new Set(delivered);
  expect(found.size).toBe(delivered.length);
  expect(acknowledged.filter((number) => !found.has(number))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(ROUNDS * 100);
  expect(stream.counters.damaged.mail).toBe(0);
  for await (const { key, value } of stream.latest('incidents', [0])) {
    const number = Number.parseInt(Buffer.from(value).toString(), 10);
    expect(number).toBeGreaterThanOrEqual(newestOfLane.get(key) ?? 0);
  }
  expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
}, 60_000);
