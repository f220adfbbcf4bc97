/** What the answers for the page are made of. Everything is handed in, so that this folder knows no service. */

import type { ReadModel } from '../../api/read-model.ts';
import type { Config } from '../../config/schema.ts';
import type { Incident } from '../../messages/alert.ts';
import type { AclDesk } from '../../publish/desk.ts';
import type { ListReview } from '../../publish/list-review.ts';
import type { Engine } from '../../store/store.ts';

/** One exporter, domain and version as the collector of this process has it; counts are those since its start. */
export interface LiveExporter {
  readonly exporter: string;
  readonly domain: number;
  readonly version: string;
  readonly datagrams: number;
  readonly flows: number;
  readonly lost: number;
  readonly unknownGaps: number;
  readonly reordered: number;
  readonly resets: number;
  readonly counting: string | null;
  readonly sampling: readonly number[];
  readonly templates: number;
  readonly clockSkewMs: number | null;
  readonly lastSeenMs: number;
  readonly unread: number;
  readonly unreadReasons: readonly string[];
  /** Flows a second by minute, sixty of them, oldest first; null before the start. */
  readonly rates: readonly (number | null)[];
  readonly flowsPerS: number;
  readonly datagramsPerS: number;
  readonly lostLastHour: number;
  /** What `lostLastHour` is a part of: flows, or datagrams where the version counts those. */
  readonly unitsLastHour: number;
}

/** What a collector receives. */
export interface Traffic {
  exporters(): readonly LiveExporter[];
  totals(): { readonly datagrams: number; readonly flows: number };
  kernelDropsLastHour(): number;
  refused(): readonly { readonly exporter: string; readonly datagrams: number }[];
}

export interface PageSources {
  readonly engine: Engine;
  readonly model: ReadModel;
  /** In force now. */
  readonly config: () => Config;
  /** Newest state of each host's incident. Throws RogueSmtpError `unavailable` while not all are known. */
  readonly incidents: () => Promise<readonly Incident[]>;
  /** Null where this process has no lists. */
  readonly desk: AclDesk | null;
  readonly review: ListReview | null;
  readonly listTroubles: () => readonly string[];
  /** Null where this process does not collect. */
  readonly traffic: Traffic | null;
  readonly troubles: () => Promise<readonly string[]>;
  readonly spool: () => { readonly waitingBytes: number; readonly dropped: number };
  readonly store: 'embedded' | 'server' | 'none';
  readonly version: string;
  readonly startedAt: string;
  readonly now: () => number;
}
