/**
 * `rogue-smtp reload`: has a running instance read its configuration file again, and says what came of it.
 *
 * `--force` says that what the file has lost (all senders, all networks, all targets, everything) is meant. The address
 * of the instance stands in the same file: one that was emptied must not lead to whoever has the default port.
 */

import type { LoadedConfig } from '../config/load.ts';
import { isBlank } from '../config/losses.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createClient } from './client.ts';
import { printable } from './table.ts';

/** Exit code: 1 when the file was not taken over. Throws RogueSmtpError `unavailable` when no instance answers. */
export async function reloadCommand(
  loaded: LoadedConfig,
  flags: { readonly force?: boolean },
  streams: { readonly stdout: NodeJS.WritableStream; readonly stderr: NodeJS.WritableStream },
): Promise<number> {
  const force = flags.force === true;
  const { file } = loaded;
  const addressUnsaid = file !== null && loaded.placeOf(['http', 'listen']) === 'by default';
  if (isBlank(loaded) && addressUnsaid && !force) {
    streams.stderr.write(
      `${printable(file)}: the file is empty, so the reload is refused; a running instance keeps what is in force. ` +
        'Put the configuration back, or use reload --force if it is meant to be empty\n',
    );
    return 1;
  }
  const policy = await createClient(loaded)
    .reload(force)
    .catch((error: unknown) => {
      if (!addressUnsaid) throw error;
      const where = `${file} does not say where the instance listens (http.listen), so the default address was asked`;
      throw new RogueSmtpError('unavailable', `${messageOf(error)}; ${where}. Was the file cut off?`, {
        cause: error,
      });
    });
  if (policy.error !== null) {
    streams.stderr.write(`${printable(policy.error)}\n`);
    return 1;
  }
  streams.stdout.write(`the configuration is in force: policy ${policy.version}\n`);
  if (policy.need_restart.length > 0)
    streams.stdout.write(`these keys wait for a restart: ${policy.need_restart.join(', ')}\n`);
  return 0;
}
