/** Nothing is missed over a reconnect, or the client is told that it cannot be known. */

import { get } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { RogueSmtpError } from '../../src/errors.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { EMPTY_MODEL, startHttpServer, stopHttpServers } from '../support/http-server.ts';

afterEach(stopHttpServers);

const alert = (id: string): Alert =>
  ({ alert_id: id, kind: 'opened', host: '192.0.2.55', emitted_at: '2026-03-01T10:00:00.000Z' }) as Alert;

interface Given {
  readonly recent?: readonly Alert[];
  readonly stored?: () => Promise<readonly Alert[]>;
}

async function serve({ recent = [], stored = async () => [] }: Given) {
  const listeners = new Set<(one: Alert) => void>();
  const asked: unknown[] = [];
  const base = await startHttpServer(undefined, {
    recentAlerts: () => recent,
    onAlert: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    model: {
      ...EMPTY_MODEL,
      alerts: (request) => {
        asked.push(request);
        return stored();
      },
    },
  });
  /** What a client that had `last` is sent until `enough` is in it. */
  const read = (last: string | null, enough: string, path = '/api/v1/events') =>
    new Promise<string>((resolve, reject) => {
      const headers = last === null ? {} : { 'Last-Event-ID': last };
      const request = get(base + path, { headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
          if (!text.includes(enough)) return;
          response.destroy();
          resolve(text);
        });
        response.on('error', () => undefined);
      });
      request.on('error', reject);
    });
  const tell = (one: Alert) => {
    for (const listener of listeners) listener(one);
  };
  return { read, tell, asked, listeners };
}

const idsOf = (text: string) => [...text.matchAll(/^data: .*"alert_id":"(\w+)"/gm)].map(([, id]) => id);

describe('a client of the events that comes back', () => {
  it('is sent what it missed, in order and once, and then what comes', async () => {
    const recent = ['a1', 'a2', 'a3'].map(alert);
    const { read, tell, listeners } = await serve({ recent });
    const all = read('a1', '"a4"');
    await expect.poll(() => listeners.size).toBe(1);
    tell(alert('a4'));
    const text = await all;
    expect(idsOf(text)).toEqual(['a2', 'a3', 'a4']);
    expect(text).not.toContain('event: reset');
  });

  it('is sent what only the store has, and what comes while that is asked, once', async () => {
    let answer: (alerts: readonly Alert[]) => void = () => undefined;
    const stored = () =>
      new Promise<readonly Alert[]>((resolve) => {
        answer = resolve;
      });
    const { read, tell, asked } = await serve({ stored });
    const all = read('old', '"a3"');
    await expect.poll(() => asked.length).toBe(1);
    for (const id of ['a2', 'a3']) tell(alert(id));
    answer(['old', 'a1', 'a2'].map(alert));
    expect(idsOf(await all)).toEqual(['a1', 'a2', 'a3']);
  });

  it('that had seen no alert yet is sent those since it was there', async () => {
    const { read, asked } = await serve({ stored: async () => [alert('a1')] });
    const first = await read(null, '\n\n');
    const [, id] = /^id: (at-\d+)$/m.exec(first) ?? [];
    expect(idsOf(await read(id, '"a1"'))).toEqual(['a1']);
    expect(asked).toMatchObject([{ since: new Date(Number(id.slice(3))).toISOString() }]);
  });

  it.each<[string, string, () => Promise<readonly Alert[]>]>([
    ['an event that is no longer known', 'gone', async () => [alert('a1')]],
    ['more events than are sent again', 'at-1', async () => Array.from({ length: 500 }, () => alert('a1'))],
    ['no id of ours', 'at-x\u00e9', async () => []],
    [
      'a store that is away',
      'gone',
      async () => {
        throw new RogueSmtpError('store', 'the store is away');
      },
    ],
  ])('is told to begin anew: %s', async (_what, last, stored) => {
    const { read } = await serve({ stored });
    const text = await read(last, 'event: reset');
    expect(text).toMatch(/event: reset\ndata: \{"reason":"[^"]+"\}\nid: at-\d+/);
    expect(idsOf(text)).toEqual([]);
  });
});
