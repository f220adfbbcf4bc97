/**
 * The hosts that have or had an incident, with the newest case file of each. Bounded: the host that was longest quiet
 * is named for leaving first; what that means for its incident is up to the caller.
 */

import type { CaseFile } from './case-file.ts';
import type { HostName, Watermark } from './incidents.ts';
import { addressKey } from './sessions.ts';

export interface Host extends HostName {
  readonly key: string;
  readonly bytes: Uint8Array;
  file: CaseFile;
  /** The newest record that is in the file. */
  partition: number;
  offset: number;
  clockMs: number;
  /** What was restored: records up to here are in the file already. */
  readonly restored: Watermark | null;
  /** The earliest deadline that is queued. */
  deadlineMs: number;
  /** Out of the table. */
  gone: boolean;
  older: Host | null;
  newer: Host | null;
}

export interface HostTable {
  readonly size: number;
  /** Longest quiet first. */
  oldest(): Host | null;
  get(key: string): Host | undefined;
  add(
    host: Pick<Host, 'key' | 'bytes' | 'address' | 'site' | 'file' | 'restored'>,
    watermark: Watermark,
  ): Host;
  /** The host was just active. */
  touch(host: Host): void;
  remove(host: Host): void;
  values(): IterableIterator<Host>;
}

/** Key of a host: the index of its site and its address. */
export function hostKey(site: number, bytes: Uint8Array, at: number): string {
  return String.fromCharCode(site) + addressKey(bytes, at);
}

export function createHostTable(): HostTable {
  const hosts = new Map<string, Host>();
  let oldest: Host | null = null;
  let newest: Host | null = null;

  function unlink(host: Host): void {
    if (host.older === null) oldest = host.newer;
    else host.older.newer = host.newer;
    if (host.newer === null) newest = host.older;
    else host.newer.older = host.older;
    host.older = null;
    host.newer = null;
  }

  function append(host: Host): void {
    host.older = newest;
    if (newest === null) oldest = host;
    else newest.newer = host;
    newest = host;
  }

  return {
    get size() {
      return hosts.size;
    },
    oldest: () => oldest,
    get: (key) => hosts.get(key),
    add(given, { partition, offset, clockMs }) {
      const host: Host = {
        ...given,
        partition,
        offset,
        clockMs,
        deadlineMs: Number.POSITIVE_INFINITY,
        gone: false,
        older: null,
        newer: null,
      };
      hosts.set(host.key, host);
      append(host);
      return host;
    },
    touch(host) {
      if (host === newest) return;
      unlink(host);
      append(host);
    },
    remove(host) {
      host.gone = true;
      hosts.delete(host.key);
      unlink(host);
    },
    values: () => hosts.values(),
  };
}
