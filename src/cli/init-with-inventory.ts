/**
 * `rogue-smtp init` with what is known already: flags, mail servers that a running instance or stored data have seen, and what DNS
 * says of a domain.
 */

import { promises as dns } from 'node:dns';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf } from '../errors.ts';
import { type Prefix, parsePrefix, prefixContains } from '../flow/prefix.ts';
import { dnsProposals, type MailDns } from './dns-proposals.ts';
import { DEFAULT_INTERNAL, initCommand, type SenderProposal } from './init.ts';
import { withModel } from './model.ts';
import { printable } from './table.ts';

interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WritableStream;
}

export interface InitFlags {
  readonly file: string;
  readonly yes?: boolean;
  readonly internal?: readonly string[];
  readonly sender?: readonly string[];
  readonly exporter?: readonly string[];
  readonly mode?: string;
  readonly data?: string;
  readonly domain?: string;
}

/** `known`: the instance or data whose inventory is asked. */
export async function initWithInventory(
  known: () => LoadedConfig,
  flags: InitFlags,
  terminal: Terminal,
  mailDns: MailDns = dns,
): Promise<void> {
  const interactive = flags.yes !== true && terminal.stdin.isTTY === true && terminal.stdout.isTTY === true;
  const named = flags.sender?.map((host) => ({ host, reason: 'named at init' }));
  const { domain, internal = DEFAULT_INTERNAL, exporter = [], mode = 'observe', data = './data' } = flags;
  const text = await initCommand(
    {
      file: flags.file,
      interactive,
      internal,
      exporters: exporter,
      mode,
      data,
      proposals: named ?? [
        ...(await seen(known, (why) => terminal.stderr.write(`Inventory: ${printable(why)}\n`))),
        ...(domain === undefined ? [] : inside(await dnsProposals(domain, mailDns), internal)),
      ],
    },
    { input: terminal.stdin, output: terminal.stdout },
  );
  terminal.stdout.write(`${text}\n`);
}

/** Those within the networks: others send for the domain from elsewhere. */
export function inside(proposals: readonly SenderProposal[], internal: readonly string[]): SenderProposal[] {
  const networks = internal.flatMap((text): Prefix[] => {
    const parsed = parsePrefix(text);
    return parsed.ok ? [parsed.prefix] : [];
  });
  return proposals.filter(({ host }) => {
    const parsed = parsePrefix(host);
    return (
      parsed.ok &&
      networks.some(
        (network) => network.length <= parsed.prefix.length && prefixContains(network, parsed.prefix.bytes),
      )
    );
  });
}

/** Nothing when no instance runs and nothing is stored: a first configuration is written before the first start. */
async function seen(known: () => LoadedConfig, say: (why: string) => void): Promise<SenderProposal[]> {
  try {
    return await withModel(known(), async (model) => {
      const rows = await model.inventory();
      // A new configuration has no sites yet: an address is proposed once.
      const likely = new Map(rows.filter((row) => row.likely_mail_server).map((row) => [row.host, row]));
      return [...likely.values()].map((row) => ({ host: row.host, reason: row.reasons.join('; ') }));
    });
  } catch (error) {
    const why = messageOf(error);
    if (!why.startsWith('no running instance answers')) say(why);
    return [];
  }
}
