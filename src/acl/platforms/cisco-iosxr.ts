/**
 * Cisco IOS-XR: named access lists, as text for its two-stage configuration.
 *
 * A commit is atomic. The list still has a new name for every content, so that a roll-back is one line and a bound list
 * is never edited. IPv4 networks have wildcard masks here, as in IOS.
 */

import type { AclModel } from '../model.ts';
import { INBOUND, listName } from './artefact.ts';
import { namedList, namedListText } from './ios-family.ts';

/** Pasteable text for configuration mode. Without an interface the list is created, but bound to nothing. */
export function renderCiscoIosXr(model: AclModel): string {
  const ip = model.family === '4' ? 'ipv4' : 'ipv6';
  const list = namedList(model, 'wildcard', ip);
  const { name, face } = list;
  const bind = `${ip} access-group ${name} ingress`;
  const guide = {
    place: INBOUND,
    apply: [
      'configure',
      '<paste this text>',
      'show commit changes diff',
      'commit confirmed 120',
      'commit                                 (after the check, within 120 seconds)',
    ],
    verify: [`show access-lists ${ip} ${name}`, `show running-config interface ${face}`],
    rollback: ['rollback configuration last 1', `or bind the list that was bound before; or "no ${bind}"`],
    limits: [
      'An interface has one ingress list per IP version. One of your own there would be replaced: put the lines for port',
      '25 at the top of it instead. A list that does not fit into the TCAM makes the commit fail, which changes nothing.',
      `A new revision has a new name. For a list that is bound nowhere: no ${ip} access-list ${listName(model)}-<old revision>`,
    ],
    unverified:
      'no device has read it. The entries come from the same code as those for IOS, which are tested with packets.',
  };
  return namedListText(model, list, { ip, bind, guide });
}
