/**
 * What of a changed configuration a running process can take over, and what has to wait for a restart.
 *
 * Who may send, whose networks these are, when something counts and what is blocked are the operator's daily business:
 * those follow the file. Sockets, connections, sizes and everything that decides to which detector a flow goes do not.
 * Nothing is ever taken over by halves: the result is one configuration, in force or not.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Config } from './schema.ts';

export interface ReloadPlan {
  /** The running configuration with all that can be taken over. */
  readonly config: Config;
  /** Keys that are taken over, such as `senders` and `block.mode`. */
  readonly changed: readonly string[];
  /** Keys that were changed in the file and stay as they were until a restart. */
  readonly needRestart: readonly string[];
}

export function planReload(running: Config, fresh: Config): ReloadPlan {
  const { networks, detection } = fresh;
  const { missingLists: _lists, missingNames: _names, ...kept } = running;
  const config: Config = {
    ...kept,
    networks: {
      ...running.networks,
      internal: networks.internal,
      nat: networks.nat,
      interfaces: networks.interfaces,
    },
    senders: fresh.senders,
    expected: fresh.expected,
    lists: fresh.lists,
    ...(fresh.missingLists !== undefined && { missingLists: fresh.missingLists }),
    ...(fresh.missingNames !== undefined && { missingNames: fresh.missingNames }),
    dns: fresh.dns,
    detection: {
      ...running.detection,
      submission: {
        ...running.detection.submission,
        servers: detection.submission.servers,
        sessions: detection.submission.sessions,
        nat_factor: detection.submission.nat_factor,
      },
      internal: detection.internal,
      inbound: detection.inbound,
      baseline: detection.baseline,
      conversed: detection.conversed,
      bulk: {
        ...running.detection.bulk,
        sessions: detection.bulk.sessions,
        destinations: detection.bulk.destinations,
        envelope_destinations: detection.bulk.envelope_destinations,
      },
      scanning: detection.scanning,
      quiet: detection.quiet,
      update_interval: detection.update_interval,
    },
    alerts: fresh.alerts,
    block: fresh.block,
    acl: fresh.acl,
    identity: fresh.identity,
    http: takenOver(running.http, fresh.http),
  };
  return {
    config,
    changed: differences(running, config),
    needRestart: differences(config, fresh),
  };
}

/**
 * Tokens follow the file, so that one that leaked ends at once. The last one stays until a restart, which looks at the
 * addresses again: a server beyond loopback must never be left open.
 */
function takenOver(running: Config['http'], fresh: Config['http']): Config['http'] {
  const hasToken = ({ token, tokens }: Config['http']) => token !== undefined || tokens.length > 0;
  if (hasToken(running) && !hasToken(fresh)) return running;
  const { token: _token, token_file: _file, ...rest } = running;
  return {
    ...rest,
    ...(fresh.token !== undefined && { token: fresh.token }),
    ...(fresh.token_file !== undefined && { token_file: fresh.token_file }),
    tokens: fresh.tokens,
  };
}

/** The keys whose values differ, down to the first that is no section. */
function differences(a: unknown, b: unknown, path = ''): string[] {
  if (isDeepStrictEqual(a, b)) return [];
  if (!isSection(a) || !isSection(b)) return [path];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differences(a[key], b[key], path === '' ? key : `${path}.${key}`));
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
