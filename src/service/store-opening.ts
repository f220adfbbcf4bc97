/**
 * Opens the store and brings its tables up to date, while everything else goes on.
 *
 * A store needs no right to create anything and no other node of a cluster as long as nothing is pending. A migration that
 * cannot be applied waits with its reason, in the log and in `/readyz`; rows go meanwhile into the tables that are there,
 * unless the migration is to be filled from what they hold. What comes before the store is open waits in the stream.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { type MigrateOptions, migrate, pendingChanges } from '../store/migrate.ts';
import type { Engine } from '../store/store.ts';

export interface StoreOpeningOptions {
  readonly engine: Engine;
  /** Null where this process writes to no tables of its own: it migrates nothing then. */
  readonly tables: MigrateOptions | null;
  readonly log: {
    info(text: string): void;
    warn(fields: object, text: string): void;
    error(fields: object, text: string): void;
  };
  readonly stopping: AbortSignal;
  /** Calls `attempt` until it succeeds; false when the service stops before. */
  readonly untilThere: (attempt: () => Promise<unknown>, complaint: string) => Promise<boolean>;
  /** So many attempts in a row failed. */
  readonly onFailure: (failures: number, trouble: string) => void;
  /** From here on the tables may be written to. Called once. */
  readonly onOpen: () => void;
}

export interface StoreOpening {
  /** Resolves when nothing is left to do, or the service stops. Throws what no waiting mends. */
  open(): Promise<void>;
  /** Why nothing may be written yet, in words; '' when it may. */
  heldFor(): string;
  /** What keeps the store from being open or up to date, in words. */
  troubles(): readonly string[];
}

const FIRST_PAUSE_MS = 2000;
/** A dead replica keeps each attempt at a statement ON CLUSTER for three minutes. */
const LONGEST_PAUSE_MS = 60_000;

export function createStoreOpening(options: StoreOpeningOptions): StoreOpening {
  const { engine, tables, log, stopping } = options;
  let isOpen = false;
  let openTrouble = '';
  let migrationTrouble = '';
  let failures = 0;

  async function start(): Promise<void> {
    try {
      await engine.start();
      openTrouble = '';
    } catch (error) {
      openTrouble = `the store cannot be opened: ${messageOf(error)}`;
      options.onFailure(++failures, openTrouble);
      throw error;
    }
  }

  async function logWalls(): Promise<void> {
    try {
      for (const { stands, text } of await engine.walls()) if (stands) log.info(text);
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'it is not known which walls stand around SQL of users');
    }
  }

  function use(): void {
    if (isOpen) return;
    isOpen = true;
    options.onOpen();
  }

  async function bringUpToDate(to: MigrateOptions): Promise<void> {
    const { migrations, retention, canStore } = await pendingChanges(engine, to);
    if (canStore) use();
    if (migrations.length > 0 || retention.length > 0 || !canStore) await migrate(engine, to);
    migrationTrouble = '';
    use();
  }

  return {
    async open() {
      if (!(await options.untilThere(start, 'the store is away; flows wait in the stream'))) return;
      await logWalls();
      if (tables === null) return use();
      for (
        let pauseMs = FIRST_PAUSE_MS;
        !stopping.aborted;
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
      ) {
        try {
          return await bringUpToDate(tables);
        } catch (error) {
          // What the engine says no to, somebody can give: rights, a replica, a setting.
          if (!(error instanceof RogueSmtpError && (error.transient || error.engine !== undefined)))
            throw error;
          migrationTrouble = `the tables are not up to date, a migration waits: ${error.message}`;
          log.error(
            { error: error.message, stores: isOpen, pauseMs },
            'a migration waits; rogue-smtp migrate can apply it as another user',
          );
          await sleep(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
        }
      }
    },
    heldFor: () => (isOpen ? '' : openTrouble || migrationTrouble || 'the store is not open yet'),
    troubles: () => [openTrouble, migrationTrouble].filter((trouble) => trouble !== ''),
  };
}
