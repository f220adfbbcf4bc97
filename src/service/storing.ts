/** Opening the store, and the role `store`: rows into it, findings out of it, and what is said of rows that were set aside. */

import { createStoreWriter, type StoreWriter } from '../store/writer.ts';
import { registerWriterMetrics } from '../store/writer-metrics.ts';
import { createFindingsRole } from './findings-role.ts';
import { createSetAsideReport } from './set-aside-report.ts';
import type { SharedParts } from './shared-parts.ts';
import { createStoreOpening } from './store-opening.ts';

/** How long stopping waits for the store to take what is spooled; the rest is stored at the next start. */
const DRAIN_MS = 10_000;
/** After so many the embedded store is reported as damaged. */
const STORE_ATTEMPTS = 3;

export interface Storing {
  /** Null without the role. */
  readonly writer: StoreWriter | null;
  /** What keeps the store from being open, in words. */
  troubles(): readonly string[];
  /** Rows that lie in dead letters, and those dropped because these were full. */
  rowsSetAside(): Promise<number>;
  /** What needs nothing but the stream. */
  start(): void;
  /** Waits for the store. Rejects with what can never work. */
  open(): Promise<void>;
  /** Ends what asks the store for findings; the writer goes on. */
  stopFindings(): Promise<void>;
  stopReport(): void;
  stopWriter(): Promise<void>;
}

/** `onOpen`: called when the store has been opened. */
export function createStoring(shared: SharedParts, onOpen: () => void): Storing {
  const { config, engine, stream, log, now, policy, teller, damage, onServer } = shared;
  const isRole = shared.roles.has('store');
  const opening = createStoreOpening({
    engine,
    tables: isRole ? config.clickhouse : null,
    log,
    stopping: shared.stopping.signal,
    untilThere: shared.untilThere,
    // A server may be away for a while; files of our own that cannot be opened are damage.
    onFailure: (failures, trouble) => {
      if (failures === STORE_ATTEMPTS && !onServer) damage.note(trouble);
    },
    onOpen: () => {
      onOpen();
      findings?.start();
      shared.waitingFor.delete('the store');
    },
  });
  const told = { tell: teller.tell, now, policyVersion: policy.version };
  const writer = isRole
    ? createStoreWriter({
        stream,
        engine,
        log,
        archive: config.collector.archive,
        directory: config.data,
        database: config.clickhouse.database,
        heldFor: opening.heldFor,
      })
    : null;
  if (writer !== null) registerWriterMetrics(shared.metrics, writer);
  const setAside = writer === null ? null : createSetAsideReport({ counters: writer.counters, ...told });
  const findings = isRole
    ? createFindingsRole({
        engine,
        tell: teller.tell,
        config: () => policy.config,
        policy: () => policy.detection.policy,
        log,
        now,
      })
    : null;

  return {
    writer,
    troubles: () => [
      ...opening.troubles(),
      ...(writer === null || writer.counters.waitsFor === ''
        ? []
        : [`the store takes no rows: ${writer.counters.waitsFor}`]),
    ],
    rowsSetAside: async () =>
      writer === null ? 0 : (await writer.deadLetters()).rows + writer.counters.rowsDropped,
    start: () => setAside?.start(),
    async open() {
      // What comes before the store is open waits, and is counted as waiting.
      if (shared.hasEngine) await Promise.all([writer?.start(), opening.open()]);
    },
    stopFindings: async () => findings?.stop(),
    stopReport: () => setAside?.stop(),
    async stopWriter() {
      // What is with the brokers is safe there.
      await writer?.stop(shared.checkTopics === null ? DRAIN_MS : 0);
    },
  };
}
