/**
 * A row of a FlowBatch as users see it: what `decode` prints, one JSON object or one line of CSV a record.
 *
 * Both are written from one table of fields, as text at once: with an object for each row and JSON.stringify `decode` took a
 * quarter more CPU in all.
 * For the edges only; whoever needs many rows reads columns.
 */

import { formatAddress } from './address.ts';
import { type FlowBatch, readWide } from './batch.ts';
import {
  type FLOW_COLUMNS,
  type FlowColumn,
  type FlowVersionName,
  flowVersionName,
  PRESENT,
} from './columns.ts';

/** A field that the record did not have is null. Names and their order are part of the outer contract. */
export interface FlowRecord {
  readonly received_at: string | null;
  readonly exporter: string;
  readonly domain: number;
  readonly version: FlowVersionName | 'unknown';
  readonly src_addr: string | null;
  readonly dst_addr: string | null;
  readonly src_port: number | null;
  readonly dst_port: number | null;
  readonly protocol: number | null;
  readonly tcp_flags: number | null;
  readonly packets: number | null;
  readonly bytes: number | null;
  readonly start: string | null;
  readonly end: string | null;
  readonly in_if: number;
  readonly out_if: number;
  /** One packet in N, 0 unknown. */
  readonly sampling_rate: number;
  readonly forwarding: number | null;
  readonly direction: 'ingress' | 'egress' | null;
  readonly vrf: number | null;
  readonly post_nat_src_addr?: string;
  readonly post_nat_dst_addr?: string;
  readonly post_nat_src_port?: number;
  readonly post_nat_dst_port?: number;
  /** Only in the second half of a biflow (RFC 5103). */
  readonly reverse?: true;
  /** Only where the packet was in a tunnel, and this is the packet inside. */
  readonly in_tunnel?: true;
}

type Columns = FlowBatch['columns'];

interface RecordField {
  readonly name: keyof FlowRecord;
  /** Bit of PRESENT without which the record does not have it; 0 for a field that every record has. */
  readonly bit: number;
  /** In JSON a field that is not there is null, or left out. */
  readonly isLeftOut: boolean;
  readonly isText: boolean;
  /** Its text, which needs no escape in JSON nor CSV; null when the value says nothing. */
  readonly read: (columns: Columns, row: number) => string | null;
}

/** The last millisecond that a JavaScript Date can hold. A record may claim any 64-bit time. */
const MAX_DATE_MS = 8.64e15;

const DIRECTIONS = ['ingress', 'egress'] as const;

type NumberColumn = {
  readonly [K in FlowColumn]: (typeof FLOW_COLUMNS)[K] extends 'u8' | 'u16' | 'u32' ? K : never;
}[FlowColumn];
type ColumnOf<Kind> = {
  readonly [K in FlowColumn]: (typeof FLOW_COLUMNS)[K] extends Kind ? K : never;
}[FlowColumn];

function field(
  name: keyof FlowRecord,
  bit: number,
  isText: boolean,
  read: RecordField['read'],
  isLeftOut = false,
): RecordField {
  return { name, bit, isLeftOut, isText, read };
}
const number = (column: NumberColumn & keyof FlowRecord, bit = 0, isLeftOut = false) =>
  field(column, bit, false, (c, row) => String(c[column][row]), isLeftOut);
const count = (column: ColumnOf<'u64'> & keyof FlowRecord, bit: number) =>
  field(column, bit, false, (c, row) => String(readWide(c[column], row)));
const time = (column: ColumnOf<'time'> & keyof FlowRecord, bit = 0) =>
  field(column, bit, true, (c, row) => isoTime(c[column], row));
const address = (column: ColumnOf<'address'> & keyof FlowRecord, bit = 0, isLeftOut = false) =>
  field(column, bit, true, (c, row) => formatAddress(c[column], 16 * row), isLeftOut);

