/**
 * The policy: which addresses are ours, who may send mail where and until when, and who is never blocked.
 *
 * Compiled once from the configuration into prefix tables, then only read: a verdict costs a binary search and allocates
 * nothing. It decides about addresses only; what a flow proves is the business of evidence.ts. The version is a digest
 * of everything that can change a verdict, so that an alert says under which rules it was raised.
 */

import { createHash } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { isIPv4 } from '../flow/address.ts';
import { createPrefixTable, formatPrefix, type Prefix, parsePrefix, prefixContains } from '../flow/prefix.ts';
import { type AlertGrade, compileAlertGrades } from './alert-grades.ts';
import { compileExpected, coveringEach, type Expect } from './expected.ts';
import { ownHosts } from './own-hosts.ts';
import { ANY_SITE, isOfSite, type SiteSet, siteSet } from './site-set.ts';

export type PolicyConfig = Pick<
  Config,
  | 'networks'
  | 'senders'
  | 'expected'
  | 'detection'
  | 'alerts'
  | 'block'
  | 'collector'
  | 'http'
  | 'missingLists'
  | 'missingNames'
>;

/** What the policy says of a source that talks to a destination. */
export interface SenderVerdict {
  /**
   * `authorised`: a rule allows it. `restricted`: a rule names the source, but not for this destination. `expired`: the
   * rule that would allow it has ended. `none`: no rule names the source.
   */
  readonly kind: 'authorised' | 'restricted' | 'expired' | 'none';
  /** The name of the rule that decided; '' for `none`. */
  readonly sender: string;
  /** A sentence part for people. */
  readonly reason: string;
}

/** What a mail port is to the detector. */
export const PORT_CLASS = { none: 0, mail: 1, submission: 2 } as const;

export interface Policy {
  readonly version: string;
  /** False when no authorised sender is in force (at the site): nothing may be blocked then. */
  hasSenders(nowMs: number, site?: number): boolean;
  /** Why nothing new may be blocked whoever it is: a list or a DNS name that is used is not there. Null when all are. */
  readonly missingLists: string | null;
  /** Names of sites; index 0 is '' and stands for everything outside a configured site. */
  readonly siteNames: readonly string[];
  /** A value of PORT_CLASS for each port; submission ports only when they are to raise alerts. */
  readonly portClass: Uint8Array;
  isInternal(bytes: Uint8Array, offset: number): boolean;
  isNeverBlocked(bytes: Uint8Array, offset: number): boolean;
  /** One address for many hosts: what it does is no single host's doing. */
  isNatPool(bytes: Uint8Array, offset: number): boolean;
  /**
   * True when the interface by which a packet came in faces the outside (`networks.interfaces`); false when it does not,
   * is not told (0), or nothing is configured for the exporter.
   */
  comesFromOutside(exporter: Uint8Array, offset: number, ingress: number): boolean;
  /** Sessions between internal hosts raise alerts. */
  readonly watchesInternal: boolean;
  /**
   * Named as the source of any rule that is in force, whatever the destination. `site`, here and below: an index into `siteNames`;
   * without it the rules of every site count.
   */
  isSender(bytes: Uint8Array, offset: number, nowMs: number, site?: number): boolean;
  /** A rule in force lets it send anywhere. Such a host is never blocked; one with `to` is, but for its destinations. */
  sendsAnywhere(bytes: Uint8Array, offset: number, nowMs: number, site?: number): boolean;
  /** The IPv6 /64 of a declared sender in which the address lies, or null. */
  nearSender(bytes: Uint8Array, offset: number, nowMs: number, site?: number): SenderNeighbourhood | null;
  /** All declared senders have private addresses (RFC 1918), so that outside of NAT they are known by others. */
  readonly hasOnlyPrivateSenders: boolean;
  /** The verdict for 16 address bytes each at their offsets; of several rules the one that allows most decides. */
  verdict(
    source: Uint8Array,
    sourceOffset: number,
    destination: Uint8Array,
    destinationOffset: number,
    nowMs: number,
    site?: number,
  ): SenderVerdict;
  /** From which grade on the incident of a host raises alerts (`alerts`). */
  readonly alertGrade: AlertGrade;
  /** How a session stands to what is declared of its host (`expected`). */
  readonly expect: Expect;
  /** Index into siteNames of the first site that matches; `vrf` is null when the record has none. */
  site(exporter: Uint8Array, exporterOffset: number, vrf: number | null): number;
}

/** The /64 in which a single IPv6 address is declared. */
export interface SenderNeighbourhood {
  /** The /64 as text. */
  readonly key: string;
  readonly prefix: Prefix;
  /** `networks.internal` names this very network, or a part of it: then it is the LAN of many, as a rule. */
  readonly isLan: boolean;
  /** Of the sender. */
  readonly name: string;
  readonly untilMs: number;
  readonly sites: SiteSet;
}

interface Rule {
  readonly allows: ((bytes: Uint8Array, offset: number) => boolean) | null;
  readonly untilMs: number;
  readonly sites: SiteSet;
  readonly authorised: SenderVerdict;
  readonly restricted: SenderVerdict;
  readonly expired: SenderVerdict;
}

