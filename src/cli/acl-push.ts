/**
 * `rogue-smtp acl push TARGET`: one list to its router now, or with `--dry-run` what would be sent and what is there.
 *
 * The list is the file that the service wrote. The same interlocks hold as for the service: nothing is sent in mode
 * `observe`. What a router says is shown without what could move a cursor.
 */

import { userInfo } from 'node:os';
import type { AclFamily } from '../acl/model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { fileOf, targetNamed } from '../publish/acl-target.ts';
import { publishedAcl } from '../publish/list-files.ts';
import { pushRequest, whyNotPushed } from '../publish/list-push.ts';
import { createPushArchive } from '../push/archive.ts';
import { push } from '../push/push.ts';
import type { PushReport } from '../push/report.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

export interface AclPushFlags {
  readonly family: AclFamily;
  readonly dryRun?: boolean;
}

/** The exit code. Throws RogueSmtpError `not_found`, `config` or `refused` when there is nothing to send. */
export async function aclPushCommand(
  loaded: LoadedConfig,
  name: string,
  { family, dryRun = false }: AclPushFlags,
  streams: ReportStreams,
): Promise<number> {
  const { config } = loaded;
  const target = targetNamed(config, name);
  const why = whyNotPushed(config, target.kind);
  if (why !== null && !dryRun) throw new RogueSmtpError('refused', `nothing is sent: ${why}`);
  // What the service wrote after all interlocks, pins and limits, and nothing else.
  const place = fileOf(config, target, family);
  const text = await publishedAcl(place);
  if (text === null)
    throw new RogueSmtpError(
      'not_found',
      `there is no list in ${place.directory} yet: the service writes it (rogue-smtp run)`,
    );
  const request = pushRequest(target, family, text);
  const archive = createPushArchive(config.data, Date.now);
  await archive.open();
  const stopping = new AbortController();
  const onSignal = () => stopping.abort(new Error('interrupted'));
  process.once('SIGINT', onSignal);
  try {
    const report = await push(request, archive, { dryRun, signal: stopping.signal });
    await archive.record(request, report, `${userInfo().username} (acl push${dryRun ? ' --dry-run' : ''})`);
    for (const line of describe(report)) streams.stdout.write(`${printable(line)}\n`);
    if (dryRun && why !== null) streams.stdout.write(`Without --dry-run nothing would be sent: ${why}.\n`);
    return report.result === 'failed' ? 1 : 0;
  } finally {
    process.off('SIGINT', onSignal);
  }
}

const RESULTS: Readonly<Record<PushReport['result'], string>> = {
  applied: 'Applied and confirmed.',
  unchanged: 'The device has this list already.',
  previewed: 'Nothing was changed.',
  failed: 'Failed',
};

function describe({ result, reason, device, present, changes, lines }: PushReport): readonly string[] {
  return [
    '--- on the device before',
    ...present.split('\n'),
    ...(changes === null
      ? [result === 'previewed' ? '--- would be sent' : '--- the list', ...lines]
      : ['--- changes, as the device tells them', ...changes.split('\n')]),
    '---',
    result === 'failed' ? `Failed: ${reason}. The device: ${device}.` : RESULTS[result],
  ];
}
