/** `rogue-smtp report`: a text about an incident for a blocklist or for the owner of the host. */

import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { parseAddress } from '../flow/address.ts';
import { describeIdentity, readIdentities } from '../identity/identity.ts';
import { storeTime } from '../store/rows.ts';
import { incidentLetter, type Letter, whyTooEarly } from './incident-letter.ts';
import { withModel } from './model.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

export interface LetterFlags {
  readonly for: Letter;
  readonly address?: string;
}

/** Throws RogueSmtpError `usage`, or `not_found` where there is no such incident. */
export async function letterCommand(
  loaded: LoadedConfig,
  id: string,
  flags: LetterFlags,
  streams: ReportStreams,
): Promise<void> {
  if (flags.address !== undefined && parseAddress(flags.address) === null)
    throw new RogueSmtpError('usage', `--address: "${printable(flags.address)}" is no IP address`);
  await withModel(loaded, async (model) => {
    const report = await model.incident(id);
    const identities = readIdentities(loaded.config.identity);
    for (const problem of identities.problems)
      streams.stderr.write(`Names are not complete: ${printable(problem)}\n`);
    const { host, first_packet, first_seen } = report.incident;
    const name = describeIdentity(identities.at(host, storeTime(first_packet ?? first_seen)));
    const lines = incidentLetter(report, flags.for, { address: flags.address, name });
    streams.stdout.write(lines.map((line) => `${printable(line)}\n`).join(''));
    if (flags.for === 'delisting')
      for (const why of whyTooEarly(report)) streams.stderr.write(`Too early: ${printable(why)}\n`);
  });
}
