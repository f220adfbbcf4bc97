/**
 * A stream whose deliveries the test makes: for the roles, which consume and publish. What they publish and commit is
 * written down in one list, so that the order of both can be asked for.
 */

import type {
  ReadingPlace,
  ReceivedMessage,
  Stream,
  StreamMessage,
  StreamName,
  SubscribeOptions,
} from '../../src/stream/stream.ts';

export interface DrivenStream extends Stream {
  /** `publish alerts 2`, `commit mail 7`, in the order in which they happened. */
  readonly journal: string[];
  readonly published: { readonly stream: StreamName; readonly message: StreamMessage }[];
  /** How publications to a stream end; they are accepted where nothing is said. */
  readonly answers: Partial<Record<StreamName, 'refuse' | 'fail'>>;
  /** What `latest` gives of incidents, and of decisions. */
  kept: Uint8Array[];
  keptDecisions: Uint8Array[];
  /** When readers get their partitions. */
  assigned: Promise<void>;
  /** Where they begin to read. */
  place: ReadingPlace;
  /** What tells this stream from another of its name. */
  identity?: (stream: StreamName) => Promise<string | null>;
  /** The messages that come from now on are others, at offsets that may be the same. */
  move(stream: StreamName): Promise<void>;
  /** Hands messages to whoever reads the stream; rejects when it does. */
  deliver(stream: StreamName, values: readonly Uint8Array[], firstOffset: number): Promise<void>;
}

export function createDrivenStream(): DrivenStream {
  const readers = new Map<StreamName, SubscribeOptions>();
  const counts = () => ({ flows: 0, mail: 0, alerts: 0, incidents: 0, decisions: 0 });
  const received = (value: Uint8Array, offset: number): ReceivedMessage => ({
    key: '',
    id: '',
    rows: 1,
    value,
    offset,
  });
  const driven: DrivenStream = {
    journal: [],
    published: [],
    answers: {},
    kept: [],
    keptDecisions: [],
    assigned: Promise.resolve(),
    place: { from: null, end: 0 },
    counters: { published: counts(), dropped: counts(), spoolBytes: 0 },
    async start() {},
    async stop() {},
    async publish(stream, messages) {
      const answer = driven.answers[stream];
      if (answer === 'fail') throw new Error('the disk is gone');
      if (answer === 'refuse') return { accepted: 0, dropped: messages.length };
      driven.journal.push(`publish ${stream} ${messages.length}`);
      for (const message of messages) driven.published.push({ stream, message });
      return { accepted: messages.length, dropped: 0 };
    },
    async subscribe(options) {
      for (const stream of options.streams) readers.set(stream, options);
      await options.onAssigned?.([0], () => driven.place);
      return {
        async commit(stream, _partition, offset) {
          driven.journal.push(`commit ${stream} ${offset}`);
        },
        lag: () => 0,
        isUpToDate: () => true,
        assigned: driven.assigned,
        async stop() {
          for (const stream of options.streams) readers.delete(stream);
        },
      };
    },
    partitions: () => 1,
    async *latest(stream) {
      const kept = stream === 'decisions' ? driven.keptDecisions : driven.kept;
      for (const [offset, value] of kept.entries()) yield received(value, offset);
    },
    async move(stream) {
      await readers.get(stream)?.onMoved?.(stream, 0);
    },
    async deliver(stream, values, firstOffset) {
      const reader = readers.get(stream);
      if (reader === undefined) throw new Error(`nobody reads ${stream}`);
      const messages = values.map((value, i) => received(value, firstOffset + i));
      const lastOffset = firstOffset + messages.length - 1;
      await reader.onDelivery(
        { stream, partition: 0, firstOffset, lastOffset, rows: messages.length, messages },
        new AbortController().signal,
      );
    },
  };
  return driven;
}

export function jsonMessage(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
