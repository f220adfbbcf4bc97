/**
 * The words between the decoder and whoever feeds it: bytes of a datagram in, rows of a FlowBatch out.
 *
 * The decoder is pure: it owns no socket and reads no clock. Malformed input is a counted drop with a reason, never an
 * exception.
 */

import type { AddressBytes } from '../flow/address.ts';
import type { FlowBatch } from '../flow/batch.ts';
import type { FlowVersionName } from '../flow/columns.ts';
import type { OutMeaning } from './counter-habits.ts';
import type { UnreadReason } from './packet/walk.ts';
import type { CountingName, SequenceMarks } from './sequence.ts';
import type { TunnelMode } from './writable-columns.ts';

/** Where decoded rows go. `batch` always has room for one row; who fills it up calls `flush`, which must make room. */
export interface FlowSink {
  batch: FlowBatch;
  flush(): void;
}

/**
 * Why something was not decoded. Counted per record where the number of records is known, else per set or datagram:
 * `unit` in the counter's documentation says which.
 */
export type DropReason =
  /** Datagram: too short for any header, or a version that is no flow export. */
  | 'not_an_export'
  /** Datagram: the exporter is not on the allow-list, or the table of exporters is full. */
  | 'exporter_not_allowed'
  | 'exporter_limit'
  /** Datagram or the rest of one: header, set or record runs past the end, or has an impossible length. */
  | 'truncated'
  | 'bad_length'
  /** Set: data whose template never came (or came too late), or did not fit into the bound of what may wait. */
  | 'no_template'
  | 'pending_limit'
  /** Set: data under an id for which two layouts come in turn, so that nobody knows whose it is. */
  | 'ambiguous_template'
  /** Template: with fields that cannot be, or over a limit (of number, of fields, of new ones a second). */
  | 'bad_template'
  | 'template_limit'
  /** Record: a variable-length field runs past the set. */
  | 'bad_record'
  /** sFlow sample of a kind that carries no flow; set of v9 or IPFIX with a reserved id. */
  | 'unsupported';

/** What one datagram came to. */
export interface DecodeOutcome {
  readonly version: FlowVersionName | null;
  /** Flow records read, including those of earlier datagrams whose template came with this one. */
  readonly flows: number;
  /** Options records and templates understood. */
  readonly options: number;
  readonly templates: number;
  /** Units dropped, by reason, in `DecoderCounters.dropped`; this is their number in this datagram. */
  readonly dropped: number;
}

/** What is known of one exporter and observation domain. Counts are those since the start of the process. */
export interface ExporterState {
  readonly address: AddressBytes;
  readonly domain: number;
  readonly version: FlowVersionName;
  /** The agent address of sFlow, where it is not `address`: a relay stands between; else null. */
  readonly agent: AddressBytes | null;
  /** Exporting processes that are told apart: restarts not yet confirmed, probes on one host. */
  readonly exportProcesses: number;
  /** What its sequence numbers count, as far as is known; `nothing` where they never change, null for v1. */
  readonly counting: CountingName | null;
  datagrams: number;
  flows: number;
  /** Units lost by the rules of the version: flows for v5 and IPFIX (data records), datagrams for v9 and sFlow. */
  sequenceLost: number;
  /** Datagrams that came late or twice, which is not loss. */
  sequenceReordered: number;
  /** The exporter started its sequence anew. */
  sequenceResets: number;
  /** Gaps of unknown size: what the numbers claim is more than the exporter can have sent. */
  sequenceUnknown: number;
  /** Units lost in earlier runs, where their account was kept. */
  sequenceLostBefore: number;
  /** Receive time of the newest datagram, and how far the exporter's own clock is from ours (ours minus its), in ms. */
  lastSeenMs: number;
  clockSkewMs: number | null;
  /** Rates seen (one packet in N). Empty when the exporter never told one. */
  readonly samplingRates: Set<number>;
  templates: number;
  /**
   * Records whose addresses were not found, by reason: their row has none, or only those of the tunnel around them. Of
   * `no_template` sets, and of `ambiguous_template` records as far as their number is known; these have no row.
   */
  readonly unread?: Readonly<Record<UnreadReason, number>>;
  /** What its records' OUT counters (23, 24) turned out to be, and how many counters could not be (negative ones). */
  readonly outMeaning?: OutMeaning;
  readonly absurdCounters?: number;
  /** Templates that came again with another layout under the same id. */
  templatesRedefined: number;
}

