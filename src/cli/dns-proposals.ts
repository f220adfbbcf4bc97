/**
 * Mail servers that DNS names for a domain, as proposals for `senders`: its MX, and the addresses in its SPF record (RFC 7208).
 *
 * DNS says who may send for the domain, not who is inside of this network: the caller keeps those that are, and a person looks
 * at them. `include` and macros are not followed.
 */

import { parsePrefix } from '../flow/prefix.ts';
import type { SenderProposal } from './init.ts';

/** What of node:dns/promises is asked. */
export interface MailDns {
  resolveMx(domain: string): Promise<{ readonly exchange: string }[]>;
  resolveTxt(domain: string): Promise<string[][]>;
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** More than a domain has; a bound for what a strange answer may cause. */
const MOST = 64;

/** Each address or prefix once. A question without an answer is no proposal. */
export async function dnsProposals(domain: string, dns: MailDns): Promise<SenderProposal[]> {
  const [exchanges, texts] = await Promise.all([
    dns.resolveMx(domain).catch(() => []),
    dns.resolveTxt(domain).catch(() => []),
  ]);
  const found = new Map<string, SenderProposal>();
  const add = (host: string, reason: string) => {
    if (found.size < MOST && parsePrefix(host).ok && !found.has(host)) found.set(host, { host, reason });
  };
  for (const { exchange } of exchanges.slice(0, MOST)) {
    const answers = await Promise.all([
      dns.resolve4(exchange).catch(() => []),
      dns.resolve6(exchange).catch(() => []),
    ]);
    for (const host of answers.flat()) add(host, `MX of ${domain} (${exchange})`);
  }
  for (const host of spfAddresses(texts.map((parts) => parts.join('')))) add(host, `SPF record of ${domain}`);
  return [...found.values()];
}

/** The `ip4` and `ip6` mechanisms that pass, of the one SPF record among the TXT records. Pure. */
export function spfAddresses(texts: readonly string[]): string[] {
  const record = texts.find((text) => /^v=spf1( |$)/i.test(text));
  return (record ?? '').split(/\s+/).flatMap((term) => /^\+?ip[46]:(\S+)$/i.exec(term)?.[1] ?? []);
}
