/**
 * What the lab runs that is not on the PATH, kept in a cache directory of the user.
 *
 * Postfix and Exim exclude each other as packages of Debian, but not as files: both are unpacked, and each namespace lays
 * them over its own /usr and /etc.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { missingTools, PYTHON_HOME } from '../../support/requirements.ts';

export interface Programs {
  /** The binary of delay-link.c. */
  readonly delayLink: string;
  /** A directory with the servers' keys and certificates. */
  readonly certificates: string;
  /** Lines of the shell that lay Postfix and Exim over /usr and /etc, in the mount namespace of `ip netns exec`. */
  readonly overlay: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const HERE = new URL('.', import.meta.url).pathname;
const HOME = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rogue-smtp', 'mail-lab');
const AGENTS = join(HOME, 'root');
const NODE_PQ = join(HOME, `node_modules/node-linux-${process.arch}/bin/node`);
const GO_MAILER = join(HOME, 'go-mailer');
const CERTIFICATES = join(HOME, 'certificates');

/** What the network, the servers and the exporters of the lab need on the PATH. */
export const LAB_TOOLS = [
  ...['ethtool', 'gcc', 'openssl', 'python3', 'tcpdump', 'softflowd', 'pmacctd', 'setpriv', 'sysctl', 'nc'],
] as const;

/** Fetches what is missing, by the clients of Debian, npm and Go, and makes what can be made once. */
export function fetchPrograms(): void {
  mkdirSync(HOME, { recursive: true });
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: HOME, stdio: ['ignore', 'ignore', 'inherit'] });
  if (!hasAgents()) {
    const unpack = 'for each in *.deb; do dpkg -x "$each" root; done';
    run('sh', '-ec', `apt-get download -q postfix exim4-daemon-light; ${unpack}`);
  }
  addUsers();
  if (!existsSync(NODE_PQ)) {
    const name = `node-linux-${process.arch}@26`;
    run('npm', 'install', '--no-save', '--silent', '--prefix', HOME, name);
  }
  if (!existsSync(GO_MAILER) && missingTools('go').length === 0)
    run('go', 'build', '-o', GO_MAILER, join(HERE, 'mailer.go'));
}

function hasAgents(): boolean {
  return ['exim4', 'postfix'].every((each) => existsSync(join(AGENTS, 'usr/sbin', each)));
}

/** What has not been fetched, in words. */
export function missingPrograms(): string[] {
  return [
    ...(hasAgents() && existsSync(NODE_PQ) ? [] : ['the programs of npm run mail-lab -- --fetch']),
    ...(existsSync(join(PYTHON_HOME, 'bin/python3')) ? [] : [`.ci/python-packages in ${PYTHON_HOME}`]),
  ];
}

/** Throws when something has not been fetched. */
export function preparePrograms(): Programs {
  const missing = [...missingTools(...LAB_TOOLS), ...missingPrograms()];
  if (missing.length > 0) throw new Error(`the mail lab needs ${missing.join(', ')}`);
  const delayLink = join(HOME, 'delay-link');
  execFileSync('gcc', ['-O2', '-Wall', '-o', delayLink, join(HERE, 'delay-link.c')]);
  if (!existsSync(join(CERTIFICATES, 'big.pem'))) {
    mkdirSync(CERTIFICATES, { recursive: true });
    execFileSync('sh', [join(HERE, 'certificates.sh'), CERTIFICATES]);
  }
  const over = (each: string) =>
    `mount -t overlay overlay -o lowerdir=${AGENTS}/${each}:/${each} /${each} || exit 99`;
  return {
    delayLink,
    certificates: CERTIFICATES,
    overlay: ['usr', 'etc'].map(over),
    environment: {
      PYTHON: join(PYTHON_HOME, 'bin/python3'),
      NODE: process.execPath,
      NODE_PQ,
      NODEMAILER: dirname(createRequire(import.meta.url).resolve('nodemailer/package.json')),
      ...(existsSync(GO_MAILER) ? { GO_MAILER } : {}),
    },
  };
}

/** The users of both, which their packages would have made. */
function addUsers(): void {
  const users = { postfix: 8801, 'Debian-exim': 8803 };
  const groups = { ...users, postdrop: 8802 };
  const extend = (file: string, names: Readonly<Record<string, number>>, rest: (id: number) => string) => {
    const present = readFileSync(`/etc/${file}`, 'utf8');
    const lines = Object.entries(names)
      .filter(([name]) => !present.includes(`\n${name}:`))
      .map(([name, id]) => `${name}:x:${id}:${rest(id)}\n`);
    mkdirSync(join(AGENTS, 'etc/postfix'), { recursive: true });
    writeFileSync(join(AGENTS, 'etc', file), present + lines.join(''));
  };
  extend('passwd', users, (id) => `${id}::/nonexistent:/usr/sbin/nologin`);
  extend('group', groups, () => '');
  const postfix = (directory: string, name: string) => join(AGENTS, directory, name);
  copyFileSync(postfix('usr/share/postfix', 'main.cf.debian'), postfix('etc/postfix', 'main.cf'));
  copyFileSync(postfix('usr/share/postfix', 'master.cf.dist'), postfix('etc/postfix', 'master.cf'));
}
