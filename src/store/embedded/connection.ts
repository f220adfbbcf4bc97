/**
 * chDB behind `@clickhouse/client`: loads the optional package, fixes the engine's limits, opens connections.
 *
 * Only the child process may load this. The first Session on a path decides the engine's configuration for the whole
 * process, which `createChdbConnection` has no way to give; so a Session is opened first and kept. Results are bytes;
 * what goes in is text, the connection destroys binary on that way.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type ClickHouseClientConfigOptions, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { messageOf } from '../../errors.ts';
import { usersConfiguration } from './access.ts';
import type { ChildOptions, Failure, Params } from './protocol.ts';

export interface Connection {
  command(sql: string): Promise<void>;
  /** The result in any format. */
  read(sql: string, format: string, params: Params | undefined): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Connector {
  connect(): Connection;
  failureOf(error: unknown): Failure;
  close(): void;
}

export type Opened =
  | { readonly ok: true; readonly connector: Connector }
  | { readonly ok: false; readonly why: 'missing' | 'other'; readonly message: string };

type ClientConnection = NonNullable<ClickHouseClientConfigOptions['connection']>;

const MARK_CACHE_BYTES = 64 * 1024 * 1024;

/**
 * Without bounds chDB takes nine tenths of the machine's memory and marks of up to 5 GB. What looks for files of users or
 * schemas looks into a directory with nothing in it. (chDB 26.7 takes no notice of remote_url_allow_hosts and access_control_improvements.)
 */
function configuration(memoryBytes: number, usersFile: string, nothing: string): string {
  return `<clickhouse>
  <users_config>${usersFile}</users_config>
  <display_name>rogue-smtp</display_name>
  <user_files_path>${nothing}</user_files_path>
  <format_schema_path>${nothing}</format_schema_path>
  <max_server_memory_usage>${memoryBytes}</max_server_memory_usage>
  <mark_cache_size>${MARK_CACHE_BYTES}</mark_cache_size>
  <index_mark_cache_size>${MARK_CACHE_BYTES / 4}</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
</clickhouse>
`;
}

const xmlText = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

export async function openEngine(options: ChildOptions): Promise<Opened> {
  let Session: typeof import('chdb')['Session'];
  let createChdbConnection: typeof import('chdb/connection')['createChdbConnection'];
  try {
    ({ Session } = await import('chdb'));
    ({ createChdbConnection } = await import('chdb/connection'));
  } catch (error) {
    return { ok: false, why: 'missing', message: messageOf(error) };
  }
  const path = join(options.directory, 'engine');
  const configFile = join(options.directory, 'engine.xml');
  const usersFile = join(options.directory, 'users.xml');
  try {
    writeFileSync(usersFile, usersConfiguration(options.database));
    writeFileSync(
      configFile,
      configuration(options.memoryBytes, xmlText(usersFile), xmlText(join(options.directory, 'nothing/'))),
    );
    const first = new Session(path, { connectionArgs: [`--config-file=${configFile}`] });
    const connect = (): Connection => {
      const client = createClient({
        // The two packages declare one contract under names of their own, which TypeScript holds for two.
        connection: createChdbConnection({ path }) as unknown as ClientConnection,
        // The client prints what it also throws; the parent logs it.
        log: { level: ClickHouseLogLevel.OFF },
      });
      return {
        async command(sql) {
          await client.command({ query: sql });
        },
        async read(sql, format, params) {
          const query = `${sql}\nFORMAT ${format}`;
          const result = await client.exec(
            params === undefined ? { query } : { query, query_params: { ...params } },
          );
          return buffer(result.stream);
        },
        close: () => client.close(),
      };
    };
    return { ok: true, connector: { connect, failureOf, close: () => first.close() } };
  } catch (error) {
    return { ok: false, why: 'other', message: messageOf(error) };
  }
}

function failureOf(error: unknown): Failure {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? Number(error.code) : Number.NaN;
  const name = typeof error === 'object' && error !== null && 'type' in error ? String(error.type ?? '') : '';
  return { message: messageOf(error), code: Number.isInteger(code) ? code : null, name };
}
