/**
 * First program of the engine's process: confines itself and becomes the child (see confine.ts).
 *
 * Where nothing can be confined the child runs as it is, in this process. It reads no message: all that the parent sends is for the child,
 * which says first that it is there.
 */

import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf } from '../../errors.ts';
import { type AllowedPaths, confineAndReplace } from './confine.ts';
import type { ChildMessage } from './protocol.ts';

const source = import.meta.url.endsWith('.ts');

/** Of the machine: libraries, time zones, and what Node and the engine ask about memory and processors. */
const MACHINE = [
  '/lib',
  '/lib64',
  '/usr/lib',
  '/usr/lib64',
  '/usr/local/lib',
  '/etc/ld.so.cache',
  '/etc/localtime',
  '/usr/share/zoneinfo',
  '/proc/self',
  '/proc/meminfo',
  '/proc/cpuinfo',
  '/proc/stat',
  '/proc/sys/vm',
  '/proc/sys/kernel',
  '/sys/fs/cgroup',
  '/sys/devices/system',
  '/dev/urandom',
  '/dev/random',
];
const LOADERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-linux-aarch64.so.1'];

/** Relative to the data directory of the store, which is where this process runs. */
function allowedPaths(directory: string, temporary: string): AllowedPaths {
  const resolver = createRequire(import.meta.url);
  const modules = (resolver.resolve.paths('chdb') ?? []).filter((path) => existsSync(path));
  const code = fileURLToPath(new URL('../..', import.meta.url));
  const libraries = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((path) => path !== '');
  return {
    read: [
      ...MACHINE,
      ...libraries,
      join(dirname(process.execPath), '..', 'lib'),
      ...modules,
      code,
      join(code, '..', 'package.json'),
      ...(source ? [join(code, '..', 'tsconfig.json')] : []),
    ],
    // The loader of TypeScript (only from source, as in tests) starts a compiler.
    execute: [process.execPath, ...LOADERS, ...(source ? modules : [])],
    write: [
      directory,
      temporary,
      '/dev/null',
      ...(source ? [join(tmpdir(), `tsx-${process.geteuid?.() ?? 0}`)] : []),
    ],
  };
}

async function launch(): Promise<void> {
  const child = fileURLToPath(new URL(source ? './child.ts' : './child.js', import.meta.url));
  const directory = process.cwd();
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const channel = (process.channel as { readonly fd?: number } | undefined)?.fd;
  const confinement =
    process.argv[2] === 'free' || channel === undefined
      ? { files: false, network: false, missing: 'the engine did not start with it' }
      : await confineAndReplace(
          allowedPaths(directory, temporary),
          { path: process.execPath, argv: [...process.execArgv, child], keep: channel },
          (done) => ({
            ...process.env,
            // Node ends at once when it may not read the file of the machine.
            OPENSSL_CONF: '/dev/null',
            // From source the loader has a cache of its own beside those of others.
            ...(source ? {} : { TMPDIR: temporary }),
            NODE_CHANNEL_FD: String(channel),
            NODE_CHANNEL_SERIALIZATION_MODE: 'advanced',
            ROGUE_SMTP_CONFINEMENT: JSON.stringify(done),
          }),
        );
  process.env.ROGUE_SMTP_CONFINEMENT = JSON.stringify(confinement);
  await import(pathToFileURL(child).href);
}

/** Nothing else keeps this process alive while modules load. */
const alive = setInterval(() => undefined, 60_000);

launch().then(
  () => clearInterval(alive),
  (error: unknown) => {
    const message: ChildMessage = { kind: 'cannot_start', why: 'confined', message: messageOf(error) };
    process.send?.(message, () => process.exit(1));
  },
);
