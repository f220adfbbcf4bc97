import { EventEmitter, getEventListeners } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { aborted, elapsed, firstOf, nextEvent, rejectedBy, settled } from '../src/waiting.ts';

const never = () => () => undefined;

describe('waiting for the first of several things', () => {
  it('leaves no listener behind, whichever comes first', async () => {
    const emitter = new EventEmitter();
    const end = new AbortController();
    const wait = () =>
      firstOf<string>(
        nextEvent(emitter, 'message', (text: string) => text),
        nextEvent(emitter, 'exit', () => 'exit'),
        aborted(end.signal, 'end'),
        elapsed(60_000, 'late'),
      );
    for (const [name, expected] of [
      ['message', 'hello'],
      ['exit', 'exit'],
    ] as const) {
      const waiting = wait();
      expect(emitter.listenerCount('message')).toBe(1);
      expect(getEventListeners(end.signal, 'abort')).toHaveLength(1);
      emitter.emit(name, 'hello');
      expect(await waiting).toBe(expected);
      expect(emitter.eventNames()).toEqual([]);
      expect(getEventListeners(end.signal, 'abort')).toEqual([]);
    }
    const waiting = wait();
    end.abort();
    expect(await waiting).toBe('end');
    expect(emitter.eventNames()).toEqual([]);
    expect(await wait()).toBe('end');
    expect(emitter.eventNames()).toEqual([]);
  });

  it('rejects with the first error, and is deaf to what comes later', async () => {
    let failLater: (error: Error) => void = never;
    const failing = firstOf<string>(settled(Promise.reject(new Error('broken'))), (_, reject) => {
      failLater = reject;
      return () => undefined;
    });
    await expect(failing).rejects.toThrow('broken');
    failLater(new Error('later'));
    await expect(firstOf(elapsed(1, 'late'), settled(new Promise<string>(() => undefined)))).resolves.toBe(
      'late',
    );
  });

  it('is used everywhere: no race of promises in the sources', async () => {
    const races: string[] = [];
    for (const file of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const code = readFileSync(`src/${file}`, 'utf8').replace(/\/\*.*?\*\/|\/\/.*/gs, '');
      if (/\bPromise\s*\.\s*(race|any)\b/.test(code)) races.push(file);
    }
    expect(races).toEqual([]);
  });
});

it('rejects with the reason of a signal, whenever it was aborted, and leaves no listener', async () => {
  const open = new Promise<never>(() => undefined);
  const given = new AbortController();
  const waiting = firstOf(settled(open), rejectedBy(given.signal));
  given.abort(new Error('too late'));
  await expect(waiting).rejects.toThrow('too late');
  await expect(firstOf(settled(open), rejectedBy(given.signal))).rejects.toThrow('too late');
  const unused = new AbortController();
  expect(await firstOf(settled(Promise.resolve(7)), rejectedBy(unused.signal))).toBe(7);
  expect(getEventListeners(unused.signal, 'abort')).toEqual([]);
});
