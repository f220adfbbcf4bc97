/** `rogue-smtp canary`: has the running instance send a canary flow to itself, and says how long its alert took. */

import type { LoadedConfig } from '../config/load.ts';
import { runningClient } from './client.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

/** Exit code: 1 when no alert came. Throws RogueSmtpError `unavailable` where no instance answers. */
export async function canaryCommand(
  loaded: LoadedConfig,
  flags: { readonly json?: boolean },
  streams: Pick<ReportStreams, 'stdout'>,
): Promise<number> {
  const client = await runningClient(loaded);
  const result = await client.canary();
  const { alerted, latency_ms, timeout_ms, listener } = result;
  const text = alerted
    ? `A canary flow to UDP ${listener} raised its alert after ${((latency_ms ?? 0) / 1000).toFixed(2)} s.`
    : `A canary flow to UDP ${listener} raised no alert within ${timeout_ms / 1000} s: real offenders are probably not found either. Look at rogue-smtp status.`;
  streams.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${printable(text)}\n`);
  return alerted ? 0 : 1;
}
