/**
 * From the configuration and the offenders to a rule model.
 *
 * Only single hosts are ever denied by name, after the interlocks were asked, and a policy that would deny everyone is
 * refused. Whoever should be in the list and is not comes back with the reason. Nothing here knows a platform. The
 * result depends on the input alone: not on order, clock or locale.
 */

import { RogueSmtpError } from '../errors.ts';
import { type AddressBytes, compareAddresses, isIPv4, parseAddress } from '../flow/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import { GRADES, type Incident } from '../messages/alert.ts';
import { type AllowanceLimits, withAllowances } from './allowances.ts';
import {
  type AclSender,
  assertSafe,
  createInterlock,
  createPrefixInterlock,
  type InterlockInput,
  isInForce,
} from './interlocks.ts';
import {
  type AclFamily,
  type AclModel,
  type AclRule,
  BLOCKED_PORT,
  comparePrefixes,
  disjoint,
  isHost,
  isWithin,
  type LeftOut,
  NEVER_BLOCKED,
  orAny,
  prefixFamily,
} from './model.ts';
import type { AclKind, AclTraffic, WithoutSenders } from './platforms.ts';
import { sanitiseRemark } from './remark.ts';

export interface AclInput extends InterlockInput {
  readonly kind: AclKind;
  readonly family: AclFamily;
  readonly interface?: string | undefined;
  /** Default: what is forwarded. */
  readonly traffic?: AclTraffic | undefined;
  /** A policy of an IP version without senders; default: it is refused. */
  readonly withoutSenders?: WithoutSenders | undefined;
  /** What a list of the platform can say of hosts that may send somewhere; absent: everything. */
  readonly allowances?: AllowanceLimits;
  /** Most hosts in an offenders list. */
  readonly maxEntries: number;
  /** Whose limit `maxEntries` is, for the reason that goes with those it leaves out; without it, the configuration's. */
  readonly bound?: string;
  /** What is denied of an incident that is about an IPv6 prefix (`block.ipv6`). Default: its proven addresses. */
  readonly ipv6?: 'hosts' | 'prefix';
  /** Those whose block is in force. */
  readonly offenders: readonly Offender[];
  /** Those whose block has ended: told beside a list of offenders, never in it. */
  readonly ended?: readonly Pick<Incident, 'host' | 'block'>[];
}

/** A host to be denied, with what decides who has room in a list. */
export interface Offender
  extends Pick<Incident, 'host' | 'incident_id' | 'sessions' | 'first_seen' | 'members'> {
  /** Null of a host without an incident, which a person wants blocked. */
  readonly grade: Incident['grade'] | null;
  /** A person asked for this block: it comes before what follows from evidence. */
  readonly byHand?: boolean;
}

export interface BuiltAcl {
  readonly model: AclModel;
  /** By address. */
  readonly leftOut: readonly LeftOut[];
}

/** More permits than this come from a product of hosts and destinations that nobody meant; routers choke on it. */
const MAX_PERMITS = 5000;

/**
 * Throws RogueSmtpError `refused` for a policy without a sender in force in this family. That includes an IPv6 policy
 * where only IPv4 senders are configured: it would deny port 25 to every IPv6 host, the mail server's own IPv6 address
 * among them. Whoever means that says so (`withoutSenders: deny`); it is refused all the same where the senders of this
 * family have ended, or none of the other is in force.
 */
export function buildAcl(input: AclInput): BuiltAcl {
  const built = input.kind === 'policy' ? buildPolicy(input) : buildOffenders(input);
  const model: AclModel = {
    kind: input.kind,
    family: input.family,
    interface: input.interface ?? null,
    ...(input.traffic === 'own' && { own: true }),
    internal: disjoint(input.internal, input.family),
    rules: built.rules,
  };
  assertSafe(model, input);
  return { model, leftOut: built.leftOut };
}

interface Rules {
  readonly rules: readonly AclRule[];
  readonly leftOut: readonly LeftOut[];
}

