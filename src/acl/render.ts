/**
 * An access list as the text of one platform.
 *
 * The same request always gives the same bytes, and no text of a person or a flow reaches it but through a sanitised
 * remark. What the list may say is decided in build.ts; how a platform says it, under platforms/.
 */

import { RogueSmtpError } from '../errors.ts';
import type { AllowanceLimits } from './allowances.ts';
import { type AclInput, type BuiltAcl, buildAcl } from './build.ts';
import type { AclFamily, AclModel, LeftOut } from './model.ts';
import { renderAristaEos } from './platforms/arista-eos.ts';
import { AWS_NACL_ENTRIES, renderAwsNacl } from './platforms/aws-nacl.ts';
import { renderBird } from './platforms/bird.ts';
import { renderCiscoAsa } from './platforms/cisco-asa.ts';
import { renderCiscoIos } from './platforms/cisco-ios.ts';
import { renderCiscoIosXr } from './platforms/cisco-iosxr.ts';
import { renderCiscoNxos } from './platforms/cisco-nxos.ts';
import { renderExabgp } from './platforms/exabgp.ts';
import { FLOWSPEC_ROUTES } from './platforms/flowspec.ts';
import { renderFortios } from './platforms/fortios.ts';
import { renderGobgp } from './platforms/gobgp.ts';
import { renderHuaweiVrp } from './platforms/huawei-vrp.ts';
import { renderIptables } from './platforms/iptables.ts';
import { renderJunos } from './platforms/junos.ts';
import { renderMikrotik } from './platforms/mikrotik.ts';
import { renderNftables } from './platforms/nftables.ts';
import { renderNokiaSros } from './platforms/nokia-sros.ts';
import { renderOpenConfig } from './platforms/openconfig.ts';
import { renderPanos } from './platforms/panos.ts';
import { renderPf } from './platforms/pf.ts';
import { renderVyos } from './platforms/vyos.ts';
import { type AclForm, type AclPlatform, whyNotForm, whyNotOwnTraffic } from './platforms.ts';

export interface AclRequest extends AclInput {
  readonly platform: AclPlatform;
  /** Absent: the default of the platform. */
  readonly form?: AclForm | undefined;
}

export interface RenderedAcl {
  /**
   * ASCII, lines ended by LF, beginning with comments (`about` in JSON): purpose, place, apply, verify, rollback, limits.
   */
  readonly text: string;
  /** Rules in the text, without the final permit. */
  readonly entries: number;
  /** Who should be in the list but is not, by address. */
  readonly leftOut: readonly LeftOut[];
  /** The rules of the family that was asked for. */
  readonly model: AclModel;
}

interface RenderOptions {
  readonly form: AclForm | undefined;
  /** The rules of the other family, where the platform has one list for both (`ONE_LIST`). */
  readonly twin: AclModel | null;
}

type Renderer = (model: AclModel, options: RenderOptions) => string;

const RENDERERS: Readonly<Record<AclPlatform, Renderer>> = {
  'cisco-ios': renderCiscoIos,
  'cisco-iosxr': renderCiscoIosXr,
  'cisco-nxos': renderCiscoNxos,
  'cisco-asa': renderCiscoAsa,
  junos: renderJunos,
  'arista-eos': renderAristaEos,
  'nokia-sros': renderNokiaSros,
  'huawei-vrp': renderHuaweiVrp,
  mikrotik: renderMikrotik,
  vyos: renderVyos,
  nftables: renderNftables,
  iptables: renderIptables,
  pf: renderPf,
  fortios: renderFortios,
  panos: renderPanos,
  'aws-nacl': renderAwsNacl,
  openconfig: renderOpenConfig,
  exabgp: renderExabgp,
  gobgp: renderGobgp,
  bird: renderBird,
};

/** Where a platform takes fewer hosts than `block.max_entries` may allow. */
const MOST_OFFENDERS: Readonly<Partial<Record<AclPlatform, number>>> = {
  'aws-nacl': AWS_NACL_ENTRIES,
  exabgp: FLOWSPEC_ROUTES,
  gobgp: FLOWSPEC_ROUTES,
  bird: FLOWSPEC_ROUTES,
};

/**
 * Their lists hold single addresses only (an address group of VyOS refuses a prefix): there a block of an IPv6 prefix is one
 * of its proven addresses.
 */
const HOSTS_ONLY: ReadonlySet<AclPlatform> = new Set([
  'vyos',
  'nftables',
  'iptables',
  'exabgp',
  'gobgp',
  'bird',
]);

