/** `rogue-smtp store replay-dead-letters`: puts the rows that were set aside back into the store, once each. */

import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import { deadLettersDirectory } from '../store/dead-letters.ts';
import { createEngine } from '../store/open-engine.ts';
import { replayDeadLetters } from '../store/replay-dead-letters.ts';
import { createClient } from './client.ts';
import { printable } from './table.ts';

/** Exit code: 1 when letters are left. */
export async function replayDeadLettersCommand(
  loaded: LoadedConfig,
  streams: { readonly stdout: NodeJS.WritableStream },
): Promise<number> {
  const { config } = loaded;
  if (config.clickhouse.url === '' && (await createClient(loaded).isUp()))
    throw new RogueSmtpError(
      'refused',
      'an instance is running and has the embedded store: stop it, put the letters back, start it again',
    );
  const engine = createEngine(config, createLogger(config.log.level));
  const directory = deadLettersDirectory(config.data);
  try {
    await engine.start();
    const { stored, left, reasons } = await replayDeadLetters(engine, directory);
    streams.stdout.write(`stored   ${stored.rows} rows of ${stored.letters} dead letters in ${directory}\n`);
    for (const [name, reason] of reasons)
      streams.stdout.write(printable(`left     ${name}: ${reason}`).concat('\n'));
    if (left.letters > 0)
      streams.stdout.write(`left     ${left.rows} rows of ${left.letters} dead letters\n`);
    return left.letters > 0 ? 1 : 0;
  } finally {
    await engine.stop();
  }
}
