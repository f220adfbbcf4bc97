/** `rogue-smtp run` and the roles by themselves: starts the service, stops on SIGINT and SIGTERM, reloads on SIGHUP. */

import type { LoadedConfig } from '../config/load.ts';
import { formatSocketAddress } from '../config/values.ts';
import { createLogger } from '../logger.ts';
import { ROLES, type Role } from '../service/roles.ts';
import { createService } from '../service/run.ts';
import { firstOf, settled } from '../waiting.ts';
import { firstScreen } from './banner.ts';

export async function runCommand(
  loaded: LoadedConfig,
  version: string,
  roles: readonly Role[] = ROLES,
): Promise<void> {
  const log = createLogger(loaded.config.log.level);
  const service = createService(loaded, version, log, new Set(roles));
  const asked = new Promise<string>((resolve) => {
    // A second signal does not wait: whoever sends it knows what is spooled survives.
    const onSignal = (signal: NodeJS.Signals) => {
      process.once(signal, () => process.exit(1));
      resolve(signal);
    };
    process.once('SIGINT', onSignal);
    process.once('SIGTERM', onSignal);
  });
  process.on('SIGHUP', () => void service.reload());
  try {
    const running = await service.start();
    if (running.udp.length > 0) {
      process.stdout.write(firstScreen(loaded, version, running.udp, running.http));
    } else {
      const http = formatSocketAddress(running.http);
      log.info({ roles, http, warnings: loaded.warnings }, `rogue-smtp ${version}`);
    }
    const signal = await firstOf(settled(asked), settled(running.failed));
    log.info({ signal }, 'stopping');
  } finally {
    await service.stop();
  }
}
