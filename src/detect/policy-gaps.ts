/**
 * What the configuration alone keeps from being found or blocked: networks that leave nobody outside, permissions that
 * cover every host or have ended, exceptions that cover every host.
 *
 * "No offenders" would sound like good news in each of these cases. Pure; the caller gives the time.
 */

import type { Config } from '../config/schema.ts';
import { formatPrefix, type Prefix, prefixContains } from '../flow/prefix.ts';

export interface PolicyGap {
  /** `blind`: no host can ever be reported. `toothless`: none can be blocked. `partial`: some are concerned. */
  readonly kind: 'blind' | 'toothless' | 'partial';
  /** A sentence for people. */
  readonly text: string;
}

type GapConfig = Pick<Config, 'networks' | 'senders' | 'block' | 'detection'>;

const IPV4_BITS = 96;

export function policyGaps(config: GapConfig, nowMs: number): readonly PolicyGap[] {
  const { networks, senders, block } = config;
  const gaps: PolicyGap[] = [];
  const { internal } = networks;
  const whole = [ALL_IPV4, ALL_IPV6].filter(({ prefix }) => covers(internal, prefix));
  if (whole.length > 0 && !config.detection.internal.alert) {
    const families = whole.some(({ name }) => name === 'IPv6') ? 'the whole of IPv6 and IPv4' : 'all of IPv4';
    const bounded = internal.some(
      (prefix) => prefix.length > 0 && !prefixContains(ALL_IPV4.prefix, prefix.bytes),
    );
    gaps.push({
      kind: bounded ? 'partial' : 'blind',
      text: `networks.internal holds ${families}: no server is outside, so every mail flow there is internal and none is judged; name your own networks`,
    });
  }
  const ended = senders.filter(({ until }) => until !== undefined && nowMs >= Date.parse(until));
  for (const { name, until, hosts } of ended) {
    gaps.push({
      kind: 'partial',
      text: `the permission of sender "${name}" (${hosts.map(formatPrefix).join(' ')}) ended at ${until}: its hosts are reported like all others`,
    });
  }
  const inForce = senders.filter((sender) => !ended.includes(sender));
  const free = inForce
    .filter(({ to, sites }) => to === 'any' && sites === undefined)
    .flatMap(({ hosts }) => hosts);
  if (internal.every((prefix) => covers(free, prefix))) {
    gaps.push({
      kind: 'blind',
      text: 'the senders cover all of networks.internal: every host may send, so none is ever reported; name your mail servers only',
    });
  }
  if (senders.length > 0 && inForce.length === 0) {
    gaps.push({
      kind: 'toothless',
      text: 'the permissions of all senders have ended: no list denies anyone until one is in force',
    });
  }
  if (internal.every((prefix) => covers([...block.never, ...networks.nat], prefix))) {
    const keys = [block.never.length > 0 ? 'block.never' : '', networks.nat.length > 0 ? 'networks.nat' : ''];
    gaps.push({
      kind: 'toothless',
      text: `${keys.filter(Boolean).join(' and ')} covers all of networks.internal: no host can ever be blocked`,
    });
  }
  return gaps;
}

const ALL_IPV6 = { name: 'IPv6', prefix: { bytes: new Uint8Array(16), length: 0 } } as const;
const ALL_IPV4 = {
  name: 'IPv4',
  prefix: {
    bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0),
    length: IPV4_BITS,
  },
} as const;

/** True when the prefixes together hold every address of the whole: one that holds it, or both of its halves are held. */
function covers(prefixes: readonly Prefix[], whole: Prefix): boolean {
  const within: Prefix[] = [];
  for (const prefix of prefixes) {
    if (prefix.length <= whole.length) {
      if (prefixContains(prefix, whole.bytes)) return true;
    } else if (prefixContains(whole, prefix.bytes)) within.push(prefix);
  }
  if (within.length < 2) return false;
  const length = whole.length + 1;
  const upper = whole.bytes.slice();
  upper[whole.length >> 3] |= 0x80 >> (whole.length & 7);
  return covers(within, { bytes: whole.bytes, length }) && covers(within, { bytes: upper, length });
}
