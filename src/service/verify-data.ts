/**
 * Whether the files of a stopped instance say what was written, for `rogue-smtp check --data`.
 *
 * It reads everything against its checksums and against each other, and changes nothing but the lock, which it holds
 * meanwhile: an instance that runs writes on, and would look damaged.
 */

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACL_FAMILIES } from '../acl/model.ts';
import { damagedLines } from '../collect/sequence-file.ts';
import { loadTemplates } from '../collect/template-file.ts';
import { isIntactCopy } from '../config/lists.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { checkedText } from '../files/checked-text.ts';
import { createLogger } from '../logger.ts';
import { fileOf } from '../publish/acl-target.ts';
import { lostReason } from '../publish/admissions.ts';
import { damagedRevisions } from '../publish/list-files.ts';
import { readListState } from '../publish/list-state.ts';
import { createEngine, storeExists } from '../store/open-engine.ts';
import type { Engine } from '../store/store.ts';
import { lockDirectory } from '../stream/local/directory-lock.ts';
import { readableKeys, verifyStreams } from '../stream/local/verify.ts';
import { missingParts } from './damage-report.ts';

export interface DataFinding {
  /** What was looked at. */
  readonly what: string;
  /** What is damaged, in words; empty when nothing is. */
  readonly damages: readonly string[];
}

/** Looks at one part after the other. Never throws: what cannot be looked at is a finding. */
export async function verifyData({ config, lists }: LoadedConfig): Promise<DataFinding[]> {
  const { data } = config;
  if (!existsSync(data)) return [{ what: `data directory ${data}`, damages: ['it is not there'] }];
  const findings: DataFinding[] = [];
  const look = async (what: string, work: () => Promise<readonly string[]>) => {
    findings.push({ what, damages: await work().catch((error: unknown) => [messageOf(error)]) });
  };
  await look('directories', async () => missingParts(data).map((part) => `${join(data, part)} was removed`));
  for (const part of ['stream', 'spool']) {
    const directory = join(data, part);
    if (!existsSync(directory)) continue;
    await look(part, async () => {
      const lock = await lockDirectory(directory);
      try {
        return await verifyStreams(directory);
      } finally {
        await lock.release();
      }
    });
  }
  await look('state of the lists', async () => {
    const { admissions } = await readListState(data);
    return admissions === null ? [] : await lostHosts(config, Object.keys(admissions.admitted));
  });
  await look('templates', async () => {
    const loaded = await loadTemplates(join(data, 'templates.json'));
    return loaded.kind === 'unreadable' ? [`${join(data, 'templates.json')}: ${loaded.reason}`] : [];
  });
  await look('sequences', () => lines(join(data, 'sequences.ndjson'), damagedLines));
  await look('audit log', () => lines(join(data, 'audit.ndjson'), unreadableLines));
  for (const name of ['parts.json', 'clock.json', 'collector-clocks.json', 'mail-servers.json'])
    await look(name, async () =>
      (await isIntactJson(join(data, name))) ? [] : [`${join(data, name)} is damaged`],
    );
  await look('fetched lists', async () => {
    const copies = lists.filter(({ remote, file }) => remote !== null && existsSync(file));
    const damaged = await Promise.all(
      copies.map(async ({ file }) =>
        isIntactCopy(await readFile(file, 'utf8')) ? [] : [`${file} is damaged`],
      ),
    );
    return damaged.flat();
  });
  await look('ACL files', async () => {
    const damages: string[] = [];
    for (const target of config.acl.targets)
      for (const family of ACL_FAMILIES)
        damages.push(...(await damagedRevisions(fileOf(config, target, family))));
    return damages;
  });
  if (config.clickhouse.url === '' && storeExists(config)) await look('store', () => damagedTables(config));
  return findings;
}

/** Listed hosts without an incident. */
async function lostHosts(config: Config, admitted: readonly string[]): Promise<string[]> {
  // With brokers the incidents are not in the data directory.
  if (config.kafka.brokers.length > 0 || admitted.length === 0) return [];
  const known = await readableKeys(join(config.data, 'stream'), 'incidents');
  const missing = admitted.filter((key) => !known.has(key));
  return missing.length === 0 ? [] : [lostReason(missing)];
}

async function lines(file: string, count: (text: string) => number): Promise<string[]> {
  if (!existsSync(file)) return [];
  const damaged = count(await readFile(file, 'utf8'));
  return damaged === 0 ? [] : [`${file}: ${damaged} line(s) are damaged`];
}

/** But for one that a kill cut short. */
function unreadableLines(text: string): number {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '' && !isJson(line)).length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function isIntactJson(file: string): Promise<boolean> {
  if (!existsSync(file)) return true;
  const text = checkedText(await readFile(file, 'utf8'));
  return text !== null && isJson(text);
}

/** Tables of the embedded store whose parts are not what their checksums say. */
async function damagedTables(config: Config): Promise<string[]> {
  const engine = createEngine(config, createLogger('silent'));
  try {
    await engine.start();
    const tables = await engine.query<{ name: string }>(
      "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree%' ORDER BY name",
      { params: { database: config.clickhouse.database } },
    );
    const damages: string[] = [];
    for (const { name } of tables) {
      const complaint = await checkTable(engine, `\`${config.clickhouse.database}\`.\`${name}\``);
      if (complaint !== null) damages.push(`table ${name}: ${complaint}`);
    }
    return damages;
  } finally {
    await engine.stop().catch(() => undefined);
  }
}

async function checkTable(engine: Engine, table: string): Promise<string | null> {
  try {
    const text = await engine.queryBytes(
      `CHECK TABLE ${table} SETTINGS check_query_single_value_result = 1`,
      'TSV',
    );
    return Buffer.from(text).toString('utf8').trim() === '1' ? null : 'its parts are damaged';
  } catch (error) {
    return messageOf(error);
  }
}
