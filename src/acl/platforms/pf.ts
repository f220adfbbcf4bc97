/**
 * pf (OpenBSD, FreeBSD): the rules of one anchor, replaced as a whole by one `pfctl -f`.
 *
 * In pf the last rule that matches decides, unless one is `quick`. A quick `pass` would take the mail server's packets past
 * all rules of the operator, so there is none: the anchor only blocks, and its rules say whom they do not mean.
 */

import type { Prefix } from '../../flow/prefix.ts';
import { offenderDenials, policyDenials } from '../groups.ts';
import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, interfaceSuffix } from './artefact.ts';

/** Throws RogueSmtpError `refused` for a policy that has no bounds. */
export function renderPf(model: AclModel): string {
  const body = model.kind === 'policy' ? policyRules(model) : offenderRules(model);
  const revision = revisionOf(body.join('\n'));
  const anchor = `rogue-smtp/${model.kind}${model.family}${interfaceSuffix(model)}`;
  const guide = {
    place: [
      'For the firewall that forwards the traffic of the hosts; rules for incoming packets see their addresses before NAT.',
      ...(model.interface === null
        ? [
            'No interface is configured ("interface" of the ACL target): it applies to what any interface takes in.',
          ]
        : []),
    ],
    apply: [
      'once, in pf.conf, above your own filter rules: anchor "rogue-smtp/*"',
      `pfctl -a ${anchor} -n -f FILE && pfctl -a ${anchor} -f FILE`,
    ],
    verify: [`pfctl -a ${anchor} -sr -v`],
    rollback: [`pfctl -a ${anchor} -F all`],
    limits: [
      'Connections that are open go on: pfctl -k HOST ends them, on all ports. Loading pf.conf keeps the anchor, a reboot does',
      'not: load the file again then. A quick rule of yours above the anchor comes before it. "set limit table-entries"',
      'bounds the tables.',
    ],
    unverified: 'no pf has loaded it.',
  };
  return artefact('#', model, revision, guide, body);
}

/** `from` and `to` are a table, a negated table, or `any`. */
function block(model: AclModel, from: string, to: string): string {
  const on = model.interface === null ? '' : `on ${model.interface} `;
  const inet = model.family === '4' ? 'inet' : 'inet6';
  // A reset, so that the program sees a refusal at once instead of a timeout.
  return `block return in quick ${on}${inet} proto tcp from ${from} to ${to} port ${BLOCKED_PORT}`;
}

function offenderRules(model: AclModel): readonly string[] {
  const remarks = new Map(
    model.rules.flatMap(({ action, source, remark }) =>
      source === null || action === 'permit' ? [] : [[source, remark] as const],
    ),
  );
  const [free, ...bound] = offenderDenials(model);
  const members = (prefixes: readonly Prefix[]) =>
    prefixes.map((prefix) => ({ prefix, remark: remarks.get(prefix) ?? '' }));
  const plain = (prefixes: readonly Prefix[]) => prefixes.map((prefix) => ({ prefix, remark: '' }));
  return [
    ...table('smtp_offenders', members(free.sources.prefixes)),
    ...bound.flatMap(({ sources, exceptTo }, i) => [
      ...table(`smtp_from${i}`, members(sources.prefixes)),
      ...table(`smtp_to${i}`, plain(exceptTo)),
    ]),
    block(model, '<smtp_offenders>', 'any'),
    ...bound.map((_, i) => block(model, `<smtp_from${i}>`, `! <smtp_to${i}>`)),
  ];
}

function policyRules(model: AclModel): readonly string[] {
  const tables: string[] = [];
  /** The words for the prefixes: `any` for none, else a table of theirs. */
  const end = (name: string, prefixes: readonly Prefix[], except: boolean): string => {
    if (prefixes.length === 0) return 'any';
    tables.push(
      ...table(
        name,
        prefixes.map((prefix) => ({ prefix, remark: '' })),
      ),
    );
    return `${except ? '! ' : ''}<${name}>`;
  };
  const rules = policyDenials(model).map(({ sources, exceptTo }, i) =>
    block(model, end(`smtp_from${i}`, sources.prefixes, sources.except), end(`smtp_to${i}`, exceptTo, true)),
  );
  return [...tables, ...rules];
}

/** An empty table has no braces: it stands for nobody. */
function table(name: string, entries: readonly { readonly prefix: Prefix; readonly remark: string }[]) {
  if (entries.length === 0) return [`table <${name}> persist`];
  return [
    `table <${name}> persist {`,
    ...entries.flatMap(({ prefix, remark }) => [
      ...(remark === '' ? [] : [`\t# ${remark}`]),
      `\t${cidr(prefix)}`,
    ]),
    '}',
  ];
}
