/** That a permission ends is told a day before and when it has ended, once each, whatever restarts and reloads come. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { type Alert, alertSchema } from '../../src/messages/alert.ts';
import { createAuditLog } from '../../src/publish/audit-log.ts';
import { createEndingNotices } from '../../src/publish/ending-notices.ts';
import { createServeRole } from '../../src/service/serve-role.ts';
import { createDrivenStream } from '../support/driven-stream.ts';
import { HOUR, MINUTE, T0 } from '../support/flows.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-ends-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (ms: number) => new Date(T0 + ms).toISOString();
const configOf = (until: string, more: ConfigInput = {}) =>
  configSchema.parse({
    networks: { internal: ['10.0.0.0/8'] },
    senders: [
      { name: 'mail', hosts: ['10.0.0.25'] },
      { name: 'guest', hosts: ['10.0.0.30', '10.1.0.0/24'], until },
    ],
    expected: [{ name: 'monitor', hosts: ['10.0.0.40'], does: 'check', until: at(100 * HOUR) }],
    data: directory,
    ...more,
  });

/** A process that looks at these times. */
async function lookAt(times: readonly number[], until = at(30 * HOUR)): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  let nowMs = 0;
  const notices = createEndingNotices({
    config: () => configOf(until),
    audit: createAuditLog(directory),
    tell: (alert) => alerts.push(alertSchema.parse(alert)),
    log: createLogger('silent'),
    now: () => nowMs,
    policyVersion: () => 'v',
  });
  for (const ms of times) {
    nowMs = T0 + ms;
    await notices.look();
  }
  return alerts;
}

const causes = (alerts: readonly Alert[]) => alerts.map(({ coverage }) => coverage?.cause);

describe('an entry with an end', () => {
  it('is told once a day before, and once after, with its hosts', async () => {
    const alerts = await lookAt([0, 6 * HOUR - 1, 6 * HOUR, 7 * HOUR, 30 * HOUR - 1, 30 * HOUR, 31 * HOUR]);
    expect(causes(alerts)).toEqual(['permission_ends', 'permission_ended']);
    expect(alerts[0].reasons[0]).toContain(
      `the permission of sender "guest" (10.0.0.30 10.1.0.0/24) ends at ${at(30 * HOUR)}`,
    );
    expect(alerts[1].reasons[0]).toContain(`ended at ${at(30 * HOUR)}: its hosts are reported`);
    expect((await createAuditLog(directory).tail(10)).map(({ by, what }) => [by, what])).toEqual([
      ['configuration', 'permission_ends'],
      ['configuration', 'permission_ended'],
    ]);
  });

  it('is not told again by the next process, which tells what came to its end while none ran', async () => {
    expect(causes(await lookAt([7 * HOUR]))).toEqual(['permission_ends']);
    expect(causes(await lookAt([8 * HOUR, 9 * HOUR]))).toEqual([]);
    expect(causes(await lookAt([40 * HOUR]))).toEqual(['permission_ended']);
    expect(causes(await lookAt([41 * HOUR, 90 * HOUR]))).toEqual(['permission_ends']);
  });

  it('is told again when it was given another end', async () => {
    await lookAt([7 * HOUR]);
    expect(causes(await lookAt([60 * HOUR], at(70 * HOUR)))).toEqual(['permission_ends']);
  });

  it('has the same id whoever tells it', async () => {
    const [one] = await lookAt([7 * HOUR]);
    rmSync(join(directory, 'audit.ndjson'));
    const [other] = await lookAt([8 * HOUR]);
    expect(other.alert_id).toBe(one.alert_id);
  });

  it('may be a declaration of what a host does', async () => {
    const alerts = await lookAt([80 * HOUR, 101 * HOUR], at(1000 * HOUR));
    expect(causes(alerts)).toEqual(['permission_ends', 'permission_ended']);
    expect(alerts[0].reasons[0]).toContain('the declaration "monitor" (expected)');
  });

  it('is told by the service, when it starts and after a reload', async () => {
    const stream = createDrivenStream();
    const role = createServeRole(configOf(at(2 * HOUR)), {
      stream,
      log: createLogger('silent'),
      now: () => T0 + MINUTE,
      policyVersion: () => 'v',
    });
    await role.start();
    const told = () => stream.published.filter((one) => one.stream === 'alerts').length;
    await expect.poll(told).toBe(1);
    role.reload(configOf(at(2 * HOUR)));
    role.reload(configOf(at(3 * HOUR)));
    await expect.poll(told).toBe(2);
    await role.stop();
    expect(told()).toBe(2);
  });
});
