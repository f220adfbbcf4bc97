/** `rogue-smtp policy check`: what the policy says of a flow, and by which line of the configuration. */

import type { LoadedConfig } from '../config/load.ts';
import { checkPolicy, type PolicyAnswer } from '../detect/policy-check.ts';
import { RogueSmtpError } from '../errors.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../flow/address.ts';
import type { ReportStreams } from './reports.ts';

const OUTCOME: Readonly<Record<PolicyAnswer['outcome'], string>> = {
  ignored: 'not looked at',
  authorised: 'allowed',
  offence: 'an offence: incident, alert, and a block when the evidence suffices',
  expected: 'expected: reported once, never blocked for what is declared; more is an offence',
  alert_only: 'an offence: incident and alert, never a block',
};

/** Throws RogueSmtpError `usage` for what is no address or port. */
export function policyCheckCommand(
  loaded: LoadedConfig,
  source: string,
  destination: string,
  port: number,
  flags: { readonly json?: boolean; readonly site?: string },
  streams: Pick<ReportStreams, 'stdout'>,
): void {
  const question = {
    source: addressOf(source),
    destination: addressOf(destination),
    port,
    nowMs: Date.now(),
    ...(flags.site !== undefined && { site: flags.site }),
  };
  if (flags.site !== undefined && !loaded.config.networks.sites.some(({ name }) => name === flags.site))
    throw new RogueSmtpError('usage', `there is no site "${flags.site}" in networks.sites`);
  const answer = checkPolicy(loaded.config, question);
  const reasons = answer.reasons.map(({ text, path }) => ({
    text,
    key: keyOf(path),
    place: loaded.placeOf(path),
  }));
  if (flags.json) {
    streams.stdout.write(
      `${JSON.stringify({ source, destination, port, outcome: answer.outcome, policy_version: answer.policyVersion, reasons })}\n`,
    );
    return;
  }
  const ends = `${formatAddress(question.source)} to ${formatAddress(question.destination)} port ${port}`;
  streams.stdout.write(`${ends}: ${OUTCOME[answer.outcome]}\n`);
  for (const { text, key, place } of reasons) streams.stdout.write(`  ${text}\n      ${place}  ${key}\n`);
  streams.stdout.write(`  (policy version ${answer.policyVersion})\n`);
}

function addressOf(text: string): AddressBytes {
  const address = parseAddress(text);
  if (address === null) throw new RogueSmtpError('usage', `"${text}" is not an IPv4 or IPv6 address`);
  return address;
}

/** `senders[0]`, as a person would write it. */
function keyOf(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (key, part) => (typeof part === 'number' ? `${key}[${part}]` : `${key}${key === '' ? '' : '.'}${part}`),
    '',
  );
}
