/** Which alerts a target is sent: by kind, grade, site, group and port. Pure. */

import type { NotifyTarget } from '../config/notify.ts';
import type { Config } from '../config/schema.ts';
import { parsePrefix, prefixContains } from '../flow/prefix.ts';
import { type Alert, gradeAtLeast } from '../messages/alert.ts';

type Filter = Pick<NotifyTarget, 'kinds' | 'grade' | 'sites' | 'groups' | 'ports'>;
type Group = Config['alerts']['groups'][number];

/**
 * Every key that is set must fit. An alert about no host fits no site, group or port. `groups`: those of the
 * configuration; as for `alerts.groups`, the first one that has the host is its group.
 */
export function matches(filter: Filter, alert: Alert, groups: readonly Group[]): boolean {
  if (!filter.kinds.includes(alert.kind)) return false;
  if (alert.grade !== null && !gradeAtLeast(alert.grade, filter.grade)) return false;
  if (filter.sites !== undefined && !filter.sites.includes(alert.site)) return false;
  if (filter.ports !== undefined && !alert.ports.some((port) => filter.ports?.includes(port))) return false;
  if (filter.groups === undefined) return true;
  const group = groups.find((one) => isOfGroup(one, alert));
  return group !== undefined && filter.groups.includes(group.name);
}

function isOfGroup({ hosts, sites }: Group, { host, site }: Alert): boolean {
  const parsed = parsePrefix(host);
  if (!parsed.ok) return false;
  const { bytes, length } = parsed.prefix;
  return (
    (sites === undefined || sites.includes(site)) &&
    (hosts === undefined || hosts.some((one) => one.length <= length && prefixContains(one, bytes)))
  );
}
