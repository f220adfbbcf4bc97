/**
 * Flows and mail sessions as people look through them: a statement made of typed values, and a page of its rows.
 *
 * The statement that is run is the one that is shown, through the same three walls as SQL that a person types. Addresses come from
 * parsed prefixes, times and numbers from numbers, so that no outside text is ever in it.
 */

import { formatAddress, parseAddress } from '../flow/address.ts';
import { type Prefix, parsePrefix } from '../flow/prefix.ts';
import { addressRange } from './conditions.ts';
import type { Engine } from './store.ts';

export interface ExploreQuery {
  readonly table: 'sessions' | 'flows';
  readonly fromMs: number;
  readonly toMs: number;
  /** On either side; as the client; as the server. */
  readonly host?: Prefix | undefined;
  readonly client?: Prefix | undefined;
  readonly server?: Prefix | undefined;
  readonly port?: number | undefined;
  readonly exporter?: Prefix | undefined;
  readonly limit: number;
  /** The last row of the page before. */
  readonly after?: readonly (string | number)[] | undefined;
}

type ColumnType = 'time' | 'address' | 'number' | 'text' | 'list';
type Cell = string | number | null | readonly string[];

export interface ExplorePage {
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[];
  readonly rows: readonly (readonly Cell[])[];
  /** For the next page; null at the end. */
  readonly last: readonly (string | number)[] | null;
  readonly sql: string;
}

const TIMEOUT_MS = 20_000;

interface Shape {
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** What sorts, newest first, and tells rows apart. */
  readonly keys: readonly string[];
  readonly from: (query: ExploreQuery) => string;
}

const SESSIONS: Shape = {
  columns: {
    first_seen: 'time',
    last_seen: 'time',
    client: 'address',
    client_port: 'number',
    server: 'address',
    server_port: 'number',
    records: 'number',
    packets_to_server: 'number',
    bytes_to_server: 'number',
    packets_to_client: 'number',
    bytes_to_client: 'number',
    flags_to_server: 'number',
    flags_to_client: 'number',
    exporters: 'list',
  },
  keys: ['first_seen', 'client', 'server', 'server_port', 'client_port'],
  from: (query) => {
    const { fromMs, toMs, host, client, server, port, exporter } = query;
    const where = [
      `hour >= toStartOfHour(${moment(fromMs)})`,
      `hour <= ${moment(toMs)}`,
      ...(host === undefined ? [] : [`(${addressRange('client', host)} OR ${addressRange('server', host)})`]),
      ...(client === undefined ? [] : [addressRange('client', client)]),
      ...(server === undefined ? [] : [addressRange('server', server)]),
      ...(port === undefined ? [] : [`server_port = ${Math.trunc(port)}`]),
    ];
    const having = [
      `first_seen >= ${moment(fromMs)}`,
      `first_seen < ${moment(toMs)}`,
      ...(exporter === undefined ? [] : [`arrayExists(one -> ${addressRange('one', exporter)}, exporters)`]),
    ];
    return `(
  SELECT client, server, server_port, client_port,
    min(s.first_seen) AS first_seen, max(s.last_seen) AS last_seen, sum(s.records) AS records,
    sum(s.packets_to_server) AS packets_to_server, sum(s.bytes_to_server) AS bytes_to_server,
    sum(s.packets_to_client) AS packets_to_client, sum(s.bytes_to_client) AS bytes_to_client,
    groupBitOr(s.flags_to_server) AS flags_to_server, groupBitOr(s.flags_to_client) AS flags_to_client,
    groupUniqArrayArray(s.exporters) AS exporters
  FROM mail_sessions AS s
  WHERE ${where.join(' AND ')}
  GROUP BY hour, client, server, server_port, client_port
  HAVING ${having.join(' AND ')}
)`;
  },
};

