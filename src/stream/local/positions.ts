/**
 * How far each consumer group has come, one small file a group.
 *
 * Files are replaced as a whole, so that a kill leaves the old position or the new one. A position never goes back.
 * Whatever a file that cannot be read had said, its group holds back every stream until it subscribes again: better
 * to keep data too long than to remove what somebody still needs.
 */

import { mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../../errors.ts';
import { checkedText, withChecksum } from '../../files/checked-text.ts';
import { STREAM_NAMES, type StreamName } from '../stream.ts';
import type { StreamLogger } from './settings.ts';

const GROUP_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

interface Group {
  /** Last committed offset by stream; the one before the first when nothing is committed. */
  readonly committed: Map<StreamName, number>;
  /** The first offset that the group was to read, by stream; not known of groups that older versions registered. */
  readonly begins: Map<StreamName, number>;
  /** Its file was damaged: streams it may have been reading. */
  readonly unknown: Set<StreamName>;
  /** Grows with each change; what the file holds, and the write under way. */
  revision: number;
  written: number;
  writing: Promise<void> | null;
}

export class GroupPositions {
  readonly #directory: string;
  readonly #log: StreamLogger;
  readonly #groups = new Map<string, Group>();
  /** What was found damaged, in words. */
  readonly damages: string[] = [];

  constructor(directory: string, log: StreamLogger) {
    this.#directory = directory;
    this.#log = log;
  }

  async load(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    for (const entry of await readdir(this.#directory, { withFileTypes: true })) {
      const file = join(this.#directory, entry.name);
      if (!entry.isFile() || !entry.name.endsWith('.json')) {
        if (entry.name.endsWith('.json.new')) await unlink(file);
        continue;
      }
      const name = entry.name.slice(0, -'.json'.length);
      if (!GROUP_NAME.test(name)) continue;
      const positions = parsePositions(await readFile(file, 'utf8'));
      const group = this.#add(name);
      if (positions !== null) {
        for (const [stream, offset] of positions.committed) group.committed.set(stream, offset);
        for (const [stream, offset] of positions.begins) group.begins.set(stream, offset);
        continue;
      }
      await rename(file, `${file}.damaged`);
      this.damages.push(`${file} is damaged: the group "${name}" starts again at the oldest messages kept`);
      for (const stream of STREAM_NAMES) group.unknown.add(stream);
      this.#log.error(
        { file: `${file}.damaged`, group: name },
        'the positions of a group cannot be read: it starts again at the oldest messages kept',
      );
    }
  }

  #add(name: string): Group {
    const group: Group = {
      committed: new Map(),
      begins: new Map(),
      unknown: new Set(),
      revision: 0,
      written: 0,
      writing: null,
    };
    this.#groups.set(name, group);
    return group;
  }

  /** The last committed offset, or undefined when the group does not know the stream. */
  committed(group: string, stream: StreamName): number | undefined {
    return this.#groups.get(group)?.committed.get(stream);
  }

  /** The first offset that the group has not committed; null when it has committed nothing. */
  uncommitted(group: string, stream: StreamName): number | null {
    const from = (this.committed(group, stream) ?? -1) + 1;
    return from === (this.#groups.get(group)?.begins.get(stream) ?? -1) ? null : from;
  }

  /** The largest committed offset of any group: an upper bound of what was ever published. */
  highest(stream: StreamName): number {
    let highest = -1;
    for (const { committed } of this.#groups.values()) {
      highest = Math.max(highest, committed.get(stream) ?? -1);
    }
    return highest;
  }

  /** What every group has committed; null when no group reads the stream, -1 when one is not known. */
  lowest(stream: StreamName): number | null {
    let lowest: number | null = null;
    for (const { committed, unknown } of this.#groups.values()) {
      const offset = unknown.has(stream) ? -1 : committed.get(stream);
      if (offset !== undefined && (lowest === null || offset < lowest)) lowest = offset;
    }
    return lowest;
  }

  /** The last committed offset of each group that is known to read the stream. */
  readers(stream: StreamName): ReadonlyMap<string, number> {
    const readers = new Map<string, number>();
    for (const [name, { committed }] of this.#groups) {
      const offset = committed.get(stream);
      if (offset !== undefined) readers.set(name, offset);
    }
    return readers;
  }

  /** The groups whose position holds the stream back, for a person who wonders why it is full. */
  behind(stream: StreamName): string[] {
    const lowest = this.lowest(stream);
    return [...this.#groups.entries()]
      .filter(([, group]) => (group.unknown.has(stream) ? -1 : group.committed.get(stream)) === lowest)
      .map(([name]) => name);
  }

  /** Makes `group` known to hold the streams, a new one from `start(stream)` on. */
  async register(
    name: string,
    streams: readonly StreamName[],
    start: (stream: StreamName) => number,
  ): Promise<void> {
    if (!GROUP_NAME.test(name)) throw new RogueSmtpError('usage', `"${name}" is no name for a group`);
    const group = this.#groups.get(name) ?? this.#add(name);
    for (const stream of streams) {
      if (group.committed.has(stream)) continue;
      group.committed.set(stream, start(stream) - 1);
      group.begins.set(stream, start(stream));
      group.revision++;
    }
    group.unknown.clear();
    await this.#save(name, group);
  }

  /** Resolves when the position would survive a kill. @throws RogueSmtpError `io`, transient, when it would not. */
  async commit(name: string, stream: StreamName, offset: number): Promise<void> {
    const group = this.#groups.get(name);
    const before = group?.committed.get(stream);
    if (group === undefined || before === undefined) {
      throw new RogueSmtpError('usage', `group "${name}" does not read "${stream}"`);
    }
    if (offset > before) {
      group.committed.set(stream, offset);
      group.revision++;
    }
    await this.#save(name, group);
  }

  /** Commits that come while a write is under way share the next one. */
  async #save(name: string, group: Group): Promise<void> {
    const wanted = group.revision;
    while (group.written < wanted) {
      if (group.writing === null) {
        group.writing = this.#write(name, group).finally(() => {
          group.writing = null;
        });
      }
      await group.writing;
    }
  }

  async #write(name: string, group: Group): Promise<void> {
    const { revision } = group;
    const file = join(this.#directory, `${name}.json`);
    try {
      const positions = { ...Object.fromEntries(group.committed), begins: Object.fromEntries(group.begins) };
      // Made anew where somebody removed it: a position that cannot be written would hold up its consumer for ever.
      await mkdir(this.#directory, { recursive: true });
      await writeFile(`${file}.new`, withChecksum(`${JSON.stringify(positions)}\n`));
      await rename(`${file}.new`, file);
      group.written = revision;
    } catch (error) {
      throw new RogueSmtpError('io', `cannot write ${file}: ${messageOf(error)}`, {
        cause: error,
        transient: true,
      });
    }
  }
}

type Positions = Map<StreamName, number>;

/** Null for what is damaged. */
export function parsePositions(
  stored: string,
): { readonly committed: Positions; readonly begins: Positions } | null {
  let value: unknown;
  try {
    const text = checkedText(stored);
    if (text === null) return null;
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const committed = offsetsOf(value);
  if (committed === null) return null;
  const begins = typeof value === 'object' && value !== null && 'begins' in value ? value.begins : {};
  return { committed, begins: offsetsOf(begins) ?? new Map() };
}

function offsetsOf(value: unknown): Positions | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const positions: Positions = new Map();
  for (const [name, offset] of Object.entries(value)) {
    const stream = STREAM_NAMES.find((known) => known === name);
    if (stream === undefined) continue;
    if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < -1) return null;
    positions.set(stream, offset);
  }
  return positions;
}
