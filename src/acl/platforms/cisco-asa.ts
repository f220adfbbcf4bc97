/**
 * Cisco ASA (9.0 and newer): an extended access list, as text for configuration mode.
 *
 * Since 9.0 an interface has ONE inbound list for both IP versions: binding a second takes the first away, and with it
 * every block of its family. So the list holds the rules of both, and asking for either family gives the same bytes. The
 * old list is never cleared: that takes its binding away too. Networks have NETMASKS here, never wildcard masks.
 */

import type { AclModel } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, comment, kindName } from './artefact.ts';
import { iosEntry } from './ios-family.ts';

/**
 * Pasteable text. `interface` is the `nameif`; without one the list is created, but bound to nothing. `twin` are the rules
 * of the other family; without them the list leaves that family alone.
 */
export function renderCiscoAsa(model: AclModel, { twin }: { readonly twin: AclModel | null }): string {
  const models = twin === null ? [model] : model.family === '4' ? [model, twin] : [twin, model];
  const families = models.map(({ family }) => `IPv${family}`).join(' and ');
  const entries = models.flatMap(entriesOf);
  entries.push('remark all other traffic, of both IP versions', 'extended permit ip any any');
  const revision = revisionOf([model.interface ?? '', ...entries].join('\n'));
  const name = `${kindName(model)}-${revision}`;
  const face = model.interface ?? '<NAME-OF-THE-LAN-INTERFACE>';
  const bind = `access-group ${name} in interface ${face}`;
  const guide = {
    families,
    place: [
      'Belongs INBOUND on the interface that faces the hosts; the ASA sees their addresses before NAT there.',
      'An ASA interface has ONE inbound list, for IPv4 and IPv6 together, and so has this text: it is the same for either',
      'family. Binding another list after it takes this one away.',
      ...(twin === null
        ? [
            `It denies nothing of IPv${model.family === '4' ? '6' : '4'}: for that version the list was refused.`,
          ]
        : []),
    ],
    apply: ['configure terminal', '<paste this text>', 'end'],
    verify: [`show access-list ${name}`, `show running-config access-group`],
    rollback: ['bind the list that was bound before in the same way', `or "no ${bind}"`],
    limits: [
      'A list of your own on the interface would be replaced: put the lines for port 25 at the top of yours instead.',
      'The last line permits everything: on an interface that is not the most trusted one it also opens what its security',
      'level closed. There never bind this list; put its lines for port 25 at the top of one of your own.',
      'Open connections of a denied host go on: clear conn address <HOST> port 25',
      'A new revision has a new name; remove the lines of an old one, when it is bound nowhere, with "clear configure',
      `access-list ${kindName(model)}-<old revision>".`,
    ],
    unverified: 'no device has read it; Firewall Builder reads the IPv4 lines in the tests.',
  };
  return artefact('!', model, revision, guide, [
    ...entries.map((entry) => `access-list ${name} ${entry}`),
    '!',
    ...(model.interface === null
      ? comment('!', [
          'No interface is configured ("interface" of the ACL target), so bind the list yourself:',
          bind,
        ])
      : [bind]),
    '!',
  ]);
}

function entriesOf(model: AclModel): string[] {
  const entries: string[] = [];
  let remark = '';
  for (const rule of model.rules) {
    if (rule.remark !== '' && rule.remark !== remark) entries.push(`remark ${rule.remark}`);
    remark = rule.remark;
    // `any` would be the addresses of both families.
    entries.push(`extended ${iosEntry(rule, { networks: 'netmask', any: `any${model.family}` })}`);
  }
  return entries;
}
