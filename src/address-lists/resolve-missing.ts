/**
 * For commands that judge without a running instance: the DNS names of a configuration that no instance has resolved yet.
 *
 * Kept answers are taken as they are, so that a replay gives the same today as tomorrow; only names without any are asked
 * for, once, and nothing is written.
 */

import type { PrefixList, ResolvedList } from '../config/lists.ts';
import type { LoadedConfig } from '../config/load.ts';
import { createNameResolver, type NameResolver, resolveName } from './resolve.ts';

const TIMEOUT_MS = 10_000;

export interface ResolvedConfig {
  readonly loaded: LoadedConfig;
  /** Why a name has no addresses, or not all of them: sentences. */
  readonly problems: readonly string[];
}

/** Never throws. `resolver` is for tests. */
export async function resolveMissing(
  loaded: LoadedConfig,
  nowMs: number,
  resolver: (servers: readonly string[]) => NameResolver = createNameResolver,
): Promise<ResolvedConfig> {
  if (loaded.withLists === undefined || !loaded.lists.some(isUnresolved)) return { loaded, problems: [] };
  const problems = new Set<string>();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const lists = await Promise.all(
    loaded.lists.map(async (list): Promise<PrefixList> => {
      if (!isUnresolved(list)) return list;
      const resolved = await resolveName(list, resolver(list.remote.servers), nowMs, signal);
      const problem = 'reason' in resolved ? resolved.reason : resolved.partly;
      if (problem !== null) problems.add(problem);
      if ('reason' in resolved) return list;
      const { prefixes, header } = resolved;
      return { ...list, missing: false, prefixes, writtenMs: nowMs, staleMs: nowMs + header.ttl };
    }),
  );
  return { loaded: loaded.withLists(lists), problems: [...problems] };
}

const isUnresolved = (list: PrefixList): list is ResolvedList => list.remote?.kind === 'name' && list.missing;
