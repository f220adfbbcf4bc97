/**
 * What the FlowSpec platforms (RFC 8955, RFC 8956) have in common.
 *
 * A FlowSpec route says what to drop, on every router that takes it and on all of its interfaces. Its order is not ours to
 * choose and there is no interface, so a policy ("everyone but the senders") would cut the mail that comes in from the
 * world: only single hosts are ever announced. The routes go when the BGP session goes: it fails open.
 */

import { formatAddress } from '../../flow/address.ts';
import type { AclModel } from '../model.ts';
import { refusePolicy } from './artefact.ts';

/** Routers take a few thousand routes, some fewer; the rest of the list is named as left out. */
export const FLOWSPEC_ROUTES = 3000;

export interface FlowspecHost {
  /** With the length: `192.0.2.55/32`. */
  readonly prefix: string;
  readonly remark: string;
}

/** Throws RogueSmtpError `refused` for a policy. */
export function flowspecHosts(model: AclModel): readonly FlowspecHost[] {
  refusePolicy(
    model,
    'FlowSpec routes act on every interface, so denying everyone but the senders would also cut the mail that comes in from ' +
      'the world. Use the offenders list here, and a policy on the routers of the hosts',
  );
  const length = model.family === '4' ? 32 : 128;
  return model.rules.flatMap(({ source, remark }) =>
    source === null ? [] : [{ prefix: `${formatAddress(source.bytes)}/${length}`, remark }],
  );
}

export const FLOWSPEC_PLACE: readonly string[] = [
  'Acts on every router that takes the routes, on all of its interfaces. Behind NAT the source is not the host any more: the',
  'routers before it must be among them.',
];

export const FLOWSPEC_LIMITS: readonly string[] = [
  `No more than ${FLOWSPEC_ROUTES} hosts; many routers take fewer, and say so in their logs only.`,
  'A route without a destination does not pass the validation of RFC 8955 section 6: routers must be told to take it from',
  'this peer (Junos "no-validate", IOS-XR "validation disable"), or be iBGP peers by RFC 9117.',
  'When the session ends the routes are withdrawn and nothing is blocked.',
];
