/**
 * nftables: a table of our own, replaced as a whole by one `nft -f`.
 *
 * The file adds, deletes and defines the table in one transaction, so that there is never a moment without it and a bad
 * line changes nothing. Our hook comes before the usual filter chains and knows no "established accept", so that a
 * session that is already open is cut too. It only ever refuses: what it lets through is still for the operator's own
 * rules to judge, hence `return`, and a table that touches no other.
 */

import { formatAddress } from '../../flow/address.ts';
import { formatPrefix } from '../../flow/prefix.ts';
import { judgedSources } from '../groups.ts';
import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import {
  assertLinuxInterface,
  comment,
  forwarding,
  interfaceSuffix,
  isForNobody,
  neverDenied,
  purpose,
} from './artefact.ts';

/** Throws RogueSmtpError `refused` for an interface name that Linux cannot have, and for a policy that has no bounds. */
export function renderNftables(model: AclModel): string {
  assertLinuxInterface(model);
  const family = model.family === '4' ? 'ip' : 'ip6';
  // Each target has a table of its own, lest the list of one interface replace that of another.
  const table = `table ${family} rogue_smtp_${model.kind}${suffix(model)}`;
  const body = model.kind === 'policy' ? policyLines(model, family) : offenderLines(model, family);
  const revision = revisionOf(body.join('\n'));
  return `${[
    '#!/usr/sbin/nft -f',
    `# rogue-smtp ${model.kind}, IPv${model.family}, revision ${revision}`,
    '#',
    ...(isForNobody(model) || model.own === true ? comment('#', purpose(model)) : PURPOSE[model.kind]),
    ...comment('#', neverDenied(model)),
    ...(model.own === true ? comment('#', forwarding(model)) : place(model)),
    '#',
    '# apply:    nft -c -f FILE && nft -f FILE    (replaces the table in one step; a file with an error changes nothing)',
    `# verify:   nft list ${table}`,
    `# rollback: nft delete ${table}`,
    '# After a rule set of yours that begins with "flush ruleset" it has to be applied again.',
    '',
    table,
    `delete ${table}`,
    `${table} {`,
    ...body.map((line) => (line === '' ? '' : `\t${line}`)),
    '}',
  ].join('\n')}\n`;
}

const place = (model: AclModel): readonly string[] => [
  '# For the router that forwards the traffic of the hosts; it sees their addresses before source NAT. Flows that are',
  '# offloaded (flowtable) pass by the forward hook and by this.',
  ...(model.interface === null
    ? [
        '# No interface is configured ("interface" of the ACL target): it applies to what any interface takes in.',
      ]
    : []),
];

const PURPOSE = {
  policy: [
    '# Lets the authorised senders (and mail to them) through to TCP port 25 and refuses it to all other internal hosts.',
    '# All other traffic is left to your own rules.',
  ],
  offenders: [
    '# Refuses TCP port 25 to the hosts that were seen sending mail without being allowed to.',
    '# All other traffic is left to your own rules, all other ports of these hosts too.',
  ],
} as const;

/** A reset, so that the program sees a refusal at once instead of a timeout, and open sessions end. */
const REFUSE = 'counter reject with tcp reset';
const hook = (name: 'forward' | 'output') => `type filter hook ${name} priority filter - 5; policy accept;`;
const suffix = (model: AclModel) => (model.own === true ? '_own' : interfaceSuffix(model));

function policyLines(model: AclModel, family: string): string[] {
  const judged = judgedSources(model);
  const way = model.own === true ? 'output' : 'forward';
  // A program that hands mail to this machine's own mail server does so over loopback.
  const bounds = model.own === true ? 'oifname != "lo"' : null;
  const direction = model.interface === null ? bounds : `iifname "${model.interface}"`;
  return [
    ...(judged !== null
      ? [
          '# Mail from the world to our mail servers is forwarded by the same hook: only internal sources are judged.',
          'set smtp_internal {',
          `\ttype ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}`,
          '\tflags interval',
          ...elements(judged.map(formatPrefix)),
          '}',
          '',
        ]
      : []),
    'chain smtp_policy {',
    ...model.rules.map((rule) => `\t${policyRule(rule, family)}`),
    '}',
    '',
    `chain smtp_${way} {`,
    `\t${hook(way)}`,
    `\t${direction ?? `${family} saddr @smtp_internal`} tcp dport ${BLOCKED_PORT} jump smtp_policy`,
    '}',
  ];
}

function policyRule(rule: AclRule, family: string): string {
  const words: string[] = [];
  if (rule.source !== null) words.push(`${family} saddr ${formatPrefix(rule.source)}`);
  if (rule.destination !== null) words.push(`${family} daddr ${formatPrefix(rule.destination)}`);
  words.push(rule.action === 'permit' ? 'return' : REFUSE);
  if (rule.remark !== '') words.push(`comment "${rule.remark}"`);
  return words.join(' ');
}

/** A set of single hosts, without the interval flag: a look-up is one hash, and no element can be a prefix. */
function offenderLines(model: AclModel, family: string): string[] {
  return [
    'set smtp_offenders {',
    `\ttype ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}`,
    ...elements(
      model.rules.flatMap(({ action, source, remark }) =>
        source === null || action === 'permit'
          ? []
          : [`${formatAddress(source.bytes)}${remark === '' ? '' : ` comment "${remark}"`}`],
      ),
    ),
    '}',
    '',
    'chain smtp_forward {',
    `\t${hook('forward')}`,
    ...model.rules.filter(({ action }) => action === 'permit').map((rule) => `\t${policyRule(rule, family)}`),
    `\t${model.interface === null ? '' : `iifname "${model.interface}" `}${family} saddr @smtp_offenders ` +
      `tcp dport ${BLOCKED_PORT} ${REFUSE}`,
    '}',
  ];
}

/** nft has no empty list of elements: the statement is left out then. */
function elements(texts: readonly string[]): string[] {
  return texts.length === 0 ? [] : ['\telements = {', ...texts.map((text) => `\t\t${text},`), '\t}'];
}
