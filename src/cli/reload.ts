/**
 * `rogue-smtp reload`: has a running instance read its configuration file again, and says what came of it.
 *
 * `--force` says that what the file has lost (all senders, all networks, all targets, everything) is meant.
 */

import type { LoadedConfig } from '../config/load.ts';
import { createClient } from './client.ts';
import { printable } from './table.ts';

/** Exit code: 1 when the file was not taken over. */
export async function reloadCommand(
  loaded: LoadedConfig,
  flags: { readonly force?: boolean },
  streams: { readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream },
): Promise<number> {
  const policy = await createClient(loaded.config).reload(flags.force === true);
  if (policy.error !== null) {
    streams.stderr.write(`${printable(policy.error)}\n`);
    return 1;
  }
  streams.stdout.write(`the configuration is in force: policy ${policy.version}\n`);
  if (policy.need_restart.length > 0)
    streams.stdout.write(`these keys wait for a restart: ${policy.need_restart.join(', ')}\n`);
  return 0;
}
