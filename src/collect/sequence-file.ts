/**
 * Where each exporter's sequence stood when its flows were last safe, in a file: so that what a killed or stopped
 * collector did not see is counted as lost by the next one, and never reads as quiet.
 *
 * A line of JSON for each exporter and domain that sent, appended whenever a batch has been answered for; the newest line
 * of each counts. A file that is damaged or cannot be written costs that account, never a flow.
 */

import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { z } from 'zod';
import { COUNTING_NAMES } from '../decode/sequence.ts';
import type { SequenceMark } from '../decode/types.ts';
import { messageOf } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { formatAddress, parseAddress } from '../flow/address.ts';

/** The file is written anew when it is larger than this and than four times what it tells. */
const MIN_REWRITE_BYTES = 1 << 20;
/** More exporters and domains than a collector follows; those longest not heard go first. */
const MAX_ENTRIES = 32_768;
/** An exporter that was silent for longer is not counted as having lost what it sent meanwhile. */
const MAX_AGE_MS = 86_400_000;
/** What is larger was not written by us. */
const MAX_FILE_BYTES = 256 << 20;

const u32 = z.number().int().min(0).max(0xffffffff);
const time = z.number().min(-1e13).max(1e13);
const lineSchema = z.object({
  exporter: z.string(),
  port: z.number().int().min(0).max(65_535),
  agent: z.string().optional(),
  version: z.enum(['v5', 'v7', 'v9', 'ipfix', 'sflow']),
  domain: u32,
  seen: z.number().min(0).max(1e13),
  lost: z.number().int().min(0),
  next: z
    .array(
      z.object({
        counting: z.enum(COUNTING_NAMES),
        next: u32.nullable(),
        exportMs: time,
        uptimeMs: time.nullable(),
        receivedMs: time.optional(),
        perSecond: z.number().min(0).max(0xffffffff).optional(),
      }),
    )
    .min(1)
    .max(COUNTING_NAMES.length),
});

export interface SequenceFile {
  /** The marks that are younger than a day; none when there is no file. Opens it for `keep`. */
  open(nowMs: number): Promise<SequenceMark[]>;
  /** Appends; never rejects, never blocks. What comes while a write is under way goes out with the next. */
  keep(marks: readonly SequenceMark[]): void;
  /** Writes what waits and closes. */
  close(): Promise<void>;
}

/**
 * `onFailure` is told once when the file cannot be read or written, until it can be again; `onDamage` how many whole lines
 * could not be read when it was opened.
 */
export function createSequenceFile(
  path: string,
  onFailure: (reason: string) => void,
  onDamage: (lines: number) => void = () => undefined,
): SequenceFile {
  /** Newest line of each exporter and domain, the one longest not heard first. */
  const lines = new Map<string, string>();
  let waiting = '';
  let handle: FileHandle | null = null;
  let bytes = 0;
  let failed = false;
  let writing: Promise<void> | null = null;

  function remember(key: string, line: string): void {
    lines.delete(key);
    lines.set(key, line);
    if (lines.size > MAX_ENTRIES) for (const oldest of lines.keys()) return void lines.delete(oldest);
  }

  async function write(): Promise<void> {
    while (waiting !== '') {
      const text = waiting;
      waiting = '';
      try {
        if (handle === null || bytes > MIN_REWRITE_BYTES) await rewriteIfWorthIt();
        await handle?.appendFile(text);
        bytes += Buffer.byteLength(text);
        failed = false;
      } catch (error) {
        if (!failed) onFailure(messageOf(error));
        failed = true;
        // Perhaps a line was written in part: the next attempt writes all of them anew.
        await handle?.close().catch(() => undefined);
        handle = null;
      }
    }
    writing = null;
  }

  /** Written beside and renamed, so that a kill leaves the old file or the new one. */
  async function rewriteIfWorthIt(): Promise<void> {
    const text = [...lines.values()].join('');
    if (handle !== null && bytes < 4 * Buffer.byteLength(text)) return;
    const temporary = `${path}.new`;
    let fresh: FileHandle | null = null;
    try {
      fresh = await open(temporary, 'w', 0o640);
      await fresh.writeFile(text);
      await rename(temporary, path);
      await handle?.close();
      handle = fresh;
      bytes = Buffer.byteLength(text);
    } catch (error) {
      // Left open, each attempt on a full disk would leak a descriptor, which Node closes with DEP0137 or not at all.
      await fresh?.close().catch(() => undefined);
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async function read(): Promise<string> {
    try {
      const content = await readFile(path);
      return content.length > MAX_FILE_BYTES ? '' : content.toString('utf8');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
        onFailure(messageOf(error));
      return '';
    }
  }

  return {
    async open(nowMs) {
      const newest = new Map<string, SequenceMark>();
      const text = await read();
      const damaged = damagedLines(text);
      if (damaged > 0) onDamage(damaged);
      for (const line of text.split('\n')) {
        const mark = parseMark(line);
        if (mark === null || nowMs - mark.lastSeenMs > MAX_AGE_MS) continue;
        const key = keyOf(mark);
        newest.set(key, mark);
        remember(key, `${line}\n`);
      }
      return [...newest.values()].map((mark) => ({ ...mark, lastSeenMs: Math.min(mark.lastSeenMs, nowMs) }));
    },
    keep(marks) {
      for (const mark of marks) {
        const line = formatMark(mark);
        remember(keyOf(mark), line);
        waiting += line;
      }
      writing ??= write();
    },
    async close() {
      await writing;
      await handle?.close().catch(() => undefined);
      handle = null;
    },
  };
}

/** Lines that a process wrote to their end and that cannot be read; the one that a kill cut short is none. */
export function damagedLines(text: string): number {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '' && parseMark(line) === null).length;
}

function keyOf({ address, port, agent, version, domain }: SequenceMark): string {
  const key = `${formatAddress(address)} ${port} ${version} ${domain}`;
  return agent === undefined ? key : `${key} ${formatAddress(agent)}`;
}

/** A mark as its line of the file, ended. */
export function formatMark({
  address,
  port,
  agent,
  version,
  domain,
  lastSeenMs,
  lost,
  marks,
}: SequenceMark): string {
  const exporter = formatAddress(address);
  const of = agent === undefined ? {} : { agent: formatAddress(agent) };
  return withChecksum(
    JSON.stringify({ exporter, port, ...of, version, domain, seen: lastSeenMs, lost, next: marks }),
  );
}

/** Null for what is no line of ours, such as the last one of a process that was killed while it wrote. */
export function parseMark(line: string): SequenceMark | null {
  if (line === '') return null;
  let value: unknown;
  try {
    const text = checkedText(line);
    if (text === null) return null;
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = lineSchema.safeParse(value);
  if (!parsed.success) return null;
  const { exporter, agent, seen, next, ...mark } = parsed.data;
  const address = parseAddress(exporter);
  const of = agent === undefined ? undefined : parseAddress(agent);
  if (address === null || of === null) return null;
  return { ...mark, ...(of !== undefined && { agent: of }), address, lastSeenMs: seen, marks: next };
}
