/**
 * DNS names where the configuration takes addresses: which there are, and which answers each of them may have.
 *
 * Whoever answers for a name says who may send, so an answer is not believed blindly: it is bounded, no special address is
 * ever taken from it, hosts of ours must be inside of our networks and destinations outside. Pure; address-lists asks.
 */

import { specialAddress } from '../acl/interlocks.ts';
import { type AddressBytes, formatAddress } from '../flow/address.ts';
import { type Prefix, prefixContains } from '../flow/prefix.ts';
import type { Config } from './schema.ts';
import { hostnameOf } from './values.ts';

/** `inside`: of hosts of ours. `outside`: of destinations. `any`: of what is never blocked. */
export type NameUse = 'inside' | 'outside' | 'any';

export interface UsedName {
  readonly hostname: string;
  readonly use: NameUse;
}

/** Of one name: more are no answer for a mail server, but an attempt to allow or to protect everybody. */
export const MAX_NAME_ADDRESSES = 64;
export const MAX_NAMES = 256;

/** Each name once for each use, in an order that does not depend on that of the configuration. */
export function namesOf({ senders, expected, block }: Config): UsedName[] {
  const used = new Map<string, UsedName>();
  const note = (prefixes: 'any' | readonly Prefix[], use: NameUse): void => {
    if (prefixes === 'any') return;
    for (const one of prefixes) {
      const hostname = hostnameOf(one);
      if (hostname !== null) used.set(`${hostname} ${use}`, { hostname, use });
    }
  };
  for (const { hosts, to } of [...senders, ...expected]) {
    note(hosts, 'inside');
    note(to, 'outside');
  }
  note(block.never, 'any');
  return [...used.keys()].sort().flatMap((key) => used.get(key) ?? []);
}

/** Why an address in the answer for a name is not taken, a sentence; null when it is. */
export function whyNotAddress(
  { networks, detection }: Pick<Config, 'networks' | 'detection'>,
  use: NameUse,
  address: AddressBytes,
): string | null {
  const text = formatAddress(address);
  const special = specialAddress(address);
  // Behind DNS64 (RFC 6147) a destination of IPv4 has such an address, and flows name it so.
  if (special !== null && !(special === 'NAT64' && use === 'outside'))
    return `${text} is a ${special} address`;
  if (use === 'any') return null;
  const isInternal = networks.internal.some((network) => prefixContains(network, address));
  if (use === 'inside') return isInternal ? null : `${text} is not inside networks.internal`;
  // Where mail between internal hosts is watched, one of them may be the smarthost of others.
  return isInternal && !detection.internal.alert ? `${text} is inside networks.internal` : null;
}
