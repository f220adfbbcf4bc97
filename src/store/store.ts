/**
 * What a store engine is: the one seam between the program and ClickHouse.
 *
 * Two implementations, the embedded engine (chDB in a child process of its own, so that a slow query never delays a
 * datagram and a crash of native code never takes the collector along) and a ClickHouse server over HTTP. Everything
 * above (migrations, writers, queries) is the same SQL for both.
 */

export interface QueryOptions {
  /** Values for `{name:Type}` placeholders. The only way for outside text to reach a query. */
  readonly params?: Readonly<
    Record<string, string | number | boolean | readonly string[] | readonly number[]>
  >;
  /** Refuse anything that writes or reaches outside the tables. For SQL that a user typed. */
  readonly readonly?: boolean;
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
  /** The result as text in any ClickHouse format. */
  queryText(sql: string, format: string, options?: QueryOptions): Promise<string>;
  /** Native blocks, from a file or from memory. Resolves when the rows are durable. */
  insertNative(
    table: string,
    source: { readonly file: string } | { readonly bytes: readonly Uint8Array[] },
    options: InsertOptions,
  ): Promise<void>;
  /** Rows as JSON objects (one text a row). */
  insertJson(table: string, rows: readonly string[], options: InsertOptions): Promise<void>;
  stop(): Promise<void>;
}
