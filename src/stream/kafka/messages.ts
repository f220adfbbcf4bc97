/**
 * Messages on the wire: the value as it is, everything else in headers.
 *
 * Headers are text, so that any client can show them: `schema_version`, `rows`, `id`, `producer` and `sequence` (see
 * MessageOrigin), and for flows `received_from` and `received_until`, milliseconds since 1970, and `exporters`, addresses
 * behind commas, with `...` at the end where there are more. A message without headers is understood too.
 */

import type { IHeaders, KafkaMessage } from 'kafkajs';
import { blockFacts } from '../../flow/native.ts';
import type { ReceivedMessage, StreamMessage, StreamName } from '../stream.ts';
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
  const { key, id, value, rows, partition, origin } = message;
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
      ...(facts !== null && {
        received_from: String(facts.fromMs),
        received_until: String(facts.untilMs),
        exporters: [...facts.exporters, ...(facts.hasMoreExporters ? ['...'] : [])].join(','),
      }),
    },
  };
}

/** Null for a tombstone, which has nothing to say to anyone here. */
export function fromRecord(
  record: Pick<KafkaMessage, 'key' | 'value' | 'offset' | 'headers'>,
): ReceivedMessage | null {
  const { key, value, offset, headers = {} } = record;
  if (value === null) return null;
  const producer = text(headers, 'producer');
  const sequence = count(headers, 'sequence');
  return {
    offset: Number(offset),
    key: key?.toString('utf8') ?? '',
    id: text(headers, 'id'),
    rows: count(headers, 'rows') ?? 1,
    value,
    ...(producer !== '' && sequence !== null && { origin: { producer, sequence } }),
  };
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
