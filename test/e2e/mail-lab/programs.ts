/** What the lab runs that is not on the PATH. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { compileDelayLink } from './network.ts';

export interface Programs {
  readonly delayLink: string;
  readonly certificates: string;
  /** Lines of the shell that lay Postfix and Exim over /usr and /etc, in the mount namespace of `ip netns exec`. */
  readonly overlay: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const HERE = new URL('.', import.meta.url).pathname;
const HOME = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rogue-smtp', 'mail-lab');

/** Fetches what is missing from the registries of Debian, npm and PyPI, by their clients. */
export function preparePrograms(): Programs {
  mkdirSync(HOME, { recursive: true });
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: HOME, stdio: ['ignore', 'ignore', 'inherit'] });
  const root = join(HOME, 'root');
  if (!existsSync(join(root, 'usr/sbin/exim4'))) {
    // They exclude each other as installed packages, but not as files.
    run('sh', '-c', 'apt-get download -q postfix exim4-daemon-light && for each in *.deb; do dpkg -x "$each" root; done');
  }
  addUsers(root);
  const node26 = join(HOME, `node_modules/node-linux-${process.arch}/bin/node`);
  if (!existsSync(node26)) run('npm', 'install', '--no-save', '--silent', '--prefix', HOME, `node-linux-${process.arch}@26`, 'nodemailer');
  const python = join(HOME, 'python/bin/python3');
  if (!existsSync(python)) {
    run('python3', '-m', 'venv', join(HOME, 'python'));
    run(join(HOME, 'python/bin/pip'), 'install', '-q', 'aiosmtplib', 'pyOpenSSL');
  }
  const goMailer = join(HOME, 'mailer');
  if (!existsSync(goMailer)) run('go', 'build', '-o', goMailer, join(HERE, 'mailer.go'));
  const certificates = join(HOME, 'certificates');
  if (!existsSync(join(certificates, 'big.pem'))) {
    mkdirSync(certificates, { recursive: true });
    run('sh', join(HERE, 'certificates.sh'), certificates);
  }
  return {
    delayLink: compileDelayLink(HOME),
    certificates,
    overlay: ['usr', 'etc'].map((each) => `mount -t overlay overlay -o lowerdir=${root}/${each}:/${each} /${each} || exit 99`),
    environment: {
      PYTHON: python,
      NODE: process.execPath,
      NODE_PQ: node26,
      NODEMAILER: join(HOME, 'node_modules/nodemailer'),
      GO_MAILER: goMailer,
      CERTIFICATES: certificates,
    },
  };
}

/** The users of both, which their packages would have made. */
function addUsers(root: string): void {
  for (const file of ['passwd', 'group']) {
    const lines = readFileSync(`/etc/${file}`, 'utf8');
    const add = (name: string, id: number, line: string) => (new RegExp(`^${name}:`, 'm').test(lines) ? '' : `${name}:x:${id}:${line}\n`);
    const extra =
      file === 'passwd'
        ? add('postfix', 8801, '8801::/var/spool/postfix:/usr/sbin/nologin') + add('Debian-exim', 8803, '8803::/var/spool/exim4:/usr/sbin/nologin')
        : add('postfix', 8801, '') + add('postdrop', 8802, '') + add('Debian-exim', 8803, '');
    writeFileSync(join(root, 'etc', file), lines + extra);
  }
  for (const [from, to] of [['main.cf.debian', 'main.cf'], ['master.cf.dist', 'master.cf']])
    copyFileSync(join(root, 'usr/share/postfix', from), join(root, 'etc/postfix', to));
}