/** Distinct sets of destinations that a list of offenders can leave open to its hosts, where that is bounded. */
const ALLOWANCES: Readonly<Partial<Record<AclPlatform, number>>> = {
  // One policy or rule of the firewall each, beside the one of all others.
  fortios: 15,
  panos: 15,
  // An entry compares one address; a route that lets through must win over one that drops, which not every router grants.
  'aws-nacl': 0,
  exabgp: 0,
  gobgp: 0,
  bird: 0,
};

/** Undefined where a list of the platform can say them all. */
export function allowanceLimits(platform: AclPlatform): AllowanceLimits | undefined {
  const sets = ALLOWANCES[platform];
  if (sets === undefined) return undefined;
  const reason =
    sets === 0
      ? `a list for ${platform} cannot leave destinations open to a denied host`
      : `a list for ${platform} can leave ${sets} sets of destinations open, and others fill it`;
  return { sets, reason };
}

/** An interface has one list for both IP versions there: of two, the second would take the place of the first. */
const ONE_LIST: ReadonlySet<AclPlatform> = new Set(['cisco-asa']);

const EVERYONE = { '4': '0.0.0.0/0', '6': '::/0' } as const;

/** As the configuration demands; here again because a request may come from elsewhere, and a newline is a command. */
const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}$/;

/**
 * Throws RogueSmtpError `refused` where an interlock forbids the list: a policy without a sender in force in the family,
 * a policy that would also cut incoming mail, a kind or form that the platform cannot have, or a name that is no interface.
 */
export function renderAcl(request: AclRequest): RenderedAcl {
  return renderBuilt(request, builtFor(request), (family) => builtFor({ ...request, family }));
}

/** Hosts that a list of the platform takes; infinity where only the configuration bounds it. */
export function mostOffenders(platform: AclPlatform): number {
  return MOST_OFFENDERS[platform] ?? Number.POSITIVE_INFINITY;
}

/** The rules that a platform can take of what is asked for. Throws as `renderAcl` does. */
export function builtFor(request: AclRequest): BuiltAcl {
  if (request.interface !== undefined && !INTERFACE_NAME.test(request.interface)) {
    throw new RogueSmtpError('refused', `${JSON.stringify(request.interface)} is not an interface name`);
  }
  const whyNot = request.traffic === 'own' ? whyNotOwnTraffic(request) : null;
  if (whyNot !== null) throw new RogueSmtpError('refused', whyNot);
  const most = mostOffenders(request.platform);
  const allowances = allowanceLimits(request.platform);
  return buildAcl({
    ...request,
    ...(allowances !== undefined && { allowances }),
    ...(most < request.maxEntries && { maxEntries: most, bound: `${request.platform} takes ${most} hosts` }),
    ...(HOSTS_ONLY.has(request.platform) && { ipv6: 'hosts' }),
  });
}

/**
 * The text of rules that have passed the interlocks. `twinOf` makes those of the other family; it is asked only where one
 * list holds both, and may refuse: then the list says nothing of that family, and `leftOut` why. Throws RogueSmtpError
 * `refused` for a form that the platform does not have.
 */
export function renderBuilt(
  { platform, form }: Pick<AclRequest, 'platform' | 'form'>,
  { model, leftOut }: BuiltAcl,
  twinOf: (family: AclFamily) => BuiltAcl,
): RenderedAcl {
  const whyNot = form === undefined ? null : whyNotForm(platform, form);
  if (whyNot !== null) throw new RogueSmtpError('refused', whyNot);
  const twin = ONE_LIST.has(platform) ? twinOrWhyNot(model.family === '4' ? '6' : '4', twinOf) : null;
  return {
    text: RENDERERS[platform](model, { form, twin: twin?.model ?? null }),
    entries: model.rules.length + (twin?.model?.rules.length ?? 0),
    leftOut: twin === null ? leftOut : withoutRepeats([...leftOut, ...twin.leftOut]),
    model,
  };
}

function twinOrWhyNot(
  family: AclFamily,
  twinOf: (family: AclFamily) => BuiltAcl,
): { readonly model: AclModel | null; readonly leftOut: readonly LeftOut[] } {
  try {
    return twinOf(family);
  } catch (error) {
    if (!(error instanceof RogueSmtpError && error.code === 'refused')) throw error;
    return { model: null, leftOut: [{ host: EVERYONE[family], reason: error.message }] };
  }
}

/** What is no address is left out of both families. */
function withoutRepeats(leftOut: readonly LeftOut[]): readonly LeftOut[] {
  return [...new Map(leftOut.map((one) => [`${one.host} ${one.reason}`, one])).values()];
}
