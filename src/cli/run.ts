/** `rogue-smtp run`: starts the service, shows the first screen, stops on SIGINT and SIGTERM. */

import { createLogger } from '../app/logger.ts';
import { createService } from '../app/run.ts';
import type { LoadedConfig } from '../config/load.ts';
import { firstScreen } from './banner.ts';

export async function runCommand(loaded: LoadedConfig, version: string): Promise<void> {
  const log = createLogger(loaded.config.log.level);
  const service = createService(loaded, version, log);
  const asked = new Promise<string>((resolve) => {
    // A second signal does not wait: whoever sends it knows what is spooled survives.
    const onSignal = (signal: NodeJS.Signals) => {
      process.once(signal, () => process.exit(1));
      resolve(signal);
    };
    process.once('SIGINT', onSignal);
    process.once('SIGTERM', onSignal);
  });
  try {
    const running = await service.start();
    process.stdout.write(firstScreen(loaded, version, running.udp, running.http));
    const signal = await Promise.race([asked, running.failed]);
    log.info({ signal }, 'stopping');
  } finally {
    await service.stop();
  }
}
