/**
 * `npm run deb [-- --out DIRECTORY] [--without-engine]`: makes the Debian package from what is built and installed here. Needs
 * `npm run build` and dpkg-deb.
 *
 * The package has the production modules of this machine's architecture, compiled parts included. It is the same, byte for byte,
 * for the same inputs: times come from SOURCE_DATE_EPOCH, or else from the last commit. `--without-engine` leaves out the
 * embedded ClickHouse, which is half a gigabyte: for roles that use a server.
 */

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
/** Where the units of deploy/systemd have the program, and where the package has it. */
const BY_HAND = '/opt/rogue-smtp/';
const HOME = 'usr/lib/rogue-smtp/';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'release' },
    'without-engine': { type: 'boolean', default: false },
  },
});
const { version, description } = read('package.json');
const epoch =
  process.env.SOURCE_DATE_EPOCH ??
  execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: PROJECT, encoding: 'utf8' }).trim();
const environment = { ...process.env, SOURCE_DATE_EPOCH: epoch };
const architecture = run('dpkg', ['--print-architecture']).trim();
const root = mkdtempSync(join(tmpdir(), 'rogue-smtp-deb-'));
try {
  copyProgram();
  copyModules();
  writeForSystem();
  writeControl();
  openToReaders(root);
  mkdirSync(values.out, { recursive: true });
  const file = join(values.out, `rogue-smtp_${version}_${architecture}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z6', '--build', root, file]);
  process.stdout.write(`${file}\n`);
} finally {
  rmSync(root, { recursive: true, force: true });
}

function read(path) {
  return JSON.parse(readFileSync(join(PROJECT, path), 'utf8'));
}

function run(program, args) {
  return execFileSync(program, args, { encoding: 'utf8', env: environment });
}

function place(path, text, mode = 0o644) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

function copyProgram() {
  const filter = (path) => !path.endsWith('.map');
  for (const path of ['dist', 'schemas', 'deploy/demo', 'package.json', 'README.md'])
    cpSync(join(PROJECT, path), join(root, HOME, path), { recursive: true, filter });
}

/** The lock file knows which modules are for development only. */
function copyModules() {
  for (const [path, entry] of Object.entries(read('package-lock.json').packages)) {
    if (path === '' || entry.dev === true || !existsSync(join(PROJECT, path))) continue;
    if (values['without-engine'] && /^node_modules\/(@chdb|chdb)(\/|$)/.test(path)) continue;
    cpSync(join(PROJECT, path), join(root, HOME, path), {
      recursive: true,
      // Nested modules have entries of their own.
      filter: (from) => !from.slice(join(PROJECT, path).length).startsWith('/node_modules'),
    });
  }
}

/** Units, user, the command, its manual page and completion. */
function writeForSystem() {
  const parts = join(PROJECT, 'deploy/package/debian');
  for (const name of readdirSync(join(PROJECT, 'deploy/systemd'))) {
    const unit = readFileSync(join(PROJECT, 'deploy/systemd', name), 'utf8');
    place(`lib/systemd/system/${name}`, unit.replaceAll(BY_HAND, `/${HOME}`));
  }
  place('usr/lib/sysusers.d/rogue-smtp.conf', readFileSync(join(parts, 'sysusers.conf')));
  place('usr/lib/tmpfiles.d/rogue-smtp.conf', readFileSync(join(parts, 'tmpfiles.conf')));
  place('usr/bin/rogue-smtp', `#!/bin/sh\nexec /usr/bin/node /${HOME}dist/cli/main.js "$@"\n`, 0o755);
  const printed = (...args) => run(process.execPath, [join(PROJECT, 'dist/cli/main.js'), ...args]);
  place('usr/share/man/man1/rogue-smtp.1', printed('man'));
  place('usr/share/bash-completion/completions/rogue-smtp', printed('completion', 'bash'));
  place('usr/share/zsh/vendor-completions/_rogue-smtp', printed('completion', 'zsh'));
  place('usr/share/fish/vendor_completions.d/rogue-smtp.fish', printed('completion', 'fish'));
  place('usr/share/doc/rogue-smtp/copyright', readFileSync(join(PROJECT, 'LICENSE')));
  for (const script of ['postinst', 'prerm', 'postrm'])
    place(`DEBIAN/${script}`, readFileSync(join(parts, script)), 0o755);
}

function writeControl() {
  place(
    'DEBIAN/control',
    `Package: rogue-smtp
Version: ${version}
Architecture: ${architecture}
Maintainer: rogue-smtp <root@localhost>
Depends: nodejs (>= 20.18), libc6, systemd
Section: net
Priority: optional
Description: finds hosts that send mail without being allowed to
 ${description}.
`,
  );
}

/** Whatever the umask was here: all may read, and programs may be run. */
function openToReaders(directory) {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    else if (entry.isFile())
      chmodSync(path, path.includes('/bin/') || path.includes('/DEBIAN/p') ? 0o755 : 0o644);
  }
}
