/**
 * An access list as the text of one platform.
 *
 * The same request always gives the same bytes, and no text of a person or a flow reaches it but through a sanitised
 * remark. What the list may say is decided in build.ts; how a platform says it, under platforms/.
 */

import { RogueSmtpError } from '../errors.ts';
import { type AclInput, buildAcl, type LeftOut } from './build.ts';
import type { AclModel } from './model.ts';
import { renderCiscoIos } from './platforms/cisco-ios.ts';
import { renderNftables } from './platforms/nftables.ts';
import type { AclPlatform } from './platforms.ts';

export interface AclRequest extends AclInput {
  readonly platform: AclPlatform;
}

export interface RenderedAcl {
  /** ASCII, lines ended by LF, with a header of comments: purpose, apply, verify, rollback. */
  readonly text: string;
  /** Rules without the final permit. */
  readonly entries: number;
  /** Who should be in the list but is not, by address. */
  readonly leftOut: readonly LeftOut[];
}

const RENDERERS: Readonly<Record<AclPlatform, (model: AclModel) => string>> = {
  'cisco-ios': renderCiscoIos,
  nftables: renderNftables,
};

/** As the configuration demands; here again because a request may come from elsewhere, and a newline is a command. */
const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}$/;

/**
 * Throws RogueSmtpError `refused` where an interlock forbids the list: a policy without a sender in force in the family,
 * a policy that would also cut incoming mail, or a name that is no interface.
 */
export function renderAcl(request: AclRequest): RenderedAcl {
  if (request.interface !== undefined && !INTERFACE_NAME.test(request.interface)) {
    throw new RogueSmtpError('refused', `${JSON.stringify(request.interface)} is not an interface name`);
  }
  const { model, leftOut } = buildAcl(request);
  return { text: RENDERERS[request.platform](model), entries: model.rules.length, leftOut };
}