const NONE: SenderVerdict = { kind: 'none', sender: '', reason: 'is no configured sender' };

export function compilePolicy(config: PolicyConfig): Policy {
  const siteNames = ['', ...config.networks.sites.map((site) => site.name)];
  const internal = createPrefixTable(config.networks.internal);
  const never = createPrefixTable([...config.block.never, ...ownHosts(config)]);
  const nat = createPrefixTable(config.networks.nat);
  const rules = config.senders.map((sender) => compileRule(sender, siteNames));
  const sources = coveringEach(config.senders, rules);
  const sourceTable = createPrefixTable(sources.map((source) => source.prefix));
  const neighbours = neighbourhoods(config, siteNames);
  const neighbourTable = createPrefixTable(neighbours.map(([{ prefix }]) => prefix));
  const sites = config.networks.sites.map((site) => ({
    vrf: site.vrf,
    exporters: site.exporters === undefined ? null : createPrefixTable(site.exporters),
  }));

  const portClass = new Uint8Array(65536);
  if (config.detection.submission.alert) {
    for (const port of config.detection.submission.ports) portClass[port] = PORT_CLASS.submission;
  }
  for (const port of config.detection.ports) portClass[port] = PORT_CLASS.mail;

  function rulesOf(bytes: Uint8Array, offset: number): readonly Rule[] | null {
    const at = sourceTable.lookup(bytes, offset);
    return at < 0 ? null : sources[at].items;
  }

  return {
    version: policyVersion(config),
    hasSenders: (nowMs, site = ANY_SITE) =>
      rules.some(({ untilMs, sites: where }) => nowMs < untilMs && isOfSite(where, site)),
    missingLists: missingListsReason(config),
    siteNames,
    portClass,
    isInternal: (bytes, offset) => internal.lookup(bytes, offset) >= 0,
    isNeverBlocked: (bytes, offset) => never.lookup(bytes, offset) >= 0,
    isNatPool: (bytes, offset) => nat.lookup(bytes, offset) >= 0,
    comesFromOutside: createOutsideInterfaces(config.networks.interfaces),
    watchesInternal: config.detection.internal.alert,
    isSender(bytes, offset, nowMs, site = ANY_SITE) {
      const found = rulesOf(bytes, offset);
      if (found === null) return false;
      for (const rule of found) if (nowMs < rule.untilMs && isOfSite(rule.sites, site)) return true;
      return false;
    },
    sendsAnywhere(bytes, offset, nowMs, site = ANY_SITE) {
      const found = rulesOf(bytes, offset);
      if (found === null) return false;
      for (const rule of found)
        if (rule.allows === null && nowMs < rule.untilMs && isOfSite(rule.sites, site)) return true;
      return false;
    },
    nearSender(bytes, offset, nowMs, site = ANY_SITE) {
      if (isIPv4(bytes, offset)) return null;
      const at = neighbourTable.lookup(bytes, offset);
      if (at < 0) return null;
      // Several senders may be declared in one /64: of several sites, or until several times.
      for (const near of neighbours[at]) if (nowMs < near.untilMs && isOfSite(near.sites, site)) return near;
      return null;
    },
    hasOnlyPrivateSenders: config.senders.every(({ hosts }) => hosts.every(isPrivate)),
    verdict(source, sourceOffset, destination, destinationOffset, nowMs, site = ANY_SITE) {
      const found = rulesOf(source, sourceOffset);
      if (found === null) return NONE;
      let verdict = NONE;
      for (const rule of found) {
        if (!isOfSite(rule.sites, site)) continue;
        const allowed = rule.allows === null || rule.allows(destination, destinationOffset);
        if (nowMs >= rule.untilMs) {
          if (verdict === NONE && allowed) verdict = rule.expired;
        } else if (allowed) {
          return rule.authorised;
        } else if (verdict.kind !== 'restricted') {
          verdict = rule.restricted;
        }
      }
      return verdict;
    },
    alertGrade: compileAlertGrades(config.alerts),
    expect: compileExpected(config.expected, siteNames),
    site(exporter, exporterOffset, vrf) {
      for (let i = 0; i < sites.length; i++) {
        const site = sites[i];
        if (site.vrf !== undefined && site.vrf !== vrf) continue;
        if (site.exporters !== null && site.exporters.lookup(exporter, exporterOffset) < 0) continue;
        return i + 1;
      }
      return 0;
    },
  };
}

/** The /64 of each single IPv6 address that is declared: a host takes more addresses in it as it likes (RFC 8981). */
function neighbourhoods(
  { senders, networks }: PolicyConfig,
  siteNames: readonly string[],
): readonly (readonly SenderNeighbourhood[])[] {
  const byKey = new Map<string, SenderNeighbourhood[]>();
  for (const { name, hosts, until, sites } of senders) {
    for (const { bytes, length } of hosts) {
      if (length !== 128 || isIPv4(bytes)) continue;
      const network = new Uint8Array(16);
      network.set(bytes.subarray(0, 8));
      const untilMs = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
      const prefix = { bytes: network, length: 64 };
      const isLan = networks.internal.some((net) => net.length >= 64 && prefixContains(prefix, net.bytes));
      const key = formatPrefix(prefix);
      const near = { key, prefix, isLan, name, untilMs, sites: siteSet(sites, siteNames) };
      byKey.set(key, [...(byKey.get(key) ?? []), near]);
    }
  }
  return [...byKey.values()];
}

