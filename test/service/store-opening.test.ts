import { describe, expect, test, vi } from 'vitest';
import { RogueSmtpError } from '../../src/errors.ts';
import { createStoreOpening } from '../../src/service/store-opening.ts';
import { engineError } from '../../src/store/failures.ts';
import { loadMigrations } from '../../src/store/migrate.ts';
import type { Engine } from '../../src/store/store.ts';

const DAY_MS = 86_400_000;
const TABLES = {
  database: 'd',
  retention: { flows: 30 * DAY_MS, mail: 90 * DAY_MS, incidents: 365 * DAY_MS },
};
const known = await loadMigrations();

/** A server whose tables are of the first so many migrations, and what it says to statements that create or alter. */
function serverOf(applied: number, ddl: () => Error | null) {
  const statements: string[] = [];
  const engine = {
    start: async () => undefined,
    walls: async () => {
      throw engineError('no rights on system.functions', 497);
    },
    command: async (sql: string) => {
      const error = ddl();
      if (error !== null) throw error;
      statements.push(sql);
    },
    query: async (sql: string) => {
      if (sql.includes('schema_migrations')) return known.slice(0, applied);
      if (applied === 0) return [];
      if (!sql.includes('engine_full')) return [];
      return ['schema_migrations', 'flows', 'alerts', 'incidents'].map((name) => ({ name, engine_full: '' }));
    },
  } as unknown as Engine;
  return { engine, statements };
}

function opening(engine: Engine, stopping = new AbortController()) {
  const opened: string[] = [];
  const errors: string[] = [];
  const store = createStoreOpening({
    engine,
    tables: TABLES,
    log: { info: () => undefined, warn: () => undefined, error: (_fields, text) => errors.push(text) },
    stopping: stopping.signal,
    untilThere: async (attempt) => {
      await attempt();
      return true;
    },
    onFailure: () => undefined,
    onOpen: () => opened.push('open'),
  });
  return { store, opened, errors, stopping };
}

describe('opening a store', () => {
  test('takes no statement that creates or alters where nothing is pending', async () => {
    const { engine } = serverOf(known.length, () => engineError('no rights', 497));
    // Without the retention of the configuration the tables would differ.
    const query = engine.query;
    const inOrder: Engine = {
      ...engine,
      query: (async (sql: string) => (sql.includes('engine_full') ? FULL : query(sql))) as Engine['query'],
    };
    const { store, opened, errors } = opening(inOrder);
    await store.open();
    expect([opened, errors, store.troubles(), store.heldFor()]).toEqual([['open'], [], [], '']);
  });

  test('a pending change without the rights waits with its reason, and rows are stored meanwhile', async () => {
    let rights = false;
    const { engine } = serverOf(known.length - 1, () => (rights ? null : engineError('ACCESS_DENIED', 497)));
    const { store, opened, errors, stopping } = opening(engine);
    const done = store.open();
    await vi.waitFor(() => expect(errors).toHaveLength(1));
    expect(opened).toEqual(['open']);
    expect(store.heldFor()).toBe('');
    expect(store.troubles()).toEqual(['the tables are not up to date, a migration waits: ACCESS_DENIED']);
    stopping.abort();
    await done;
    rights = true;
    const later = opening(engine);
    await later.store.open();
    expect([later.opened, later.store.troubles()]).toEqual([['open'], []]);
  });

  test('without tables nothing is written until they are there, whatever the code', async () => {
    for (const code of [497, 159, 16, 47, 62]) {
      const { engine } = serverOf(0, () => engineError('no', code));
      const { store, opened, errors, stopping } = opening(engine);
      const done = store.open();
      await vi.waitFor(() => expect(errors).toHaveLength(1));
      expect(opened).toEqual([]);
      expect(store.heldFor()).toContain('a migration waits: no');
      stopping.abort();
      await done;
    }
  });

  test('what no waiting mends is thrown', async () => {
    const { engine } = serverOf(
      known.length - 1,
      () => new RogueSmtpError('config', 'another kind of tables'),
    );
    await expect(opening(engine).store.open()).rejects.toThrow('another kind');
  });
});

const ttl = (days: number) => `MergeTree TTL stored_at + toIntervalSecond(${days * 86_400})`;
const FULL = [
  { name: 'schema_migrations', engine_full: '' },
  { name: 'flows', engine_full: ttl(30) },
  { name: 'alerts', engine_full: ttl(365) },
  { name: 'incidents', engine_full: ttl(365) },
];
