/**
 * The firewall filter of Junos as data: what its two forms (junos.ts, junos-hierarchical.ts) both write.
 *
 * Terms are asked in order, and what none takes is DISCARDED, so the last one accepts. A `from` with an empty prefix list
 * matches differently from platform to platform (everything, on some), so with no offender there is no such term.
 */

import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { cidr, INTERFACE_PLACEHOLDER, interfaceSuffix, listName } from './artefact.ts';

/** A condition or an action: a word and its value, `['protocol', 'tcp']`, or a word alone. */
export type JunosStatement = readonly [word: string, value?: string];

export interface JunosTerm {
  readonly name: string;
  /** Sanitised; '' where the term before has the same. */
  readonly remark: string;
  readonly conditions: readonly JunosStatement[];
  readonly actions: readonly JunosStatement[];
}

export interface JunosFilter {
  /** Of the filter and of its prefix list. */
  readonly name: string;
  readonly family: 'inet' | 'inet6';
  readonly terms: readonly JunosTerm[];
  /** Members of the prefix list; null for a filter that needs none. */
  readonly members: readonly { readonly prefix: string; readonly remark: string }[] | null;
  /** A placeholder where no interface is configured. */
  readonly face: string;
  readonly unit: string;
  readonly isBound: boolean;
}

export function junosFilter(model: AclModel): JunosFilter {
  // Each interface has a filter of its own: the commit replaces what has the name.
  const name = `${listName(model)}${interfaceSuffix(model, '-')}`;
  const [face, unit] = logicalInterface(model.interface);
  return {
    name,
    family: model.family === '4' ? 'inet' : 'inet6',
    terms: [...(model.kind === 'policy' ? ruleTerms(model, model.rules) : offenderTerms(model, name)), REST],
    members: model.kind === 'policy' ? null : model.rules.flatMap(member),
    face,
    unit,
    isBound: model.interface !== null,
  };
}

const REST: JunosTerm = { name: 'rest', remark: '', conditions: [], actions: [['accept']] };

/** `ge-0/0/1.10` is unit 10 of ge-0/0/1. */
function logicalInterface(face: string | null): readonly [string, string] {
  if (face === null) return [INTERFACE_PLACEHOLDER, '0'];
  const dot = face.lastIndexOf('.');
  return /^\d+$/.test(face.slice(dot + 1)) && dot > 0
    ? [face.slice(0, dot), face.slice(dot + 1)]
    : [face, '0'];
}

function ruleTerms(model: AclModel, rules: readonly AclRule[]): readonly JunosTerm[] {
  return rules.map(({ action, source, destination, remark }, i) => ({
    name: `t${i + 1}`,
    remark: remark === rules[i - 1]?.remark ? '' : remark,
    conditions: [
      ...(source === null ? [] : [['source-address', cidr(source)] as const]),
      ...(destination === null ? [] : [['destination-address', cidr(destination)] as const]),
      ...smtpOnly(model),
    ],
    actions: action === 'permit' ? [['accept']] : DENY,
  }));
}

function offenderTerms(model: AclModel, list: string): readonly JunosTerm[] {
  if (model.rules.length === 0) return [];
  return [
    ...ruleTerms(
      model,
      model.rules.filter(({ action }) => action === 'permit'),
    ),
    {
      name: 'off',
      remark: '',
      conditions: [['source-prefix-list', list], ...smtpOnly(model)],
      actions: DENY,
    },
  ];
}

function smtpOnly({ family }: AclModel): readonly JunosStatement[] {
  return [
    [family === '4' ? 'protocol' : 'next-header', 'tcp'],
    ['destination-port', String(BLOCKED_PORT)],
  ];
}

const DENY: readonly JunosStatement[] = [['count', 'smtp-denied'], ['discard']];

function member({ action, source, remark }: AclRule) {
  return source === null || action === 'permit' ? [] : [{ prefix: cidr(source), remark }];
}
