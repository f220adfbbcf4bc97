/**
 * Puts the builds of chDB for other platforms back into package-lock.json.
 *
 * `npm install` leaves them out when the registry at hand lacks them, and `npm ci` then refuses the lock file on every
 * machine. Run it after each `npm install`; it changes nothing when nothing is missing.
 */

import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const wanted = lock.packages['node_modules/chdb'].optionalDependencies;
for (const [name, version] of Object.entries(wanted)) {
  const key = `node_modules/${name}`;
  if (lock.packages[key] !== undefined) continue;
  const [, os, cpu, libc] = /lib-([a-z]+)-([a-z0-9]+)(?:-(gnu))?$/.exec(name);
  lock.packages[key] = {
    version,
    cpu: [cpu],
    ...(libc === undefined ? {} : { libc: ['glibc'] }),
    license: 'Apache-2.0',
    optional: true,
    os: [os],
  };
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
