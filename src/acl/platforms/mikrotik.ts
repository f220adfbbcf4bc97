/**
 * MikroTik RouterOS 7: a script for `/import`.
 *
 * RouterOS has no transactions: a script that ends half-way has done its half. So the new list or chain is built beside the
 * one in force, under a name that carries a hash of its content, counted, and only then does one `set` turn our one rule in
 * `forward` to it. The rule only refuses; what it lets through is still for the operator's own rules to judge.
 */

import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import { judgedSources } from '../groups.ts';
import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, interfaceSuffix } from './artefact.ts';

/** Throws RogueSmtpError `refused` for a policy that has no bounds. */
export function renderMikrotik(model: AclModel): string {
  const ip = model.family === '4' ? '/ip' : '/ipv6';
  const stem = `smtp-${model.kind}${interfaceSuffix(model)}`;
  const content = model.kind === 'policy' ? policyRules(model) : offenderEntries(model);
  const revision = revisionOf(
    [model.interface ?? '', ...content, ...(model.kind === 'policy' ? [] : boundRules(model))].join('\n'),
  );
  const name = `${stem}-${revision}`;
  const tag = `rogue-smtp ${model.kind}${model.interface === null ? '' : ` ${model.interface}`}`;
  const body = (model.kind === 'policy' ? chainBody : offenderBody)({ model, ip, stem, name, tag, content });
  const guide = {
    place: [
      'For the router that forwards the traffic of the hosts; the forward chain sees their addresses before source NAT.',
      ...(model.interface === null
        ? [
            'No interface is configured ("interface" of the ACL target): it applies to what any interface takes in.',
          ]
        : []),
    ],
    apply: ['/import file-name=FILE.rsc verbose=yes dry-run', '/import file-name=FILE.rsc'],
    verify: [`${ip} firewall filter print stats where comment="${tag}"`],
    rollback: [`${ip} firewall filter disable [find comment="${tag}"]`],
    limits: [
      'The rule is put first in forward. It must stay before a rule that accepts established connections, and before',
      'FastTrack: what is fast-tracked passes by the filter. Bridged traffic does not pass it.',
      'An error stops the import; the list in force stays in force then.',
    ],
    unverified: 'no RouterOS has read it.',
  };
  return artefact('#', model, revision, guide, body);
}

interface Parts {
  readonly model: AclModel;
  /** `/ip` or `/ipv6`. */
  readonly ip: string;
  readonly stem: string;
  readonly name: string;
  /** Comment by which the rule in forward is found again. */
  readonly tag: string;
  readonly content: readonly string[];
}

const REFUSE = 'action=reject reject-with=tcp-reset';

function offenderEntries(model: AclModel): readonly string[] {
  const { free } = split(model);
  return free.flatMap(({ source, remark }) =>
    source === null ? [] : [`address=${cidr(source)}${remark === '' ? '' : ` comment="${remark}"`}`],
  );
}

/** Hosts that may send somewhere are judged in a chain of their own, with a permit for each destination. */
function split({ rules }: AclModel): {
  readonly free: readonly AclRule[];
  readonly bound: readonly AclRule[];
} {
  const permitted = new Set(
    rules.flatMap(({ action, source }) =>
      action === 'permit' && source !== null ? [formatPrefix(source)] : [],
    ),
  );
  const isBound = ({ source }: AclRule) => source !== null && permitted.has(formatPrefix(source));
  return { free: rules.filter((rule) => !isBound(rule)), bound: rules.filter(isBound) };
}

function boundRules(model: AclModel): readonly string[] {
  return split(model).bound.map(({ action, source, destination, remark }) =>
    [
      ...(source === null ? [] : [`src-address=${cidr(source)}`]),
      ...(destination === null ? [] : [`dst-address=${cidr(destination)}`]),
      ...(action === 'permit' ? ['action=return'] : [`protocol=tcp dst-port=${BLOCKED_PORT}`, REFUSE]),
      ...(remark === '' ? [] : [`comment="${remark}"`]),
    ].join(' '),
  );
}

