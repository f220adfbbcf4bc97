/** `rogue-smtp relay-check`: looks at an own mail server as a stranger would, without sending anything. */

import { lookup, Resolver } from 'node:dns/promises';
import { hostname } from 'node:os';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { formatAddress, parseAddress } from '../flow/address.ts';
import { prefixContains } from '../flow/prefix.ts';
import { type Observation, relayCheck, type Verdict } from '../relay-check/check.ts';
import { connectTo } from '../relay-check/dialogue.ts';
import { connectThrough } from '../relay-check/socks.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

export interface RelayCheckFlags {
  readonly port: number;
  readonly recipient?: string;
  readonly domain?: string;
  readonly through?: string;
  readonly json?: boolean;
}

const TIMEOUT_MS = 30_000;
const DNS_TIMEOUT_MS = 3000;
const WORDS: Readonly<Record<Verdict, string>> = { bad: 'BAD ', note: '    ', good: 'good' };
/** RFC 2606: nobody's. Servers that ask the DNS about recipients refuse it for that reason alone. */
const NOBODYS = 'relay-check@example.org';

/** Exit code: 1 when something is bad. Throws RogueSmtpError `refused` for a server outside of the own networks. */
export async function relayCheckCommand(
  { config }: LoadedConfig,
  target: string,
  flags: RelayCheckFlags,
  streams: ReportStreams,
): Promise<number> {
  const address = await addressOf(target);
  const own = [...config.networks.internal, ...config.networks.nat, ...config.blocklists.addresses];
  const bytes = parseAddress(address);
  if (bytes === null || !own.some((prefix) => prefixContains(prefix, bytes)))
    throw new RogueSmtpError(
      'refused',
      `${printable(target)} (${printable(address)}) is none of networks.internal, networks.nat and blocklists.addresses: other people's servers are not tried`,
    );
  const recipient = flags.recipient ?? NOBODYS;
  for (const text of [recipient, ...(flags.domain === undefined ? [] : [`x@${flags.domain}`])])
    if (!/^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}$/.test(text))
      throw new RogueSmtpError('usage', `"${printable(text)}" is no plain mail address`);

  const names = await new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 1 }).reverse(address).catch(() => []);
  const found: Observation[] = [await nameObservation(address, names)];
  const connect =
    flags.through === undefined
      ? () => connectTo(address, flags.port, TIMEOUT_MS)
      : connectThrough(flags.through, address, flags.port, TIMEOUT_MS);
  found.push(
    ...(await relayCheck(connect, {
      recipient,
      domain: flags.domain ?? domainOf(names[0] ?? `[${formatAddress(bytes)}]`),
      name: hostname().replace(/[^A-Za-z0-9.-]/g, '') || 'relay-check',
      replyMs: TIMEOUT_MS,
      nowMs: Date.now(),
    })),
  );
  if (flags.recipient === undefined)
    found.push({
      verdict: 'note',
      text: `The recipient elsewhere was ${NOBODYS}, which a server may refuse because nobody has it. Give one of yours at another provider: --recipient you@provider.example`,
    });
  if (flags.json) for (const each of found) streams.stdout.write(`${JSON.stringify(each)}\n`);
  else for (const { verdict, text } of found) streams.stdout.write(`${WORDS[verdict]} ${printable(text)}\n`);
  return found.some(({ verdict }) => verdict === 'bad') ? 1 : 0;
}

async function addressOf(target: string): Promise<string> {
  if (parseAddress(target) !== null) return target;
  try {
    return (await lookup(target)).address;
  } catch {
    throw new RogueSmtpError('usage', `"${printable(target)}" is no address, and no name that has one`);
  }
}

/** A name that leads back to the address, as large providers ask of senders. */
async function nameObservation(address: string, names: readonly string[]): Promise<Observation> {
  if (names.length === 0)
    return {
      verdict: 'note',
      text: `${address} has no name in the DNS as seen from here (PTR); many servers refuse mail from such hosts.`,
    };
  for (const name of names.slice(0, 5)) {
    const back = await lookup(name, { all: true }).catch(() => []);
    if (back.some((each) => each.address === address))
      return { verdict: 'good', text: `${address} is called ${name}, and that name leads back to it.` };
  }
  return {
    verdict: 'bad',
    text: `${address} is called ${names[0]}, and that name does not lead back to it.`,
  };
}

/** The domain of a host's name: what is left without its first label, where two are left then. */
function domainOf(name: string): string {
  const parts = name.split('.');
  return name.startsWith('[') || parts.length < 3 ? name : parts.slice(1).join('.');
}