function buildPolicy(input: AclInput): Rules {
  const { family } = input;
  const permitted = new RuleList();
  const inbound = new RuleList();
  const leftOut: LeftOut[] = [];
  for (const sender of input.senders) {
    const hosts = disjoint(sender.hosts, family);
    if (!isInForce(sender, input.nowMs)) {
      for (const host of hosts) {
        const reason = `the permission of sender "${sender.name}" ended at ${sender.until ?? ''}`;
        leftOut.push({ host: formatPrefix(host), reason });
      }
      continue;
    }
    const destinations: readonly (Prefix | null)[] =
      sender.to === 'any' ? [null] : disjoint(sender.to, family);
    const about = [sender.name, sender.owner, sender.reason].filter((word) => word !== '');
    const remark = sanitiseRemark(`sender ${about.join(', ')}`);
    for (const host of hosts) {
      for (const destination of destinations) permitted.permit(orAny(host), destination, remark);
    }
    // Mail that comes in from the world passes no list that is applied inbound on the LAN. But other subnets hand mail to
    // this server across the router (scanners, applications), and lists do get applied on the wrong interface: what goes
    // TO our own mail server is never rogue, so it stays open.
    const ours = sender.hosts.filter(
      (host) => receivesMail(sender, host) && input.internal.some((prefix) => isWithin(host, prefix)),
    );
    for (const host of disjoint(ours, family)) {
      inbound.permit(null, orAny(host), 'mail to the authorised senders themselves');
    }
  }
  if (permitted.size === 0 && !isMeantForNobody(input)) {
    const why = input.senders.length === 0 ? 'no sender is configured' : `no IPv${family} sender is in force`;
    throw new RogueSmtpError(
      'refused',
      `the IPv${family} policy is refused: ${why}, so it would deny port ${BLOCKED_PORT} to everyone. ` +
        'Name the mail servers in "senders", or say "without_senders: deny" of the ACL target if nobody is to send',
    );
  }
  for (const prefix of disjoint(input.never, family)) {
    permitted.permit(orAny(prefix), null, NEVER_BLOCKED);
  }
  const rules = [...permitted.sorted(), ...inbound.sorted()];
  if (rules.length > MAX_PERMITS) {
    throw new RogueSmtpError(
      'refused',
      `the policy is refused: it would need ${rules.length} permits, more than ${MAX_PERMITS}. ` +
        'Name prefixes instead of hosts, or fewer destinations',
    );
  }
  rules.push({ action: 'deny', source: null, destination: null, remark: 'everyone else' });
  return { rules, leftOut: sortedLeftOut(leftOut) };
}

/** Nobody may send, on purpose: an end of the permission of those who could is no such purpose. */
export function isMeantForNobody(
  input: Pick<AclInput, 'withoutSenders' | 'senders' | 'family' | 'nowMs'>,
): boolean {
  const { withoutSenders, senders, family, nowMs } = input;
  return (
    withoutSenders === 'deny' &&
    senders.some((sender) => isInForce(sender, nowMs)) &&
    senders.every(({ hosts }) => disjoint(hosts, family).length === 0)
  );
}

/**
 * Whether others hand mail to the host, so that a policy lets mail to it through. A network that is bound to destinations
 * is one of printers or customers; a single host may be a mail server that sends by a smarthost.
 */
function receivesMail({ receives, to }: AclSender, host: Prefix): boolean {
  return receives ?? (to === 'any' || isHost(host));
}

interface Candidate {
  readonly bytes: AddressBytes;
  readonly length: number;
  readonly incident: Offender;
}

