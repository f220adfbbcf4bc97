/**
 * What a stream is: five named, ordered, durable logs of messages that roles publish to and consume from.
 *
 * There are two implementations, in-process with a disk spool (`local/`) and Kafka (`kafka/`); a role never knows which
 * it has. The contract is Kafka's: at least once, in order within a partition, positions committed by the consumer
 * after its effects are durable. Whoever consumes must therefore be idempotent (`id` of a message helps).
 */

export type StreamName = 'flows' | 'mail' | 'alerts' | 'incidents' | 'decisions';

/** Streams of which only the newest message of each key is kept, for ever. */
export type CompactedStream = 'incidents' | 'decisions';

export function isCompacted(stream: StreamName): stream is CompactedStream {
  return stream === 'incidents' || stream === 'decisions';
}

export const STREAM_NAMES: readonly StreamName[] = ['flows', 'mail', 'alerts', 'incidents', 'decisions'];

export function perStream<T>(make: (stream: StreamName) => T): Record<StreamName, T> {
  return {
    flows: make('flows'),
    mail: make('mail'),
    alerts: make('alerts'),
    incidents: make('incidents'),
    decisions: make('decisions'),
  };
}

export interface StreamMessage {
  /** Partition key: the internal host for mail, alerts, incidents and decisions; '' where the order does not matter. */
  readonly key: string;
  /** Same id, same message: lets consumers and the in-process stream recognise a repeated publication. '' for none. */
  readonly id: string;
  /** A Native block for `flows` and `mail`, UTF-8 JSON for the others. */
  readonly value: Uint8Array;
  /** Flow rows in `value`; 1 for JSON messages. What a bound cuts is counted in rows. */
  readonly rows: number;
  /** Where it belongs; without it the key decides. All rows of a message on `mail` are of one partition. */
  readonly partition?: number | undefined;
  /** For a message that may be published again after a failure that left the outcome open. */
  readonly origin?: MessageOrigin | undefined;
  /** Groups that have read it from the stream that it was moved from; they are not given it again. */
  readonly readBy?: readonly string[] | undefined;
}

/** Who published a message, and its number: numbers of a producer grow within a partition. */
export interface MessageOrigin {
  readonly producer: string;
  readonly sequence: number;
  /** Rows that it has published to the same partition before this message; absent where it does not know. */
  readonly rowsBefore?: number | undefined;
}

export interface ReceivedMessage extends StreamMessage {
  /** Position within the partition, growing by one a message. */
  readonly offset: number;
  /** The schema version that it says it has, where that is not the one of this program. */
  readonly foreignVersion?: string | undefined;
}

/** Messages of one partition, handed over together, oldest first. */
export interface Delivery {
  readonly stream: StreamName;
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly rows: number;
  readonly messages: readonly ReceivedMessage[];
  /**
   * In-process stream only, for a subscription by segment: a file that holds exactly the values of the messages, back
   * to back, which an embedded engine may read in place. `messages` is then empty, since nobody needs the copies.
   */
  readonly file?: string;
}

/** Where a group begins to read a partition, and what is there already. */
export interface ReadingPlace {
  /** The first offset that the group has not committed. Null when it has committed nothing: it reads what is kept. */
  readonly from: number | null;
  /** The offset that the next message gets: all messages before it were published before the reading began. */
  readonly end: number;
  /** The messages are others than those that were read here before, at offsets that may be the same. */
  readonly moved?: boolean;
}

