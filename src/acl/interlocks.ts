/**
 * The addresses that are never denied, whatever the incidents say.
 *
 * The detector asked the same before it published a block. But incidents outlive a change of the configuration, come from
 * a stream, and whoever asks for a list may be wrong: here is the last place that can notice. No list leaves without
 * having passed; what is refused is refused with its reason.
 */

import { RogueSmtpError } from '../errors.ts';
import type { AddressBytes } from '../flow/address.ts';
import {
  createPrefixTable,
  formatPrefix,
  type Prefix,
  type PrefixTable,
  parsePrefix,
  prefixContains,
} from '../flow/prefix.ts';
import { permits } from './evaluate.ts';
import { type AclModel, BLOCKED_PORT, disjoint, inFamily, isHost, isWithin, prefixFamily } from './model.ts';

/** Who may send mail, as the configuration says. */
export interface AclSender {
  readonly name: string;
  readonly hosts: readonly Prefix[];
  readonly to: 'any' | readonly Prefix[];
  readonly owner: string;
  readonly reason: string;
  /** Others hand mail to it; absent: unless it is a network with `to`. */
  readonly receives?: boolean | undefined;
  /** When the permission ends, ISO 8601; absent: never. */
  readonly until?: string | undefined;
}

export interface InterlockInput {
  /** Decides which permissions have ended. */
  readonly nowMs: number;
  readonly internal: readonly Prefix[];
  readonly senders: readonly AclSender[];
  readonly never: readonly Prefix[];
  /** Addresses that many hosts share: no offenders list may name them. A policy denies them like everybody else. */
  readonly nat?: readonly Prefix[];
  /** Routers and this service: no offenders list may name them. */
  readonly own?: readonly Prefix[];
  /** Hosts that a person released or rejected, as long as that decision stands. */
  readonly exempt?: readonly ExemptHost[];
}

/** A host or IPv6 network that no offenders list may name, and why: a sentence part for people. */
export interface ExemptHost {
  readonly prefix: Prefix;
  readonly reason: string;
}

/** Never a host that could be blocked: to deny them is useless at best. RFC 6890, and class E with broadcast. */
const UNBLOCKABLE: readonly { readonly prefix: Prefix; readonly name: string }[] = [
  { prefix: fixed('0.0.0.0/8'), name: 'unspecified' },
  { prefix: fixed('127.0.0.0/8'), name: 'loopback' },
  { prefix: fixed('169.254.0.0/16'), name: 'link-local' },
  { prefix: fixed('224.0.0.0/4'), name: 'multicast' },
  { prefix: fixed('240.0.0.0/4'), name: 'reserved' },
  // ::, ::1 and the IPv4-compatible ones; then NAT64 (RFC 6052), an address of which stands for an outside host.
  { prefix: fixed('::/96'), name: 'unspecified or loopback' },
  { prefix: fixed('64:ff9b::/96'), name: 'NAT64' },
  { prefix: fixed('fe80::/10'), name: 'link-local' },
  { prefix: fixed('ff00::/8'), name: 'multicast' },
];

/** An IPv6 network of one link (RFC 7421); nothing wider is ever denied, and of IPv4 only single hosts. */
const WIDEST_DENIED = 64;

const ALL_IPV4 = fixed('0.0.0.0/0');
const ALL_IPV6 = fixed('::/0');

function fixed(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
}

/** What kind of address it is that no host can have, such as `loopback`; null for an ordinary one. */
export function specialAddress(host: AddressBytes): string | null {
  return UNBLOCKABLE.find(({ prefix }) => prefixContains(prefix, host))?.name ?? null;
}

export function isInForce(sender: AclSender, nowMs: number): boolean {
  return sender.until === undefined || nowMs < Date.parse(sender.until);
}

/** Up to so many prefixes are asked one by one: each list of each target asks a few hosts, and a table takes longer to make. */
const FEW = 16;
const tables = new WeakMap<readonly Prefix[], PrefixTable>();

/** The lists of a configuration never change after they were read, so that a table of a long one is made once for all lists. */
function tableOf(prefixes: readonly Prefix[]): PrefixTable {
  if (prefixes.length <= FEW) return { lookup: (host, offset) => longestMatch(prefixes, host, offset) };
  const known = tables.get(prefixes);
  if (known !== undefined) return known;
  const made = createPrefixTable(prefixes);
  tables.set(prefixes, made);
  return made;
}

/** As a table: of equal prefixes the last one. */
function longestMatch(prefixes: readonly Prefix[], host: Uint8Array, offset?: number): number {
  let found = -1;
  for (let i = 0; i < prefixes.length; i++)
    if (
      (found < 0 || prefixes[i].length >= prefixes[found].length) &&
      prefixContains(prefixes[i], host, offset)
    )
      found = i;
  return found;
}

