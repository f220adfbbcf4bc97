/**
 * From the configuration and the incidents to what the ACL renderer is asked for.
 *
 * The renderer applies its own interlocks after this; here it is only decided which incidents ask for a line.
 */

import { type AclInput, buildAcl, type Offender } from '../acl/build.ts';
import type { ExemptHost } from '../acl/interlocks.ts';
import type { AclFamily } from '../acl/model.ts';
import type { AclForm, AclKind, AclPlatform, AclTraffic, WithoutSenders } from '../acl/platforms.ts';
import { type RenderedAcl, renderAcl } from '../acl/render.ts';
import { deniedHosts } from '../acl/stored-model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { ownHosts } from '../detect/own-hosts.ts';
import { missingListsReason } from '../detect/policy.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Prefix } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';

/** One list, as a target of the configuration or a person asks for it. */
export interface AclRenderRequest {
  readonly platform: AclPlatform;
  readonly kind: AclKind;
  readonly family: '4' | '6';
  /** Absent: the default of the platform. */
  readonly form?: AclForm;
  readonly interface?: string;
  /** Only hosts of this site; absent: of all. */
  readonly site?: string;
  /** Absent: what is forwarded. */
  readonly traffic?: AclTraffic | undefined;
  /** Of a policy; absent: it is refused. */
  readonly withoutSenders?: WithoutSenders | undefined;
}

/**
 * A block was published. With no sender configured, or in mode `observe`, that is never of consequence; in mode `propose`
 * only when it was approved by hand.
 */
function wasBlocked(config: Config, { block }: Pick<Incident, 'block'>): boolean {
  const { mode } = config.block;
  if (mode === 'observe' || config.senders.length === 0) return false;
  if (mode === 'propose' && block.approved_by === undefined) return false;
  return block.state === 'published';
}

function hasEnded({ block }: Pick<Incident, 'block'>, nowMs: number): boolean {
  return block.until !== null && Date.parse(block.until) <= nowMs;
}

/** What a configured target asks of the renderer. */
export function requestOf(target: AclTargetConfig, family: '4' | '6'): AclRenderRequest {
  const { platform, form, kind, interface: face, site, traffic, without_senders: withoutSenders } = target;
  return {
    platform,
    kind,
    family,
    traffic,
    withoutSenders,
    ...(form !== undefined && { form }),
    ...(face !== undefined && { interface: face }),
    ...(site !== undefined && { site }),
  };
}

/**
 * The list as it is to be now, and beside it which blocks have ended: of flows that are days old all of them have. Throws
 * RogueSmtpError `refused` where an interlock forbids the list, such as a policy without a sender.
 */
export function renderFor(
  config: Config,
  incidents: readonly Blocked[],
  request: AclRenderRequest,
  nowMs: number,
  exempt: readonly ExemptHost[] = [],
): RenderedAcl {
  const ended = incidents.filter((incident) => wasBlocked(config, incident) && hasEnded(incident, nowMs));
  return renderAcl({
    ...requestFor(config, blockedOf(config, incidents, nowMs), request, nowMs, exempt),
    ended: ofSite(ended, request.site),
  });
}

type OfSite = Offender & Pick<Incident, 'site'>;
type Blocked = OfSite & Pick<Incident, 'block'>;

/** Those of the incidents whose host is to be denied. */
export function blockedOf<Host extends Pick<Incident, 'block'>>(
  config: Config,
  incidents: readonly Host[],
  nowMs: number,
): readonly Host[] {
  return incidents.filter((incident) => wasBlocked(config, incident) && !hasEnded(incident, nowMs));
}

/**
 * The hosts and prefixes that a list of these offenders names, in numerical order, whatever the platform. Throws
 * RogueSmtpError `refused` as `aclInputOf` does.
 */
export function namedHosts(
  config: Config,
  offenders: readonly OfSite[],
  family: AclFamily,
  nowMs: number,
  exempt: readonly ExemptHost[],
): readonly string[] {
  const request = requestFor(config, offenders, { kind: 'offenders', family }, nowMs, exempt);
  return deniedHosts(buildAcl({ ...request, allowances: PLAIN }).model);
}

/** A list of bare addresses has no place for the destinations that a host may use. */
const PLAIN = { sets: 0, reason: 'a plain list cannot leave destinations open to a denied host' } as const;

/**
 * What the renderer is asked for: a list of exactly these offenders, as far as they are of the site. `exempt` are hosts that
 * a standing decision keeps out of it.
 */
export function requestFor<Request extends Pick<AclRenderRequest, 'kind' | 'family' | 'site'>>(
  config: Config,
  offenders: readonly OfSite[],
  { site, ...request }: Request,
  nowMs: number,
  exempt: readonly ExemptHost[],
): Omit<Request, 'site'> & Omit<AclInput, 'kind' | 'family'> {
  return { ...request, ...aclInputOf(sendersOf(config, site), ofSite(offenders, site), nowMs, exempt) };
}

/** Of equal addresses of two sites one may be a sender; a list of all sites spares them both. */
function sendersOf(config: Config, site: string | undefined): Config {
  if (site === undefined) return config;
  const senders = config.senders.filter(({ sites }) => sites === undefined || sites.includes(site));
  return { ...config, senders };
}

function ofSite<Host extends OfSite>(incidents: readonly Host[], site: string | undefined): readonly Host[] {
  return site === undefined ? incidents : incidents.filter((incident) => incident.site === site);
}

const own = new WeakMap<Config, readonly Prefix[]>();

/** They follow from the configuration alone, and are asked for each list. */
function ownHostsOf(config: Config): readonly Prefix[] {
  const known = own.get(config) ?? ownHosts(config);
  own.set(config, known);
  return known;
}

/**
 * These offenders, and the interlocks that no list may pass by. Throws RogueSmtpError `refused` while a list of prefixes
 * that is used is missing: whom it protects is not known then.
 */
export function aclInputOf(
  config: Config,
  offenders: readonly Offender[],
  nowMs: number,
  exempt: readonly ExemptHost[] = [],
): Omit<AclInput, 'kind' | 'family'> {
  const missing = missingListsReason(config);
  if (missing !== null) throw new RogueSmtpError('refused', missing);
  return {
    nowMs,
    internal: config.networks.internal,
    senders: config.senders,
    never: config.block.never,
    nat: config.networks.nat,
    own: ownHostsOf(config),
    exempt,
    maxEntries: config.block.max_entries,
    ipv6: config.block.ipv6,
    offenders,
  };
}
