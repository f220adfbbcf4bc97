/**
 * Messages on the wire: the value as it is, everything else in headers.
 *
 * Headers are text, so that any client can show them: `schema_version`, `rows`, `id`, `producer`, `sequence` and
 * `rows_before` (see MessageOrigin), `read_by` (group names behind commas, see StreamMessage), and for flows `received_from` and `received_until`, milliseconds since 1970, and `exporters`, addresses
 * behind commas, with `...` at the end where there are more. A message without headers is understood too.
 */

import type { Batch, IHeaders, KafkaMessage } from 'kafkajs';
import { appendRow, createFlowBatch, type FlowBatch } from '../../flow/batch.ts';
import { blockFacts, decodeNative, encodeNative } from '../../flow/native.ts';
import type { MessageOrigin, ReceivedMessage, StreamMessage, StreamName } from '../stream.ts';
import type { PlacedRecord } from './producer.ts';

/** Of the headers and of the columns in a Native block; blocks themselves say which columns they have. */
const SCHEMA_VERSION = '1';
/** Named in a header; a collector of more routers than that says so. */
const MAX_EXPORTERS = 8;

/** `place` says where a message belongs that does not say so itself. */
export function toRecord(
  stream: StreamName,
  message: StreamMessage,
  place: (key: string) => number,
): PlacedRecord {
  const { key, id, value, rows, partition, origin, readBy = [] } = message;
  const facts = stream === 'flows' || stream === 'mail' ? blockFacts(value, MAX_EXPORTERS) : null;
  return {
    key: key === '' ? null : key,
    value: Buffer.from(value.buffer, value.byteOffset, value.length),
    partition: partition ?? place(key),
    headers: {
      schema_version: SCHEMA_VERSION,
      rows: String(rows),
      ...(id !== '' && { id }),
      ...(origin !== undefined && { producer: origin.producer, sequence: String(origin.sequence) }),
      ...(origin?.rowsBefore !== undefined && { rows_before: String(origin.rowsBefore) }),
      ...(readBy.length > 0 && { read_by: readBy.join(',') }),
      ...(facts !== null && {
        received_from: String(facts.fromMs),
        received_until: String(facts.untilMs),
        exporters: [...facts.exporters, ...(facts.hasMoreExporters ? ['...'] : [])].join(','),
      }),
    },
  };
}

/**
 * A message of blocks as two that have its rows in their order; null where it has none, or only one row. Both keep its
 * number: the rows before them tell them apart, and where these are not known, another name.
 */
export function divideBlocks(message: StreamMessage): readonly StreamMessage[] | null {
  const halves = message.rows > 1 ? halvesOf(message.value) : null;
  if (halves === null) return null;
  let before = 0;
  return halves.map(({ value, rows }, i) => {
    const part = { ...message, value, rows, origin: partOrigin(message.origin, before, i) };
    before += rows;
    return part;
  });
}

function partOrigin(
  origin: MessageOrigin | undefined,
  before: number,
  part: number,
): MessageOrigin | undefined {
  if (origin?.rowsBefore !== undefined) return { ...origin, rowsBefore: origin.rowsBefore + before };
  return origin === undefined ? undefined : { ...origin, producer: `${origin.producer}-p${part}` };
}

function halvesOf(value: Uint8Array): readonly { readonly value: Buffer; readonly rows: number }[] | null {
  const batches: FlowBatch[] = [];
  let rows = 0;
  for (let at = 0; at < value.length; ) {
    const block = decodeNative(value, at);
    if (!block.ok) return null;
    batches.push(block.batch);
    rows += block.batch.length;
    at = block.next;
  }
  if (rows < 2) return null;
  const first = createFlowBatch(rows >> 1);
  const second = createFlowBatch(rows - (rows >> 1));
  for (const batch of batches)
    for (let row = 0; row < batch.length; row++)
      appendRow(first.length < rows >> 1 ? first : second, batch, row);
  return [first, second].map((half) => ({ value: encodeNative(half), rows: half.length }));
}

/** Null for a tombstone, which has nothing to say to anyone here. */
export function fromRecord(
  record: Pick<KafkaMessage, 'key' | 'value' | 'offset' | 'headers'>,
): ReceivedMessage | null {
  const { key, value, offset, headers = {} } = record;
  if (value === null) return null;
  const producer = text(headers, 'producer');
  const sequence = count(headers, 'sequence');
  const rowsBefore = count(headers, 'rows_before');
  const readBy = text(headers, 'read_by');
  const version = text(headers, 'schema_version').slice(0, 20);
  return {
    offset: Number(offset),
    key: key?.toString('utf8') ?? '',
    id: text(headers, 'id'),
    rows: count(headers, 'rows') ?? 1,
    value,
    ...(readBy !== '' && { readBy: readBy.split(',') }),
    ...(!isKnownVersion(version) && { foreignVersion: version }),
    ...(producer !== '' &&
      sequence !== null && {
        origin: { producer, sequence, ...(rowsBefore !== null && { rowsBefore }) },
      }),
  };
}

/** `1` or what is compatible with it, as `1.4`; none is that of a stranger, who sends what everybody can read. */
function isKnownVersion(version: string): boolean {
  const [major] = version.split('.', 1);
  return version === '' || (/^[0-9]+(\.[0-9]+)*$/.test(version) && major === SCHEMA_VERSION);
}

/** Under which leader a record was written; null when the library does not say. */
export function epochOf(record: KafkaMessage | undefined): number | null {
  // The library hands it on with each record of a batch (recordBatch/v0/decoder.js), but does not declare it.
  const batch: unknown = record === undefined ? null : Reflect.get(record, 'batchContext');
  if (typeof batch !== 'object' || batch === null || !('partitionLeaderEpoch' in batch)) return null;
  const { partitionLeaderEpoch } = batch;
  return typeof partitionLeaderEpoch === 'number' && partitionLeaderEpoch >= 0 ? partitionLeaderEpoch : null;
}

/**
 * Under which leader a batch was written up to the given offset, or a later leader of it; null when the library does not say,
 * -1 when nothing can: of records that compaction has removed.
 */
export function epochAt(batch: Pick<Batch, 'messages'>, offset: number): number | null {
  const last = batch.messages.at(-1);
  return last === undefined || Number(last.offset) < offset ? -1 : epochOf(last);
}

function text(headers: IHeaders, name: string): string {
  const value = headers[name];
  const first = Array.isArray(value) ? value[0] : value;
  return first === undefined ? '' : first.toString();
}

function count(headers: IHeaders, name: string): number | null {
  const found = text(headers, name);
  const value = Number(found);
  return found !== '' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
