/**
 * FortiOS 7: addresses, groups and deny policies, as a CLI script.
 *
 * On a FortiGate a policy that accepts also decides about NAT and inspection, so one for the mail server would change how
 * its mail leaves. Hence there are only policies that deny, and they say whom they do not mean. A policy changes in one
 * step, at its `next`; it decides in its place in the sequence, not by its number.
 */

import { RogueSmtpError } from '../../errors.ts';
import { formatAddress } from '../../flow/address.ts';
import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import { type Denial, offenderDenials, policyDenials } from '../groups.ts';
import { type AclModel, BLOCKED_PORT, prefixBits } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact } from './artefact.ts';
import { netmask } from './ios-family.ts';

/** Members of an address group; the limit depends on the model, and this is below all we know of. */
const GROUP_MEMBERS = 300;
/** Policies of one list; those it does not need are deleted, since an older list may have left them. */
const MAX_POLICIES = 16;
const FIRST_POLICY = {
  offenders4: 4_025_000,
  offenders6: 4_025_100,
  policy4: 4_025_200,
  policy6: 4_025_300,
} as const;
const SERVICE = 'smtp-tcp-25';
/** Stands where a list is empty: a policy that is deleted loses its place in the sequence. */
const NOBODY = 'smtp-nobody';

/** Throws RogueSmtpError `refused` for a policy that has no bounds, or too many sources with destinations of their own. */
export function renderFortios(model: AclModel): string {
  const denials = model.kind === 'policy' ? policyDenials(model) : offenderDenials(model);
  if (denials.length > MAX_POLICIES) {
    throw new RogueSmtpError(
      'refused',
      `the policy is refused: it would need ${denials.length} FortiOS policies, more than ${MAX_POLICIES}. ` +
        'Give fewer senders destinations of their own',
    );
  }
  const first = FIRST_POLICY[`${model.kind}${model.family}`];
  // The groups of offenders are replaced by `set member`. Those of a policy belong together, so they are new each time.
  const revision = revisionOf(scriptLines(model, denials, first, '').join('\n'));
  const body = scriptLines(model, denials, first, model.kind === 'policy' ? `-${revision}` : '');
  const last = first + Math.max(1, denials.length) - 1;
  const guide = {
    place: [
      'The policies deny what comes in by the interface of the hosts; a policy sees their addresses before NAT.',
      ...(model.interface === null
        ? [
            'No interface is configured ("interface" of the ACL target): it applies to what any interface takes in.',
          ]
        : []),
      'IT DOES NOTHING UNTIL IT IS MOVED: a new policy comes last in the sequence. Once, after the first time:',
      `  config firewall policy / move ${first} before <YOUR FIRST POLICY> / end, then apply the text again.`,
    ],
    apply: [
      'paste this text into the CLI, or upload it as a script. An error for "delete" of what is not there is none.',
    ],
    verify: [`show firewall policy ${first}     (to ${last})`],
    rollback: [`config firewall policy / edit ${first} / set status disable / end     (to ${last})`],
    limits: [
      'Not one transaction: each group and each policy is replaced at once, one after the other.',
      'Sessions that are open go on: diagnose sys session filter dport 25, then diagnose sys session clear',
      'Addresses and groups that are no longer used stay as objects. One list of each kind and IP version.',
      'Many offenders are better served by an external threat feed of the list over HTTP.',
    ],
    unverified: 'no FortiGate has read it. "srcaddr6-negate" is not in every version of FortiOS 7.',
  };
  return artefact('#', model, revision, guide, body);
}