const FLOWS: Shape = {
  columns: {
    received_at: 'time',
    exporter: 'address',
    domain: 'number',
    version: 'number',
    src_addr: 'address',
    src_port: 'number',
    dst_addr: 'address',
    dst_port: 'number',
    protocol: 'number',
    packets: 'number',
    bytes: 'number',
    tcp_flags: 'number',
    in_if: 'number',
    out_if: 'number',
    sampling_rate: 'number',
    start: 'time',
    end: 'time',
    sequence: 'number',
    record: 'number',
  },
  keys: ['received_at', 'exporter', 'domain', 'sequence', 'record'],
  from: (query) => {
    const { fromMs, toMs, host, client, server, port, exporter } = query;
    const where = [
      `received_at >= ${moment(fromMs)}`,
      `received_at < ${moment(toMs)}`,
      ...(host === undefined
        ? []
        : [`(${addressRange('src_addr', host)} OR ${addressRange('dst_addr', host)})`]),
      ...(client === undefined ? [] : [addressRange('src_addr', client)]),
      ...(server === undefined ? [] : [addressRange('dst_addr', server)]),
      ...(port === undefined ? [] : [`(dst_port = ${Math.trunc(port)} OR src_port = ${Math.trunc(port)})`]),
      ...(exporter === undefined ? [] : [addressRange('exporter', exporter)]),
    ];
    return `flows\nWHERE ${where.join(' AND ')}`;
  },
};

/** Throws RogueSmtpError of the store. A page is read anew from its key, so that rows that come meanwhile move nothing. */
export async function explore(engine: Engine, query: ExploreQuery): Promise<ExplorePage> {
  const shape = shapeOf(query);
  const names = Object.keys(shape.columns);
  const sql = exploreSql(query);
  const found = await engine.query<Record<string, unknown>>(sql, { readonly: true, timeoutMs: TIMEOUT_MS });
  const rows = found.map((row) => names.map((name) => cellOf(row[name], shape.columns[name])));
  const last = found.length < query.limit ? null : found.at(-1);
  return {
    columns: names.map((name) => ({ name, type: shape.columns[name] })),
    rows,
    last: last === null || last === undefined ? null : shape.keys.map((key) => keyText(last[key])),
    sql,
  };
}

const shapeOf = ({ table }: Pick<ExploreQuery, 'table'>): Shape => (table === 'sessions' ? SESSIONS : FLOWS);

/** The statement of a page, for a console too. */
export function exploreSql(query: ExploreQuery): string {
  const shape = shapeOf(query);
  const after = query.after === undefined ? null : afterKey(shape, query.after);
  const glue = query.table === 'flows' ? 'AND' : 'WHERE';
  return [
    `SELECT ${Object.keys(shape.columns)
      .map((name) => `\`${name}\``)
      .join(', ')}`,
    `FROM ${shape.from(query)}${after === null ? '' : `\n${glue} ${after}`}`,
    `ORDER BY ${shape.keys.map((key) => `${key} DESC`).join(', ')}`,
    `LIMIT ${Math.trunc(query.limit)}`,
  ].join('\n');
}

const moment = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${Math.trunc(ms)}), 'UTC')`;

/** Null for a key that is none of ours: then the first page is meant. */
function afterKey(shape: Shape, values: readonly (string | number)[]): string | null {
  if (values.length !== shape.keys.length) return null;
  const literals: string[] = [];
  for (const [i, key] of shape.keys.entries()) {
    const literal = literalOf(values[i], shape.columns[key] ?? 'number');
    if (literal === null) return null;
    literals.push(literal);
  }
  return `(${shape.keys.join(', ')}) < (${literals.join(', ')})`;
}

function literalOf(value: string | number, type: ColumnType): string | null {
  if (type === 'number') {
    const number = Number(value);
    return Number.isSafeInteger(number) && number >= 0 ? String(number) : null;
  }
  if (type === 'time') {
    const ms = Date.parse(String(value));
    return Number.isNaN(ms) ? null : moment(ms);
  }
  const parsed = parsePrefix(String(value));
  return parsed.ok && parsed.prefix.length === 128
    ? addressRange('', parsed.prefix).replace(' = ', '')
    : null;
}

const keyText = (value: unknown): string | number =>
  typeof value === 'number' ? value : canonical(String(value));

function cellOf(value: unknown, type: ColumnType): Cell {
  if (value === null || value === undefined) return null;
  if (type === 'list') return Array.isArray(value) ? value.map((one) => canonical(String(one))) : [];
  if (type === 'number') return Number(value);
  return type === 'address' ? canonical(String(value)) : String(value);
}

/** An address as people write it, IPv4 dotted; any other text as it is. */
function canonical(text: string): string {
  const bytes = parseAddress(text);
  return bytes === null ? text : formatAddress(bytes);
}