/** In the order in which they are printed. */
const FIELDS: readonly RecordField[] = [
  time('received_at'),
  address('exporter'),
  number('domain'),
  field('version', 0, true, (c, row) => flowVersionName(c.version[row])),
  address('src_addr', PRESENT.SRC_ADDR),
  address('dst_addr', PRESENT.DST_ADDR),
  number('src_port', PRESENT.SRC_PORT),
  number('dst_port', PRESENT.DST_PORT),
  number('protocol', PRESENT.PROTOCOL),
  number('tcp_flags', PRESENT.TCP_FLAGS),
  count('packets', PRESENT.PACKETS),
  count('bytes', PRESENT.BYTES),
  time('start', PRESENT.START),
  time('end', PRESENT.END),
  number('in_if'),
  number('out_if'),
  number('sampling_rate'),
  number('forwarding', PRESENT.FORWARDING),
  field('direction', PRESENT.DIRECTION, true, (c, row) => DIRECTIONS[c.direction[row]] ?? null),
  number('vrf', PRESENT.VRF),
  address('post_nat_src_addr', PRESENT.POST_NAT_SRC_ADDR, true),
  address('post_nat_dst_addr', PRESENT.POST_NAT_DST_ADDR, true),
  number('post_nat_src_port', PRESENT.POST_NAT_SRC_PORT, true),
  number('post_nat_dst_port', PRESENT.POST_NAT_DST_PORT, true),
  field('reverse', 0, false, (c, row) => (c.reverse[row] !== 0 ? 'true' : null), true),
  field('in_tunnel', PRESENT.IN_TUNNEL, false, () => 'true', true),
];
const JSON_KEYS = FIELDS.map(({ name }) => `"${name}":`);

function presentText({ bit, read }: RecordField, columns: Columns, row: number): string | null {
  return bit !== 0 && (columns.present[row] & bit) === 0 ? null : read(columns, row);
}

/** Row `row` of the batch, which must be below its length, as the text of a JSON object: a FlowRecord. */
export function recordJson({ columns }: FlowBatch, row: number): string {
  let text = '';
  for (let i = 0; i < FIELDS.length; i++) {
    const one = FIELDS[i];
    const value = presentText(one, columns, row);
    if (value === null) {
      if (!one.isLeftOut) text += `,${JSON_KEYS[i]}null`;
    } else text += one.isText ? `,${JSON_KEYS[i]}"${value}"` : `,${JSON_KEYS[i]}${value}`;
  }
  return `{${text.slice(1)}}`;
}

/** The names of the columns of CSV, all fields of FlowRecord in its order. */
export const RECORD_CSV_HEADER = FIELDS.map(({ name }) => name).join(',');

/** Row `row` of the batch as a line of CSV, without its end; a field that is not there is empty. Nothing needs quotes. */
export function recordCsv({ columns }: FlowBatch, row: number): string {
  let text = presentText(FIELDS[0], columns, row) ?? '';
  for (let i = 1; i < FIELDS.length; i++) text += `,${presentText(FIELDS[i], columns, row) ?? ''}`;
  return text;
}

/** Row `row` of the batch as an object. */
export function recordOf(batch: FlowBatch, row: number): FlowRecord {
  return JSON.parse(recordJson(batch, row));
}

/** Texts of seconds; flows of a capture share most of theirs, and making one takes longer than all else of a record. */
const seconds = new Map<number, string>();
const MAX_SECONDS = 10_000;
const MILLISECONDS = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`);

function isoTime(column: Uint32Array, row: number): string | null {
  const ms = readWide(column, row);
  if (ms > MAX_DATE_MS) return null;
  const second = Math.floor(ms / 1000);
  let text = seconds.get(second);
  if (text === undefined) {
    if (seconds.size >= MAX_SECONDS) seconds.clear();
    text = new Date(1000 * second).toISOString().slice(0, -4);
    seconds.set(second, text);
  }
  return text + MILLISECONDS[ms - 1000 * second];
}
