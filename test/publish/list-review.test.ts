/** What a decision is said to change before it is taken is what it changes. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import type { ReviewedDecision } from '../../src/publish/list-review.ts';
import { createServeRole, type ServeRole } from '../../src/service/serve-role.ts';
import { detect, STRICT, sendersFrom } from '../support/detecting.ts';
import { createDrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { SECOND, T0 } from '../support/flows.ts';

const ADA = { by: 'ada', reason: 'said so' };
const DAY_MS = 86_400_000;
let directory: string;
let role: ServeRole;
afterEach(async () => {
  await role.stop();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-review-'));
});

async function serve(mode: 'observe' | 'propose' | 'publish') {
  const stream = createDrivenStream();
  const config = { ...STRICT, block: { mode } };
  const { incidents } = detect(sendersFrom(100, 2), { config });
  stream.kept = incidents.map(jsonMessage);
  role = createServeRole(
    configSchema.parse({
      ...config,
      acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
      data: directory,
    }),
    { stream, log: createLogger('silent'), now: () => T0 + 300 * SECOND, policyVersion: () => 'v' },
  );
  await role.start();
  await expect.poll(async () => (await role.desk.overview()).targets[0].revisions.length).toBeGreaterThan(0);
  return { stream, incidents };
}

const file = () => readFileSync(join(directory, 'acl', 'edge.4.txt'), 'utf8');

function textOf({ lists }: ReviewedDecision): string {
  const preview = lists.find(({ family }) => family === '4')?.preview;
  if (preview === undefined || 'refused' in preview) throw new Error('no list would be different');
  expect(preview.before).toBe(file());
  return preview.after;
}

describe('the lists before a decision', () => {
  it('say what a block by hand and a release change, to the byte', async () => {
    await serve('publish');
    const block = { action: 'block', host: '10.9.9.9', forMs: DAY_MS } as const;
    const foreseen = textOf(await role.review.decision(block));
    expect(file()).not.toContain('10.9.9.9');
    await role.desk.block({ hosts: ['10.9.9.9'], forMs: DAY_MS, ...ADA });
    expect(file()).toBe(foreseen);

    const release = { action: 'release', host: '10.0.0.100', forMs: DAY_MS } as const;
    const without = textOf(await role.review.decision(release));
    expect(without).not.toContain('10.0.0.100');
    await role.desk.release({ hosts: ['10.0.0.100'], forMs: DAY_MS, ...ADA });
    expect(file()).toBe(without);
  });

  it('say what an approval changes once a detector has acted on it', async () => {
    const { stream, incidents } = await serve('propose');
    const foreseen = textOf(
      await role.review.decision({ action: 'approve', host: '10.0.0.101', forMs: DAY_MS }),
    );
    const approved = incidents
      .filter(({ host }) => host === '10.0.0.101')
      .map((one) => ({
        ...one,
        revision: one.revision + 1,
        block: { ...one.block, state: 'published' as const, approved_by: 'ada' },
      }));
    await stream.deliver('incidents', approved.map(jsonMessage), 0);
    await expect.poll(file).toBe(foreseen);
    const [list] = await role.review.lists();
    expect(list.now).toMatchObject({ entries: 1, text: file() });
    expect('after' in list.approved && list.approved.after).toContain('10.0.0.100');
  });

  it('say why a decision would not be taken, and change nothing', async () => {
    await serve('observe');
    const decision = (action: 'approve' | 'block' | 'reject', host: string) =>
      role.review.decision({ action, host, forMs: DAY_MS });
    expect(await decision('block', '10.9.9.9')).toMatchObject({
      refused: 'nothing can be blocked: block.mode is observe',
      lists: [],
    });
    expect((await decision('approve', '10.0.0.100')).refused).toContain('nothing can be approved');
    await expect(decision('reject', '10.8.8.8')).rejects.toThrow(/no incident/);
    await expect(decision('block', 'no address')).rejects.toThrow(/not an address/);
    await expect(role.review.list('core', '4')).rejects.toThrow(/core/);
  });
});
