/**
 * Cisco IOS and IOS-XE: named extended access lists, as text for configuration mode.
 *
 * IOS applies edits of a bound list line by line, and an emptied list filters nothing (or, with one line in it,
 * everything else). So a list is never edited: its name carries a hash of its content, it is written under the new name,
 * and one command then binds it in place of the old one. Networks have WILDCARD masks here; a netmask in their place
 * is accepted in silence and matches nearly everything.
 */

import type { AclFamily, AclModel } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { comment, INTERFACE_PLACEHOLDER, isForNobody, neverDenied, purpose } from './artefact.ts';
import { iosEntry } from './ios-family.ts';

const SEQUENCE_STEP = 10;

/** Pasteable text: comments begin with `!`. Without an interface the list is created, but bound to nothing. */
export function renderCiscoIos(model: AclModel): string {
  const lines = listLines(model);
  const revision = revisionOf([model.interface ?? '', ...lines].join('\n'));
  // IOS keeps IPv4 and IPv6 lists in one namespace of names.
  const base = `SMTP-${model.kind.toUpperCase()}${model.family === '6' ? '6' : ''}`;
  const name = `${base}-${revision}`;
  const list = model.family === '4' ? `ip access-list extended ${name}` : `ipv6 access-list ${name}`;
  const bind = model.family === '4' ? `ip access-group ${name} in` : `ipv6 traffic-filter ${name} in`;
  const show = model.family === '4' ? 'ip access-lists' : 'ipv6 access-list';
  const ip = model.family === '4' ? 'ip' : 'ipv6';
  const face = model.interface ?? INTERFACE_PLACEHOLDER;
  return `${[
    `! rogue-smtp ${model.kind}, IPv${model.family}, revision ${revision}`,
    '!',
    ...(isForNobody(model) ? comment('!', purpose(model)) : PURPOSE[model.kind]),
    ...comment('!', neverDenied(model)),
    '! Belongs INBOUND on the interface that faces the hosts, before NAT: elsewhere the source is not the host. Mail from',
    '! the world to your mail server does not come in there, and its replies go to other ports.',
    `! An interface has one inbound list per IP version. If "show ${ip} interface ${face}" names one that is not`,
    '! of rogue-smtp, do not bind this one in its place: put its lines for port 25 at the top of yours.',
    '!',
    '! apply:    configure terminal revert timer 5      (undoes all after 5 minutes; needs "archive" to be set up)',
    '!           <paste this text>',
    '!           end',
    '!           configure confirm                      (after the check)',
    `! verify:   show ${ip} interface ${face} | include access list`,
    `!           show ${show} ${name}`,
    `! rollback: interface ${face}`,
    `!            ${bind.replace(name, '<the list that was bound before>')}`,
    `!           or "no ${bind}"`,
    '! A list never changes under its name: a new revision has a new name, and the binding at the end replaces the old list',
    `! in one step. Afterwards, for a list that is bound nowhere: no ${list.replace(name, `${base}-<old revision>`)}`,
    '!',
    list,
    ...lines,
    '!',
    ...(model.interface === null
      ? [`! No interface is configured ("interface" of the ACL target), so bind the list yourself:`]
      : []),
    ...[`interface ${face}`, ` ${bind}`].map((line) => (model.interface === null ? `! ${line}` : line)),
    '!',
  ].join('\n')}\n`;
}

const PURPOSE = {
  policy: [
    '! Lets the authorised senders (and mail to them) through to TCP port 25 and denies it to everyone else.',
    '! All other traffic is permitted. It covers every offender: bind no offenders list beside it.',
  ],
  offenders: [
    '! Denies TCP port 25 to the hosts that were seen sending mail without being allowed to.',
    '! All other traffic is permitted, all other ports of these hosts too.',
  ],
} as const;

function listLines(model: AclModel): string[] {
  const lines: string[] = [];
  let sequence = 0;
  let remark = '';
  const add = (text: string) => {
    sequence += SEQUENCE_STEP;
    lines.push(model.family === '4' ? ` ${sequence} ${text}` : ` sequence ${sequence} ${text}`);
  };
  for (const rule of model.rules) {
    if (rule.remark !== '' && rule.remark !== remark) lines.push(remarkLine(rule.remark, model.family));
    remark = rule.remark;
    add(iosEntry(rule, { networks: 'wildcard', any: 'any' }));
  }
  lines.push(remarkLine('all other traffic', model.family));
  // Without it the implicit deny at the end would cut the whole network off.
  add(model.family === '4' ? 'permit ip any any' : 'permit ipv6 any any');
  return lines;
}

/** In an IPv6 list a remark takes a sequence number itself, that of the entry behind it: there it is a mere comment. */
function remarkLine(remark: string, family: AclFamily): string {
  return family === '4' ? ` remark ${remark}` : `! ${remark}`;
}