export interface DecoderCounters {
  readonly flows: Record<FlowVersionName, number>;
  /** Of these flows, those that got no row, having none of the ports that are wanted. */
  passedOver: number;
  readonly dropped: Record<DropReason, number>;
  /** Records whose addresses were not found: see ExporterState.unread. */
  readonly unread: Record<UnreadReason, number>;
  optionsRecords: number;
  templates: number;
  templatesRedefined: number;
  /** Exporters that were heard for a moment only and had to make room for others: see `limits.exporters`. */
  exportersEvicted: number;
  /** Datagrams handed to `decode`. */
  datagrams: number;
}

/** A record of options data, for `decode --options` and for names of interfaces and samplers. */
export interface OptionsRecord {
  readonly version: 'v9' | 'ipfix';
  readonly domain: number;
  readonly templateId: number;
  /** Field name or number to value, as text or number; at most what one datagram holds. */
  readonly fields: Readonly<Record<string, string | number>>;
}

export interface DecoderOptions {
  readonly templateScope: 'address' | 'address_port';
  readonly limits: {
    readonly exporters: number;
    readonly templatesPerExporter: number;
    readonly templates: number;
    readonly fieldsPerTemplate: number;
    readonly pendingBytes: number;
    readonly pendingAgeMs: number;
  };
  /**
   * TCP ports that flows are wanted of, as source or destination; absent when all flows are. Others may be passed over:
   * they count as flows, but get no row. Not all are (a biflow's halves stay together), so that rows need a look still.
   */
  readonly portsOnly?: readonly number[];
  /** Of packets and records with a tunnel: which header makes the row. `inner` if absent. */
  readonly tunnels?: TunnelMode;
  /** Called for each options record; absent when nobody wants them. */
  readonly onOptions?: (record: OptionsRecord) => void;
}

/** Where the sequence of one exporter and domain stood, to be kept over a restart. */
export interface SequenceMark {
  readonly address: AddressBytes;
  /** 0 unless the scope of templates includes the port, or the domain has several exporting processes. */
  readonly port: number;
  /** Of sFlow, where it is not `address`. */
  readonly agent?: AddressBytes | undefined;
  readonly version: FlowVersionName;
  readonly domain: number;
  readonly lastSeenMs: number;
  /** Units lost until then by the domain, in all runs. */
  readonly lost: number;
  readonly marks: SequenceMarks;
}

export interface Decoder {
  /**
   * Decodes one datagram: appends its flow records to the sink and keeps account of the exporter. `bytes` may be
   * reused by the caller afterwards. `exporter` is copied where it is kept.
   */
  decode(bytes: Buffer, exporter: AddressBytes, exporterPort: number, receivedAtMs: number): DecodeOutcome;
  /** Lets data that waited too long for its template go, counted as `no_template`. Call about once a second. */
  expire(nowMs: number): void;
  readonly counters: DecoderCounters;
  exporters(): IterableIterator<ExporterState>;
  /** Templates and sampling options with their age, as plain JSON to be kept over a restart; and their return. */
  snapshot(): unknown;
  /** Of each domain that sent since the last call. */
  takeSequenceMarks(): SequenceMark[];
  /** Goes on at marks of an earlier run, so that what came in between counts as lost. */
  resumeSequences(marks: Iterable<SequenceMark>): void;
  /** Anything that is not a valid snapshot is ignored; returns how many templates were taken over. */
  restore(snapshot: unknown, nowMs: number): number;
}
