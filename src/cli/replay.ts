/** `rogue-smtp replay`: captures and flow logs through the whole path, with the results in a directory and, if asked, in a store. */

import { constants } from 'node:fs';
import { access, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACL_FAMILIES } from '../acl/model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { describeMailSight } from '../detect/mail-sight.ts';
import { policyGaps } from '../detect/policy-gaps.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import { createLogger } from '../logger.ts';
import { renderFor, requestOf } from '../publish/acl-request.ts';
import { aclPath } from '../publish/list-files.ts';
import { type ReplayOptions, type ReplayResult, type ReplaySinks, replayFiles } from '../replay/replay.ts';
import { openReplayStore, type ReplayStore } from '../replay/replay-store.ts';
import { exportsHint, refuseUnread } from '../replay/unread.ts';
import { describeAlert } from './reports.ts';
import { printable } from './table.ts';

export interface ReplayStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

export async function replayCommand(
  loaded: LoadedConfig,
  files: readonly string[],
  flags: { readonly data?: string; readonly out?: string } & ReplayOptions,
  streams: ReplayStreams,
): Promise<number> {
  const { config } = loaded;
  // What cannot work is said before hours of work, and before anything is left behind.
  for (const file of files) {
    await access(file, constants.R_OK).catch((error: unknown) => {
      throw new RogueSmtpError('io', `${file}: cannot be read: ${messageOf(error)}`, { cause: error });
    });
  }
  if (flags.out !== undefined) await makeDirectory(join(flags.out, 'acl'), 'output directory');
  const store = flags.data === undefined ? null : await openStoreIn(flags.data, loaded);
  let result: ReplayResult;
  try {
    const progress = streams.stderr.isTTY ? await progressBar(files, streams.stderr) : undefined;
    const sinks: ReplaySinks = {
      ...(store === null
        ? {}
        : {
            onFlows: store.addFlows,
            onOutcome: store.addOutcome,
            onExporters: store.addExporters,
          }),
      ...(progress === undefined ? {} : { onProgress: progress }),
    };
    result = await replayFiles(files, config, sinks, flags);
    if (progress !== undefined) streams.stderr.write('\r\u001b[K');
  } finally {
    await store?.close();
  }
  if (flags.out !== undefined) await writeResult(flags.out, result, loaded, streams);
  for (const alert of result.alerts) streams.stdout.write(`${describeAlert(alert)}\n`);
  for (const log of result.summary.logs) {
    for (const text of rejectedLines(log)) streams.stderr.write(`${printable(text)}\n`);
  }
  for (const { file, exports, packets } of result.summary.packet_captures) {
    const hint = exportsHint(file, exports, packets);
    if (hint !== null) streams.stderr.write(`${printable(hint)}\n`);
  }
  const sight = describeMailSight(result.sight);
  const gaps = policyGaps(config, result.endMs);
  for (const text of [...sight.lines, ...gaps.map((gap) => `Configuration: ${gap.text}.`)])
    streams.stderr.write(`${printable(text)}\n`);
  streams.stderr.write(`${printable(JSON.stringify(result.summary))}\n`);
  refuseUnread(result.unread);
  return sight.isBlind || gaps.some(({ kind }) => kind === 'blind') ? 1 : 0;
}

/** What was not understood in a flow log, in words. */
function rejectedLines(log: ReplayResult['summary']['logs'][number]): string[] {
  const total = Object.values(log.rejected).reduce((sum, n) => sum + n, 0);
  const shown = log.examples.map(({ line, reason, text }) => `${log.file}:${line}: ${reason}: ${text}`);
  const hidden = total - shown.length;
  return hidden > 0 ? [...shown, `${log.file}: ${hidden} more lines rejected`] : shown;
}

async function openStoreIn(directory: string, loaded: LoadedConfig): Promise<ReplayStore> {
  await makeDirectory(directory, 'data directory');
  const entries = await readdir(directory);
  if (entries.length > 0) {
    throw new RogueSmtpError(
      'refused',
      `${directory} is not empty: flows that are replayed into old data would count twice`,
    );
  }
  return openReplayStore({ ...loaded.config, data: directory }, createLogger(loaded.config.log.level));
}

async function writeResult(
  directory: string,
  result: ReplayResult,
  loaded: LoadedConfig,
  streams: ReplayStreams,
): Promise<void> {
  try {
    await writeFile(join(directory, 'alerts.ndjson'), ndjson(result.alerts));
    await writeFile(join(directory, 'incidents.ndjson'), ndjson(result.incidents));
    await writeFile(join(directory, 'summary.json'), `${JSON.stringify(result.summary, null, 2)}\n`);
    for (const target of loaded.config.acl.targets) {
      for (const family of ACL_FAMILIES) {
        const file = aclPath({ directory: join(directory, 'acl'), target: target.name, family });
        try {
          const { text } = renderFor(
            loaded.config,
            result.incidents,
            requestOf(target, family),
            result.endMs,
          );
          await writeFile(file, text);
        } catch (error) {
          if (!(error instanceof RogueSmtpError && error.code === 'refused')) throw error;
          // A list of an earlier replay would be taken for this one's.
          await rm(file, { force: true });
          streams.stderr.write(printable(`no ${file}: ${error.message}`).concat('\n'));
        }
      }
    }
  } catch (error) {
    if (error instanceof RogueSmtpError) throw error;
    throw new RogueSmtpError('io', `${directory}: ${messageOf(error)}`, { cause: error });
  }
}

function ndjson(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

const BAR_WIDTH = 40;

async function progressBar(
  files: readonly string[],
  out: NodeJS.WritableStream,
): Promise<(bytes: number) => void> {
  let total = 0;
  for (const file of files) total += (await stat(file).catch(() => ({ size: 0 }))).size;
  let shown = -1;
  return (bytes) => {
    const percent = total === 0 ? 100 : Math.min(100, Math.floor((100 * bytes) / total));
    if (percent === shown) return;
    shown = percent;
    const full = Math.round((BAR_WIDTH * percent) / 100);
    out.write(`\r[${'#'.repeat(full)}${'.'.repeat(BAR_WIDTH - full)}] ${percent} %`);
  };
}
