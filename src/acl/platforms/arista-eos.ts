/**
 * Arista EOS: named access lists, as text for a configuration session.
 *
 * A session is compared, committed as a whole and undone by a timer unless it is confirmed. The list has a new name for
 * every content, so that the list before is still there to go back to. Networks have a prefix length.
 */

import type { AclModel } from '../model.ts';
import { INBOUND, listName } from './artefact.ts';
import { namedList, namedListText } from './ios-family.ts';

/** Pasteable text for a session. Without an interface the list is created, but bound to nothing. */
export function renderAristaEos(model: AclModel): string {
  const ip = model.family === '4' ? 'ip' : 'ipv6';
  const list = namedList(model, 'length', ip);
  const { revision, name, face } = list;
  const bind = `${ip} access-group ${name} in`;
  const guide = {
    place: INBOUND,
    apply: [
      `configure session smtp-${revision}`,
      '<paste this text>',
      'show session-config diffs',
      'commit timer 00:05:00',
      `configure session smtp-${revision} commit     (after the check, within five minutes)`,
    ],
    verify: [`show ${ip} access-lists ${name}`, `show running-config interfaces ${face}`],
    rollback: [
      `configure session smtp-${revision} abort      (before the five minutes are over)`,
      `or bind the list that was bound before; or "no ${bind}"`,
    ],
    limits: [
      'An interface has one inbound list per IP version. One of your own there would be replaced: put the lines for port',
      '25 at the top of it instead. A commit overwrites what others changed since the session began: keep it short.',
      `A new revision has a new name. For a list that is bound nowhere: no ${ip} access-list ${listName(model)}-<old revision>`,
    ],
    unverified:
      'no device has read it. The entries come from the same code as those for IOS, which are tested with packets.',
  };
  return namedListText(model, list, { ip, bind, guide });
}
