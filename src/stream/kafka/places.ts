/** Where a subscription stands in each partition that it reads. */

import type { Delivery, ReceivedMessage, StreamName } from '../stream.ts';
import { ProducerMarks } from './producer-marks.ts';

/** One partition, from its assignment until another consumer may have it. */
export interface Place {
  readonly stream: StreamName;
  readonly topic: string;
  readonly partition: number;
  /** `onAssigned` was through. */
  prepared: boolean;
  /** The topic behind the name, as raw-requests.ts has it; null when it is not known. */
  topicId: string | null;
  /** Leader epoch of the newest record that was handed over, and of the leader; -1 when they are not known. */
  epoch: number;
  leaderEpoch: number;
  /** How often the messages became others; the messages that were handed over are those of the newest life. */
  life: number;
  /** The messages are others than those of the committed position. */
  moved: boolean;
  /** First offset that was not handed over yet; -1 where the group has no position. */
  next: number;
  /** First offset that is not committed; -1 for none. */
  committed: number;
  /** As `committed`, with the brokers; and what goes there with it. */
  saved: number;
  metadata: string;
  /** As far as is known: the first offset kept, and the offset that the next message gets. */
  low: number;
  end: number;
  marks: ProducerMarks;
  /** What is missing before the messages up to this offset is counted. */
  accounted: number;
  /** Messages in a row that had come before, of the newest producer that sent such. */
  repeats: number;
  /** Being handed over. */
  inHand: Delivery | null;
  /** One delivery at a time, whatever the library does. */
  turn: Promise<void>;
  /** Something looks as if the place had moved, and is looked into. */
  suspected: boolean;
  /** Its end was once below it, and nothing else spoke for a move. */
  doubted: boolean;
}

export function newPlace(stream: StreamName, topic: string, partition: number): Place {
  return {
    stream,
    topic,
    partition,
    prepared: false,
    topicId: null,
    epoch: -1,
    leaderEpoch: -1,
    life: 0,
    moved: false,
    next: -1,
    committed: -1,
    saved: -1,
    metadata: '',
    low: 0,
    end: 0,
    marks: new ProducerMarks(false),
    accounted: -1,
    repeats: 0,
    inHand: null,
    turn: Promise.resolve(),
    suspected: false,
    doubted: false,
  };
}

export const keyOf = (stream: StreamName, partition: number) => `${stream} ${partition}`;

export const numbers = (places: readonly Place[]) => [...new Set(places.map(({ partition }) => partition))];

export function deliveryOf(place: Place, messages: readonly ReceivedMessage[], lastOffset: number): Delivery {
  let rows = 0;
  for (const message of messages) rows += message.rows;
  const { stream, partition } = place;
  return { stream, partition, firstOffset: messages[0]?.offset ?? lastOffset, lastOffset, rows, messages };
}