export interface SubscribeOptions {
  readonly streams: readonly StreamName[];
  /** Positions are kept per group. Consumers of one group share the partitions. */
  readonly group: string;
  /**
   * `message`: deliver as soon as anything is there. `segment`: deliver larger pieces, for consumers whose effects are
   * cheaper in bulk.
   */
  readonly unit: 'message' | 'segment';
  /**
   * Called one delivery at a time per partition. When it rejects, the same delivery comes again after a pause; nothing
   * behind it is delivered meanwhile. `signal` is aborted when the subscription stops or loses the partition.
   */
  readonly onDelivery: (delivery: Delivery, signal: AbortSignal) => Promise<void>;
  /**
   * The partitions that this consumer reads from now on, before their first delivery. Called again, with others, when
   * partitions move between the consumers of the group. When it rejects, it is called again after a pause. `placeOf`
   * says where reading begins in a partition, as it was just before the call.
   */
  readonly onAssigned?: (
    partitions: readonly number[],
    placeOf: (stream: StreamName, partition: number) => ReadingPlace | null,
  ) => Promise<void>;
  /** Partitions of `onAssigned` that another consumer may have by now: forget what is known of them. */
  readonly onRevoked?: (partitions: readonly number[]) => Promise<void>;
  /**
   * From the next delivery on, the messages of a partition are others than before, at offsets that may be the same: its
   * topic was made anew, or its log was cut back. Without it the partition is revoked and assigned again.
   */
  readonly onMoved?: (stream: StreamName, partition: number) => Promise<void>;
  /**
   * `shared` (the default): the consumers of the group share the partitions. `alone`: this one reads all of them,
   * whoever else does, from what is published once it is assigned; its positions are not kept.
   */
  readonly sharing?: 'shared' | 'alone';
}

export interface Subscription {
  /**
   * Everything up to and including `offset` is done: after a restart, delivery goes on behind it, or after a crash within
   * a moment of the call behind an earlier one. May be called late
   * (a consumer that must see a window again commits behind it) but never backwards.
   */
  commit(stream: StreamName, partition: number, offset: number): Promise<void>;
  /** Messages published but not yet committed by this group, over its partitions. */
  lag(): number;
  /** This consumer reads the partition, and everything that was published there has been handed over. */
  isUpToDate(stream: StreamName, partition: number): boolean;
  /** Why nothing can be read at present, in words; null or absent while it can. */
  trouble?(): string | null;
  /** Resolves when partitions are assigned for the first time. */
  readonly assigned: Promise<void>;
  /** Waits for the delivery under way, then stops. */
  stop(): Promise<void>;
}

export interface StreamCounters {
  /** Flow rows (or JSON messages) accepted, by stream. */
  readonly published: Record<StreamName, number>;
  /** Flow rows (or JSON messages) that the spool refused, by stream. */
  readonly dropped: Record<StreamName, number>;
  /** Why the newest of them were, by stream, in words; '' where none was. Absent: only its bound can refuse. */
  readonly refusedFor?: Record<StreamName, string>;
  /** Flow rows (or JSON messages) that were published and are gone before a consumer of this process read them. */
  readonly lostRows?: Record<StreamName, number>;
  /** Bytes on disk that some group has yet to commit. */
  spoolBytes: number;
}

export interface StreamGap {
  /** A sentence for a person. */
  readonly text: string;
  /** Flow rows, or JSON messages, that are known to be lost. */
  readonly lost: number;
}

export interface Stream {
  start(): Promise<void>;
  /**
   * Resolves when the messages would survive a kill of this process, with how many rows were accepted. Rows over the
   * bound are refused and counted in `counters.dropped`, never waited for: UDP cannot be slowed down. A message whose
   * non-empty id was published before (within what is retained) is accepted without being stored again. The memory of
   * the values is the publisher's again when this resolves, and not when it rejects.
   */
  publish(
    stream: StreamName,
    messages: readonly StreamMessage[],
  ): Promise<{ readonly accepted: number; readonly dropped: number }>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** The newest message of every key of a compacted stream, over the given partitions. */
  latest(stream: CompactedStream, partitions: readonly number[]): AsyncIterable<ReceivedMessage>;
  /** How many partitions a stream has. Those of `mail`, `incidents` and `decisions` are as many, and hold the same hosts. */
  partitions(stream: StreamName): number;
  readonly counters: StreamCounters;
  /**
   * What tells a stream from every other one that may have its name: another cluster, a topic that was made anew. Null
   * where that cannot be told. Rejects while no broker answers.
   */
  identity?(stream: StreamName): Promise<string | null>;
  /** What keeps messages from being taken or read at present, in words; empty while all is well. */
  troubles?(): readonly string[];
  /** What is kept otherwise than the configuration says, in words, though it can be used. */
  differences?(): readonly string[];
  /** What was found damaged or gone since the start, in words. It only grows. */
  damages?(): readonly string[];
  /** What was published and will never be read, or is read again, as found since the start. It only grows. */
  gaps?(): readonly StreamGap[];
  /** Stops subscriptions and closes files; what was published stays. */
  stop(): Promise<void>;
}
