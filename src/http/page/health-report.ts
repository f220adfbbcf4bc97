/** Is it working: readiness, store, streams, disk, and the configuration in force without its secrets. */

import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../../config/schema.ts';
import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import type { HealthAnswer } from '../api/schemas.ts';
import type { PageSources } from './sources.ts';

export async function healthReport(sources: PageSources): Promise<HealthAnswer> {
  const config = sources.config();
  const [status, troubles, walls, disk] = await Promise.all([
    sources.model.status(),
    sources.troubles(),
    sources.engine.walls().catch(() => []),
    diskOf(config.data),
  ]);
  const { rss, heapUsed } = process.memoryUsage();
  const { waitingBytes, dropped } = sources.spool();
  return {
    version: sources.version,
    node: process.version,
    started_at: sources.startedAt,
    now: new Date(sources.now()).toISOString(),
    ready: troubles.length === 0,
    troubles: [...troubles],
    config_file: status.config_file,
    policy: {
      ...status.policy,
      need_restart: [...status.policy.need_restart],
      lists: [...status.policy.lists],
    },
    walls: [...walls],
    store: {
      kind: sources.store,
      database: config.clickhouse.database,
      set_aside: status.lost.set_aside ?? 0,
    },
    streams: {
      kind: config.kafka.brokers.length > 0 ? 'kafka' : 'embedded',
      waiting_bytes: waitingBytes,
      dropped,
    },
    disk,
    memory: { rss_bytes: rss, heap_bytes: heapUsed },
    lost: status.lost,
    config: withoutSecrets(config),
  };
}

async function diskOf(directory: string): Promise<HealthAnswer['disk']> {
  try {
    const { bavail, blocks, bsize } = await statfs(directory);
    return { path: resolve(directory), free_bytes: bavail * bsize, size_bytes: blocks * bsize };
  } catch {
    return null;
  }
}

const HIDDEN = '(hidden)';
/** Names of keys whose value is a secret; a file or variable that holds one is none. */
const SECRET = /(^|_)(token|password|passphrase|secret|authorization|headers|api_key|routing_key|community)$/;

/** As it could be written into a file: prefixes as text, and no secret, whatever key holds it. */
export function withoutSecrets(config: Config): unknown {
  return plain(config, '');
}

function plain(value: unknown, key: string): unknown {
  if (value === undefined || value === null) return null;
  if (SECRET.test(key)) return value === '' ? '' : HIDDEN;
  if (Array.isArray(value)) return value.map((one) => plain(one, key));
  if (isPrefix(value)) return formatPrefix(value);
  // The path and the query of a URL are often a secret, as of a webhook.
  if (typeof value === 'string' && /^https?:/.test(value)) return bareUrl(value);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner, name)]));
}

function bareUrl(text: string): string {
  if (!URL.canParse(text)) return HIDDEN;
  const { origin, pathname, search } = new URL(text);
  return pathname === '/' && search === '' ? origin : `${origin}/${HIDDEN}`;
}

const isPrefix = (value: unknown): value is Prefix =>
  typeof value === 'object' &&
  value !== null &&
  'bytes' in value &&
  value.bytes instanceof Uint8Array &&
  'length' in value;
