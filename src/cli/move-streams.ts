/**
 * `rogue-smtp migrate --streams`: moves what lies unread in the embedded streams of the data directory to the brokers, after
 * `kafka.brokers` was set. It changes no topic and no table.
 */

import { join } from 'node:path';
import { createMailDivider } from '../collect/mail-partitions.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { FlowBatch } from '../flow/batch.ts';
import { hostPartition } from '../flow/host-partition.ts';
import { decodeNative, encodeNative } from '../flow/native.ts';
import { parsePrefix } from '../flow/prefix.ts';
import { createLogger } from '../logger.ts';
import { createKafkaStream } from '../stream/kafka/kafka-stream.ts';
import { type MoveOptions, moveStreams } from '../stream/local/move.ts';
import { STREAM_DIRECTORY } from '../stream/open-stream.ts';
import type { ReceivedMessage, Stream, StreamMessage } from '../stream/stream.ts';

/** Throws RogueSmtpError: what keeps the streams from being moved. What was moved until then stays moved. */
export async function moveStreamsCommand(
  { config }: LoadedConfig,
  streams: { readonly stdout: NodeJS.WritableStream },
): Promise<void> {
  if (config.kafka.brokers.length === 0)
    throw new RogueSmtpError('usage', 'migrate --streams moves to brokers: set kafka.brokers');
  const log = createLogger(config.log.level);
  const kafka = createKafkaStream({ config: config.kafka, log });
  await kafka.start();
  try {
    await kafka.checkTopics(false);
    const directory = join(config.data, STREAM_DIRECTORY);
    const moved = await moveStreams({ directory, to: kafka, partsOf: divideFor(config, kafka), log });
    for (const { stream, rows, damaged } of moved) {
      streams.stdout.write(`moved    ${rows} of ${stream}\n`);
      if (damaged > 0) streams.stdout.write(`damaged  ${damaged} message(s) of ${stream} cannot be read\n`);
    }
    if (moved.length === 0) streams.stdout.write(`ok       nothing lies in ${directory}\n`);
  } finally {
    await kafka.stop();
  }
}

/** Puts messages of a stream with one partition into those that roles look for them in. */
export function divideFor(config: Config, to: Pick<Stream, 'partitions'>): MoveOptions['partsOf'] {
  const divideMail = createDivider(config, to.partitions('mail'));
  return (stream, message) => {
    const { key, id, value, rows, offset } = message;
    const plain = { key, id, value, rows };
    // Alerts go where their key says.
    if (stream === 'alerts') return [plain];
    if (stream === 'flows') return [{ ...plain, partition: offset % to.partitions(stream) }];
    return stream === 'mail'
      ? divideMail(message)
      : [{ ...plain, partition: partitionOfHost(message, to.partitions(stream)) }];
  };
}

/** 0 for what no role can read: whoever reads it says so. */
function partitionOfHost({ value }: ReceivedMessage, partitions: number): number {
  try {
    const content: unknown = JSON.parse(Buffer.from(value).toString());
    if (typeof content !== 'object' || content === null || !('host' in content)) return 0;
    const host = parsePrefix(String(content.host));
    return host.ok ? hostPartition(host.prefix.bytes, 0, partitions) : 0;
  } catch {
    return 0;
  }
}

/** One message for each partition that has rows: its blocks follow one another, in the order of the message. */
function createDivider(
  { networks, detection }: Config,
  partitions: number,
): (message: ReceivedMessage) => StreamMessage[] {
  let capacity = 0;
  let divide = createMailDivider(networks.internal, partitions, capacity);

  function dividerFor(batch: FlowBatch): typeof divide {
    if (batch.length <= capacity) return divide;
    capacity = batch.length;
    divide = createMailDivider(networks.internal, partitions, capacity, {
      ipv6Group: detection.ipv6_group,
      nat: networks.nat,
    });
    return divide;
  }

  return ({ key, id, value, rows }) => {
    const parts = new Map<number, { readonly blocks: Buffer[]; rows: number }>();
    for (let at = 0; at < value.length; ) {
      const block = decodeNative(value, at);
      if (!block.ok) return [{ key, id, value, rows, partition: 0 }];
      dividerFor(block.batch)(block.batch, (part, partition) => {
        const known = parts.get(partition) ?? { blocks: [], rows: 0 };
        known.blocks.push(encodeNative(part));
        known.rows += part.length;
        parts.set(partition, known);
      });
      at = block.next;
    }
    return [...parts].map(([partition, part]) => ({
      key,
      id,
      value: Buffer.concat(part.blocks),
      rows: part.rows,
      partition,
    }));
  };
}
