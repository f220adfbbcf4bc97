/**
 * PAN-OS: address groups and deny rules in `set` form, replaced within one commit.
 *
 * An allow rule for the mail server would take it past the operator's own rules and profiles, so there are only rules that
 * deny, and they say whom they do not mean. `set` ADDS to a list that is there, so what has our names is deleted first. The
 * application is `any`: with an application in it a rule lets the first packets through until it knows what they are.
 */

import { RogueSmtpError } from '../../errors.ts';
import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import { type Denial, offenderDenials, policyDenials } from '../groups.ts';
import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, interfaceSuffix } from './artefact.ts';

/** Members of a static group; the smallest limit that we know of is 500. */
const GROUP_MEMBERS = 500;
/** Rules of one list; those it does not need are deleted, since an older list may have left them. */
const MAX_RULES = 16;
const SERVICE = 'smtp-tcp-25';

/**
 * `interface` is the zone of the hosts. Throws RogueSmtpError `refused` for a policy that has no bounds, or too many sources
 * with destinations of their own.
 */
export function renderPanos(model: AclModel): string {
  const denials: readonly Denial[] = model.kind === 'policy' ? policyDenials(model) : namedDenials(model);
  if (denials.length > MAX_RULES) {
    throw new RogueSmtpError(
      'refused',
      `the policy is refused: it would need ${denials.length} PAN-OS rules, more than ${MAX_RULES}. ` +
        'Give fewer senders destinations of their own',
    );
  }
  const stem = `smtp-${model.kind === 'policy' ? 'pol' : 'off'}${model.family}${interfaceSuffix(model, '-')}`;
  const revision = revisionOf(ruleLines(model, denials, stem, 'REVISION').join('\n'));
  const body = ruleLines(model, denials, stem, revision);
  const rules = Array.from({ length: Math.max(1, denials.length) }, (_, i) => `${stem}-${i + 1}`);
  const guide = {
    place: [
      'The rules deny what comes from the zone of the hosts; a security rule sees their addresses before NAT.',
      ...(model.interface === null
        ? ['No zone is configured ("interface" of the ACL target): it applies to what comes from any zone.']
        : []),
    ],
    apply: [
      'configure',
      '<paste what grep -v \'^#\' FILE prints>  (an error for "delete" of what is not there is none)',
      'validate full',
      'commit',
    ],
    verify: [
      `show rulebase security rules ${rules[0]}`,
      `test security-policy-match protocol 6 destination-port ${BLOCKED_PORT} ...`,
    ],
    rollback: [
      ...rules.map((rule) => `delete rulebase security rules ${rule}`),
      'commit, or: load config last-saved',
    ],
    limits: [
      'Sessions that are open go on, unless the device re-matches them: clear session all filter destination-port 25 source HOST',
      'Address groups and addresses of older revisions stay as unused objects.',
      'On a firewall with several virtual systems begin each path with its vsys; with Panorama use a pre-rulebase.',
      'Many offenders are better served by an external dynamic list over HTTP, which needs no commit.',
    ],
    unverified: 'no PAN-OS has read it.',
  };
  return artefact('#', model, revision, guide, body);
}

function namedDenials(model: AclModel): readonly Denial[] {
  return offenderDenials(model).filter(({ sources }) => sources.prefixes.length > 0);
}

function ruleLines(
  model: AclModel,
  denials: readonly Denial[],
  stem: string,
  revision: string,
): readonly string[] {
  const objects = new Map<string, string>();
  const groups: string[] = [];
  const group = (name: string, prefixes: readonly Prefix[]) => {
    const names: string[] = [];
    for (let at = 0; at < prefixes.length; at += GROUP_MEMBERS) {
      const members = prefixes.slice(at, at + GROUP_MEMBERS).map((prefix) => {
        objects.set(objectName(prefix), cidr(prefix));
        return objectName(prefix);
      });
      const called = `${name}-${names.length + 1}`;
      names.push(called);
      groups.push(`set address-group ${called} static [ ${members.join(' ')} ]`);
    }
    return names.length === 0 ? 'any' : `[ ${names.join(' ')} ]`;
  };
  const rules = denials.flatMap(({ sources, exceptTo }, i) => {
    const rule = `set rulebase security rules ${stem}-${i + 1}`;
    const from = group(`${stem}-${revision}-from${i + 1}`, sources.prefixes);
    const to = group(`${stem}-${revision}-to${i + 1}`, exceptTo);
    return [
      `${rule} from ${model.interface ?? 'any'} to any source ${from} destination ${to} application any service ${SERVICE} action deny`,
      `${rule} negate-source ${sources.except && from !== 'any' ? 'yes' : 'no'}`,
      `${rule} negate-destination ${to === 'any' ? 'no' : 'yes'}`,
      `move rulebase security rules ${stem}-${i + 1} top`,
    ];
  });
  return [
    ...Array.from({ length: MAX_RULES }, (_, i) => `delete rulebase security rules ${stem}-${i + 1}`),
    `set service ${SERVICE} protocol tcp port ${BLOCKED_PORT}`,
    ...[...objects].map(([name, address]) => `set address ${name} ip-netmask ${address}`),
    ...groups,
    ...rules,
  ];
}

/** Colons and slashes are not for names. */
function objectName(prefix: Prefix): string {
  return `smtp-${formatPrefix(prefix).replace(/:/g, '-').replace('/', '_')}`;
}
