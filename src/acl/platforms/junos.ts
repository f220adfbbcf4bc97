/**
 * Junos: a firewall filter in `set` form, replaced as a whole within one commit.
 *
 * Terms are asked in order, and what none takes is DISCARDED, so the last one accepts. A `from` with an empty prefix list
 * matches differently from platform to platform (everything, on some), so with no offender there is no such term.
 */

import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, comment, INBOUND, INTERFACE_PLACEHOLDER, listName } from './artefact.ts';

/** For `load set`. Without an interface the filter is created, but bound to nothing. */
export function renderJunos(model: AclModel): string {
  const family = model.family === '4' ? 'inet' : 'inet6';
  // Each interface has a filter of its own: the commit replaces what has the name.
  const name = model.interface === null ? listName(model) : `${listName(model)}-${slug(model.interface)}`;
  const filter = `firewall family ${family} filter ${name}`;
  const prefixList = `policy-options prefix-list ${name}`;
  const terms = model.kind === 'policy' ? policyTerms(model) : offenderTerms(model, name);
  const [face, unit] = logicalInterface(model.interface);
  const bind = `set interfaces ${face} unit ${unit} family ${family} filter input ${name}`;
  const body = [
    `delete ${filter}`,
    ...(model.kind === 'offenders' ? offenderList(model, prefixList) : []),
    ...terms.map((term) => (term.startsWith('#') ? term : `set ${filter} ${term}`)),
    ...(model.interface === null
      ? comment('#', [
          'No interface is configured ("interface" of the ACL target), so bind the filter yourself:',
          bind,
        ])
      : [bind]),
  ];
  const revision = revisionOf(body.join('\n'));
  const guide = {
    place: INBOUND,
    apply: [
      'configure exclusive',
      'load set FILE                          ("statement not found" for the deletions is a mere warning the first time)',
      'show | compare',
      'commit confirmed 5',
      'commit                                 (after the check, within five minutes)',
    ],
    verify: [`show firewall filter ${name}`, `show interfaces filters ${face}.${unit}`],
    rollback: ['rollback 1', 'commit'],
    limits: [
      'An interface has one input filter per family: where yours is bound already, do not load the last line, but say',
      `"filter input-list [ ${name} YOURS ]" and take the term "rest" out of this one: its accept would end the list.`,
      ...(model.family === '6'
        ? [
            '"next-header tcp" does not see TCP behind extension headers; newer MX have "payload-protocol tcp" for that.',
          ]
        : []),
      'On SRX a filter is stateless and comes before the security policies.',
    ],
    unverified: 'no device has read it.',
  };
  return artefact('#', model, revision, guide, body);
}

const slug = (face: string) => face.replace(/[^A-Za-z0-9]/g, '_');

/** `ge-0/0/1.10` is unit 10 of ge-0/0/1. */
function logicalInterface(face: string | null): readonly [string, string] {
  if (face === null) return [INTERFACE_PLACEHOLDER, '0'];
  const dot = face.lastIndexOf('.');
  return /^\d+$/.test(face.slice(dot + 1)) && dot > 0
    ? [face.slice(0, dot), face.slice(dot + 1)]
    : [face, '0'];
}

const REST = 'term rest then accept';

function policyTerms(model: AclModel): readonly string[] {
  const lines: string[] = [];
  let remark = '';
  for (const [i, rule] of model.rules.entries()) {
    if (rule.remark !== '' && rule.remark !== remark) lines.push(`# ${rule.remark}`);
    remark = rule.remark;
    lines.push(...term(`t${i + 1}`, rule, model));
  }
  return [...lines, REST];
}

function term(name: string, { action, source, destination }: AclRule, model: AclModel): readonly string[] {
  return [
    ...(source === null ? [] : [`term ${name} from source-address ${cidr(source)}`]),
    ...(destination === null ? [] : [`term ${name} from destination-address ${cidr(destination)}`]),
    ...smtpOnly(name, model),
    ...(action === 'permit' ? [`term ${name} then accept`] : deny(name)),
  ];
}

function smtpOnly(name: string, { family }: AclModel): readonly string[] {
  return [
    `term ${name} from ${family === '4' ? 'protocol' : 'next-header'} tcp`,
    `term ${name} from destination-port ${BLOCKED_PORT}`,
  ];
}

const deny = (name: string) => [`term ${name} then count smtp-denied`, `term ${name} then discard`];

function offenderTerms(model: AclModel, list: string): readonly string[] {
  if (model.rules.length === 0) return [REST];
  return [`term off from source-prefix-list ${list}`, ...smtpOnly('off', model), ...deny('off'), REST];
}

function offenderList(model: AclModel, list: string): readonly string[] {
  return [
    `delete ${list}`,
    ...model.rules.flatMap(({ source, remark }) => [
      ...(remark === '' ? [] : [`# ${remark}`]),
      ...(source === null ? [] : [`set ${list} ${cidr(source)}`]),
    ]),
  ];
}
