/**
 * One list to one router, once: by NETCONF for Junos, by the command line for the IOS family.
 *
 * Whether and when is decided elsewhere (pusher.ts); here it is only made sure that nobody else of this machine is at the
 * same router.
 */

import { messageOf, RogueSmtpError } from '../errors.ts';
import type { PushArchive } from './archive.ts';
import { pushCli } from './cli-push.ts';
import { pushJunos } from './junos-push.ts';
import type { PushReport, PushRequest } from './report.ts';

/** Throws RogueSmtpError before anything was sent; what comes later is in the report. */
export async function push(
  request: PushRequest,
  { lock }: Pick<PushArchive, 'lock'>,
  options: { readonly dryRun: boolean; readonly signal: AbortSignal },
): Promise<PushReport> {
  const held = await lock(request).catch((error: unknown) => {
    throw new RogueSmtpError('io', `another push to the device is under way: ${messageOf(error)}`, {
      cause: error,
      transient: true,
    });
  });
  try {
    return await (request.platform === 'junos' ? pushJunos : pushCli)(
      request,
      options.dryRun,
      options.signal,
    );
  } finally {
    await held.release();
  }
}
