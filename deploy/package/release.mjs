/**
 * `npm run release [-- --out DIRECTORY] [--without-engine]`: the npm tarball, the Debian package, the SBOM (CycloneDX), the licences
 * of all that ships, and their checksums, in `release/`.
 *
 * Each is the same, byte for byte, for the same commit and modules: `sha256sum --check SHA256SUMS` after a second run says so.
 * What npm writes into an SBOM anew each time, its serial number and time, comes from the content and the commit here.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'release' },
    'without-engine': { type: 'boolean', default: false },
  },
});
const out = resolve(values.out);
const epoch =
  process.env.SOURCE_DATE_EPOCH ??
  execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: PROJECT, encoding: 'utf8' }).trim();
const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));

mkdirSync(out, { recursive: true });
// What an earlier version left here does not belong to this one.
for (const name of readdirSync(out)) if (/^rogue-smtp[-_]|^SHA256SUMS$/.test(name)) rmSync(join(out, name));
run('npm', 'pack', '--silent', '--pack-destination', out);
run(
  process.execPath,
  join(PROJECT, 'deploy/package/build-deb.mjs'),
  '--out',
  out,
  ...(values['without-engine'] ? ['--without-engine'] : []),
);
writeFileSync(join(out, `rogue-smtp-${version}.cdx.json`), bill());
writeFileSync(join(out, `rogue-smtp-${version}-licences.txt`), licences());
const sums = readdirSync(out)
  .filter((name) => name.startsWith('rogue-smtp'))
  .sort()
  .map(
    (name) =>
      `${createHash('sha256')
        .update(readFileSync(join(out, name)))
        .digest('hex')}  ${name}\n`,
  )
  .join('');
writeFileSync(join(out, 'SHA256SUMS'), sums);
process.stdout.write(sums);

function run(program, ...args) {
  return execFileSync(program, args, {
    cwd: PROJECT,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, SOURCE_DATE_EPOCH: epoch },
  });
}

/** The SBOM of npm, from the lock file: also the modules that only other platforms have. */
function bill() {
  const sbom = JSON.parse(
    run('npm', 'sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'),
  );
  delete sbom.serialNumber;
  sbom.metadata.timestamp = new Date(1000 * Number(epoch)).toISOString();
  const hash = createHash('sha256').update(JSON.stringify(sbom)).digest('hex');
  // RFC 9562, section 5.8: version 8 is for values that the maker chooses.
  const parts = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ];
  sbom.serialNumber = `urn:uuid:${parts.join('-')}`;
  return `${JSON.stringify(sbom, null, 2)}\n`;
}

/** One line for each production module that is installed here: name, version, licence. */
function licences() {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8'));
  const lines = Object.entries(packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true && existsSync(join(PROJECT, path)))
    .map(([path]) => {
      const module = JSON.parse(readFileSync(join(PROJECT, path, 'package.json'), 'utf8'));
      return `${module.name} ${module.version}: ${module.license ?? 'not stated'}`;
    });
  return `${['rogue-smtp: GPL-2.0-or-later', ...new Set(lines.sort())].join('\n')}\n`;
}
