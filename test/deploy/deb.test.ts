/**
 * The Debian package in its life: installed, upgraded, removed, purged, by dpkg in a root of its own.
 *
 * Without the embedded engine, which is half a gigabyte. The root has no Node: what starts is the program that the package put
 * there, by the Node of the test. Of systemd only the tools that make users and directories run.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cannotRunAsRoot } from '../support/requirements.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const without = existsSync(join(PROJECT, 'dist/cli/main.js'))
  ? cannotRunAsRoot('dpkg', 'dpkg-deb', 'systemd-sysusers', 'systemd-tmpfiles')
  : 'needs npm run build';
if (without !== null && process.env.REQUIRE_ALL === '1') throw new Error(without);

describe.skipIf(without !== null)(`the Debian package (${without ?? 'done'})`, () => {
  let place = '';
  let root = '';
  let deb = '';

  function build(out: string): string {
    const args = [
      join(PROJECT, 'deploy/package/build-deb.mjs'),
      '--without-engine',
      '--out',
      join(place, out),
    ];
    return execFileSync(process.execPath, args, {
      cwd: PROJECT,
      encoding: 'utf8',
      env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
    }).trim();
  }

  function dpkg(...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(
      'dpkg',
      [`--root=${root}`, '--force-depends', '--force-script-chrootless', ...args],
      { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } },
    );
    expect(status, `${stdout}${stderr}`).toBe(0);
    return stdout;
  }

  beforeAll(() => {
    place = mkdtempSync(join(tmpdir(), 'rogue-smtp-deb-test-'));
    root = join(place, 'root');
    for (const path of ['var/lib/dpkg/info', 'var/lib/dpkg/updates', 'etc'])
      mkdirSync(join(root, path), { recursive: true });
    writeFileSync(join(root, 'var/lib/dpkg/status'), '');
    deb = build('first');
  }, 120_000);
  afterAll(() => rmSync(place, { recursive: true, force: true }), 120_000);

  test('installs, is upgraded with configuration and data kept, is removed, and leaves nothing when purged', () => {
    expect(dpkg('--install', deb)).toContain('Next: rogue-smtp init');
    const inRoot = (path: string) => join(root, path);
    expect(readFileSync(inRoot('etc/passwd'), 'utf8')).toMatch(/^rogue-smtp:/m);
    expect(statSync(inRoot('etc/rogue-smtp')).mode & 0o777).toBe(0o750);
    const { uid } = statSync(inRoot('var/lib/rogue-smtp'));
    expect(uid).toBe(
      Number(/^rogue-smtp:[^:]*:(\d+)/m.exec(readFileSync(inRoot('etc/passwd'), 'utf8'))?.[1]),
    );

    const unit = readFileSync(inRoot('lib/systemd/system/rogue-smtp.service'), 'utf8');
    const program = /^ExecStart=\/usr\/bin\/node (\S+) run/m.exec(unit)?.[1] ?? '';
    const main = inRoot(program);
    expect(readFileSync(inRoot('usr/bin/rogue-smtp'), 'utf8')).toContain(program);
    expect(readFileSync(inRoot('usr/share/man/man1/rogue-smtp.1'), 'utf8')).toMatch(/^\.TH ROGUE-SMTP 1/);
    expect(existsSync(inRoot('usr/share/bash-completion/completions/rogue-smtp'))).toBe(true);

    const config = inRoot('etc/rogue-smtp/config.yaml');
    execFileSync(process.execPath, [main, 'init', '--yes', '--file', config]);
    const found = spawnSync(
      process.execPath,
      [
        main,
        'replay',
        join(PROJECT, 'deploy/demo/exports.pcap'),
        '--config',
        join(PROJECT, 'deploy/demo/rogue-smtp.yaml'),
      ],
      { encoding: 'utf8' },
    );
    expect(found.stdout + found.stderr).toContain('192.0.2.55');

    writeFileSync(inRoot('var/lib/rogue-smtp/kept'), 'data');
    const newer = join(place, 'newer');
    execFileSync('dpkg-deb', ['--raw-extract', deb, newer]);
    const control = join(newer, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, 'Version: 99.0.0'));
    execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', newer, `${newer}.deb`], {
      stdio: 'ignore',
    });
    expect(dpkg('--install', `${newer}.deb`)).not.toContain('Next: rogue-smtp init');
    expect(existsSync(config)).toBe(true);

    dpkg('--remove', 'rogue-smtp');
    expect(existsSync(main)).toBe(false);
    expect(existsSync(inRoot('var/lib/rogue-smtp/kept'))).toBe(true);
    expect(existsSync(config)).toBe(true);
    dpkg('--purge', 'rogue-smtp');
    expect(existsSync(inRoot('etc/rogue-smtp'))).toBe(false);
    expect(existsSync(inRoot('var/lib/rogue-smtp'))).toBe(false);
  }, 120_000);
});
