/**
 * The permits of a policy, gathered for platforms that have sets, and turned round for those that must only deny.
 *
 * On a firewall that does NAT or inspection by rule, a rule that lets the mail server through would take it past all of
 * the operator's own rules. There a policy is written as denials alone, each of which says who it does not mean. The
 * denials together must deny exactly what the list of rules does: nothing here may widen or narrow a prefix.
 */

import { RogueSmtpError } from '../errors.ts';
import type { Prefix } from '../flow/prefix.ts';
import { type AclModel, disjoint, isWithin, prefixBits } from './model.ts';

/** All disjoint and sorted. */
interface PermitGroups {
  /** May send to anyone. */
  readonly senders: readonly Prefix[];
  /** Anyone may send to them. */
  readonly servers: readonly Prefix[];
  /** May send to these destinations. Sources may nest: the permits of each add up. */
  readonly pairs: readonly { readonly source: Prefix; readonly destinations: readonly Prefix[] }[];
  /** A permit of anyone to anywhere: nothing is denied. */
  readonly everything: boolean;
}

export function groupPermits({ rules, family }: AclModel): PermitGroups {
  const senders: Prefix[] = [];
  const servers: Prefix[] = [];
  const pairs = new Map<string, { source: Prefix; destinations: Prefix[] }>();
  let everything = false;
  for (const { action, source, destination } of rules) {
    if (action !== 'permit') continue;
    if (source === null && destination === null) everything = true;
    else if (source === null) servers.push(...listOf(destination));
    else if (destination === null) senders.push(source);
    else {
      const key = `${source.bytes.join('.')}/${source.length}`;
      const pair = pairs.get(key) ?? { source, destinations: [] };
      pair.destinations.push(destination);
      pairs.set(key, pair);
    }
  }
  return {
    senders: disjoint(senders, family),
    servers: disjoint(servers, family),
    pairs: [...pairs.values()].map(({ source, destinations }) => ({
      source,
      destinations: disjoint(destinations, family),
    })),
    everything,
  };
}

const listOf = (prefix: Prefix | null) => (prefix === null ? [] : [prefix]);

/**
 * The sources that a policy may judge on a platform whose rules see the traffic of every interface: null is all of them,
 * since an interface bounds the list, or it judges the router's own traffic. Without one, mail from the world to our mail servers passes the same rules, so only
 * internal sources may be judged. Throws RogueSmtpError `refused` when these are everybody.
 */
export function judgedSources(model: AclModel): readonly Prefix[] | null {
  // What the router sends itself is no mail from the world.
  if (model.interface !== null || model.own === true) return null;
  if (model.internal.length === 0 || model.internal.some((prefix) => prefixBits(prefix) === 0)) {
    throw new RogueSmtpError(
      'refused',
      `the IPv${model.family} policy is refused: with neither an interface nor a bounded IPv${model.family} prefix in ` +
        'networks.internal it would also refuse the mail that comes in from the world',
    );
  }
  return model.internal;
}

/** Denies port 25 from the sources, but for connections to `exceptTo`. */
export interface Denial {
  /** `except`: everyone but the prefixes. Else they are empty in the first denial of offenders only. Disjoint. */
  readonly sources: { readonly except: boolean; readonly prefixes: readonly Prefix[] };
  readonly exceptTo: readonly Prefix[];
}

/** A policy as denials; their order does not matter. Throws as `judgedSources`. */
export function policyDenials(model: AclModel): readonly Denial[] {
  const judged = judgedSources(model);
  const { senders, servers, pairs, everything } = groupPermits(model);
  if (everything) return [];
  const { family } = model;
  const named = disjoint([...senders, ...pairs.map(({ source }) => source)], family);
  const denials: Denial[] = [];
  if (judged === null) {
    denials.push({ sources: { except: true, prefixes: named }, exceptTo: servers });
  } else {
    const prefixes = judged.flatMap((prefix) => subtract(prefix, named));
    if (prefixes.length > 0) denials.push({ sources: { except: false, prefixes }, exceptTo: servers });
  }
  for (const { source } of pairs) {
    // Those with more permits than this one have a denial of their own, or none.
    const holes = [...senders, ...pairs.map((pair) => pair.source)].filter(
      (prefix) => prefix !== source && isWithin(prefix, source),
    );
    if (senders.some((prefix) => isWithin(source, prefix))) continue;
    const prefixes = subtract(source, disjoint(holes, family)).flatMap((part) => intersect(part, judged));
    if (prefixes.length === 0) continue;
    const reachable = pairs
      .filter((pair) => isWithin(source, pair.source))
      .flatMap((pair) => pair.destinations);
    denials.push({
      sources: { except: false, prefixes },
      exceptTo: disjoint([...servers, ...reachable], family),
    });
  }
  return denials;
}

function intersect(part: Prefix, judged: readonly Prefix[] | null): readonly Prefix[] {
  if (judged === null) return [part];
  return judged.flatMap((prefix) =>
    isWithin(part, prefix) ? [part] : isWithin(prefix, part) ? [prefix] : [],
  );
}

/** What of the prefix lies in none of the disjoint holes, as disjoint prefixes in numerical order. */
function subtract(prefix: Prefix, holes: readonly Prefix[]): readonly Prefix[] {
  if (holes.some((hole) => isWithin(prefix, hole))) return [];
  const within = holes.filter((hole) => isWithin(hole, prefix));
  if (within.length === 0) return [prefix];
  const length = prefix.length + 1;
  const upper = prefix.bytes.slice();
  upper[prefix.length >> 3] |= 0x80 >> (prefix.length & 7);
  return [
    ...subtract({ bytes: prefix.bytes, length }, within),
    ...subtract({ bytes: upper, length }, within),
  ];
}

/**
 * The denials of a list of offenders, for platforms whose rules name groups: first that of all hosts without allowances,
 * even when it is of nobody, then one a set of destinations that stay open.
 */
export function offenderDenials({ rules, family }: AclModel): readonly Denial[] {
  const openTo = new Map<string, Prefix[]>();
  const keyOf = ({ bytes, length }: Prefix) => `${bytes.join('.')}/${length}`;
  for (const { action, source, destination } of rules) {
    if (action !== 'permit' || source === null || destination === null) continue;
    const destinations = openTo.get(keyOf(source)) ?? [];
    destinations.push(destination);
    openTo.set(keyOf(source), destinations);
  }
  const free: Prefix[] = [];
  const groups = new Map<string, { prefixes: Prefix[]; exceptTo: readonly Prefix[] }>();
  for (const { action, source } of rules) {
    if (action !== 'deny' || source === null) continue;
    const destinations = openTo.get(keyOf(source));
    if (destinations === undefined) {
      free.push(source);
      continue;
    }
    const exceptTo = disjoint(destinations, family);
    const key = exceptTo.map(keyOf).join(' ');
    const group = groups.get(key) ?? { prefixes: [], exceptTo };
    group.prefixes.push(source);
    groups.set(key, group);
  }
  return [
    { sources: { except: false, prefixes: free }, exceptTo: [] },
    ...[...groups.values()].map(({ prefixes, exceptTo }) => ({
      sources: { except: false, prefixes },
      exceptTo,
    })),
  ];
}
