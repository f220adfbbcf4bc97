/** The GRANT statements of our SQL files, for the engine that checks grants as a server does (raw-engine.ts). */

import type { Engine } from '../../src/store/store.ts';
import type { RawEngine } from './raw-engine.ts';

/** What the statements grant to a role, without the role. */
export function grantsIn(statements: readonly string[], role: string): string[] {
  return statements.flatMap((statement) => {
    const [, grant, to] = /^(GRANT .+ ON .+) TO (\w+)$/s.exec(statement) ?? [];
    return to === role ? [grant] : [];
  });
}

/** The role as an element of a users file. */
export function roleElement(statements: readonly string[], role: string): string {
  const queries = grantsIn(statements, role).map((grant) => `<query>${grant}</query>`);
  return `<${role}><grants>${queries.join('')}</grants></${role}>`;
}

/** As much of a store as statements of ours need, with the rights of the role that is taken. Inserts come as VALUES. */
export function storeOn(engine: RawEngine, database: string): Engine {
  async function ask(sql: string): Promise<string> {
    const { ok, text } = await engine.ask(sql);
    if (!ok) throw new Error(`${text}\n${sql}`);
    return text;
  }
  const nothing = () => Promise.reject(new Error('not asked for'));
  return {
    start: async () => undefined,
    command: async (sql) => void (await ask(sql)),
    query: async (sql, options) => {
      const given: Readonly<Record<string, unknown>> = { database, ...options?.params };
      const whole = sql.replace(/\{(\w+):[^}]+\}/g, (_placeholder, name: string) => literal(given[name]));
      const lines = (await ask(whole)).split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line));
    },
    queryBytes: nothing,
    insertNative: nothing,
    insertJson: nothing,
    walls: async () => [],
    stop: async () => undefined,
  };
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  return typeof value === 'number' ? String(value) : `'${String(value)}'`;
}
