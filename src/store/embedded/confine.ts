/**
 * The kernel's wall around the engine: which files the process may touch, and that it opens no socket. Linux only.
 *
 * Landlock (kernel 5.13 and later) and seccomp bind the thread that asks for them and what it starts later, and need no root. Node and the engine
 * have many threads, so the launcher confines its own first thread and then replaces itself by the engine's process
 * (`execve`), which inherits both with all threads to come.
 * Sources: linux/landlock.h, linux/seccomp.h, linux/filter.h, linux/audit.h; numbers of calls from asm/unistd_64.h and asm-generic/unistd.h.
 */

import { existsSync, realpathSync, statSync } from 'node:fs';
import { loadNative, type NativeLibrary } from '../../native.ts';

export interface Confinement {
  /** Only the listed files can be opened. */
  readonly files: boolean;
  /** The process can open no socket, so it can neither connect nor listen. */
  readonly network: boolean;
  /** Why a part is missing, in plain words; '' when nothing is. */
  readonly missing: string;
}

export interface AllowedPaths {
  readonly read: readonly string[];
  /** Programs that may be started, and what loads them. */
  readonly execute: readonly string[];
  /** Directories in which everything is allowed but to start programs. */
  readonly write: readonly string[];
}

/** The same on all machines. */
const LANDLOCK_CREATE_RULESET = 444;
const LANDLOCK_ADD_RULE = 445;
const LANDLOCK_RESTRICT_SELF = 446;
const LANDLOCK_CREATE_RULESET_VERSION = 1;
const LANDLOCK_RULE_PATH_BENEATH = 1;
const IO_URING_SETUP = 425;

const EXECUTE = 1n << 0n;
const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;
/** All rights on files from EXECUTE to MAKE_SYM; later versions add REFER, TRUNCATE and IOCTL_DEV. */
const FIRST_RIGHTS = (1n << 13n) - 1n;
const REFER = 1n << 13n;
const TRUNCATE = 1n << 14n;
const IOCTL_DEV = 1n << 15n;
/** Of these a rule for a single file may speak. */
const ON_FILES = EXECUTE | READ_FILE | (1n << 1n) | TRUNCATE | IOCTL_DEV;
/** BIND_TCP and CONNECT_TCP. */
const TCP = 3n;
/** Abstract Unix sockets and signals to processes outside. */
const SCOPES = 3n;

const O_PATH_CLOEXEC = 0x200000 | 0x80000;
const F_SETFD = 2;
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_ALLOW = 0x7fff0000;
/** The call fails with EACCES. */
const SECCOMP_REFUSE = 0x00050000 | 13;

const MACHINES: Readonly<Record<string, { readonly audit: number; readonly socket: number }>> = {
  x64: { audit: 0xc000003e, socket: 41 },
  arm64: { audit: 0xc00000b7, socket: 198 },
};

/** What this kernel can do, without doing it. */
export async function probeConfinement(): Promise<Confinement> {
  const native = await loadNative();
  if (typeof native === 'string') return { files: false, network: false, missing: native };
  const files = landlockVersion(libc(native)) > 0;
  const network = MACHINES[process.arch] !== undefined;
  return { files, network, missing: missingParts(files, network) };
}

function missingParts(files: boolean, network: boolean): string {
  return [
    ...(files ? [] : ['this kernel has no Landlock, or it is switched off']),
    ...(network ? [] : [`the filter of system calls is not known for ${process.arch}, or was refused`]),
  ].join('; ');
}

type Libc = ReturnType<typeof libc>;

function libc(native: NativeLibrary) {
  return {
    native,
    landlock: native.func('long syscall(long number, void *a, size_t b, size_t c)'),
    addRule: native.func('long syscall(long number, int ruleset, int type, void *rule, int flags)'),
    restrict: native.func('long syscall(long number, int ruleset, int flags)'),
    open: native.func('int open(const char *path, int flags)'),
    close: native.func('int close(int fd)'),
    fcntl: native.func('int fcntl(int fd, int command, int value)'),
    prctl: native.func('int prctl(int option, long a, void *b, long c, long d)'),
    execve: native.func('int execve(const char *path, const char **argv, const char **envp)'),
  };
}

function landlockVersion(c: Libc): number {
  return Number(c.landlock(LANDLOCK_CREATE_RULESET, null, 0, LANDLOCK_CREATE_RULESET_VERSION));
}

/**
 * Confines this thread and replaces the process by `program`, which keeps the descriptor `keep` (the channel to the parent). Returns only when
 * nothing was confined; throws when the process is confined but cannot be replaced, and is then of no use.
 */
