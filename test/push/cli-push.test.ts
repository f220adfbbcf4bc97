import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { createPushArchive } from '../../src/push/archive.ts';
import { push } from '../../src/push/push.ts';
import { request } from '../support/acl-requests.ts';
import { type CliRouter, type CliRouterOptions, createCliRouter } from '../support/cli-router.ts';
import { createPushBench, listFor, type PushBench } from '../support/pushing.ts';

let bench: PushBench;

beforeEach(() => {
  bench = createPushBench();
});
afterEach(() => bench.close());

const PLATFORMS: readonly CliRouterOptions['dialect'][] = ['cisco-ios', 'cisco-iosxr', 'arista-eos'];
const nameIn = (list: string) =>
  /access-list (?:extended )?(SMTP-\S+)/.exec(list.replace(/^!.*$/gm, ''))?.[1] ?? '';

describe.each(PLATFORMS)('a list pushed to %s', (platform) => {
  const router = (more: Partial<CliRouterOptions> = {}) => createCliRouter({ dialect: platform, ...more });
  const bound = (one: CliRouter) => one.running().faces.get('Gi0/1')?.join(' ') ?? '';
  const OLD = { name: 'SMTP-OFFENDERS-0badcafe', lines: [' 10 permit ip any any'] };

  it('is in force, bound and confirmed, and the list before it is gone', async () => {
    const device = router({ bound: OLD });
    const report = await bench.pushTo(device, platform);
    expect(report).toMatchObject({ result: 'applied', device: 'new list', reason: '' });
    expect(device.onTrial()).toBe(false);
    expect(bound(device)).toContain(nameIn(listFor(platform)));
    expect([...device.running().lists.keys()]).toEqual([nameIn(listFor(platform))]);
    expect(bench.server().logins()).toBe(2);
  });

  it('leaves the list before it where another interface has it too', async () => {
    const device = router({ bound: { ...OLD, elsewhere: true } });
    expect((await bench.pushTo(device, platform)).result).toBe('applied');
    expect([...device.running().lists.keys()]).toContain(OLD.name);
  });

  it('is sent no second time when it is there', async () => {
    const list = listFor(platform);
    const device = router({
      bound: { name: nameIn(list), lines: list.split('\n').filter((line) => /^ \d+ /.test(line)) },
    });
    expect(await bench.pushTo(device, platform)).toMatchObject({ result: 'unchanged', device: 'new list' });
    expect(device.heard.some((line) => line.startsWith('configure'))).toBe(false);
  });

  it('changes nothing in a dry run, which shows what is there and what would be', async () => {
    const device = router({ bound: OLD });
    const report = await bench.pushTo(device, platform, { dryRun: true });
    expect(report).toMatchObject({ result: 'previewed', device: 'as before' });
    expect(report.present).toContain(OLD.name);
    expect(report.lines.join('\n')).toContain('deny tcp host 192.0.2.55 any eq 25');
    if (platform !== 'cisco-ios') expect(report.changes).toContain(nameIn(listFor(platform)));
    expect(bound(device)).toContain(OLD.name);
    expect(device.onTrial()).toBe(false);
  });

  it('is taken back when the router does not take a line in the middle', async () => {
    const device = router({
      bound: OLD,
      answer: (line) => (line.includes('192.0.2.77') ? 'reject' : undefined),
    });
    const report = await bench.pushTo(device, platform);
    expect(report.result).toBe('failed');
    expect(report.device).toBe(platform === 'cisco-ios' ? 'rolled back' : 'as before');
    expect(report.reason).toContain('Invalid input');
    expect(report.reason).toContain('192.0.2.77');
    expect(bound(device)).toContain(OLD.name);
    expect([...device.running().lists.keys()]).toEqual([OLD.name]);
  });

  it('is left to the timer of a router that hangs in the middle', async () => {
    let hung = false;
    const device = router({
      bound: OLD,
      answer: (line) => {
        hung ||= line.includes('192.0.2.77');
        return hung ? 'hang' : undefined;
      },
    });
    const report = await bench.pushTo(device, platform, { settings: { timeout: 300 } });
    expect(report.result).toBe('failed');
    expect(report.reason).toMatch(/no prompt within 0.3 s/);
    expect(report.device).toBe(platform === 'cisco-ios' ? 'rolls back by itself' : 'as before');
    device.expire();
    expect(bound(device)).toContain(OLD.name);
  });

  it('is left to the timer when the connection drops before it was confirmed', async () => {
    const device = router({
      bound: OLD,
      answer: (line, session) =>
        session === 2 && line.startsWith('show running-config') ? 'drop' : undefined,
    });
    const report = await bench.pushTo(device, platform);
    // The first session is still there to take it back.
    expect(report).toMatchObject({ result: 'failed', device: 'rolled back' });
    expect(bound(device)).toContain(OLD.name);
  });

  it('is not confirmed when the commit drops the connection', async () => {
    const commits = /^(end|commit confirmed \d+|commit timer .*)$/;
    const device = router({ bound: OLD, answer: (line) => (commits.test(line) ? 'drop' : undefined) });
    const report = await bench.pushTo(device, platform);
    expect(report).toMatchObject({ result: 'failed', device: 'rolls back by itself' });
    device.expire();
    expect(bound(device)).toContain(OLD.name);
  });

  it('is taken back when the router does not show it afterwards', async () => {
    const device = router({ forgetful: true });
    const report = await bench.pushTo(device, platform);
    expect(report).toMatchObject({ result: 'failed', device: 'rolled back' });
    expect(report.reason).toContain('does not show the list as it was sent');
    expect(device.running().lists.size).toBe(0);
  });

  it('is refused where the interface has a list of somebody else', async () => {
    const device = router({ bound: { name: 'EDGE-IN', lines: [' 10 permit ip any any'] } });
    const report = await bench.pushTo(device, platform);
    expect(report).toMatchObject({ result: 'failed', device: 'as before' });
    expect(report.reason).toContain('EDGE-IN');
    expect(device.heard.some((line) => line.startsWith('configure'))).toBe(false);
  });

  it('is not sent to a router with another host key, which sees no password', async () => {
    const device = router();
    const report = await bench.pushTo(device, platform, {
      settings: { host_key: [`SHA256:${'A'.repeat(43)}`] },
    });
    expect(report).toMatchObject({ result: 'failed', device: 'as before' });
    expect(report.reason).toMatch(/host key of 127\.0\.0\.1 is SHA256:.* not one of push\.host_key/);
    expect(bench.server().logins()).toBe(0);
  });

  it('is not sent with a password that is not taken', async () => {
    writeFileSync(join(bench.directory, 'password'), 'wrong');
    const report = await bench.pushTo(router(), platform);
    expect(report.reason).toContain('does not accept the credentials');
  });

  it('gets its rights with the enable password, which is in no transcript', async () => {
    const secret = 'enable-me-please';
    writeFileSync(join(bench.directory, 'enable'), secret);
    const device = router({ enable: secret });
    const report = await bench.pushTo(device, platform, {
      settings: { enable_file: join(bench.directory, 'enable') },
    });
    expect(report.result).toBe('applied');
    expect(report.transcript.join('\n')).not.toContain(secret);
  });

  it('ends with a router that says more than it may', async () => {
    const device = router({
      answer: (line) => (line.startsWith('show running-config') ? 'babble' : undefined),
    });
    const report = await bench.pushTo(device, platform);
    expect(report).toMatchObject({ result: 'failed', device: 'as before' });
    expect(report.reason).toContain('more than 4 MiB');
  });
});

it('a list that is bound to no interface is not sent', async () => {
  const list = renderAcl(request({ kind: 'offenders' })).text;
  await expect(
    bench.pushTo(createCliRouter({ dialect: 'cisco-ios' }), 'cisco-ios', { text: list }),
  ).rejects.toThrow(/bound to no interface/);
});

it('two pushes to one router do not meet', async () => {
  const asked = await bench.prepare(createCliRouter({ dialect: 'cisco-ios' }), 'cisco-ios');
  const archive = createPushArchive(bench.directory, Date.now);
  const options = { dryRun: false, signal: new AbortController().signal };
  const both = await Promise.allSettled([
    push(asked, archive, options),
    push({ ...asked, target: 'b' }, archive, options),
  ]);
  // Whichever was first.
  const applied = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value.result] : []));
  const refused = both.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
  expect(applied).toEqual(['applied']);
  expect(refused).toEqual([expect.stringContaining('another push to the device')]);
});
