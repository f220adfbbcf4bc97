/**
 * iptables and ipset: a shell script that replaces a chain, and a set, of our own.
 *
 * The set is filled beside the one in force and swapped with it, the chain is replaced by one `iptables-restore`, so that
 * there is never a moment without either. The jump is at the top of FORWARD, before any "established accept", so that open
 * sessions are cut too. The chain only refuses: what it lets through RETURNs to the operator's own rules.
 */

import { formatAddress } from '../../flow/address.ts';
import { judgedSources } from '../groups.ts';
import { type AclModel, type AclRule, BLOCKED_PORT, MAX_OFFENDERS } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, assertLinuxInterface, cidr, forwarding, interfaceSuffix } from './artefact.ts';

/** Throws RogueSmtpError `refused` for an interface that Linux cannot have, and for a policy that has no bounds. */
export function renderIptables(model: AclModel): string {
  assertLinuxInterface(model);
  const v4 = model.family === '4';
  const iptables = v4 ? 'iptables' : 'ip6tables';
  // A chain has a name of at most 28 characters, a set one of 31; an interface takes 15 of them.
  const short = `${model.kind === 'policy' ? 'POL' : 'OFF'}${model.family}`;
  const own = model.own === true;
  const chain = `SMTP-${short}${own ? '-OWN' : interfaceSuffix(model, '-')}`;
  const set = `smtp_${short.toLowerCase()}${interfaceSuffix(model)}`;
  const hook = own ? 'OUTPUT' : 'FORWARD';
  // A program that hands mail to this machine's own mail server does so over loopback.
  const bounds = own ? '! -o lo ' : '';
  const jump = `${hook} ${model.interface === null ? bounds : `-i ${model.interface} `}-p tcp -m tcp --dport ${BLOCKED_PORT} -j ${chain}`;
  const body = [
    'set -eu',
    ...(model.kind === 'offenders' ? setLines(model, set) : []),
    `${iptables}-restore -w --noflush <<'RULES'`,
    '*filter',
    `:${chain} - [0:0]`,
    ...(model.kind === 'policy'
      ? policyRules(model, chain)
      : [
          ...policyRules({ ...model, rules: model.rules.filter(({ action }) => action === 'permit') }, chain),
          `-A ${chain} -p tcp -m tcp --dport ${BLOCKED_PORT} -m set --match-set ${set} src ${REFUSE}`,
        ]),
    'COMMIT',
    'RULES',
    `${iptables} -w -C ${jump} 2>/dev/null || ${iptables} -w -I ${jump.replace(hook, `${hook} 1`)}`,
  ];
  const revision = revisionOf(body.join('\n'));
  const guide = {
    place: forwarding(model),
    apply: [
      'sh FILE                                (replaces chain and set in one step each; again is harmless)',
    ],
    verify: [`${iptables} -nvL ${chain}`, ...(model.kind === 'offenders' ? [`ipset list ${set}`] : [])],
    rollback: [
      `${iptables} -w -D ${jump}`,
      `${iptables} -w -F ${chain} && ${iptables} -w -X ${chain}`,
      ...(model.kind === 'offenders' ? [`ipset destroy ${set}`] : []),
    ],
    limits: [
      'Whatever reloads your own rules takes the jump off: apply it again afterwards. A rule that you insert above the jump',
      'comes before it. Not kept over a reboot.',
    ],
    unverified:
      'iptables 1.8.9 (nf_tables) and ipset 7.17 load it in the tests, with packets; other versions have not.',
  };
  return artefact('#', model, revision, guide, body, ['#!/bin/sh']);
}

const REFUSE = '-j REJECT --reject-with tcp-reset';
const remarkOf = ({ remark }: AclRule) => (remark === '' ? '' : `-m comment --comment "${remark}" `);

function policyRules(model: AclModel, chain: string): readonly string[] {
  const judged = model.kind === 'policy' ? judgedSources(model) : null;
  return model.rules.flatMap((rule) => {
    const ends = [
      ...(rule.source === null ? [] : [`-s ${cidr(rule.source)}`]),
      ...(rule.destination === null ? [] : [`-d ${cidr(rule.destination)}`]),
    ].map((end) => `${end} `);
    const start = `-A ${chain} ${ends.join('')}`;
    if (rule.action === 'permit') return [`${start}${remarkOf(rule)}-j RETURN`];
    const refuse = `-p tcp -m tcp --dport ${BLOCKED_PORT} ${remarkOf(rule)}${REFUSE}`;
    return judged === null
      ? [`${start}${refuse}`]
      : judged.map((prefix) => `${start}-s ${cidr(prefix)} ${refuse}`);
  });
}

function setLines(model: AclModel, set: string): readonly string[] {
  const type = `hash:ip family ${model.family === '4' ? 'inet' : 'inet6'} hashsize 1024 maxelem ${MAX_OFFENDERS} comment`;
  return [
    "ipset restore <<'SET'",
    `create -exist ${set} ${type}`,
    `create -exist ${set}_new ${type}`,
    `flush ${set}_new`,
    ...model.rules.flatMap(({ action, source, remark }) =>
      source === null || action === 'permit'
        ? []
        : [`add ${set}_new ${formatAddress(source.bytes)}${remark === '' ? '' : ` comment "${remark}"`}`],
    ),
    `swap ${set}_new ${set}`,
    `destroy ${set}_new`,
    'SET',
  ];
}
