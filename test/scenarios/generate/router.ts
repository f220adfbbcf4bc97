/**
 * A router's metering: which packets it takes, and the flow records that its cache makes of them.
 *
 * Packets are sampled, never records: one in N at random, each router and each interface for itself. A record ends
 * within a second after FIN or RST, when nothing came for the inactive timeout, or when it has lasted for the active
 * timeout. An sFlow agent has no cache: every packet that is taken is told.
 */

import type { Chance } from './chance.ts';
import type { Conversation, Script } from './conversation.ts';

export type ExportFormat = 'v5' | 'v9' | 'ipfix' | 'sflow';

export interface RouterSettings {
  readonly format: ExportFormat;
  /** Packets are metered where they come in, and again where they leave. */
  readonly egress?: boolean;
  /** What the router's clock is ahead of ours. */
  readonly skewMs?: number;
  /** Shares of datagrams that the network loses, or delivers twice. */
  readonly loss?: number;
  readonly duplicates?: number;
  /** Datagrams are under way for up to so long, and overtake each other. */
  readonly jitterMs?: number;
  /** When it restarts, as shares of the run. */
  readonly restarts?: readonly number[];
}

export const exportsIpv6 = (format: ExportFormat): boolean => format !== 'v5';

const INACTIVE_MS = 15_000;
/** A cache looks for what has ended about once a second. */
const SCAN_MS = 1000;
const FIN_OR_RST = 5;

const INGRESS = 0;
const EGRESS = 1;

export interface FlowRecord {
  readonly router: number;
  readonly conversation: Conversation;
  /** The client's half. */
  readonly forward: boolean;
  readonly direction: number;
  packets: number;
  bytes: number;
  flags: number;
  firstMs: number;
  lastMs: number;
  /** Delivered, so that a second delivery is none. */
  delivered: boolean;
}

export interface Router {
  /** Meters the packets of a conversation; `mask` has bit 0 for those of the client, bit 1 for those of the server. */
  meter(conversation: Conversation, script: Script, mask: number): void;
}

export function createRouter(
  index: number,
  settings: RouterSettings,
  options: { readonly sampling: number; readonly activeMs: number },
  chance: Chance,
  /** Takes a record and the time at which the router gives it out. */
  give: (record: FlowRecord, atMs: number) => void,
): Router {
  const { sampling, activeMs } = options;
  const hasCache = settings.format !== 'sflow';
  const ipv4Only = !exportsIpv6(settings.format);
  const meters = settings.egress === true ? [INGRESS, EGRESS] : [INGRESS];
  /** Packets until the next that is taken, for each meter. */
  const left = meters.map(() => chance.gap(sampling));

  function meterAt(direction: number, conversation: Conversation, script: Script, mask: number): void {
    const open: (FlowRecord | null)[] = [null, null];
    /** When the cache will find that the connection is over. */
    const overMs = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const { startMs } = conversation;
    const close = (half: number, atMs: number) => {
      const record = open[half];
      if (record === null) return;
      open[half] = null;
      overMs[half] = Number.POSITIVE_INFINITY;
      give(record, atMs);
    };
    for (let i = 0; i < script.count; i++) {
      const fromClient = script.fromClient[i];
      if ((mask & (fromClient === 1 ? 1 : 2)) === 0) continue;
      if (--left[direction] > 0) continue;
      left[direction] = chance.gap(sampling);
      const atMs = startMs + script.at[i];
      const before = open[fromClient];
      if (before !== null && atMs >= overMs[fromClient]) close(fromClient, overMs[fromClient]);
      else if (before !== null && atMs - before.lastMs > INACTIVE_MS)
        close(fromClient, before.lastMs + INACTIVE_MS + chance.next() * SCAN_MS);
      else if (before !== null && atMs - before.firstMs >= activeMs)
        close(fromClient, before.firstMs + activeMs + chance.next() * SCAN_MS);
      const record = open[fromClient] ?? {
        router: index,
        conversation,
        forward: fromClient === 1,
        direction,
        packets: 0,
        bytes: 0,
        flags: 0,
        firstMs: atMs,
        lastMs: atMs,
        delivered: false,
      };
      open[fromClient] = record;
      record.packets++;
      record.bytes += script.bytes[i];
      record.flags |= script.flags[i];
      record.lastMs = atMs;
      if (!hasCache) close(fromClient, atMs);
      else if ((script.flags[i] & FIN_OR_RST) !== 0)
        overMs[fromClient] = Math.min(overMs[fromClient], atMs + chance.next() * SCAN_MS);
    }
    for (const half of [0, 1]) {
      const record = open[half];
      if (record === null) continue;
      const idle = record.lastMs + INACTIVE_MS;
      const endMs =
        Math.min(idle, record.firstMs + Math.max(activeMs, INACTIVE_MS)) + chance.next() * SCAN_MS;
      close(half, Math.min(endMs, overMs[half]));
    }
  }

  return {
    meter(conversation, script, mask) {
      if (mask === 0 || (ipv4Only && conversation.client.bytes.length === 16)) return;
      for (const direction of meters) meterAt(direction, conversation, script, mask);
    },
  };
}
