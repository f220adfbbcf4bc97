/**
 * From the configuration and the incidents to what the ACL renderer is asked for.
 *
 * The renderer applies its own interlocks after this; here it is only decided which incidents ask for a line.
 */

import { type AclInput, blockedMembers } from '../acl/build.ts';
import { renderAcl } from '../acl/render.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import type { AclRendering, AclRenderRequest } from '../http/read-model.ts';
import type { Incident } from '../messages/alert.ts';

/** A published block that has not ended. With no sender configured, or in another mode than publish, never. */
export function isBlocked(config: Config, incident: Incident, nowMs: number): boolean {
  if (config.block.mode !== 'publish' || config.senders.length === 0) return false;
  const { state, until } = incident.block;
  return state === 'published' && (until === null || Date.parse(until) > nowMs);
}

/** The addresses that a block is about: of an incident about an IPv6 prefix those with evidence of their own. */
export function blockedHosts(incident: Incident, nowMs: number): readonly string[] {
  return incident.members === undefined ? [incident.host] : blockedMembers(incident.members, nowMs);
}

/** What a configured target asks of the renderer. */
export function requestOf(target: AclTargetConfig, family: '4' | '6'): AclRenderRequest {
  const { platform, kind, interface: face, site } = target;
  return {
    platform,
    kind,
    family,
    ...(face !== undefined && { interface: face }),
    ...(site !== undefined && { site }),
  };
}

/** Throws RogueSmtpError `refused` where an interlock forbids the list, such as a policy without a sender. */
export function renderFor(
  config: Config,
  incidents: readonly Incident[],
  { site, ...request }: AclRenderRequest,
  nowMs: number,
): AclRendering {
  const ofSite = site === undefined ? incidents : incidents.filter((incident) => incident.site === site);
  return renderAcl({ ...request, ...aclInputOf(config, ofSite, nowMs) });
}

/** Who is to be denied, and the interlocks that no list may pass by. */
export function aclInputOf(
  config: Config,
  incidents: readonly Incident[],
  nowMs: number,
): Omit<AclInput, 'kind' | 'family'> {
  return {
    nowMs,
    internal: config.networks.internal,
    senders: config.senders,
    never: [...config.block.never, ...config.networks.nat],
    maxEntries: config.block.max_entries,
    ipv6: config.block.ipv6,
    offenders: incidents.filter((incident) => isBlocked(config, incident, nowMs)),
  };
}
