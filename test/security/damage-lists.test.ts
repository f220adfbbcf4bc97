/** Incidents that are lost: the lists that name their hosts stay as they are until a person has looked. */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { createLogger } from '../../src/logger.ts';
import { createServeRole } from '../../src/service/serve-role.ts';
import { offender } from '../support/acl-requests.ts';
import { createDrivenStream, jsonMessage } from '../support/driven-stream.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');
let directory: string;
let acl: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-lost-'));
  acl = join(directory, 'acl');
});
afterEach(() => rmSync(directory, { recursive: true }));

const HOSTS = ['192.0.2.55', '192.0.2.56'];
const file = () => readFileSync(join(acl, 'edge.4.txt'), 'utf8');

async function serve(hosts: readonly string[], data = 'data', from: string | null = null) {
  const stream = createDrivenStream();
  if (from !== null) stream.identity = async () => from;
  stream.kept = hosts.map((host) => jsonMessage(offender(host)));
  const errors: string[] = [];
  const log = createLogger('silent');
  log.error = ((fields: object, text: string) =>
    void errors.push(`${text} ${JSON.stringify(fields)}`)) as never;
  const config = configSchema.parse({
    networks: { internal: ['192.0.2.0/24'] },
    senders: [{ name: 'mail', hosts: ['192.0.2.100'] }],
    block: { mode: 'publish' },
    acl: { targets: [{ name: 'edge', platform: 'cisco-ios', path: acl }] },
    data: join(directory, data),
  });
  mkdirSync(config.data, { recursive: true });
  const role = createServeRole(config, { stream, log, now: () => NOW, policyVersion: () => 'v' });
  await role.start();
  await role.assigned;
  return { role, stream, errors };
}

describe('a list whose host has lost its incident', () => {
  it.each([
    ['one of two', HOSTS.slice(0, 1)],
    ['all', []],
  ])('stays as it is, is not served, and is reported: %s', async (_, left) => {
    const first = await serve(HOSTS);
    await first.role.stop();
    const before = file();
    for (const host of HOSTS) expect(before).toContain(host);

    const { role, stream, errors } = await serve(left);
    await expect.poll(() => role.troubles().join()).toMatch(/no incident any more \(.*192\.0\.2\.56/);
    expect(() => role.hosts('4')).toThrow(/acl forget-lost/);
    await expect(role.targetText('edge', '4')).rejects.toMatchObject({ code: 'unavailable' });
    await expect.poll(() => stream.published.filter(({ stream: name }) => name === 'alerts').length).toBe(1);
    expect(errors.filter((text) => text.includes('no incident'))).toHaveLength(1);
    await role.stop();
    expect(file()).toBe(before);

    const again = await serve(left);
    const done = await again.role.desk.forgetLost({ by: 'ada', reason: 'restored by hand' });
    expect(done.join()).toMatch(/were let go/);
    expect(again.role.troubles()).toEqual([]);
    expect(again.role.hosts('4')).toEqual(left);
    expect(file()).not.toContain('192.0.2.56');
    expect(await again.role.desk.log(10)).toContainEqual(
      expect.objectContaining({ what: 'forget_lost', by: 'ada', why: 'restored by hand' }),
    );
    await again.role.stop();
  });

  it('stays as it is when the data directory was lost with everything but the list', async () => {
    const first = await serve(HOSTS);
    await first.role.stop();
    const before = file();
    const { role } = await serve([], 'empty');
    await expect
      .poll(() => role.troubles().join())
      .toMatch(/192\.0\.2\.55, 192\.0\.2\.56|192\.0\.2\.56, 192\.0\.2\.55/);
    await role.stop();
    expect(file()).toBe(before);
    const again = await serve([], 'empty');
    await again.role.desk.forgetLost({ by: 'ada', reason: 'a new machine' });
    await again.role.stop();
    expect(file()).not.toBe(before);
  });

  it('and whatever bit of what is remembered of the lists is flipped', async () => {
    const first = await serve(HOSTS);
    await first.role.stop();
    const before = file();
    const good = readFileSync(join(directory, 'data', 'lists.json'));
    for (let bit = 0; bit < 8 * good.length; bit += 7) {
      const bad = Buffer.from(good);
      bad[bit >> 3] ^= 1 << (bit & 7);
      cpSync(join(directory, 'data'), join(directory, `copy${bit}`), { recursive: true });
      writeFileSync(join(directory, `copy${bit}`, 'lists.json'), bad);
      const { role } = await serve(HOSTS, `copy${bit}`);
      await role.stop();
      expect([bit, file()]).toEqual([bit, before]);
      // The newline at the end may become another blank, and says nothing.
      if (bit >> 3 < good.length - 1)
        expect([bit, role.troubles()]).toEqual([bit, [expect.stringContaining('damaged')]]);
      rmSync(join(directory, `copy${bit}`), { recursive: true });
    }
  });
});

describe('a list whose incidents come from another stream than before', () => {
  // A host that goes on has an incident there, too, which may be at its beginning.
  const begun = (host: string) => ({ ...offender(host), block: { ...offender(host).block, state: 'none' } });

  it.each([
    ['that has none of them', 'embedded', 'incidents 7 of cluster x', []],
    ['in which they begin anew', 'incidents 7 of cluster x', 'incidents 7 of cluster y', HOSTS],
    ['that was made anew', 'incidents 7 of cluster x', 'incidents 8 of cluster x', HOSTS],
  ])('stays as it is until a person takes it: %s', async (_, before, now, there) => {
    const first = await serve(HOSTS, 'data', before);
    await first.role.stop();
    const text = file();
    for (const host of HOSTS) expect(text).toContain(host);

    const changed = async () => {
      const served = await serve([], 'data', now);
      for (const host of there) await served.stream.deliver('incidents', [jsonMessage(begun(host))], 0);
      return served;
    };
    const { role, stream, errors } = await changed();
    await expect
      .poll(() => role.troubles().join())
      .toContain(`${now}) than those that the lists were made of`);
    expect(() => role.hosts('4')).toThrow(/acl forget-lost/);
    await expect.poll(() => stream.published.filter(({ stream: name }) => name === 'alerts').length).toBe(1);
    expect(errors.filter((line) => line.includes('another stream'))).toHaveLength(1);
    await role.stop();
    expect(file()).toBe(text);

    const again = await changed();
    await again.role.desk.forgetLost({ by: 'ada', reason: 'the cluster is another one' });
    expect(again.role.troubles()).toEqual([]);
    expect(again.role.hosts('4')).toEqual([]);
    await again.role.stop();
    expect(file()).not.toBe(text);
    const after = await changed();
    expect(after.role.troubles()).toEqual([]);
    await after.role.stop();
  });

  it('is served as ever where the stream is the same, or nobody is listed', async () => {
    const nobody = await serve([], 'data', 'embedded');
    await nobody.role.stop();
    const first = await serve(HOSTS, 'data', 'incidents 7 of cluster x');
    await first.role.stop();
    const second = await serve(HOSTS, 'data', 'incidents 7 of cluster x');
    expect(second.role.hosts('4')).toEqual(HOSTS);
    await second.role.stop();
  });
});
