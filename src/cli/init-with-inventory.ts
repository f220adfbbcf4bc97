/** Lets `init` propose the mail servers that a running instance has seen. */

import type { LoadedConfig } from '../config/load.ts';
import { createClient } from './client.ts';
import { initCommand, type SenderProposal } from './init.ts';

interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
}

export async function initWithInventory(
  settings: () => LoadedConfig,
  flags: { readonly file: string; readonly yes?: boolean },
  terminal: Terminal,
): Promise<void> {
  const interactive = flags.yes !== true && terminal.stdin.isTTY === true && terminal.stdout.isTTY === true;
  const text = await initCommand(
    { file: flags.file, interactive, proposals: await proposals(settings) },
    { input: terminal.stdin, output: terminal.stdout },
  );
  terminal.stdout.write(`${text}\n`);
}

/** Nothing when no instance runs: a first configuration is written before the first start. */
async function proposals(settings: () => LoadedConfig): Promise<SenderProposal[]> {
  const client = createClient(settings());
  if (!(await client.isUp())) return [];
  const rows = await client.inventory();
  // A new configuration has no sites yet: an address is proposed once.
  const likely = new Map(rows.filter((row) => row.likely_mail_server).map((row) => [row.host, row]));
  return [...likely.values()].map((row) => ({ host: row.host, reason: row.reasons.join('; ') }));
}
