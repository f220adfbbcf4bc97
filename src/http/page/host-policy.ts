/** What the configuration says of one host, in sentences, and the YAML that would declare it. */

import { stringify } from 'yaml';
import type { Config, SenderConfig } from '../../config/schema.ts';
import { compilePolicy, type Policy } from '../../detect/policy.ts';
import { formatPrefix, type Prefix, prefixContains } from '../../flow/prefix.ts';
import type { Incident } from '../../messages/alert.ts';
import type { HostAnswer } from '../api/schemas.ts';

type PolicyAnswer = HostAnswer['policy'];
type SenderKind = PolicyAnswer['sender']['kind'];

const policies = new WeakMap<Config, Policy>();

/** Compiled once for each configuration that was in force. */
function policyOf(config: Config): Policy {
  const known = policies.get(config);
  if (known !== undefined) return known;
  const policy = compilePolicy(config);
  policies.set(config, policy);
  return policy;
}

const covers = (hosts: readonly Prefix[], host: Prefix): boolean =>
  hosts.some((one) => one.length <= host.length && prefixContains(one, host.bytes));

const isAt = (sites: readonly string[] | undefined, site: string): boolean =>
  sites === undefined || sites.includes(site);

export function policyAnswer(config: Config, host: Prefix, site: string, nowMs: number): PolicyAnswer {
  const policy = policyOf(config);
  const internal = policy.isInternal(host.bytes, 0);
  const sender = senderOf(config.senders, host, site, nowMs);
  const expected =
    config.expected.find((entry) => covers(entry.hosts, host) && isAt(entry.sites, site))?.name ?? null;
  const never = policy.isNeverBlocked(host.bytes, 0);
  const nat = policy.isNatPool(host.bytes, 0);
  const name = formatPrefix(host);
  return {
    version: policy.version,
    internal,
    sender,
    expected,
    never_blocked: never,
    nat,
    says: [
      internal
        ? `${name} is in networks.internal: what it sends is judged.`
        : `${name} is not in networks.internal: nothing that it does is judged.`,
      SENDER_SAYS[sender.kind](sender.name),
      ...(expected === null ? [] : [`It is declared as expected "${expected}".`]),
      ...(never
        ? ['It is on the never-block list, or an address of this machine: no list ever names it.']
        : []),
      ...(nat
        ? ['It is in networks.nat: many hosts share it, so that it is reported and never blocked.']
        : []),
      ...(config.senders.length === 0 ? ['No senders are configured, so that nobody is ever blocked.'] : []),
      `block.mode is ${config.block.mode}.`,
    ],
  };
}

const SENDER_SAYS: Readonly<Record<SenderKind, (name: string) => string>> = {
  none: () => 'It is no configured sender.',
  authorised: (name) => `It is the sender "${name}", which may send anywhere.`,
  restricted: (name) => `It is the sender "${name}", which may send to some destinations only.`,
  expired: (name) => `It was the sender "${name}"; that permission has ended.`,
};

/** Of several entries the one that allows most. */
function senderOf(
  senders: readonly SenderConfig[],
  host: Prefix,
  site: string,
  nowMs: number,
): PolicyAnswer['sender'] {
  const own = senders.filter((sender) => covers(sender.hosts, host) && isAt(sender.sites, site));
  const inForce = own.filter(({ until }) => until === undefined || nowMs < Date.parse(until));
  const anywhere = inForce.find(({ to }) => to === 'any');
  const of = (kind: SenderKind, sender: SenderConfig) => ({ kind, name: sender.name, owner: sender.owner });
  if (anywhere !== undefined) return of('authorised', anywhere);
  if (inForce.length > 0) return of('restricted', inForce[0]);
  return own.length > 0 ? of('expired', own[0]) : { kind: 'none', name: '', owner: '' };
}

/** Destinations that a declaration names; more would hide what it allows. */
const MAX_DESTINATIONS = 10;

/** Entries to add to the configuration, as a person would write them. */
export function declarations(
  host: string,
  site: string,
  incident: Pick<Incident, 'grade' | 'destinations'> | null,
): HostAnswer['declare'] {
  const name = `host-${host.replace(/[^A-Za-z0-9]+/g, '-').replace(/-+$/, '')}`.slice(0, 63);
  const at = site === '' ? {} : { sites: [site] };
  const owner = { owner: '', reason: '' };
  const sends = incident !== null && (incident.grade === 'conversed' || incident.grade === 'bulk');
  const to = incident?.destinations.top.map(({ address }) => address).slice(0, MAX_DESTINATIONS) ?? [];
  const does = sends && to.length > 0 ? { does: 'send', to } : { does: 'check' };
  return {
    sender: stringify({ senders: [{ name, hosts: [host], to: 'any', ...at, ...owner }] }),
    expected: stringify({ expected: [{ name, hosts: [host], ...does, ...at, ...owner }] }),
  };
}
