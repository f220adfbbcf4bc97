/**
 * What stays open to an offender that is a sender with `to`: the destinations that it may use.
 *
 * In a list these are permits before the denials. They are derived from the senders of the moment, also for a list that is
 * held at an earlier revision. Where a list cannot say them the host is not denied, and the reason goes with it.
 */

import type { AddressBytes } from '../flow/address.ts';
import { formatPrefix, type Prefix, prefixContains } from '../flow/prefix.ts';
import { type AclSender, type InterlockInput, isInForce } from './interlocks.ts';
import { type AclFamily, type AclRule, disjoint, isHost, type LeftOut, orAny } from './model.ts';
import { sanitiseRemark } from './remark.ts';

/** More than these are a mistake in `to`, and routers choke on them. */
const MAX_ALLOWANCES = 5000;

/** What a platform can say of them. */
export interface AllowanceLimits {
  /** Distinct sets of destinations in one list; 0: none can be said. */
  readonly sets: number;
  /** Begins the reason of a host that is left out for it. */
  readonly reason: string;
}

/** Senders in force with `to` that name the host, none of which may send anywhere. */
function boundSenders(host: AddressBytes, input: Pick<InterlockInput, 'senders' | 'nowMs'>): AclSender[] {
  const named = input.senders.filter(
    (sender) => isInForce(sender, input.nowMs) && sender.hosts.some((prefix) => prefixContains(prefix, host)),
  );
  return named.some(({ to }) => to === 'any') ? [] : named;
}

/**
 * The denials of hosts with the permits that belong before them, in numerical order, and who is left out since its
 * destinations cannot be said. `denials` are of the family.
 */
export function withAllowances(
  denials: readonly AclRule[],
  family: AclFamily,
  input: InterlockInput,
  limits: AllowanceLimits | undefined,
): { readonly rules: readonly AclRule[]; readonly leftOut: readonly LeftOut[] } {
  const permits: AclRule[] = [];
  const kept: AclRule[] = [];
  const leftOut: LeftOut[] = [];
  const sets = new Set<string>();
  for (const rule of denials) {
    const { source } = rule;
    const bound = source === null || !isHost(source) ? [] : boundSenders(source.bytes, input);
    if (source === null || bound.length === 0) {
      kept.push(rule);
      continue;
    }
    const destinations = disjoint(
      bound.flatMap(({ to }) => (to === 'any' ? [] : to)),
      family,
    );
    const set = destinations.map(formatPrefix).join(' ');
    const names = bound.map(({ name }) => `"${name}"`).join(', ');
    if (destinations.some((destination) => orAny(destination) === null)) {
      leftOut.push({ host: formatPrefix(source), reason: `is the authorised sender ${names}` });
      continue;
    }
    const reason = whyNot(destinations, set);
    if (reason !== null) {
      leftOut.push({
        host: formatPrefix(source),
        reason: `${reason}; it is the sender ${names}, which may send there`,
      });
      continue;
    }
    sets.add(set);
    const remark = sanitiseRemark(`may send here, sender ${bound.map(({ name }) => name).join(', ')}`);
    for (const destination of destinations) {
      permits.push({ action: 'permit', source, destination, remark });
    }
    kept.push(rule);
  }
  return { rules: [...permits, ...kept], leftOut };

  function whyNot(destinations: readonly Prefix[], set: string): string | null {
    if (destinations.length === 0) return null;
    if (limits !== undefined && !sets.has(set) && sets.size >= limits.sets) return limits.reason;
    if (permits.length + destinations.length > MAX_ALLOWANCES)
      return `its destinations would need more than ${MAX_ALLOWANCES} permits in the list`;
    return null;
  }
}
