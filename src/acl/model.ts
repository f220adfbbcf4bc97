/**
 * The rule model: what an access list says, without the words of any platform.
 *
 * A model only ever speaks of TCP to port 25. The first rule that matches decides, and what no rule matches is permitted:
 * every platform writes that final permit out. A model is made by build.ts, which applies the interlocks; nothing else
 * may make one for a router.
 */

import { compareAddresses, isIPv4 } from '../flow/address.ts';
import { type Prefix, prefixContains } from '../flow/prefix.ts';
import type { AclKind } from './platforms.ts';

export const ACL_FAMILIES = ['4', '6'] as const;
export type AclFamily = (typeof ACL_FAMILIES)[number];

/** The only port that is ever blocked. Submission (465, 587) is how mail clients are meant to send. */
export const BLOCKED_PORT = 25;

/**
 * Most hosts that a list of offenders can be configured to name (`block.max_entries`). The sets of ipset are made for
 * as many: a bound, not a reservation.
 */
export const MAX_OFFENDERS = 262_144;

/** Remark of the permits that follow from `block.never`: no policy denies such a host, declared or not. */
export const NEVER_BLOCKED = 'never blocked';

/** One access control entry on TCP port 25. */
export interface AclRule {
  readonly action: 'permit' | 'deny';
  /** Null is any. */
  readonly source: Prefix | null;
  readonly destination: Prefix | null;
  /** Sanitised (remark.ts), '' for none. Equal neighbours share one remark. */
  readonly remark: string;
}

export interface AclModel {
  readonly kind: AclKind;
  readonly family: AclFamily;
  /** The interface that faces the hosts; null when the operator has not said. */
  readonly interface: string | null;
  /** It judges what the router itself sends, instead of what it forwards. */
  readonly own?: boolean;
  /** Disjoint internal prefixes of the family: the sources that a list may judge where no interface confines it. */
  readonly internal: readonly Prefix[];
  readonly rules: readonly AclRule[];
}

/** Who should be in the list and is not. */
export interface LeftOut {
  readonly host: string;
  readonly reason: string;
}

const ALL_IPV4: Prefix = {
  bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0),
  length: 96,
};

/** The family of a prefix. IPv4 lies in ::ffff:0:0/96, so anything shorter than 96 bits is IPv6. */
export function prefixFamily(prefix: Prefix): AclFamily {
  return prefix.length >= 96 && isIPv4(prefix.bytes) ? '4' : '6';
}

/**
 * The part of a prefix that lies in the family, or null. A prefix that holds all of ::ffff:0:0/96, such as ::/0, holds
 * every IPv4 address too, as it does in the policy of the detector.
 */
export function inFamily(prefix: Prefix, family: AclFamily): Prefix | null {
  if (prefixFamily(prefix) === family) return prefix;
  return family === '4' && prefixContains(prefix, ALL_IPV4.bytes) ? ALL_IPV4 : null;
}

/** Length as it is written in the family: 0 to 32, or 0 to 128. */
export function prefixBits(prefix: Prefix): number {
  return prefixFamily(prefix) === '4' ? prefix.length - 96 : prefix.length;
}

export function isHost(prefix: Prefix): boolean {
  return prefix.length === 128;
}

/** Null (any) for a prefix that holds its whole family. Platforms write such a match in different ways, or refuse it. */
export function orAny(prefix: Prefix): Prefix | null {
  return prefixBits(prefix) === 0 ? null : prefix;
}

/** True when every address of `inner` lies in `outer`. */
export function isWithin(inner: Prefix, outer: Prefix): boolean {
  return outer.length <= inner.length && prefixContains(outer, inner.bytes);
}

/** Numerically; of two that begin alike the wider one first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  return compareAddresses(a.bytes, b.bytes) || a.length - b.length;
}

/**
 * What of the prefixes lies in the family, sorted, without those that lie within another: two prefixes nest or are
 * disjoint, so none overlap then.
 */
export function disjoint(prefixes: readonly Prefix[], family: AclFamily): readonly Prefix[] {
  const out: Prefix[] = [];
  for (const prefix of prefixes.flatMap((one) => inFamily(one, family) ?? []).sort(comparePrefixes)) {
    const last = out.at(-1);
    if (last === undefined || !isWithin(prefix, last)) out.push(prefix);
  }
  return out;
}
