/**
 * Three requests of Kafka's protocol that kafkajs 2.2.4 does not know, as bytes.
 *
 * Metadata version 10 (KIP-516) says the id of a topic, which is another one when the topic was deleted and made anew, and
 * the leader epoch and the replicas of each partition. OffsetForLeaderEpoch version 3 (KIP-320) says where the records of a
 * leader end: a log that ends before a place that was read was cut back. DescribeQuorum version 1 (KIP-836) says when each
 * controller had caught up, by the clock of the leading one: for the leader itself that is now. No other answer of a broker
 * tells its time. All numbers are big endian. Nothing here talks to anybody.
 */

interface PartitionFacts {
  readonly leader: number;
  /** -1 where it is not known. */
  readonly leaderEpoch: number;
  /** Copies that there should be, and those that have everything. */
  readonly replicas: number;
  readonly inSync: number;
}

interface TopicFacts {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly partitions: ReadonlyMap<number, PartitionFacts>;
}

export interface ClusterFacts {
  /** Null when the brokers do not say. */
  readonly clusterId: string | null;
  /** Those of the topics that were asked for that exist. */
  readonly topics: ReadonlyMap<string, TopicFacts>;
}

export const METADATA = { apiKey: 3, apiVersion: 10, apiName: 'Metadata' } as const;
export const QUORUM = { apiKey: 55, apiVersion: 1, apiName: 'DescribeQuorum' } as const;
export const EPOCH_END = { apiKey: 23, apiVersion: 3, apiName: 'OffsetForLeaderEpoch' } as const;

const ID_BYTES = 16;
/** A header of version 2 ends with tagged fields; kafkajs writes one of version 1, without. */
const NO_TAGS = Buffer.from([0]);

/** What follows the header of version 1. */
export function metadataRequest(topics: readonly string[]): Buffer {
  const parts = [NO_TAGS, unsignedVarint(topics.length + 1)];
  for (const topic of topics) {
    const name = Buffer.from(topic);
    // A topic is asked for by its name: its id is left zero.
    parts.push(Buffer.alloc(ID_BYTES), unsignedVarint(name.length + 1), name, NO_TAGS);
  }
  // Nothing is created, and rights are not asked for.
  parts.push(Buffer.from([0, 0, 0]), NO_TAGS);
  return Buffer.concat(parts);
}

/** Throws RangeError for bytes that are cut. */
export function metadataResponse(bytes: Buffer): ClusterFacts {
  const reader = new Reader(bytes);
  reader.skipTags();
  reader.skip(4);
  reader.array(() => {
    reader.skip(4);
    reader.text();
    reader.skip(4);
    reader.text();
    reader.skipTags();
  });
  const clusterId = reader.text();
  reader.skip(4);
  const topics = new Map<string, TopicFacts>();
  reader.array(() => {
    const error = reader.int16();
    const name = reader.text();
    const id = reader.take(ID_BYTES).toString('hex');
    reader.skip(1);
    const partitions = new Map<number, PartitionFacts>();
    reader.array(() => {
      reader.skip(2);
      const partition = reader.int32();
      const leader = reader.int32();
      const leaderEpoch = reader.int32();
      const replicas = reader.array(() => reader.skip(4));
      const inSync = reader.array(() => reader.skip(4));
      // Copies on brokers that are away.
      reader.array(() => reader.skip(4));
      partitions.set(partition, { leader, leaderEpoch, replicas, inSync });
      reader.skipTags();
    });
    reader.skip(4);
    reader.skipTags();
    if (error === 0 && name !== null) topics.set(name, { id, partitions });
  });
  return { clusterId, topics };
}

export function epochEndRequest(topic: string, partition: number, epoch: number): Buffer {
  const name = Buffer.from(topic);
  const out = Buffer.alloc(4 + 4 + 2 + name.length + 4 + 12);
  // -1: a consumer asks, not another broker.
  let at = out.writeInt32BE(-1, 0);
  at = out.writeInt32BE(1, at);
  at = out.writeInt16BE(name.length, at);
  at += name.copy(out, at);
  at = out.writeInt32BE(1, at);
  at = out.writeInt32BE(partition, at);
  // -1: whatever the leader's own epoch is.
  at = out.writeInt32BE(-1, at);
  out.writeInt32BE(epoch, at);
  return out;
}

/**
 * The offset behind the last record of the epoch, or of the one before where there is none; null when the leader does not
 * know. Throws RangeError for bytes that are cut.
 */
export function epochEndResponse(bytes: Buffer): number | null {
  // Throttle time, one topic with its name, one partition.
  const nameBytes = bytes.readInt16BE(8);
  let at = 4 + 4 + 2 + nameBytes + 4;
  const error = bytes.readInt16BE(at);
  at += 2 + 4 + 4;
  const end = Number(bytes.readBigInt64BE(at));
  return error === 0 && end >= 0 ? end : null;
}

const METADATA_LOG = '__cluster_metadata';

/** What follows the header of version 1. */
export function quorumRequest(): Buffer {
  const name = Buffer.from(METADATA_LOG);
  return Buffer.concat([
    NO_TAGS,
    unsignedVarint(2),
    unsignedVarint(name.length + 1),
    name,
    unsignedVarint(2),
    Buffer.alloc(4),
    NO_TAGS,
    NO_TAGS,
    NO_TAGS,
  ]);
}

/**
 * Milliseconds since 1970 by the clock of the leading controller; null when it does not say, as for want of the right
 * DESCRIBE on the cluster. Throws RangeError for bytes that are cut.
 */
export function quorumResponse(bytes: Buffer): number | null {
  const reader = new Reader(bytes);
  reader.skipTags();
  if (reader.int16() !== 0) return null;
  let time: number | null = null;
  reader.array(() => {
    reader.text();
    reader.array(() => {
      reader.skip(4);
      reader.skip(2);
      const leader = reader.int32();
      // Its epoch, and the end of the log.
      reader.skip(4 + 8);
      reader.array(() => {
        const voter = reader.int32();
        // The end of its log, and when it asked last.
        reader.skip(8 + 8);
        const caughtUp = reader.int64();
        if (voter === leader && caughtUp > 0) time = caughtUp;
        reader.skipTags();
      });
      reader.array(() => {
        reader.skip(4 + 8 + 8 + 8);
        reader.skipTags();
      });
      reader.skipTags();
    });
    reader.skipTags();
  });
  return time;
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length) throw new RangeError('the answer is cut');
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return part;
  }

  skip(length: number): void {
    this.take(length);
  }

  int16(): number {
    return this.take(2).readInt16BE();
  }

  int32(): number {
    return this.take(4).readInt32BE();
  }

  int64(): number {
    return Number(this.take(8).readBigInt64BE());
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.take(1)[0];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  }

  /** Of an array or text that may be null, one more than its length is written. Returns how many there were. */
  array(read: () => void): number {
    const length = Math.max(0, this.varint() - 1);
    for (let left = length; left > 0; left--) read();
    return length;
  }

  text(): string | null {
    const length = this.varint() - 1;
    return length < 0 ? null : this.take(length).toString('utf8');
  }

  skipTags(): void {
    for (let left = this.varint(); left > 0; left--) {
      this.varint();
      this.skip(this.varint());
    }
  }
}
