/**
 * Who changed what in the lists, when and why: one JSON object a line, only ever appended.
 *
 * Kept for the person who is asked why a host was cut off. It must never lose a line that an answer to the operator
 * speaks of: a line is on disk before the call returns. Nobody but this program writes the file; what cannot be read
 * back is passed over.
 */

import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { AuditEntry } from './desk.ts';

export interface AuditLog {
  /** Throws RogueSmtpError `io`. */
  append(entry: AuditEntry): Promise<void>;
  /** The newest so many, oldest of them first. */
  tail(limit: number): Promise<readonly AuditEntry[]>;
  /** Of these decisions, those that have no line. */
  missing(decisionIds: ReadonlySet<string>): Promise<ReadonlySet<string>>;
}

const FILE = 'audit.ndjson';
/** Read from the end; more than any list of the newest needs. */
const TAIL_BYTES = 1024 * 1024;

export function createAuditLog(directory: string): AuditLog {
  const file = join(directory, FILE);
  return {
    async append(entry) {
      try {
        await appendFile(file, `${JSON.stringify(entry)}\n`, { mode: 0o640, flush: true });
      } catch (error) {
        throw new RogueSmtpError('io', `${file}: ${messageOf(error)}`, { cause: error, transient: true });
      }
    },
    async missing(decisionIds) {
      const missing = new Set(decisionIds);
      const handle = await open(file, 'r').catch(() => null);
      if (handle === null) return missing;
      try {
        for await (const line of handle.readLines({ autoClose: false }))
          for (const { decision_id } of entryOf(line))
            if (decision_id !== undefined) missing.delete(decision_id);
        return missing;
      } finally {
        await handle.close();
      }
    },
    async tail(limit) {
      const handle = await open(file, 'r').catch(() => null);
      if (handle === null) return [];
      try {
        const { size } = await handle.stat();
        const length = Math.min(size, TAIL_BYTES);
        const buffer = Buffer.alloc(length);
        await handle.read(buffer, 0, length, size - length);
        return buffer.toString('utf8').split('\n').flatMap(entryOf).slice(-limit);
      } finally {
        await handle.close();
      }
    },
  };
}

function entryOf(line: string): readonly AuditEntry[] {
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? [value] : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is AuditEntry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'at' in value &&
    'by' in value &&
    'what' in value &&
    [value.at, value.by, value.what].every((field) => typeof field === 'string')
  );
}
