/** `rogue-smtp acl quarantine HOST...`: the black hole routes of the named hosts on stdout. Nothing is sent anywhere. */

import { type QuarantinePlatform, renderQuarantine } from '../acl/quarantine.ts';
import type { LoadedConfig } from '../config/load.ts';
import { aclInputOf } from '../publish/acl-request.ts';
import type { ReportStreams } from './reports.ts';

/** Throws RogueSmtpError `usage` or `refused`. */
export function aclQuarantineCommand(
  { config }: LoadedConfig,
  hosts: readonly string[],
  { platform }: { readonly platform: QuarantinePlatform },
  { stdout }: Pick<ReportStreams, 'stdout'>,
): void {
  stdout.write(renderQuarantine({ ...aclInputOf(config, [], Date.now()), platform, hosts }));
}
