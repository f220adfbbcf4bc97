/**
 * The part of `node:fs/promises` that lists, their memory and the audit log use, in memory: for tests that write lists very
 * often. To be given to `vi.mock`. Modes and links are not kept; what is written is there at once.
 */

interface Entry {
  data: Buffer;
  mtimeMs: number;
}

let files = new Map<string, Entry>();
let directories = new Set<string>();
let clock: () => number = Date.now;

/** Forgets everything but a directory. `now`: gives files their times. */
export function emptyMemoryFiles(directory: string, now: () => number): void {
  files = new Map();
  directories = new Set([directory]);
  clock = now;
}

/** What lies there, as a reader of the file gets it; null for nothing. */
export const memoryText = (path: string): string | null => files.get(path)?.data.toString('utf8') ?? null;

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, '${path}'`), { code: 'ENOENT' });
}

function entryAt(path: string): Entry {
  const entry = files.get(path);
  if (entry === undefined) throw missing(path);
  return entry;
}

const write = (path: string, data: Buffer | string) =>
  void files.set(path, { data: Buffer.from(data), mtimeMs: clock() });

function statsOf(path: string) {
  const entry = files.get(path);
  if (entry === undefined && !directories.has(path)) throw missing(path);
  return {
    isFile: () => entry !== undefined,
    isDirectory: () => entry === undefined,
    isSymbolicLink: () => false,
    mode: entry === undefined ? 0o40750 : 0o100640,
    size: entry?.data.length ?? 0,
    mtimeMs: entry?.mtimeMs ?? 0,
    mtime: new Date(entry?.mtimeMs ?? 0),
  };
}

function handleOf(path: string) {
  return {
    writeFile: async (data: string) => write(path, data),
    chmod: async () => undefined,
    sync: async () => undefined,
    close: async () => undefined,
    stat: async () => statsOf(path),
    async read(buffer: Buffer, offset: number, length: number, position: number) {
      const bytesRead = entryAt(path).data.copy(buffer, offset, position, position + length);
      return { bytesRead, buffer };
    },
    async *readLines() {
      for (const line of entryAt(path).data.toString('utf8').split('\n')) if (line !== '') yield line;
    },
  };
}

export const memoryFiles = {
  async readFile(path: string, encoding?: 'utf8') {
    const { data } = entryAt(path);
    return encoding === undefined ? data : data.toString(encoding);
  },
  async writeFile(path: string, data: Buffer | string) {
    write(path, data);
  },
  async appendFile(path: string, text: string) {
    write(path, Buffer.concat([files.get(path)?.data ?? Buffer.alloc(0), Buffer.from(text)]));
  },
  async open(path: string, flags: string) {
    if (flags === 'wx') write(path, '');
    else if (!directories.has(path)) entryAt(path);
    return handleOf(path);
  },
  async rename(from: string, to: string) {
    files.set(to, entryAt(from));
    files.delete(from);
  },
  async copyFile(from: string, to: string) {
    write(to, entryAt(from).data);
  },
  async rm(path: string, { force = false } = {}) {
    if (!files.delete(path) && !force) throw missing(path);
  },
  async mkdir(path: string) {
    if (directories.has(path)) return undefined;
    directories.add(path);
    return path;
  },
  async chmod() {
    return undefined;
  },
  async readdir(path: string) {
    if (!directories.has(path)) throw missing(path);
    const begin = `${path}/`;
    return [...files.keys()].flatMap((one) =>
      one.startsWith(begin) && !one.includes('/', begin.length) ? [one.slice(begin.length)] : [],
    );
  },
  stat: async (path: string) => statsOf(path),
  lstat: async (path: string) => statsOf(path),
};
