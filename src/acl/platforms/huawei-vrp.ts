/**
 * Huawei VRP: named advanced ACLs, as text for the system view.
 *
 * Rules are asked by number (match-order config). What happens to a packet that no rule takes differs by module and
 * series, so the last rule permits. Networks have wildcard masks, a host the mask `0`; IPv6 has prefix lengths.
 */

import { formatAddress } from '../../flow/address.ts';
import type { Prefix } from '../../flow/prefix.ts';
import { type AclModel, type AclRule, BLOCKED_PORT, isHost, prefixBits, prefixFamily } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, comment, INBOUND, INTERFACE_PLACEHOLDER, listName } from './artefact.ts';
import { wildcardMask } from './ios-family.ts';

const STEP = 5;

/** Pasteable text. Without an interface the ACL is created, but bound to nothing. */
export function renderHuaweiVrp(model: AclModel): string {
  const v6 = model.family === '6';
  const rules = ruleLines(model);
  const revision = revisionOf([model.interface ?? '', ...rules].join('\n'));
  // Names have 32 characters at most.
  const name = `${listName(model)}-${revision}`;
  const acl = `acl ${v6 ? 'ipv6 ' : ''}name ${name}`;
  const bind = `traffic-filter inbound ${acl}`;
  const face = model.interface ?? INTERFACE_PLACEHOLDER;
  const bound = [`interface ${face}`, ` ${bind}`, ' quit'];
  const guide = {
    place: INBOUND,
    apply: [
      'system-view',
      '<paste this text>',
      `interface ${face}, then "undo traffic-filter inbound acl ${v6 ? 'ipv6 ' : ''}name <the list before>": two bound lists add up,`,
      'and the old one would go on to decide. On VRP 8 this and the text are one "commit trial 300", then "commit".',
    ],
    verify: [`display acl ${v6 ? 'ipv6 ' : ''}name ${name}`, 'display traffic-filter applied-record'],
    rollback: [
      `interface ${face}, then "undo ${bind}", and bind the list before`,
      'VRP 8: rollback configuration last 1',
    ],
    limits: [
      'AR routers write "traffic-filter inbound ipv6 acl"; NE routers bind an ACL by a traffic policy.',
      'An ACL takes rules of the hardware; "display acl resource" says how many are left.',
    ],
    unverified: 'no device and no model of Huawei has read it.',
  };
  return artefact('#', model, revision, guide, [
    `${acl} advance`,
    ...rules,
    ' quit',
    ...(model.interface === null
      ? comment('#', [
          'No interface is configured ("interface" of the ACL target), so bind the list yourself:',
          ...bound,
        ])
      : bound),
  ]);
}

function ruleLines(model: AclModel): readonly string[] {
  const lines: string[] = [];
  let number = 0;
  for (const rule of model.rules) {
    number += STEP;
    lines.push(` rule ${number} ${ruleText(rule)}`);
    if (rule.remark !== '') lines.push(` rule ${number} description ${rule.remark}`);
  }
  number += STEP;
  lines.push(` rule ${number} permit ${model.family === '4' ? 'ip' : 'ipv6'}`);
  return lines;
}

/** An end that is not said is any. */
function ruleText({ action, source, destination }: AclRule): string {
  return [
    `${action} tcp`,
    ...(source === null ? [] : [`source ${end(source)}`]),
    ...(destination === null ? [] : [`destination ${end(destination)}`]),
    `destination-port eq ${BLOCKED_PORT}`,
  ].join(' ');
}

function end(prefix: Prefix): string {
  if (prefixFamily(prefix) === '6') return cidr(prefix);
  return `${formatAddress(prefix.bytes)} ${isHost(prefix) ? '0' : wildcardMask(prefixBits(prefix))}`;
}
