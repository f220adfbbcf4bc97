/**
 * Nokia SR OS, MD-CLI: an IP filter with its prefix lists, in flat form.
 *
 * Entries are asked by number, and the default action is DROP unless it is set: it is set to accept. Filter and lists have
 * a new name for every content, so that nothing that is bound is ever edited or deleted.
 */

import type { Prefix } from '../../flow/prefix.ts';
import { groupPermits } from '../groups.ts';
import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, cidr, comment, INBOUND, INTERFACE_PLACEHOLDER, listName } from './artefact.ts';

const STEP = 10;

/** Lines for a candidate configuration. Without an interface the filter is created, but bound to nothing. */
export function renderNokiaSros(model: AclModel): string {
  const family = model.family === '4' ? 'ip' : 'ipv6';
  const draft = filterLines(model, 'NAME');
  const revision = revisionOf([model.interface ?? '', ...draft].join('\n'));
  // A prefix list has a name of 32 characters at most.
  const name = `${listName(model).toLowerCase()}-${revision}`;
  const face = model.interface ?? INTERFACE_PLACEHOLDER;
  const bind = `/configure router "Base" interface "${face}" ingress filter ${family} "${name}"`;
  const guide = {
    place: INBOUND,
    apply: [
      'edit-config exclusive',
      '<paste this text>',
      'compare',
      'commit confirmed 5',
      'commit confirmed accept                (after the check, within five minutes)',
    ],
    verify: [`show filter ${family} "${name}"`],
    rollback: ['rollback 1, or bind the filter that was bound before'],
    limits: [
      'An interface or SAP has one ingress filter per IP version: one of your own there would be replaced. Put the entries',
      'at the top of yours instead. In a service the last line is',
      `/configure service ies "..." interface "..." sap ... ingress filter ${family} "${name}"`,
      'A new revision has a new name; delete the filter and the prefix lists of an old one when they are bound nowhere.',
    ],
    unverified: 'no device has read it.',
  };
  return artefact('#', model, revision, guide, [
    ...filterLines(model, name),
    ...(model.interface === null
      ? comment('#', [
          'No interface is configured ("interface" of the ACL target), so bind the filter yourself:',
          bind,
        ])
      : [bind]),
  ]);
}

function filterLines(model: AclModel, name: string): readonly string[] {
  const family = model.family === '4' ? 'ip' : 'ipv6';
  const filter = `/configure filter ${family}-filter "${name}"`;
  const lists: string[] = [];
  const entries: string[] = [`${filter} default-action accept`];
  let number = 0;
  let count = 0;
  const list = (prefixes: readonly Prefix[]) => {
    const called = `${name}-${++count}`;
    for (const prefix of prefixes) {
      lists.push(`/configure filter match-list ${family}-prefix-list "${called}" prefix ${cidr(prefix)}`);
    }
    return `${family}-prefix-list "${called}"`;
  };
  /** An empty list of prefixes is any. */
  const entry = (action: 'accept' | 'drop', sources: readonly Prefix[], destinations: readonly Prefix[]) => {
    number += STEP;
    const at = `${filter} entry ${number}`;
    entries.push(`${at} match ${family === 'ip' ? 'protocol' : 'next-header'} tcp`);
    if (sources.length > 0) entries.push(`${at} match src-ip ${list(sources)}`);
    if (destinations.length > 0) entries.push(`${at} match dst-ip ${list(destinations)}`);
    entries.push(`${at} match dst-port eq ${BLOCKED_PORT}`, `${at} action ${action}`);
  };
  if (model.kind === 'offenders') {
    for (const { source, destinations } of groupPermits(model).pairs) entry('accept', [source], destinations);
    const hosts = model.rules.flatMap(({ action, source }) =>
      source === null || action === 'permit' ? [] : [source],
    );
    // An entry without a list would drop everyone's mail.
    if (hosts.length > 0) entry('drop', hosts, []);
  } else {
    const { senders, servers, pairs, everything } = groupPermits(model);
    if (everything) entry('accept', [], []);
    if (senders.length > 0) entry('accept', senders, []);
    for (const { source, destinations } of pairs) entry('accept', [source], destinations);
    if (servers.length > 0) entry('accept', [], servers);
    entry('drop', [], []);
  }
  return [...lists, ...entries];
}