function boundBody({ model, ip, stem, name, tag }: Parts): readonly string[] {
  const filter = `${ip} firewall filter`;
  const rules = boundRules(model);
  const chain = `${stem}-to-${name.slice(stem.length + 1)}`;
  if (rules.length === 0)
    return [`${filter} remove [find comment="${tag} to"]`, `${filter} remove [find chain~"^${stem}-to-"]`];
  return chainBody({ model, ip, stem: `${stem}-to`, name: chain, tag: `${tag} to`, content: rules });
}

function offenderBody({ model, ip, stem, name, tag, content }: Parts): readonly string[] {
  const lists = `${ip} firewall address-list`;
  return [
    lists,
    // An entry that is there already is an error; the count below notices whatever else goes wrong.
    ...content.map((entry) => `:do { add list="${name}" ${entry} } on-error={}`),
    ...incomplete(`[${lists} find list="${name}"]`, content.length),
    // A list without entries does not exist, so the rule is switched off instead of naming it.
    ...turn(
      model,
      ip,
      tag,
      `src-address-list="${name}" disabled=${content.length === 0 ? 'yes' : 'no'}`,
      `${REFUSE} protocol=tcp dst-port=${BLOCKED_PORT}`,
    ),
    `${lists} remove [find list~"^${stem}-" list!="${name}"]`,
    ...boundBody({ model, ip, stem, name, tag, content }),
  ];
}

function policyRules(model: AclModel): readonly string[] {
  const judged = judgedSources(model);
  return model.rules.flatMap(({ action, source, destination, remark }) => {
    const rule = (from: Prefix | null, ...does: readonly string[]) =>
      [
        ...(from === null ? [] : [`src-address=${cidr(from)}`]),
        ...(destination === null ? [] : [`dst-address=${cidr(destination)}`]),
        ...does,
        ...(remark === '' ? [] : [`comment="${remark}"`]),
      ].join(' ');
    if (action === 'permit') return [rule(source, 'action=return')];
    return (judged ?? [null]).map((from) => rule(from, `protocol=tcp dst-port=${BLOCKED_PORT}`, REFUSE));
  });
}

function chainBody({ model, ip, stem, name, tag, content }: Parts): readonly string[] {
  const filter = `${ip} firewall filter`;
  return [
    filter,
    `:if ([:len [find chain="${name}"]] != ${content.length}) do={`,
    `  remove [find chain="${name}"]`,
    ...content.map((rule) => `  add chain="${name}" ${rule}`),
    '}',
    ...incomplete(`[${filter} find chain="${name}"]`, content.length),
    ...turn(
      model,
      ip,
      tag,
      `jump-target="${name}" disabled=no`,
      `action=jump protocol=tcp dst-port=${BLOCKED_PORT}`,
    ),
    `${filter} remove [find chain~"^${stem}-" chain!="${name}"]`,
  ];
}

function incomplete(found: string, expected: number): readonly string[] {
  return [`:if ([:len ${found}] != ${expected}) do={ :error "incomplete: nothing was changed" }`];
}

/** One command turns the rule, or makes it: before all that are not RouterOS's own, or alone. */
function turn(model: AclModel, ip: string, tag: string, changing: string, fixed: string): readonly string[] {
  const face = model.interface === null ? '' : ` in-interface="${model.interface}"`;
  const add = `add chain=forward ${fixed}${face} ${changing} comment="${tag}"`;
  return [
    `${ip} firewall filter`,
    `:if ([:len [find comment="${tag}"]] = 0) do={`,
    `  :do { ${add} place-before=[:pick [find dynamic=no] 0] } on-error={ ${add} }`,
    '} else={',
    `  set [find comment="${tag}"] ${changing}`,
    '}',
  ];
}
