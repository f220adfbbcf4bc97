/**
 * What a changed configuration would lose that hardly anybody means to lose: all senders, all networks, all targets, or
 * the rest of a file that was cut off.
 *
 * A file that an editor has just emptied, or that a full disk cut short, is often valid, and would lift every block. Pure:
 * it compares two readings. It must not judge what the operator says in so many words, only what is no longer there.
 */

import { isDeepStrictEqual } from 'node:util';
import { type Prefix, prefixContains } from '../flow/prefix.ts';
import type { PrefixList } from './lists.ts';
import type { LoadedConfig } from './load.ts';
import type { Config } from './schema.ts';

/** Why the newer reading should be asked about before it comes into force, in words; empty when nothing is lost. */
export function suspiciousLosses(before: LoadedConfig, after: LoadedConfig): string[] {
  if (isBlank(after) && !isBlank(before)) return ['the file is empty'];
  return [
    ...lostKinds(before, after),
    ...(before.text !== null && after.text !== null && isCut(before, after)
      ? ['the file ends where the one before went on: it was probably cut off']
      : []),
    ...after.lists.flatMap((list) => {
      const known = before.lists.find(({ name, file }) => name === list.name && file === list.file);
      const loss = known === undefined ? null : listLoss(known, list);
      return loss === null ? [] : [`the list "${list.name}" (${list.file}) ${loss}`];
    }),
  ];
}

/** Nothing but blanks and comments, or an empty map. */
export const isBlank = ({ text }: LoadedConfig): boolean =>
  text !== null && /^(?:\s|#[^\n]*(?:\n|$)|---|\.\.\.|\{\s*\}|null|~)*$/.test(text);

function lostKinds(before: LoadedConfig, after: LoadedConfig): string[] {
  const losses: string[] = [];
  const [old, next] = [before.config, after.config];
  const isLost = (path: readonly string[]) => isSaid(before, path) && !isSaid(after, path);
  if (old.senders.length > 0 && next.senders.length === 0)
    losses.push(`no sender is left of ${old.senders.length}`);
  const networks = old.networks.internal;
  if (
    isLost(['networks', 'internal']) ||
    !networks.some((one) => next.networks.internal.some((other) => overlap(one, other)))
  )
    losses.push(`networks.internal has none of its ${networks.length} network(s) any more`);
  if (old.acl.targets.length > 0 && next.acl.targets.length === 0)
    losses.push(`no ACL target is left of ${old.acl.targets.length}`);
  if (old.block.mode !== 'observe' && next.block.mode === 'observe' && isLost(['block', 'mode']))
    losses.push(`block.mode is gone: "${old.block.mode}" would become "observe", and all blocks be lifted`);
  return losses;
}

const isSaid = ({ placeOf }: LoadedConfig, path: readonly string[]) => placeOf(path) !== 'by default';

const overlap = (a: Prefix, b: Prefix) =>
  a.length <= b.length ? prefixContains(a, b.bytes) : prefixContains(b, a.bytes);

/**
 * The newer text is the beginning of the older one and says less. Whoever deletes the last lines on purpose writes the
 * same, so a cut between lines counts only when it takes something away that permits or protects.
 */
function isCut(before: LoadedConfig, after: LoadedConfig): boolean {
  const old = before.text ?? '';
  const text = after.text ?? '';
  if (text.length >= old.length || !old.startsWith(text)) return false;
  if (isDeepStrictEqual(before.config, after.config)) return false;
  const withinLine = !text.endsWith('\n') && !/^\s*(?:#[^\n]*)?\n/.test(old.slice(text.length));
  return withinLine || weights(before.config).some((count, i) => weights(after.config)[i] < count);
}

function weights({ senders, expected, lists, networks, block, acl }: Config): number[] {
  return [
    senders.length,
    senders.reduce((sum, { hosts }) => sum + hosts.length, 0),
    expected.length,
    expected.reduce((sum, { hosts }) => sum + hosts.length, 0),
    lists.length,
    networks.internal.length,
    networks.nat.length,
    networks.interfaces.length,
    block.never.length,
    block.never_lists.length,
    acl.targets.length,
  ];
}

/** Files of lists are written by scripts, which break off, too. One without any entry is refused when it is read. */
function listLoss(before: PrefixList, after: PrefixList): string | null {
  const [old, next] = [before.prefixes, after.prefixes];
  if (before.missing || after.missing || next.length >= old.length) return null;
  // What the DNS says is no text that breaks off.
  if (after.remote?.kind === 'name') return null;
  const same = next.findIndex((one, i) => !isDeepStrictEqual(one, old[i]));
  if (same >= 0 && same < next.length - 1) return null;
  if (same < 0 && 2 * next.length >= old.length) return null;
  return `ends after ${next.length} of ${old.length} entries: it was probably cut off`;
}