export async function confineAndReplace(
  allowed: AllowedPaths,
  program: { readonly path: string; readonly argv: readonly string[]; readonly keep: number },
  environment: (confinement: Confinement) => NodeJS.ProcessEnv,
): Promise<Confinement> {
  const native = await loadNative();
  if (typeof native === 'string') return { files: false, network: false, missing: native };
  const c = libc(native);
  if (c.prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0)
    return { files: false, network: false, missing: 'the kernel refuses to give up privileges' };
  const files = restrictFiles(c, allowed);
  const network = refuseSockets(c);
  const confinement = { files, network, missing: missingParts(files, network) };
  if (!files && !network) return confinement;
  // Node marks all of them to be closed, what it prints to as well.
  for (const descriptor of [0, 1, 2, program.keep]) c.fcntl(descriptor, F_SETFD, 0);
  const env = Object.entries(environment(confinement)).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  c.execve(program.path, [program.path, ...program.argv, null], [...env, null]);
  throw new Error(`the confined process cannot start ${program.path}: error ${c.native.errno()}`);
}

function restrictFiles(c: Libc, allowed: AllowedPaths): boolean {
  const version = landlockVersion(c);
  if (version < 1) return false;
  const handled =
    FIRST_RIGHTS |
    (version >= 2 ? REFER : 0n) |
    (version >= 3 ? TRUNCATE : 0n) |
    (version >= 5 ? IOCTL_DEV : 0n);
  const attributes = Buffer.alloc(version >= 6 ? 24 : version >= 4 ? 16 : 8);
  attributes.writeBigUInt64LE(handled, 0);
  if (version >= 4) attributes.writeBigUInt64LE(TCP, 8);
  if (version >= 6) attributes.writeBigUInt64LE(SCOPES, 16);
  const ruleset = Number(c.landlock(LANDLOCK_CREATE_RULESET, attributes, attributes.length, 0));
  if (ruleset < 0) return false;
  const allow = (paths: readonly string[], rights: bigint) =>
    paths.every((path) => addRule(c, ruleset, path, rights & handled));
  const done =
    allow(allowed.read, READ_FILE | READ_DIR) &&
    allow(allowed.execute, READ_FILE | READ_DIR | EXECUTE) &&
    allow(allowed.write, handled & ~EXECUTE) &&
    Number(c.restrict(LANDLOCK_RESTRICT_SELF, ruleset, 0)) === 0;
  c.close(ruleset);
  return done;
}

/** A path that is not there needs no rule. */
function addRule(c: Libc, ruleset: number, path: string, rights: bigint): boolean {
  if (!existsSync(path)) return true;
  const real = realpathSync(path);
  const descriptor = Number(c.open(real, O_PATH_CLOEXEC));
  if (descriptor < 0) return true;
  const rule = Buffer.alloc(12);
  rule.writeBigUInt64LE(statSync(real).isDirectory() ? rights : rights & ON_FILES, 0);
  rule.writeInt32LE(descriptor, 8);
  const added = Number(c.addRule(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)) === 0;
  c.close(descriptor);
  return added;
}

/** Landlock knows only TCP; the filter refuses sockets of every kind, and io_uring, which could open one unseen. */
function refuseSockets(c: Libc): boolean {
  const machine = MACHINES[process.arch];
  if (machine === undefined) return false;
  const LOAD = 0x20;
  const EQUAL = 0x15;
  const AT_LEAST = 0x35;
  const RETURN = 0x06;
  // [code, jump when true, jump when false, value]; offset 4 is the architecture, 0 the number of the call.
  const program: readonly (readonly [number, number, number, number])[] = [
    [LOAD, 0, 0, 4],
    [EQUAL, 0, 5, machine.audit],
    [LOAD, 0, 0, 0],
    // Calls of the x32 kind have numbers of their own for the same.
    [AT_LEAST, 3, 0, 0x40000000],
    [EQUAL, 2, 0, machine.socket],
    [EQUAL, 1, 0, IO_URING_SETUP],
    [RETURN, 0, 0, SECCOMP_ALLOW],
    [RETURN, 0, 0, SECCOMP_REFUSE],
  ];
  const filter = Buffer.alloc(8 * program.length);
  program.forEach(([code, whenTrue, whenFalse, value], i) => {
    filter.writeUInt16LE(code, 8 * i);
    filter.writeUInt8(whenTrue, 8 * i + 2);
    filter.writeUInt8(whenFalse, 8 * i + 3);
    filter.writeUInt32LE(value, 8 * i + 4);
  });
  const head = Buffer.alloc(16);
  head.writeUInt16LE(program.length, 0);
  head.writeBigUInt64LE(c.native.address(filter), 8);
  return c.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0) === 0;
}
