/**
 * An access list as the text of one platform.
 *
 * The same request always gives the same bytes, and no text of a person or a flow reaches it but through a sanitised
 * remark. What the list may say is decided in build.ts; how a platform says it, under platforms/.
 */

import { RogueSmtpError } from '../errors.ts';
import { type AclInput, buildAcl, type LeftOut } from './build.ts';
import type { AclModel } from './model.ts';
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
import { type AclForm, type AclPlatform, whyNotForm } from './platforms.ts';

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
  /** Rules of the model, without the final permit. */
  readonly entries: number;
  /** Who should be in the list but is not, by address. */
  readonly leftOut: readonly LeftOut[];
  /** The rules that the text says. */
  readonly model: AclModel;
}

type Renderer = (model: AclModel, form: AclForm | undefined) => string;

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

/** Their lists hold single addresses only: there a block of an IPv6 prefix is one of its proven addresses. */
const HOSTS_ONLY: ReadonlySet<AclPlatform> = new Set(['nftables', 'iptables', 'exabgp', 'gobgp', 'bird']);

/** As the configuration demands; here again because a request may come from elsewhere, and a newline is a command. */
const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}$/;

/**
 * Throws RogueSmtpError `refused` where an interlock forbids the list: a policy without a sender in force in the family,
 * a policy that would also cut incoming mail, a kind or form that the platform cannot have, or a name that is no interface.
 */
export function renderAcl(request: AclRequest): RenderedAcl {
  if (request.interface !== undefined && !INTERFACE_NAME.test(request.interface)) {
    throw new RogueSmtpError('refused', `${JSON.stringify(request.interface)} is not an interface name`);
  }
  const most = MOST_OFFENDERS[request.platform] ?? Number.POSITIVE_INFINITY;
  const { model, leftOut } = buildAcl({
    ...request,
    ...(most < request.maxEntries && { maxEntries: most, bound: `${request.platform} takes ${most} hosts` }),
    ...(HOSTS_ONLY.has(request.platform) && { ipv6: 'hosts' }),
  });
  return {
    text: renderModel(request.platform, model, request.form),
    entries: model.rules.length,
    leftOut,
    model,
  };
}

/** The text of a model that has passed the interlocks. Throws RogueSmtpError `refused` for a form that there is not. */
export function renderModel(platform: AclPlatform, model: AclModel, form?: AclForm): string {
  const whyNot = form === undefined ? null : whyNotForm(platform, form);
  if (whyNot !== null) throw new RogueSmtpError('refused', whyNot);
  return RENDERERS[platform](model, form);
}
