/**
 * Cisco NX-OS: named access lists, as text for a configuration session.
 *
 * A session is verified against the hardware and committed as a whole. The list has a new name for every content all the
 * same: an edit of a bound list needs room in the TCAM for the old and the new entries together. Networks have a prefix
 * length, never a mask.
 */

import type { AclModel } from '../model.ts';
import { INBOUND, listName } from './artefact.ts';
import { namedList, namedListText } from './ios-family.ts';

/** Pasteable text for configuration mode. Without an interface the list is created, but bound to nothing. */
export function renderCiscoNxos(model: AclModel): string {
  const ip = model.family === '4' ? 'ip' : 'ipv6';
  const list = namedList(model, 'length', ip);
  const { revision, name, face } = list;
  const bind = model.family === '4' ? `ip access-group ${name} in` : `ipv6 traffic-filter ${name} in`;
  const guide = {
    place: INBOUND,
    apply: [
      'checkpoint before-smtp',
      `configure session smtp-${revision}`,
      '<paste this text>',
      'verify',
      'commit',
    ],
    verify: [`show ${ip} access-lists ${name}`, `show running-config interface ${face}`],
    rollback: ['rollback running-config checkpoint before-smtp', `or bind the list before; or "no ${bind}"`],
    limits: [
      'An interface has one inbound list per IP version. One of your own there would be replaced: put the lines for port',
      '25 at the top of it instead. For a routed interface or an SVI; a layer-2 port takes "ip port access-group".',
      '"verify" fails when the TCAM has no room; nothing is changed then. Count entries with "statistics per-entry" only if',
      'there is room for that too.',
      `A new revision has a new name. For a list that is bound nowhere: no ${ip} access-list ${listName(model)}-<old revision>`,
    ],
    unverified:
      'no device has read it. The entries come from the same code as those for IOS, which are tested with packets.',
  };
  return namedListText(model, list, { ip, bind, guide });
}
