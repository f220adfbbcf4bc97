/** Flow logs under test: a file's bytes in, its records and its account out. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { type FlowRecord, recordOf } from '../../src/flow/record.ts';
import { openByteWindow } from '../../src/replay/capture/byte-window.ts';
import type { LogOptions } from '../../src/replay/flow-log/choose-format.ts';
import { createFlowLogCounters, type FlowLogCounters } from '../../src/replay/flow-log/flow-log.ts';
import { readFlowLog } from '../../src/replay/flow-log/read-flow-log.ts';

export interface LogOutcome {
  readonly records: FlowRecord[];
  /** `sequence` and `record` of each. */
  readonly places: [number, number][];
  readonly counters: FlowLogCounters;
  readonly error: unknown;
}

export async function readLog(
  bytes: string | Uint8Array,
  file = 0,
  linesBefore = 0,
  options: LogOptions = {},
): Promise<LogOutcome> {
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-log-'));
  const path = join(directory, 'log');
  await writeFile(path, bytes);
  const counters = createFlowLogCounters();
  const records: FlowRecord[] = [];
  const places: [number, number][] = [];
  const sink = {
    batch: createFlowBatch(7),
    flush() {
      for (let row = 0; row < sink.batch.length; row++) {
        records.push(recordOf(sink.batch, row));
        places.push([sink.batch.columns.sequence[row], sink.batch.columns.record[row]]);
      }
      clearFlowBatch(sink.batch);
    },
  };
  let error: unknown = null;
  const window = await openByteWindow(path, () => undefined);
  try {
    for await (const _ of readFlowLog(path, window, sink, { file, linesBefore }, counters, options))
      sink.flush();
  } catch (thrown) {
    error = thrown;
  } finally {
    await window.close();
    await rm(directory, { recursive: true });
  }
  return { records, places, counters, error };
}

/** Every line is a flow, or counted under one reason. */
export function linesCounted({ flows, skipped, rejected }: FlowLogCounters): number {
  return [...Object.values(skipped), ...Object.values(rejected)].reduce((sum, n) => sum + n, flows);
}

/** `192.0.2.1:1 > 192.0.2.2:25 S 1/60`: what a record says, for comparison at a glance. */
export function inShort(record: FlowRecord): string {
  const flags =
    record.tcp_flags === null
      ? '-'
      : [...'FSRPAUEC'].filter((_, bit) => (Number(record.tcp_flags) & (1 << bit)) !== 0).join('');
  const from = `${record.src_addr}:${record.src_port ?? '-'}`;
  const to = `${record.dst_addr}:${record.dst_port ?? '-'}`;
  const reverse = record.reverse ? ' reverse' : '';
  return `${from} > ${to} ${flags} ${record.packets ?? '-'}/${record.bytes ?? '-'}${reverse}`;
}