const PRIVATE_IPV4 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].flatMap((text) => {
  const parsed = parsePrefix(text);
  return parsed.ok ? [parsed.prefix] : [];
});

/** An IPv4 address or network of RFC 1918 or RFC 6598, which NAT hides. */
export const isPrivate = ({ bytes }: Pick<Prefix, 'bytes'>): boolean =>
  PRIVATE_IPV4.some((network) => prefixContains(network, bytes));

/** Why nothing new is blocked and no list published while lists, or the addresses of names, are missing; null when none is. */
export function missingListsReason({
  missingLists = [],
  missingNames = [],
}: Pick<Config, 'missingLists' | 'missingNames'>): string | null {
  const reasons = [
    ...missingLists.map((name) => `the list "${name}" could not be had yet`),
    ...missingNames.map((name) => `the name "${name}" could not be resolved yet`),
  ];
  return reasons.length === 0 ? null : `${reasons.join(', ')}: nothing is blocked without it`;
}

function createOutsideInterfaces(
  configured: PolicyConfig['networks']['interfaces'],
): Policy['comesFromOutside'] {
  if (configured.length === 0) return () => false;
  const routers = configured.map(({ exporters, outside }) => ({
    exporters: createPrefixTable(exporters),
    outside: new Set(outside),
  }));
  return (exporter, offset, ingress) => {
    if (ingress === 0) return false;
    for (const router of routers)
      if (router.outside.has(ingress) && router.exporters.lookup(exporter, offset) >= 0) return true;
    return false;
  };
}

function compileRule(sender: PolicyConfig['senders'][number], siteNames: readonly string[]): Rule {
  const named = (kind: SenderVerdict['kind'], reason: string): SenderVerdict => ({
    kind,
    sender: sender.name,
    reason,
  });
  const table = sender.to === 'any' ? null : createPrefixTable(sender.to);
  return {
    allows: table === null ? null : (bytes, offset) => table.lookup(bytes, offset) >= 0,
    untilMs: sender.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(sender.until),
    sites: siteSet(sender.sites, siteNames),
    authorised: named('authorised', `is the authorised sender "${sender.name}"`),
    restricted: named('restricted', `is the sender "${sender.name}", which may not send to this destination`),
    expired: named('expired', `was the sender "${sender.name}" until ${sender.until ?? ''}`),
  };
}

/** Twelve hex digits over everything that decides a verdict, independent of the order of lists and of spelling. */
function policyVersion(config: PolicyConfig): string {
  const texts = (prefixes: readonly Prefix[]) => prefixes.map(formatPrefix).sort();
  const who = (
    {
      name,
      hosts,
      to,
      until,
      sites,
    }: Pick<Config['senders'][number], 'name' | 'hosts' | 'to' | 'until' | 'sites'>,
    ...more: string[]
  ) => [
    name,
    texts(hosts),
    to === 'any' ? 'any' : texts(to),
    until === undefined ? null : Date.parse(until),
    ...more,
    ...(sites === undefined ? [] : [[...sites].sort()]),
  ];
  const canonical = {
    internal: texts(config.networks.internal),
    // The order of sites matters: the first that matches wins.
    sites: config.networks.sites.map((site) => [
      site.name,
      site.vrf ?? null,
      site.exporters === undefined ? null : texts(site.exporters),
    ]),
    senders: config.senders.map((sender) => JSON.stringify(who(sender))).sort(),
    ...(config.expected.length === 0
      ? {}
      : {
          expected: config.expected.map((entry) => JSON.stringify(who(entry, entry.does))).sort(),
        }),
    never: texts(config.block.never),
    // Only when used, so that a policy without them keeps its version.
    ...(ownHosts(config).length === 0 ? {} : { own: texts(ownHosts(config)) }),
    ...(config.networks.nat.length === 0 ? {} : { nat: texts(config.networks.nat) }),
    ...(config.networks.interfaces.length === 0
      ? {}
      : {
          interfaces: config.networks.interfaces.map(({ exporters, outside }) => [
            texts(exporters),
            [...outside].sort((a, b) => a - b),
          ]),
        }),
    ...(config.detection.internal.alert ? { watchesInternal: true } : {}),
    ...(config.missingLists === undefined ? {} : { missingLists: config.missingLists }),
    ...(config.missingNames === undefined ? {} : { missingNames: config.missingNames }),
    ports: [...config.detection.ports].sort((a, b) => a - b),
    submission: config.detection.submission.alert
      ? [...config.detection.submission.ports].sort((a, b) => a - b)
      : [],
  };
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex').slice(0, 12);
}
