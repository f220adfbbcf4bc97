import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNetconfRouter, type NetconfRouter } from '../support/netconf-router.ts';
import { createPushBench, listFor, type PushBench } from '../support/pushing.ts';

let bench: PushBench;

beforeEach(() => {
  bench = createPushBench();
});
afterEach(() => bench.close());

const OURS = 'SMTP-OFFENDERS-ge_0_0_1_10';
const bound = (router: NetconfRouter) => /filter input (\S+)/.exec(router.running().join('\n'))?.[1];

describe.each(['1.0', '1.1'] as const)('a filter pushed to Junos over NETCONF base %s', (base) => {
  it('is compared, validated, committed on trial, seen from a second session and confirmed', async () => {
    const router = createNetconfRouter({ base });
    const report = await bench.pushTo(router, 'junos');
    expect(report).toMatchObject({
      result: 'applied',
      device: 'new list',
      reason: '',
      present: 'no input filter',
    });
    expect(report.changes).toContain(`prefix-list ${OURS} 192.0.2.55/32`);
    expect(router.onTrial()).toBe(false);
    expect(router.lockedBy()).toBeNull();
    expect(bound(router)).toBe(OURS);
    expect(router.heard.findIndex((one) => one.startsWith('<validate>'))).toBeLessThan(
      router.heard.findIndex((one) => one.includes('<confirmed/>')),
    );
    expect(bench.server().logins()).toBe(2);
  });

  it('changes nothing when the device has it, nor in a dry run', async () => {
    const router = createNetconfRouter({ base });
    const dry = await bench.pushTo(router, 'junos', { dryRun: true });
    expect(dry).toMatchObject({ result: 'previewed', device: 'as before' });
    expect(dry.changes).toContain('192.0.2.77/32');
    expect(router.running()).toEqual([]);
    expect(router.lockedBy()).toBeNull();
    await bench.server().close();
    expect((await bench.pushTo(router, 'junos')).result).toBe('applied');
    await bench.server().close();
    expect((await bench.pushTo(router, 'junos')).result).toBe('unchanged');
    expect(router.heard.filter((one) => one.includes('<confirmed/>'))).toHaveLength(1);
  });

  it('waits for its turn where somebody else has the lock', async () => {
    const router = createNetconfRouter({ base, locked: true });
    const report = await bench.pushTo(router, 'junos');
    expect(report).toMatchObject({ result: 'failed', device: 'as before' });
    expect(report.reason).toContain('lock-denied: configuration database locked by: root');
    expect(router.running()).toEqual([]);
  });

  it.each([
    ['loading', (one: string) => one.startsWith('<load-configuration action')],
    ['validation', (one: string) => one.startsWith('<validate>')],
  ])('is discarded when the device refuses it at the %s', async (_what, at) => {
    const router = createNetconfRouter({ base, answer: (one) => (at(one) ? 'error' : undefined) });
    const report = await bench.pushTo(router, 'junos');
    expect(report).toMatchObject({ result: 'failed', device: 'as before' });
    expect(report.reason).toContain('filter would not fit');
    expect(router.heard).toContain('<discard-changes/>');
    expect(router.lockedBy()).toBeNull();
    expect(router.running()).toEqual([]);
  });

  it('is not confirmed by a device that goes away with the commit, and taken back by its timer', async () => {
    const router = createNetconfRouter({
      base,
      answer: (one) => (one.includes('<confirmed/>') ? 'drop' : undefined),
    });
    const report = await bench.pushTo(router, 'junos');
    expect(report).toMatchObject({ result: 'failed', device: 'rolls back by itself' });
    expect(router.onTrial()).toBe(true);
    router.expire();
    expect(bound(router)).toBeUndefined();
  });

  it('is rolled back when the interface does not have it afterwards', async () => {
    const router = createNetconfRouter({ base, forgetful: true });
    const report = await bench.pushTo(router, 'junos');
    expect(report).toMatchObject({ result: 'failed', device: 'rolled back' });
    expect(bound(router)).toBeUndefined();
    expect(router.onTrial()).toBe(false);
  });

  it('is not taken for confirmed when the answer to that is lost', async () => {
    const router = createNetconfRouter({
      base,
      answer: (one) => (one === '<commit-configuration/>' ? 'drop' : undefined),
    });
    expect(await bench.pushTo(router, 'junos')).toMatchObject({ result: 'failed', device: 'unknown' });
  });

  it('ends with a device that hangs, or that sends nonsense', async () => {
    const hanging = createNetconfRouter({
      base,
      answer: (one) => (one.startsWith('<lock>') ? 'hang' : undefined),
    });
    const report = await bench.pushTo(hanging, 'junos', { settings: { timeout: 300 } });
    expect(report.reason).toContain('no answer within 0.3 s');
    await bench.server().close();
    const babbling = createNetconfRouter({
      base,
      answer: (one) => (one.startsWith('<lock>') ? 'garbage' : undefined),
    });
    const other = await bench.pushTo(babbling, 'junos', { settings: { timeout: 300 } });
    expect(other).toMatchObject({ result: 'failed', device: 'as before' });
  });
});

it.each([[['EDGE-IN']], [['A', 'B']]])('a filter is not put in the place of %j', async (filters) => {
  const router = createNetconfRouter({ bound: filters });
  const report = await bench.pushTo(router, 'junos');
  expect(report).toMatchObject({ result: 'failed', device: 'as before' });
  expect(report.reason).toContain(filters[0]);
  expect(router.heard.some((one) => one.startsWith('<load'))).toBe(false);
  expect(router.lockedBy()).toBeNull();
});

it('a device that cannot take a commit back is sent nothing', async () => {
  const router = createNetconfRouter({ lacking: 'confirmed-commit' });
  const report = await bench.pushTo(router, 'junos');
  expect(report.reason).toContain('confirmed-commit');
  expect(router.heard.some((one) => one.startsWith('<lock'))).toBe(false);
});

it('a filter that is bound to no interface is not sent', async () => {
  const text = listFor('junos').replace(/^set interfaces.*$/m, '');
  await expect(bench.pushTo(createNetconfRouter(), 'junos', { text })).rejects.toThrow(
    /bound to no interface/,
  );
});
