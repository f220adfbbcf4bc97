/** The reference of the configuration: every key has words, and its examples are what the schema takes. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { configJsonSchema, configReference } from '../../src/config/reference.ts';
import { referencePage } from '../../src/config/reference-page.ts';
import { configSchema } from '../../src/config/schema.ts';

const KEYS = configReference();
const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the reference of the configuration', () => {
  it('has words for every key', () => {
    expect(KEYS.filter(({ words }) => words === null).map(({ path }) => path)).toEqual([]);
  });

  it('has words that are sentences, and an example for every key that has a value', () => {
    for (const { path, words } of KEYS) expect(words?.text, path).toMatch(/[.:)]$/);
    const without = KEYS.filter(
      ({ words, isSection, type }) => words?.example === undefined && !isSection && type !== 'keys',
    );
    expect(without.map(({ path }) => path)).toEqual([]);
  });

  it('has a unit for every duration and size, by the words of the schema', () => {
    const timed = KEYS.filter(
      ({ default: value, type }) => type === 'text' && /^\d+(ms|s|m|h|d|KiB|MiB|GiB)$/.test(value ?? ''),
    );
    expect(timed.length).toBeGreaterThan(20);
    expect(timed.filter(({ words }) => words?.unit === undefined).map(({ path }) => path)).toEqual([]);
  });

  it('has examples that the schema takes', () => {
    for (const { path, words } of KEYS) {
      if (words?.example === undefined || path.includes('[]')) continue;
      const value = path
        .split('.')
        .reduceRight<unknown>((inner, key) => ({ [key]: inner }), parse(words.example));
      const parsed = configSchema.safeParse(value);
      // Beside others that it needs: those say what is missing, not that the value is wrong.
      const wrong = parsed.success
        ? []
        : parsed.error.issues.filter((issue) => issue.path.join('.').startsWith(path));
      expect(wrong, path).toEqual([]);
    }
  });

  it('has the defaults of the schema', () => {
    const { config } = loadConfig({ environment: {} });
    const of = (path: string) => KEYS.find((key) => key.path === path)?.default;
    expect([of('block.mode'), of('block.ttl'), of('data')]).toEqual([config.block.mode, '24h', config.data]);
    expect(of('detection.ports')).toBe('[25]');
    expect(of('senders[].until')).toBeNull();
  });

  it('is what the page and the schema for editors say', () => {
    expect(file('docs/configuration.md')).toBe(referencePage(KEYS));
    expect(JSON.parse(file('schemas/config.schema.json'))).toEqual(
      JSON.parse(JSON.stringify({ $id: 'config.schema.json', ...configJsonSchema() })),
    );
  });
});
