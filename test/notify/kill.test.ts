/** kill -9 in the middle: every alert arrives, and none more than twice. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';

const CHILD = new URL('../support/notify-process.ts', import.meta.url).pathname;
const ALERTS = 80;
const KILLS = 3;

it('a process that is killed again and again sends every alert, and repeats at most one a kill', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-notify-kill-'));
  const received = new Map<string, number>();
  const keys = new Map<string, string>();
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { alert_id } = JSON.parse(body);
    received.set(alert_id, (received.get(alert_id) ?? 0) + 1);
    const key = String(request.headers['idempotency-key']);
    expect(keys.get(alert_id) ?? key).toBe(key);
    keys.set(alert_id, key);
    // Long enough that a kill often comes between the message and the note that it was sent.
    await sleep(8);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const start = () =>
    spawn(process.execPath, ['--import', 'tsx', CHILD, directory, url, String(ALERTS)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  try {
    for (let kill = 1; kill <= KILLS; kill++) {
      const child = start();
      const exited = once(child, 'exit');
      await expect.poll(() => received.size, { timeout: 20_000, interval: 3 }).toBeGreaterThan(kill * 15);
      child.kill('SIGKILL');
      await exited;
    }
    const last = start();
    const exited = once(last, 'exit');
    await expect.poll(() => received.size, { timeout: 20_000 }).toBe(ALERTS);
    await sleep(200);
    last.kill('SIGKILL');
    await exited;
  } finally {
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const counts = [...received.values()];
  expect(Math.max(...counts)).toBeLessThanOrEqual(2);
  expect(counts.filter((count) => count > 1).length).toBeLessThanOrEqual(KILLS);
}, 90_000);
