/** What the store tests share: the real embedded engine where it is installed, and rows whose meaning is readable. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch, type FlowBatch, writeWide } from '../../src/flow/batch.ts';
import { PRESENT } from '../../src/flow/columns.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { createEmbeddedEngine, type EmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { migrate } from '../../src/store/migrate.ts';

export const chdbInstalled = (() => {
  try {
    createRequire(import.meta.url).resolve('chdb');
    return true;
  } catch {
    return false;
  }
})();

export const withoutChdb = 'real engine; skipped: the optional package chdb is not installed';

export const silentLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const DAY_MS = 86_400_000;
export const RETENTION = { flows: 30 * DAY_MS, mail: 90 * DAY_MS, incidents: 365 * DAY_MS };
export const DATABASE = 'rogue_smtp';

export interface TestStore {
  readonly engine: EmbeddedEngine;
  readonly directory: string;
  close(): Promise<void>;
}

/** A migrated store in a directory of its own. */
export async function openTestStore({ confined = true } = {}): Promise<TestStore> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-store-'));
  const engine = createEmbeddedEngine({ directory, database: DATABASE, log: silentLog, confined });
  await engine.start();
  await migrate(engine, { database: DATABASE, retention: RETENTION });
  return {
    engine,
    directory,
    async close() {
      await engine.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface FlowRow {
  readonly at: number;
  readonly src: string;
  readonly dst: string;
  readonly srcPort: number;
  readonly dstPort: number;
  readonly packets?: number;
  readonly bytes?: number;
  readonly flags?: number;
  readonly protocol?: number;
  readonly exporter?: string;
  readonly vrf?: number;
  readonly sequence?: number;
}

/** A batch of readable rows; what is not said is plain (TCP, one packet, sampling 1). */
export function flowBatch(rows: readonly FlowRow[]): FlowBatch {
  const batch = createFlowBatch(Math.max(1, rows.length));
  rows.forEach((row, i) => {
    const c = batch.columns;
    writeWide(c.received_at, i, row.at);
    writeWide(c.start, i, row.at - 2000);
    writeWide(c.end, i, row.at - 1000);
    c.exporter.set(parseAddress(row.exporter ?? '192.0.2.1')!, 16 * i);
    c.src_addr.set(parseAddress(row.src)!, 16 * i);
    c.dst_addr.set(parseAddress(row.dst)!, 16 * i);
    c.src_port[i] = row.srcPort;
    c.dst_port[i] = row.dstPort;
    c.protocol[i] = row.protocol ?? 6;
    c.tcp_flags[i] = row.flags ?? 0x1b;
    writeWide(c.packets, i, row.packets ?? 1);
    writeWide(c.bytes, i, row.bytes ?? 100);
    c.sampling_rate[i] = 1;
    c.version[i] = 9;
    c.sequence[i] = row.sequence ?? i;
    c.record[i] = i;
    const vrf = row.vrf === undefined ? 0 : PRESENT.VRF;
    c.vrf[i] = row.vrf ?? 0;
    c.present[i] = PRESENT.SRC_ADDR | PRESENT.DST_ADDR | PRESENT.TCP_FLAGS | PRESENT.START | vrf;
  });
  batch.length = rows.length;
  return batch;
}

const at = (ms: number) => new Date(ms).toISOString();

export function incidentMessage(given: Partial<Incident> = {}): Incident {
  const now = Date.UTC(2026, 2, 1, 10);
  return {
    schema: 'rogue-smtp.incident',
    schema_version: 1,
    incident_id: 'inc-1',
    host: '10.0.0.5',
    site: '',
    grade: 'conversed',
    flags: ['half_seen'],
    first_seen: at(now),
    last_seen: at(now + 60_000),
    sessions: 3,
    attempts: 1,
    destinations: { count: 2, exact: true, top: [] },
    packets: 60,
    bytes: 9000,
    ports: [25],
    exporters: [{ address: '192.0.2.1', domain: 0, interface: 3 }],
    sampling: [1],
    reasons: ['a session of 20 packets'],
    missing: [],
    policy_version: 'p1',
    block: { state: 'proposed', reason: 'waits for approval', since: at(now), until: null },
    state: 'open',
    opened_at: at(now),
    updated_at: at(now + 60_000),
    closed_at: null,
    revision: 1,
    recurrence: 0,
    resume: { a: 1 },
    ...given,
  };
}

export function alertMessage(given: Partial<Alert> = {}): Alert {
  const { state, opened_at, updated_at, closed_at, revision, recurrence, resume, ...evidence } =
    incidentMessage();
  return {
    ...evidence,
    schema: 'rogue-smtp.alert',
    alert_id: 'alert-1',
    kind: 'opened',
    emitted_at: opened_at,
    ...given,
  };
}
