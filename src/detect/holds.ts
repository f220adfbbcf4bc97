/**
 * Why a block waits for a person although the evidence suffices: the host is probably a mail server that nobody declared, or
 * nobody knows yet whether the declared senders are the right ones.
 *
 * To block a mail server costs more than to block a bot a little later. A hold is no verdict: whoever looks approves the
 * block, or declares the host in `senders`.
 */

import { isIPv4 } from '../flow/address.ts';
import type { DetectorState } from './detector-state.ts';
import type { Host } from './host-table.ts';
import { isPrivate } from './policy.ts';

const WHAT_TO_DO = 'approve the block, or declare the host in senders';
/** Begins the reason of a host that may be a mail server. */
const PROBABLE_SERVER = 'probable mail server';
/** Begins the reason of what is held because no declared sender was ever seen. */
export const UNSEEN_SENDERS = 'no declared sender was seen sending yet';

/** Why the host is probably a mail server by what it does, or null. It is a reason to take back a block that stands, too. */
export function serverReason({ mailServers }: DetectorState, host: Host): string | null {
  const why = mailServers.reasonFor(host.siteNumber, host.bytes, 0);
  return why === null ? null : `${PROBABLE_SERVER}: the host ${why}; ${WHAT_TO_DO}`;
}

/** Why no block begins unasked, or null. */
export function holdReason(state: DetectorState, host: Host, atMs: number): string | null {
  const known = serverReason(state, host);
  if (known !== null) return known;
  // What showed it may be forgotten since; that is no reason to block it.
  if (actsAsServer(host)) return host.file.block.reason;
  const guess = nearSender(state, host.siteNumber, host.bytes, atMs) ?? unseenNatAddress(state, host);
  if (guess !== null) return `${PROBABLE_SERVER} by its address: the host ${guess}; ${WHAT_TO_DO}`;
  return unseenSenders(state);
}

/**
 * Why an address, which need not have sent anything, is probably a mail server's, or null: a sentence part for people. `site` is an
 * index into the policy's names of sites.
 */
export function whyProbableServer(
  state: DetectorState,
  site: number,
  bytes: Uint8Array,
  atMs: number,
): string | null {
  return state.mailServers.reasonFor(site, bytes, 0) ?? nearSender(state, site, bytes, atMs);
}

function nearSender(
  { policy, neighbourhoods }: DetectorState,
  site: number,
  bytes: Uint8Array,
  atMs: number,
): string | null {
  const near = policy.nearSender(bytes, 0, atMs, site);
  return near === null || neighbourhoods.isShared(near, site)
    ? null
    : `lies in the IPv6 /64 of the declared sender "${near.name}"`;
}

/** Before any declared sender was seen, a public address that sends may be the one behind which they all are. */
function unseenNatAddress({ policy, sight }: DetectorState, host: Host): string | null {
  if (sight.senderSeen || !policy.hasOnlyPrivateSenders) return null;
  if (!isIPv4(host.bytes, 0) || isPrivate({ bytes: host.bytes })) return null;
  return 'is a public address, all declared senders have private ones, and none of them was seen: it may be their address behind NAT';
}

/** By what it does, which is more than a guess by its address. */
export const actsAsServer = ({ file: { block } }: Host): boolean =>
  block.state === 'held' && block.reason.startsWith(`${PROBABLE_SERVER}:`);

export const isProbableServer = ({ file: { block } }: Host): boolean =>
  block.state === 'held' && block.reason.startsWith(PROBABLE_SERVER);

/** Why nothing new is blocked in the whole network, or null. */
export function unseenSenders({ sight }: DetectorState): string | null {
  if (sight.senderSeen) return null;
  const found = sight.serverFound ? ', but a mail server was found that nobody declared' : '';
  if (found === '' && !sight.mustSeeSender()) return null;
  return `${UNSEEN_SENDERS}${found}: senders may name the wrong addresses, so nothing is blocked unasked; approve the block, correct senders, or set block.unseen_senders`;
}
