/** Whose answers a command takes: those of the instance of its own configuration, or of the one that was named. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/cli/client.ts';
import { loadForAsking } from '../../src/config/load-for-asking.ts';
import { configSchema } from '../../src/config/schema.ts';
import { makeInstanceId } from '../../src/files/instance-id.ts';
import { startHttpServer, stopHttpServers } from '../support/http-server.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-instance-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
afterEach(stopHttpServers);

const data = (name: string) => mkdtempSync(join(directory, name));
const clientOf = (url: string, dataDirectory: string) =>
  createClient({
    config: configSchema.parse({ http: { listen: url.slice('http://'.length) }, data: dataDirectory }),
  });

describe('a client', () => {
  it('takes the instance that works on its data directory, and no other', async () => {
    const ours = data('ours');
    const id = await makeInstanceId(ours);
    const url = await startHttpServer(undefined, { instanceId: () => id });
    expect(await clientOf(url, ours).isUp()).toBe(true);
    const other = data('other');
    await expect(clientOf(url, other).isUp()).rejects.toThrow(
      /not that of this configuration.*no instance was started/,
    );
    await makeInstanceId(other);
    await expect(clientOf(url, other).isUp()).rejects.toThrow(`--url ${url}`);
  });

  it('keeps the id of a directory, and makes a new one where it is damaged', async () => {
    const place = data('kept');
    const id = await makeInstanceId(place);
    expect(await makeInstanceId(place)).toBe(id);
    writeFileSync(join(place, 'instance-id'), 'x');
    const next = await makeInstanceId(place);
    expect(next).toMatch(/^[0-9a-f]{32}$/);
    expect(await makeInstanceId(place)).toBe(next);
  });

  it('asks a chosen instance whatever its data are, with its token, and says when it does not answer', async () => {
    const token = 'a-token-of-the-instance';
    const url = await startHttpServer(token, { instanceId: () => 'f'.repeat(32) });
    const config = configSchema.parse({ data: data('none') });
    const chosen = createClient({ config, instance: { url, token } });
    expect(await chosen.isUp()).toBe(true);
    expect(await chosen.offenders()).toEqual([]);
    await expect(createClient({ config, instance: { url } }).offenders()).rejects.toThrow(/--token-file/);
    const away = createClient({ config, instance: { url: 'http://127.0.0.1:1' } });
    await expect(away.isUp()).rejects.toThrow(/no running instance answers at http:\/\/127\.0\.0\.1:1/);
  });
});

describe('a configuration with a mistake, for commands that ask an instance', () => {
  const load = (text: string) => {
    const file = join(data('config'), 'rogue-smtp.yaml');
    writeFileSync(file, text);
    return loadForAsking({ file });
  };

  it('keeps where the instance is and its data, and says what is wrong', () => {
    const { config, mistake } = load(
      'http: { listen: "127.0.0.1:9999", token: long-enough-for-a-token }\ndata: /tmp/there\nblok: 1\nsenders: [{ name: mail }]\nacl: { targets: [{ name: e, platform: pf }] }\n',
    );
    expect(mistake).toContain('blok');
    expect(config).toMatchObject({
      http: { listen: { host: '127.0.0.1', port: 9999 }, token: 'long-enough-for-a-token' },
      data: '/tmp/there',
      // No list is written by rules that are not known.
      acl: { targets: [] },
    });
  });

  it.each([
    ['a list that is not closed', 'http: { listen: "127.0.0.1:9999" }\nnetworks: [\n'],
    ['a wrong key beside it', 'http: { listen: "127.0.0.1:9999", tokn: x }\n'],
    ['a rule between sections', 'http: { listen: "0.0.0.0:9999" }\n'],
  ])('keeps the address with %s', (_, text) => {
    const { config, mistake } = load(text);
    expect(mistake).not.toBeNull();
    expect(config.http.listen.port).toBe(9999);
  });

  it('keeps the lists where only something else is wrong', () => {
    const { config } = load(
      'blok: 1\nsenders: [{ name: mail, hosts: [10.0.0.25] }]\nacl: { targets: [{ name: e, platform: pf }] }\n',
    );
    expect(config.acl.targets).toHaveLength(1);
    expect(load('log: { level: warn }\n').mistake).toBeNull();
  });
});