/** Why a host must not be denied, or null. */
export function createInterlock(input: InterlockInput): (host: AddressBytes) => string | null {
  const internal = tableOf(input.internal);
  const never = tableOf(input.never);
  const nat = tableOf(input.nat ?? []);
  const own = tableOf(input.own ?? []);
  const { exempt = [] } = input;
  const exempted = tableOf(exempt.map(({ prefix }) => prefix));
  const inForce = input.senders.filter((sender) => isInForce(sender, input.nowMs));
  // A sender with `to` can be denied everything else: allowances.ts keeps its destinations open.
  const sources = inForce.flatMap(({ name, hosts, to }) =>
    to === 'any' ? hosts.map((host) => ({ host, name })) : [],
  );
  const senders = tableOf(sources.map((source) => source.host));
  return (host) => {
    const special = specialAddress(host);
    if (special !== null) return `is a ${special} address`;
    if (never.lookup(host) >= 0) return 'is on the never-block list (block.never)';
    if (nat.lookup(host) >= 0) return 'is shared by many hosts (networks.nat)';
    if (own.lookup(host) >= 0) return 'is a router or this service (collector)';
    const sender = senders.lookup(host);
    if (sender >= 0) return `is the authorised sender "${sources[sender].name}"`;
    if (internal.lookup(host) < 0) return 'is not an internal host (networks.internal)';
    const decided = exempted.lookup(host);
    if (decided >= 0) return exempt[decided].reason;
    if (inForce.length === 0) return 'no sender is in force: the mail servers might be among the offenders';
    return null;
  };
}

/**
 * Why an IPv6 prefix must not be denied as a whole, or null. Besides what holds for a host: nothing that may send or is
 * never blocked may lie in it, and all of it must be internal. `host`: the interlock of hosts by the same input.
 */
export function createPrefixInterlock(
  input: InterlockInput,
  host: (host: AddressBytes) => string | null,
): (prefix: Prefix) => string | null {
  const inForce = input.senders.filter((sender) => isInForce(sender, input.nowMs));
  return (prefix) => {
    if (prefix.length < WIDEST_DENIED) return `is wider than a /${WIDEST_DENIED}`;
    const reason = host(prefix.bytes);
    if (reason !== null) return reason;
    const sender = inForce.find(({ hosts }) => hosts.some((one) => isWithin(one, prefix)));
    if (sender !== undefined) return `holds the authorised sender "${sender.name}"`;
    if (input.never.some((one) => isWithin(one, prefix))) return 'holds an entry of the never-block list';
    if (input.nat?.some((one) => isWithin(one, prefix))) return 'holds an address of networks.nat';
    if (input.own?.some((one) => isWithin(one, prefix))) return 'holds a router or this service (collector)';
    const decided = input.exempt?.find((one) => isWithin(one.prefix, prefix));
    if (decided !== undefined) return `holds ${formatPrefix(decided.prefix)}, which ${decided.reason}`;
    if (!input.internal.some((one) => isWithin(prefix, one))) return 'is not internal as a whole';
    return null;
  };
}

/** Asks of the finished rules what must never be. A failure is a bug of ours: better no list than this one. */
export function assertSafe(model: AclModel, input: InterlockInput): void {
  const everywhere = [model.family === '4' ? ALL_IPV4 : ALL_IPV6];
  const allowed = [
    ...input.never.map((prefix) => ({ prefix, to: everywhere })),
    ...input.senders
      .filter((sender) => isInForce(sender, input.nowMs))
      .flatMap(({ hosts, to }) => hosts.map((prefix) => ({ prefix, to: to === 'any' ? everywhere : to }))),
  ];
  if (model.kind === 'offenders') {
    const exempt = (input.exempt ?? []).map(({ prefix }) => prefix);
    const free = allowed.filter(({ to }) => to === everywhere).map(({ prefix }) => prefix);
    const spared = [...free, ...(input.nat ?? []), ...exempt];
    const table = tableOf([...spared, ...(input.own ?? [])]);
    for (const { action, source } of model.rules) {
      if (source === null || source.length < WIDEST_DENIED || prefixFamily(source) !== model.family)
        throw unsafe(source);
      if (action === 'permit') continue;
      const holdsAny = (prefixes: readonly Prefix[]) => prefixes.some((prefix) => isWithin(prefix, source));
      if (
        !isHost(source) &&
        (model.family === '4' || holdsAny([...spared, ...allowed.map(({ prefix }) => prefix)]))
      )
        throw unsafe(source);
      if (table.lookup(source.bytes) >= 0) throw unsafe(source);
      for (const { prefix, to } of allowed) {
        if (!prefixContains(prefix, source.bytes)) continue;
        for (const destination of disjoint(to, model.family))
          if (!permits(model, source.bytes, destination.bytes, BLOCKED_PORT)) throw unsafe(source);
      }
    }
    return;
  }
  for (const { prefix, to } of allowed) {
    const source = inFamily(prefix, model.family);
    if (source === null) continue;
    for (const destination of disjoint(to, model.family)) {
      if (!permits(model, source.bytes, destination.bytes, BLOCKED_PORT)) throw unsafe(source);
    }
  }
}

function unsafe(source: Prefix | null): RogueSmtpError {
  return new RogueSmtpError(
    'refused',
    `the list is refused: it would deny ${source === null ? 'everyone' : formatPrefix(source)}`,
  );
}
