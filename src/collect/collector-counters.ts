/**
 * What the collector counts: everything that comes in, and for everything that does not go out the reason.
 *
 * At any time and for each stream: decoded = published + dropped + pending (for mail: flows on mail ports). All counts
 * are since the start of the process.
 */

import type { DecoderCounters } from '../decode/types.ts';
import type { PublishDropReason } from './batch-publisher.ts';
import type { ListenerCounters } from './listener.ts';

/** Why flows that were decoded did not reach the flows stream. */
type FlowDropReason =
  | PublishDropReason
  /** `archive: mail` is configured: only flows on mail ports are kept. */
  | 'not_archived';

export interface CollectorCounters {
  /** Datagrams received on all listeners. */
  readonly datagrams: number;
  readonly bytes: number;
  /** Flow records decoded. */
  readonly flows: number;
  /** By version, by drop reason; `exporter_not_allowed`, `rate_limited` and `decoder_failed` are counted by the collector. */
  readonly decoder: DecoderCounters;
  readonly recordsDropped: Readonly<Record<string, number>>;
  /** Flows on mail ports among `flows`. */
  readonly mailFlows: number;
  readonly published: Readonly<Record<'flows' | 'mail', number>>;
  readonly dropped: {
    readonly flows: Readonly<Record<FlowDropReason, number>>;
    readonly mail: Readonly<Record<PublishDropReason, number>>;
  };
  /** Flows that are neither published nor dropped yet: in the batch being filled, or handed to the stream. */
  readonly pending: Readonly<Record<'flows' | 'mail', number>>;
  /** Datagrams of canaries, which are in no other count but those of the listeners. */
  readonly canaries: number;
  readonly listeners: readonly Readonly<ListenerCounters>[];
}
