/**
 * What pushes leave on disk, in `push/` of the data directory: what each router has, who pushed what and how it ended,
 * and what was said in the last attempt.
 *
 * No secret is in any of it, since none is in a report. The audit log is only ever added to, and begun anew when it is
 * long: the file before stays.
 */

import { createHash } from 'node:crypto';
import { appendFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { replaceFile } from '../files/replace-file.ts';
import { type DirectoryLock, lockDirectory } from '../stream/local/directory-lock.ts';
import { deviceName, digestOf, keyOf, type PushReport, type PushRequest } from './report.ts';

export interface PushArchive {
  /** Reads what an earlier run left. Throws RogueSmtpError `io`. */
  open(): Promise<void>;
  /** Digest of the text that the router has, as far as is known. */
  applied(request: Pick<PushRequest, 'target' | 'family' | 'settings'>): string | null;
  /** `by`: who asked for it. Throws RogueSmtpError `io`. */
  record(request: PushRequest, report: PushReport, by: string): Promise<void>;
  /** Throws RogueSmtpError `io` while another process pushes to the device. */
  lock(request: PushRequest): Promise<DirectoryLock>;
}

const AUDIT_BYTES = 16 * 1024 * 1024;
const MODE = 0o640;

const stateSchema = z.record(z.string(), z.object({ device: z.string(), digest: z.string() }));

export function createPushArchive(dataDirectory: string, now: () => number): PushArchive {
  const directory = join(dataDirectory, 'push');
  const stateFile = join(directory, 'state.json');
  const auditFile = join(directory, 'audit.ndjson');
  const state = new Map<string, { device: string; digest: string }>();
  let writing: Promise<void> = Promise.resolve();

  async function write(request: PushRequest, report: PushReport, by: string): Promise<void> {
    const entry = {
      at: new Date(now()).toISOString(),
      by,
      target: request.target,
      family: request.family,
      device: deviceName(request.settings),
      user: request.settings.username,
      digest: digestOf(request.text),
      result: report.result,
      device_state: report.device,
      reason: report.reason,
    };
    await mkdir(directory, { recursive: true, mode: 0o750 });
    const size = await stat(auditFile).then(
      (found) => found.size,
      () => 0,
    );
    if (size > AUDIT_BYTES) await rename(auditFile, `${auditFile}.1`);
    await appendFile(auditFile, `${JSON.stringify(entry)}\n`, { mode: MODE });
    await writeFile(join(directory, `${keyOf(request)}.transcript`), `${report.transcript.join('\n')}\n`, {
      mode: MODE,
    });
    if (report.result === 'previewed') return;
    if (report.device === 'new list')
      state.set(keyOf(request), { device: entry.device, digest: entry.digest });
    // What is not known to be there is pushed again; the router says when it has it already.
    else if (report.device !== 'as before' && report.device !== 'rolled back') state.delete(keyOf(request));
    await replaceFile(stateFile, JSON.stringify(Object.fromEntries(state)));
  }

  return {
    async open() {
      const text = await readFile(stateFile, 'utf8').catch(() => '{}');
      const known = stateSchema.safeParse(parsed(text));
      for (const [key, value] of Object.entries(known.success ? known.data : {})) state.set(key, value);
    },
    applied(request) {
      const known = state.get(keyOf(request));
      return known?.device === deviceName(request.settings) ? known.digest : null;
    },
    record(request, report, by) {
      writing = writing
        .catch(() => undefined)
        .then(() => write(request, report, by))
        .catch((error: unknown) => {
          throw new RogueSmtpError('io', `${directory}: ${messageOf(error)}`, {
            cause: error,
            transient: true,
          });
        });
      return writing;
    },
    async lock(request) {
      const name = createHash('sha256').update(deviceName(request.settings)).digest('hex').slice(0, 16);
      const path = join(directory, `device-${name}`);
      await mkdir(path, { recursive: true, mode: 0o750 });
      return lockDirectory(path);
    },
  };
}

/** A state that cannot be read is none: the routers are asked. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
