/**
 * What a store engine is: the one seam between the program and ClickHouse.
 *
 * Two implementations, the embedded engine (chDB in a child process of its own, so that a slow query never delays a
 * datagram and a crash of native code never takes the collector along) and a ClickHouse server over HTTP. Everything
 * above (migrations, writers, queries) is the same SQL for both.
 */

import type { Wall } from './walls.ts';

export interface QueryOptions {
  /** Values for `{name:Type}` placeholders. The only way for outside text to reach a query. */
  readonly params?: Readonly<
    Record<string, string | number | boolean | readonly string[] | readonly number[]>
  >;
  /** Refuse anything that writes or reaches outside the tables. For SQL that a user typed. */
  readonly readonly?: boolean;
  /** With `readonly`: what a request over HTTP brought along, its names and settings checked by whoever took it. */
  readonly request?: {
    /** Values of placeholders as they travel in a URL: with the escapes of TSV. */
    readonly params: Readonly<Record<string, string>>;
    readonly settings: Readonly<Record<string, string>>;
  };
  /** Milliseconds after which the engine gives up. */
  readonly timeoutMs?: number;
}

interface InsertOptions {
  /** Same token, same rows, inserted once however often it is called (ClickHouse `insert_deduplication_token`). */
  readonly token: string;
}

export interface Engine {
  start(): Promise<void>;
  /** A statement without a result. */
  command(sql: string): Promise<void>;
  /** Rows as objects by column name. 64-bit integers arrive as numbers where exact, else as text. */
  query<Row>(sql: string, options?: QueryOptions): Promise<Row[]>;
  /** The result in any ClickHouse format, text or binary. */
  queryBytes(sql: string, format: string, options?: QueryOptions): Promise<Uint8Array>;
  /** Native blocks, from a file or from memory. Resolves when the rows are durable. */
  insertNative(
    table: string,
    source: { readonly file: string } | { readonly bytes: readonly Uint8Array[] },
    options: InsertOptions,
  ): Promise<void>;
  /** Rows as JSON objects (one text a row). */
  insertJson(table: string, rows: readonly string[], options: InsertOptions): Promise<void>;
  /** Which walls stand around statements of users. Only while it runs. */
  walls(): Promise<readonly Wall[]>;
  stop(): Promise<void>;
}
