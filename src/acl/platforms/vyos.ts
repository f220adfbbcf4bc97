/**
 * VyOS 1.4 and newer: a named rule set with its groups, as commands for configuration mode.
 *
 * A commit is atomic, so what has our names is deleted and defined anew in it. A rule set of one's own ends with DROP
 * unless its default action is set: it is `return`, so that it only refuses and the operator's own rules judge the rest.
 */

import type { Prefix } from '../../flow/prefix.ts';
import { formatPrefix } from '../../flow/prefix.ts';
import { judgedSources } from '../groups.ts';
import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, assertLinuxInterface, cidr, forwarding, interfaceSuffix, listName } from './artefact.ts';

const STEP = 10;

/** Throws RogueSmtpError `refused` for an interface that Linux cannot have, and for a policy that has no bounds. */
export function renderVyos(model: AclModel): string {
  assertLinuxInterface(model);
  const ip = model.family === '4' ? 'ipv4' : 'ipv6';
  const name = `${listName(model)}${interfaceSuffix(model, '-')}`;
  // One below the other, above whatever rules are there. A rule of the operator's with the number would be changed.
  const hook = `firewall ${ip} forward filter rule ${model.kind === 'offenders' ? 1 : 2}`;
  const judged = model.kind === 'policy' ? judgedSources(model) : null;
  const groups =
    model.family === '4' ? ['address-group', 'network-group'] : ['ipv6-address-group', 'ipv6-network-group'];
  const [hosts, networks] = groups.map((group) => `firewall group ${group} ${name}`);
  const body = [
    `delete ${hook}`,
    `delete firewall ${ip} name ${name}`,
    ...(model.kind === 'offenders' ? [`delete ${hosts}`] : []),
    ...(judged === null
      ? []
      : [`delete ${networks}`, ...judged.map((prefix) => `set ${networks} network ${cidr(prefix)}`)]),
    `set firewall ${ip} name ${name} default-action return`,
    ...(model.kind === 'policy'
      ? policyRules(model, `firewall ${ip} name ${name}`)
      : offenderRules(model, `firewall ${ip} name ${name}`, hosts, name)),
    `set ${hook} action jump`,
    `set ${hook} jump-target ${name}`,
    `set ${hook} protocol tcp`,
    `set ${hook} destination port ${BLOCKED_PORT}`,
    ...(model.interface === null ? [] : [`set ${hook} inbound-interface name ${model.interface}`]),
    ...(judged === null ? [] : [`set ${hook} source group network-group ${name}`]),
  ];
  const revision = revisionOf(body.join('\n'));
  const guide = {
    place: forwarding(model),
    apply: [
      'configure',
      '<paste this text>                      ("Nothing to delete" is no error the first time)',
      'compare',
      'commit-confirm 5',
      'confirm; save                          (after the check, within five minutes)',
    ],
    verify: [`run show firewall ${ip} name ${name}`],
    rollback: [`delete ${hook}; delete firewall ${ip} name ${name}; commit`, 'or: rollback 1'],
    limits: [
      `It takes rule ${model.kind === 'offenders' ? 1 : 2} of the forward filter: if you have one of that number, renumber yours first.`,
      'One list of each kind and IP version can be hooked there; for several interfaces use an interface group.',
      'A "global-options state-policy" that accepts established connections spares the ones that are open: reset them by hand.',
      '1.3 has another syntax and is not served.',
    ],
    unverified: 'no VyOS has read it.',
  };
  return artefact('#', model, revision, guide, body);
}

function policyRules(model: AclModel, set: string): readonly string[] {
  return model.rules.flatMap((rule, i) => ruleLines(`set ${set} rule ${(i + 1) * STEP}`, rule));
}

function ruleLines(rule: string, { action, source, destination, remark }: AclRule): readonly string[] {
  return [
    `${rule} action ${action === 'permit' ? 'return' : 'reject'}`,
    ...(remark === '' ? [] : [`${rule} description '${remark}'`]),
    `${rule} protocol tcp`,
    `${rule} destination port ${BLOCKED_PORT}`,
    ...(source === null ? [] : [`${rule} source address ${literal(source)}`]),
    ...(destination === null ? [] : [`${rule} destination address ${literal(destination)}`]),
  ];
}

const literal = (prefix: Prefix) => formatPrefix(prefix);

/** With no offender there is no rule: a group must have members. */
function offenderRules(model: AclModel, set: string, group: string, name: string): readonly string[] {
  if (model.rules.length === 0) return [];
  const permits = model.rules.filter(({ action }) => action === 'permit');
  const rule = `set ${set} rule ${(permits.length + 1) * STEP}`;
  return [
    ...permits.flatMap((permit, i) => ruleLines(`set ${set} rule ${(i + 1) * STEP}`, permit)),
    ...model.rules.flatMap(({ action, source, remark }) =>
      source === null || action === 'permit'
        ? []
        : [...(remark === '' ? [] : [`# ${remark}`]), `set ${group} address ${literal(source)}`],
    ),
    `${rule} action reject`,
    `${rule} protocol tcp`,
    `${rule} destination port ${BLOCKED_PORT}`,
    `${rule} source group address-group ${name}`,
  ];
}
