/** The queue of a target on disk: what a kill, a damaged line and a full disk leave. */

import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openJournal } from '../../src/notify/journal.ts';
import { alertMessageFor } from '../../src/notify/message.ts';
import { planAlert } from '../../src/notify/plan.ts';
import { alertOf, NOON, webhookOf } from '../support/notifying.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-notify-'));
  file = join(directory, 'hook.ndjson');
});
afterEach(() => rmSync(directory, { recursive: true }));

const message = (host: string) => alertMessageFor('hook', alertOf(host), null);
const queue = (host: string) => ({ do: 'queue', message: message(host) }) as const;

it('gives the same state again', async () => {
  const journal = await openJournal(file, NOON);
  for (let i = 0; i < 30; i++)
    journal.change(
      planAlert(webhookOf({ repeat: { every: '1h' } }), [], journal.state, alertOf(`10.0.0.${i}`), NOON),
    );
  journal.change([{ do: 'sent', id: journal.state.queue[0].id }]);
  await journal.durable();
  const again = await openJournal(file, NOON + 5000);
  expect(again.state).toEqual(journal.state);
  expect(again.damaged).toBe(0);
});

it('passes over a torn last line, and reports a damaged one', async () => {
  const journal = await openJournal(file, NOON);
  for (const host of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
    journal.change([queue(host)]);
    await journal.durable();
  }
  appendFileSync(file, '{"changes":[{"do":"queue","mess');
  const torn = await openJournal(file, NOON);
  expect([torn.state.queue.length, torn.damaged]).toEqual([3, 0]);

  torn.change([queue('10.0.0.4')]);
  await torn.durable();
  writeFileSync(file, readFileSync(file, 'utf8').replace('10.0.0.4 sends', '10.0.0.9 sends'));
  const damaged = await openJournal(file, NOON);
  expect([damaged.state.queue.length, damaged.damaged]).toEqual([3, 1]);
});

it('does not grow with what was sent', async () => {
  const journal = await openJournal(file, NOON);
  for (let i = 0; i < 3000; i++) {
    const one = message(`10.0.${i >> 8}.${i & 255}`);
    journal.change([
      { do: 'queue', message: one },
      { do: 'sent', id: one.id },
    ]);
  }
  await journal.durable();
  for (let i = 0; i < 700; i++) {
    const one = message(`10.1.${i >> 8}.${i & 255}`);
    journal.change([
      { do: 'queue', message: one },
      { do: 'sent', id: one.id },
    ]);
    if (i % 100 === 0) await journal.durable();
  }
  await journal.durable();
  expect(statSync(file).size).toBeLessThan(3 * 1024 * 1024);
});

it('says that a change is not on disk, and has it there once the disk takes it', async () => {
  const journal = await openJournal(file, NOON);
  await rm(directory, { recursive: true });
  journal.change([queue('10.0.0.1')]);
  await expect(journal.durable()).rejects.toMatchObject({ code: 'io', transient: true });
  await mkdir(directory);
  chmodSync(directory, 0o700);
  await journal.durable();
  expect((await openJournal(file, NOON)).state.queue).toHaveLength(1);
});