function scriptLines(
  model: AclModel,
  denials: readonly Denial[],
  first: number,
  suffix: string,
): readonly string[] {
  const six = model.family === '6' ? '6' : '';
  const addresses = addressLines(model, denials);
  const groups: string[] = [];
  const group = (stem: string, prefixes: readonly Prefix[]): readonly string[] => {
    const names: string[] = [];
    for (let at = 0; at < prefixes.length; at += GROUP_MEMBERS) {
      const members = prefixes.slice(at, at + GROUP_MEMBERS).map((prefix) => `"${objectName(prefix)}"`);
      const name = `smtp-${stem}-${names.length + 1}${suffix}`;
      names.push(`"${name}"`);
      groups.push(`    edit "${name}"`, `        set member ${members.join(' ')}`, '    next');
    }
    return names;
  };
  const policies = denials.flatMap((denial, i) => {
    const from = group(`${first + i}-from`, denial.sources.prefixes);
    const to = group(`${first + i}-to`, denial.exceptTo);
    return policyLines(model, first + i, denial, from, to);
  });
  const ids = Array.from({ length: MAX_POLICIES }, (_, i) => first + i);
  const stale = ids.slice(denials.length);
  return [
    ...section(`firewall address${six}`, addresses),
    ...section(`firewall addrgrp${six}`, groups),
    ...section('firewall service custom', [
      `    edit "${SERVICE}"`,
      `        set tcp-portrange ${BLOCKED_PORT}`,
      '    next',
    ]),
    ...section('firewall policy', [
      // Before the others change: what they no longer except must not be denied by a policy of before.
      ...stale.map((id) => `    delete ${id}`),
      ...policies,
      ...ids.slice(1, denials.length).map((id) => `    move ${id} after ${id - 1}`),
    ]),
  ];
}

function section(name: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`config ${name}`, ...lines, 'end'];
}

function addressLines(model: AclModel, denials: readonly Denial[]): readonly string[] {
  const prefixes = new Map<string, Prefix>();
  for (const { sources, exceptTo } of denials) {
    for (const prefix of [...sources.prefixes, ...exceptTo]) prefixes.set(objectName(prefix), prefix);
  }
  const remarks = new Map<string, string>();
  if (model.kind === 'offenders') {
    for (const { action, source, remark } of model.rules)
      if (source !== null && action === 'deny') remarks.set(objectName(source), remark);
  }
  const nobody = model.family === '4' ? 'set subnet 0.0.0.0 255.255.255.255' : 'set ip6 ::/128';
  return [
    ...(model.kind === 'offenders' ? [`    edit "${NOBODY}"`, `        ${nobody}`, '    next'] : []),
    ...[...prefixes].flatMap(([name, prefix]) => {
      const remark = remarks.get(name) ?? '';
      const address = formatAddress(prefix.bytes);
      return [
        `    edit "${name}"`,
        model.family === '4'
          ? `        set subnet ${address} ${netmask(prefixBits(prefix))}`
          : `        set ip6 ${address}/${prefixBits(prefix)}`,
        ...(remark === '' ? [] : [`        set comment "${remark}"`]),
        '    next',
      ];
    }),
  ];
}

function policyLines(
  model: AclModel,
  id: number,
  { sources }: Denial,
  from: readonly string[],
  to: readonly string[],
): readonly string[] {
  const six = model.family === '6' ? '6' : '';
  const nobody = from.length === 0 && !sources.except;
  const source = nobody ? `"${NOBODY}"` : from.length === 0 ? '"all"' : from.join(' ');
  const word = (on: boolean) => (on ? 'enable' : 'disable');
  return [
    `    edit ${id}`,
    `        set name "smtp-${id}"`,
    `        set status ${word(!nobody)}`,
    `        set srcintf "${model.interface ?? 'any'}"`,
    '        set dstintf "any"',
    `        set srcaddr${six} ${source}`,
    `        set srcaddr${six}-negate ${word(sources.except && from.length > 0)}`,
    `        set dstaddr${six} ${to.length === 0 ? '"all"' : to.join(' ')}`,
    `        set dstaddr${six}-negate ${word(to.length > 0)}`,
    `        set service "${SERVICE}"`,
    '        set schedule "always"',
    '        set action deny',
    '    next',
  ];
}

/** Colons and slashes are not for names: `smtp-2001-db8-1--_64`. */
function objectName(prefix: Prefix): string {
  return `smtp-${formatPrefix(prefix).replace(/:/g, '-').replace('/', '_')}`;
}
