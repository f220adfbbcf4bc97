/**
 * The hierarchical form of a Junos filter, as `show configuration` prints it, for `load replace`.
 *
 * What must not keep anything of before carries a `replace:` tag: the filter and its prefix list. The way down to them and
 * the binding carry none, since such a tag there would take the operator's other filters and interfaces away.
 */

import type { JunosFilter, JunosStatement, JunosTerm } from './junos-filter.ts';

/** Lists of names, which the hierarchical form writes in braces of their own. */
const LISTS: ReadonlySet<string> = new Set(['source-address', 'destination-address', 'source-prefix-list']);

/** A filter that is bound to nothing has no `interfaces`; see `bindingLines`. */
export function hierarchicalLines(filter: JunosFilter): readonly string[] {
  const { name, family, terms, members, isBound } = filter;
  return [
    ...(members === null ? [] : block('policy-options', ['replace:', ...prefixList(name, members)])),
    ...block(
      'firewall',
      block(`family ${family}`, ['replace:', ...block(`filter ${name}`, terms.flatMap(term))]),
    ),
    ...(isBound ? bindingLines(filter) : []),
  ];
}

/** The input filter of the interface: one value, which a merge replaces. */
export function bindingLines({ name, family, face, unit }: JunosFilter): readonly string[] {
  const filter = block(`family ${family}`, block('filter', [`input ${name};`]));
  return block('interfaces', block(face, block(`unit ${unit}`, filter)));
}

/** With no member `prefix-list NAME;`: the members of before go, and no term asks for it. */
function prefixList(name: string, members: NonNullable<JunosFilter['members']>): readonly string[] {
  if (members.length === 0) return [`prefix-list ${name};`];
  return block(
    `prefix-list ${name}`,
    members.flatMap(({ prefix, remark }) => [...annotation(remark), `${prefix};`]),
  );
}

function term({ name, remark, conditions, actions }: JunosTerm): readonly string[] {
  return [
    ...annotation(remark),
    ...block(`term ${name}`, [
      ...(conditions.length === 0 ? [] : block('from', conditions.flatMap(condition))),
      ...(actions.length === 1 ? [`then ${statement(actions[0])}`] : block('then', actions.map(statement))),
    ]),
  ];
}

function condition(one: JunosStatement): readonly string[] {
  const [word, value] = one;
  return LISTS.has(word) && value !== undefined ? block(word, [`${value};`]) : [statement(one)];
}

const statement = (words: JunosStatement) => `${words.join(' ')};`;

/** Junos keeps it beside the statement. A sanitised remark has no asterisk that could end it early. */
const annotation = (remark: string) => (remark === '' ? [] : [`/* ${remark} */`]);

function block(head: string, lines: readonly string[]): readonly string[] {
  return [`${head} {`, ...lines.map((line) => `    ${line}`), '}'];
}
