/**
 * Whom the lists deny as they lie there, which is what routers have or fetch: a list that is held at an earlier revision, a release
 * that no detector has heard of yet, or a file that could not be written make this differ from what the incidents say.
 *
 * Pure: what the lists hold is given.
 */

import { parsePrefix, prefixContains } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';

/** One list of offenders in one family. */
export interface DeniedList {
  /** The only site whose hosts it takes; undefined for all sites. */
  readonly site: string | undefined;
  /** Since when it is held at an earlier revision; null when it follows the incidents. */
  readonly heldSince: string | null;
  /** Addresses and prefixes as text. */
  readonly hosts: ReadonlySet<string>;
}

export interface DeniedLists {
  /** Those of targets. */
  readonly files: readonly DeniedList[];
  /** What `/v1/lists` says: for hosts that belong into no file. */
  readonly plain: DeniedList;
}

/** The lists that deny the host of an incident. */
export function listsDenying(
  { files, plain }: DeniedLists,
  incident: Pick<Incident, 'host' | 'site'>,
): readonly DeniedList[] {
  const meant = files.filter(({ site }) => site === undefined || site === incident.site);
  return (meant.length === 0 ? [plain] : meant).filter(({ hosts }) => names(hosts, incident.host));
}

/** Of a group of addresses a list may name single ones. */
function names(hosts: ReadonlySet<string>, host: string): boolean {
  if (hosts.has(host)) return true;
  const group = host.includes('/') ? parsePrefix(host) : null;
  if (group?.ok !== true) return false;
  const { prefix } = group;
  return [...hosts].some((text) => {
    const one = parsePrefix(text);
    return one.ok && one.prefix.length >= prefix.length && prefixContains(prefix, one.prefix.bytes);
  });
}
