/**
 * From the configuration and the incidents to what the ACL renderer is asked for.
 *
 * The renderer applies its own interlocks after this; here it is only decided which incidents ask for a line.
 */

import { type AclInput, buildAcl } from '../acl/build.ts';
import type { AclFamily } from '../acl/model.ts';
import { type RenderedAcl, renderAcl } from '../acl/render.ts';
import { deniedHosts } from '../acl/stored-model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { ownHosts } from '../detect/own-hosts.ts';
import { missingListsReason } from '../detect/policy.ts';
import { RogueSmtpError } from '../errors.ts';
import type { AclRenderRequest } from '../http/read-model.ts';
import type { Incident } from '../messages/alert.ts';

/**
 * A published block that has not ended. With no sender configured, or in mode `observe`, never; in mode `propose` only one
 * that was approved by hand.
 */
function isBlocked(config: Config, incident: Incident, nowMs: number): boolean {
  const { mode } = config.block;
  if (mode === 'observe' || config.senders.length === 0) return false;
  const { state, until, approved_by } = incident.block;
  if (mode === 'propose' && approved_by === undefined) return false;
  return state === 'published' && (until === null || Date.parse(until) > nowMs);
}

/** What a configured target asks of the renderer. */
export function requestOf(target: AclTargetConfig, family: '4' | '6'): AclRenderRequest {
  const { platform, form, kind, interface: face, site } = target;
  return {
    platform,
    kind,
    family,
    ...(form !== undefined && { form }),
    ...(face !== undefined && { interface: face }),
    ...(site !== undefined && { site }),
  };
}

/** Throws RogueSmtpError `refused` where an interlock forbids the list, such as a policy without a sender. */
export function renderFor(
  config: Config,
  incidents: readonly Incident[],
  request: AclRenderRequest,
  nowMs: number,
): RenderedAcl {
  return renderAcl(requestFor(config, blockedOf(config, incidents, nowMs), request, nowMs));
}

/** Those of the incidents whose host is to be denied. */
export function blockedOf(
  config: Config,
  incidents: readonly Incident[],
  nowMs: number,
): readonly Incident[] {
  return incidents.filter((incident) => isBlocked(config, incident, nowMs));
}

/**
 * The hosts and prefixes that a list of these offenders names, in numerical order, whatever the platform. Throws
 * RogueSmtpError `refused` as `aclInputOf` does.
 */
export function namedHosts(
  config: Config,
  offenders: readonly Incident[],
  family: AclFamily,
  nowMs: number,
): readonly string[] {
  return deniedHosts(buildAcl(requestFor(config, offenders, { kind: 'offenders', family }, nowMs)).model);
}

/** What the renderer is asked for: a list of exactly these offenders, as far as they are of the site. */
export function requestFor<Request extends Pick<AclRenderRequest, 'kind' | 'family' | 'site'>>(
  config: Config,
  offenders: readonly Incident[],
  { site, ...request }: Request,
  nowMs: number,
): Omit<Request, 'site'> & Omit<AclInput, 'kind' | 'family'> {
  const ofSite = site === undefined ? offenders : offenders.filter((incident) => incident.site === site);
  return { ...request, ...aclInputOf(config, ofSite, nowMs) };
}

/**
 * These offenders, and the interlocks that no list may pass by. Throws RogueSmtpError `refused` while a list of prefixes
 * that is used is missing: whom it protects is not known then.
 */
export function aclInputOf(
  config: Config,
  offenders: readonly Incident[],
  nowMs: number,
): Omit<AclInput, 'kind' | 'family'> {
  const missing = missingListsReason(config);
  if (missing !== null) throw new RogueSmtpError('refused', missing);
  return {
    nowMs,
    internal: config.networks.internal,
    senders: config.senders,
    never: [...config.block.never, ...config.networks.nat],
    own: ownHosts(config),
    maxEntries: config.block.max_entries,
    ipv6: config.block.ipv6,
    offenders,
  };
}