function buildOffenders(input: AclInput): Rules {
  const leftOut: LeftOut[] = [];
  const worst = new Map<string, Candidate>();
  const refusal = createInterlock(input);
  const prefixRefusal = createPrefixInterlock(input, refusal);

  function consider(prefix: Prefix, incident: Offender): void {
    const { bytes, length } = prefix;
    if ((isIPv4(bytes) ? '4' : '6') !== input.family) return;
    const host = formatPrefix(prefix);
    const reason = length === 128 ? refusal(bytes) : prefixRefusal(prefix);
    if (reason !== null) {
      leftOut.push({ host, reason });
      return;
    }
    const known = worst.get(host);
    const candidate = { bytes, length, incident };
    if (known === undefined || compareBadness(candidate, known) < 0) worst.set(host, candidate);
  }

  for (const { host, block } of input.ended ?? []) {
    const parsed = parsePrefix(host);
    if (parsed.ok && prefixFamily(parsed.prefix) === input.family)
      leftOut.push({ host, reason: `its block ended at ${block.until}` });
  }
  for (const incident of input.offenders) {
    const bytes = parseAddress(incident.host);
    if (bytes !== null) {
      consider({ bytes, length: 128 }, incident);
      continue;
    }
    const parsed = parsePrefix(incident.host);
    const isNamed = incident.byHand === true && input.ipv6 === 'prefix';
    if (!parsed.ok || (incident.members === undefined && !isNamed)) {
      leftOut.push({ host: incident.host, reason: 'is not the address of a single host' });
    } else if (input.ipv6 === 'prefix' && prefixRefusal(parsed.prefix) === null) {
      consider(parsed.prefix, incident);
    } else {
      if (input.ipv6 === 'prefix') consider(parsed.prefix, incident);
      for (const address of blockedMembers(incident.members ?? [], input.nowMs)) {
        const member = parsePrefix(address);
        if (member.ok) consider(member.prefix, incident);
      }
    }
  }
  const ranked = [...worst.values()].sort(compareBadness);
  for (const { bytes, length } of ranked.slice(input.maxEntries)) {
    const bound = input.bound ?? `block.max_entries is ${input.maxEntries}`;
    const reason = `the list is full: ${bound}, and worse hosts fill it`;
    leftOut.push({ host: formatPrefix({ bytes, length }), reason });
  }
  const denials = ranked
    .slice(0, input.maxEntries)
    .sort((a, b) => compareAddresses(a.bytes, b.bytes))
    .map(({ bytes, length, incident }): AclRule => {
      // Counts and grades change with every record; the text must change with the list only.
      return {
        action: 'deny',
        source: { bytes, length },
        destination: null,
        remark: sanitiseRemark(remarkOf(incident)),
      };
    });
  const { rules, leftOut: unsaid } = withAllowances(denials, input.family, input, input.allowances);
  leftOut.push(...unsaid);
  return { rules, leftOut: sortedLeftOut(leftOut) };
}

const remarkOf = ({ incident_id, first_seen }: Offender): string =>
  incident_id === '' ? `by hand since ${first_seen}` : `incident ${incident_id}, first seen ${first_seen}`;

const rankOf = ({ grade }: Offender): number => (grade === null ? -1 : GRADES.indexOf(grade));

/** Addresses of a prefix whose own block has not ended. */
export function blockedMembers(members: NonNullable<Incident['members']>, nowMs: number): string[] {
  return members
    .filter(({ until }) => until !== null && Date.parse(until) > nowMs)
    .map(({ address }) => address);
}

/** Those that a person named, then the worst first; of equals the one that was seen first, then by address. */
function compareBadness(a: Candidate, b: Candidate): number {
  return (
    Number(b.incident.byHand === true) - Number(a.incident.byHand === true) ||
    rankOf(b.incident) - rankOf(a.incident) ||
    b.incident.sessions - a.incident.sessions ||
    compareText(a.incident.first_seen, b.incident.first_seen) ||
    compareAddresses(a.bytes, b.bytes) ||
    compareText(a.incident.incident_id, b.incident.incident_id)
  );
}

/** Permits without duplicates, in numerical order. */
class RuleList {
  readonly #rules = new Map<string, AclRule>();

  get size(): number {
    return this.#rules.size;
  }

  /** Of equal permits the remark that comes first in the alphabet stays, whatever the order of the configuration. */
  permit(source: Prefix | null, destination: Prefix | null, remark: string): void {
    const to = destination === null ? null : orAny(destination);
    const key = `${textOf(source)} ${textOf(to)}`;
    const known = this.#rules.get(key);
    if (known !== undefined && known.remark <= remark) return;
    this.#rules.set(key, { action: 'permit', source, destination: to, remark });
  }

  sorted(): AclRule[] {
    return [...this.#rules.values()].sort(
      (a, b) => compareEnds(a.source, b.source) || compareEnds(a.destination, b.destination),
    );
  }
}

const textOf = (prefix: Prefix | null) => (prefix === null ? 'any' : formatPrefix(prefix));

/** Any comes first. */
function compareEnds(a: Prefix | null, b: Prefix | null): number {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1);
  return comparePrefixes(a, b);
}

/** By code unit: the same everywhere, whatever the locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortedLeftOut(leftOut: readonly LeftOut[]): readonly LeftOut[] {
  const keyed = leftOut.map((entry) => ({ entry, bytes: parseAddress(entry.host.split('/')[0]) }));
  return keyed
    .sort((a, b) =>
      a.bytes !== null && b.bytes !== null
        ? compareAddresses(a.bytes, b.bytes) || compareText(a.entry.host, b.entry.host)
        : (a.bytes === null ? 1 : 0) - (b.bytes === null ? 1 : 0) || compareText(a.entry.host, b.entry.host),
    )
    .map(({ entry }) => entry);
}
