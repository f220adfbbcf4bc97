/** TLS by files: a renewed certificate needs no restart, and a pair that does not fit changes nothing. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttpServer } from '../../src/http/server.ts';
import { createTlsSource } from '../../src/http/tls.ts';
import { HTTP_DEPENDENCIES } from '../support/http-server.ts';

let directory: string;
const at = (name: string) => join(directory, name);
const files = () => ({ cert_file: at('cert.pem'), key_file: at('key.pem') });

/** A certificate of its own for a name. */
function make(name: string): void {
  const subject = [
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
    '-keyout',
    at(`${name}.key`),
    '-out',
    at(`${name}.pem`),
  ];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', '-x509', '-nodes', ...curve, ...subject], { stdio: 'ignore' });
}

function use(cert: string, key: string): void {
  copyFileSync(at(`${cert}.pem`), files().cert_file);
  copyFileSync(at(`${key}.key`), files().key_file);
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-tls-'));
  for (const name of ['one', 'two']) make(name);
  use('one', 'one');
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('http.tls', () => {
  it('serves HTTPS, and says which file is missing', async () => {
    const options = { listen: { host: '127.0.0.1', port: 0 } };
    const server = createHttpServer({ ...options, tls: files() }, HTTP_DEPENDENCIES);
    const { port } = await server.start();
    const seen = await new Promise((resolve, reject) => {
      const agent = false;
      get({ host: '127.0.0.1', port, path: '/healthz', agent, rejectUnauthorized: false }, (response) => {
        resolve([response.statusCode, (response.socket as TLSSocket).getPeerCertificate().subject.CN]);
        response.resume();
      }).on('error', reject);
    });
    await server.stop();
    expect(seen).toEqual([200, 'one']);
    const without = createHttpServer(
      { ...options, tls: { ...files(), key_file: at('none.key') } },
      HTTP_DEPENDENCIES,
    );
    await expect(without.start()).rejects.toThrow(/http\.tls\.key_file: .*none\.key/);
  });

  it('takes a renewed pair once both files are there, and keeps the old one until then', () => {
    const source = createTlsSource(files());
    source.read();
    expect(source.changed()).toBeNull();
    use('two', 'one');
    expect(source.changed()).toBeNull();
    use('two', 'two');
    expect(source.changed()?.cert.toString()).toContain('BEGIN CERTIFICATE');
    expect(source.changed()).toBeNull();
    writeFileSync(files().cert_file, 'no certificate');
    expect(source.changed()).toBeNull();
    rmSync(files().key_file);
    expect(source.changed()).toBeNull();
    expect(() => source.read()).toThrow(/http\.tls/);
  });
});
