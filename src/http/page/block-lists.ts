/** Lists and decisions for the page: diffs line by line, and where blocked hosts still get through. */

import { unifiedDiff } from '../../acl/unified-diff.ts';
import type { BlockRow } from '../../publish/desk.ts';
import type { Previewed, ReviewedDecision, ReviewedList } from '../../publish/list-review.ts';
import type { BlocksAnswer, ListAnswer, ListDiff, WhatIfAnswer } from '../api/schemas.ts';

/** A list of ten thousand new lines is not read on a page: its beginning is, and the counts are of all. */
const MAX_DIFF_LINES = 2000;

const KINDS = { '+': 'added', '-': 'removed', ' ': 'same', '@': 'hunk' } as const;

function listDiff(previewed: Previewed): ListDiff {
  if ('refused' in previewed) return { added: 0, removed: 0, lines: [], refused: previewed.refused };
  const text = unifiedDiff(previewed.before, previewed.after, ['', '']);
  const lines = text
    .split('\n')
    .slice(2)
    .filter((line) => line !== '')
    .map((line) => ({
      kind: KINDS[line[0] as keyof typeof KINDS] ?? 'same',
      text: line.startsWith('@') ? line : line.slice(1),
    }));
  const count = (kind: string) => lines.filter((line) => line.kind === kind).length;
  return {
    added: count('added'),
    removed: count('removed'),
    lines: lines.slice(0, MAX_DIFF_LINES),
    refused: null,
  };
}

export function listSummary({ now, approved, ...list }: ReviewedList): BlocksAnswer['lists'][number] {
  return {
    ...list,
    revisions: [...list.revisions],
    entries: now?.entries ?? null,
    refused: now === null ? (list.trouble ?? refusalOf(approved)) : null,
    left_out: [...(now?.leftOut ?? [])],
    diff: listDiff(approved),
  };
}

const refusalOf = (previewed: Previewed): string | null =>
  'refused' in previewed ? previewed.refused : null;

export const listAnswerOf = (list: ReviewedList): ListAnswer => ({
  ...listSummary(list),
  text: list.now?.text ?? '',
});

/** By router: blocked hosts whose packets were seen to get through after the block. */
export function effectOf(hosts: readonly BlockRow[]): BlocksAnswer['effect'] {
  const byRouter = new Map<string, BlocksAnswer['effect'][number]>();
  for (const { host, block } of hosts) {
    for (const { address, domain, interface: face } of block.effect?.passing ?? []) {
      const key = `${address} ${domain} ${face}`;
      const known = byRouter.get(key);
      if (known === undefined)
        byRouter.set(key, { exporter: address, domain, interface: face, hosts: [host] });
      else known.hosts.push(host);
    }
  }
  return [...byRouter.values()];
}

/** Whom a block cuts off, by what the store has of the last day. */
export type Cut = WhatIfAnswer['cuts'];

export function whatIfAnswer(
  action: WhatIfAnswer['action'],
  decision: ReviewedDecision,
  cuts: Cut,
  mode: string,
): WhatIfAnswer {
  const { host, site, refused, until } = decision;
  return {
    host,
    site,
    action,
    allowed: refused === null,
    refused,
    says: refused === null ? sentences(action, decision, cuts, mode) : [`Nothing would change: ${refused}.`],
    lists: decision.lists.map(({ target, family, platform, preview }) => ({
      target,
      family,
      platform,
      diff: listDiff(preview),
    })),
    cuts: until === null && action !== 'approve' ? { destinations: 0, sessions: 0 } : cuts,
  };
}

function sentences(
  action: WhatIfAnswer['action'],
  { host, until, lists }: ReviewedDecision,
  { destinations, sessions }: Cut,
  mode: string,
): string[] {
  const changed =
    lists.length === 0
      ? 'No list would be different.'
      : `${lists.length} list(s) would change: ${lists.map(({ target, family }) => `${target} IPv${family}`).join(', ')}.`;
  const cut = `In the last 24 hours it had ${sessions} mail session(s) with ${destinations} server(s); these would be denied.`;
  switch (action) {
    case 'block':
      return [`${host} would be denied TCP port 25 until ${until}.`, cut, changed];
    case 'approve':
      return [`${host} would be denied TCP port 25.`, cut, changed];
    case 'release':
      return [`${host} would be let through, and not be blocked before ${until}.`, changed];
    case 'reject':
      return [
        `${host} would not be blocked as long as this incident lasts (block.mode is ${mode}).`,
        changed,
      ];
  }
}
