/** What `npm ci` installs is what was reviewed: each package of the lock file has a hash. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
}

/** Builds of chDB for other platforms: the registry at hand does not have them, so nobody here could hash them. */
const NOT_TO_BE_HAD = [
  'node_modules/@chdb/lib-darwin-arm64',
  'node_modules/@chdb/lib-darwin-x64',
  'node_modules/@chdb/lib-linux-arm64-gnu',
];

test('each package in package-lock.json has an integrity hash', () => {
  const text = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, Locked> };
  const installed = Object.entries(packages).filter(([path, { link }]) => path !== '' && link !== true);
  expect(installed.length).toBeGreaterThan(100);
  const without = installed
    .filter(([, { integrity }]) => !/^sha(512|384)-/.test(integrity ?? ''))
    .map(([path]) => path);
  expect(without.filter((path) => !NOT_TO_BE_HAD.includes(path))).toEqual([]);
});
