/**
 * Every key of the configuration with what it means, what it may be and what it is by default: the reference, from the schema
 * and the words of key-words.ts. It decides nothing by itself.
 */

import { parse } from 'yaml';
import { z } from 'zod';
import { KEY_WORDS, type KeyWords } from './key-words.ts';
import { configSchema } from './schema.ts';

export interface KeyReference {
  /** `[]` stands for any entry of a list. */
  readonly path: string;
  /** Null where nobody has written them. */
  readonly words: KeyWords | null;
  /** As it is written in YAML; null where there is none. */
  readonly default: string | null;
  readonly required: boolean;
  /** What it may be, in words. */
  readonly type: string;
  /** It holds keys and has no value of its own. */
  readonly isSection: boolean;
}

/** The part of JSON Schema that z.toJSONSchema writes for a configuration. */
interface JsonNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonNode>>;
  readonly required?: readonly string[];
  readonly items?: JsonNode;
  readonly anyOf?: readonly JsonNode[];
  readonly oneOf?: readonly JsonNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly not?: unknown;
  description?: string;
  examples?: unknown[];
  readonly unit?: string;
}

/** The JSON Schema of a configuration file, with a description, and an example where there is one, for each key. */
export function configJsonSchema(): Record<string, unknown> {
  const json = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any', reused: 'inline' });
  for (const { node, path } of keysOf(json as JsonNode)) {
    const words = wordsOf(node, path);
    if (words === null) continue;
    node.description = words.unit === undefined ? words.text : `${words.text} (${words.unit})`;
    if (words.example !== undefined) node.examples = [parse(words.example)];
  }
  return json;
}

/** All keys, sections before what is in them, in the order of the schema. */
export function configReference(): KeyReference[] {
  const json = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any', reused: 'inline' });
  const keys = new Map<string, KeyReference>();
  for (const { node, path, required } of keysOf(json as JsonNode)) {
    const type = typeOf(node);
    // Entries of several types share keys, whose values may differ.
    const known = keys.get(path);
    keys.set(path, {
      path,
      words: wordsOf(node, path),
      default: node.default === undefined || isSection(node) ? null : yamlOf(node.default),
      required: required && known?.required !== false,
      type: known === undefined || known.type === type ? type : `${known.type} or ${type}`,
      isSection: isSection(node),
    });
  }
  return [...keys.values()];
}

/** What a key means, for a comment. Throws for a key that is not there: a comment must not outlive its key. */
export function wordsFor(path: string): KeyWords {
  const words = KEY_WORDS.get(path);
  if (words === undefined) throw new Error(`no words for the key ${path}`);
  return words;
}

/** Those of the schema itself, else those of the table. */
function wordsOf(node: JsonNode, path: string): KeyWords | null {
  const { description, unit, examples } = node;
  if (description === undefined) return KEY_WORDS.get(path) ?? null;
  return {
    text: description,
    ...(unit !== undefined && { unit }),
    ...(examples?.[0] !== undefined && { example: yamlOf(examples[0]) }),
  };
}

interface FoundKey {
  readonly node: JsonNode;
  readonly path: string;
  readonly required: boolean;
}

function* keysOf(object: JsonNode, before = ''): Generator<FoundKey> {
  for (const [key, node] of Object.entries(object.properties ?? {})) {
    // A key that is gone has only a message of its own.
    if (node.not !== undefined) continue;
    const path = before === '' ? key : `${before}.${key}`;
    yield { node, path, required: object.required?.includes(key) ?? false };
    for (const form of formsOf(node)) {
      if (form.properties !== undefined) yield* keysOf(form, path);
      for (const entry of form.items === undefined ? [] : formsOf(form.items))
        if (entry.properties !== undefined) yield* keysOf(entry, `${path}[]`);
    }
  }
}

/** The value itself, or each of the forms that it may have. */
const formsOf = (node: JsonNode): readonly JsonNode[] => [node, ...(node.anyOf ?? []), ...(node.oneOf ?? [])];

const isSection = (node: JsonNode) => node.type === 'object' && node.properties !== undefined;

function typeOf(node: JsonNode): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (node.const !== undefined) return `\`${String(node.const) === '' ? '""' : String(node.const)}\``;
  if (node.anyOf !== undefined) return [...new Set(node.anyOf.map(typeOf))].join(' or ');
  if (node.type === 'array') return node.items?.properties === undefined ? 'list' : 'list of entries';
  if (node.type === 'object') return 'keys';
  if (node.type === 'boolean') return '`true` or `false`';
  if (node.type !== 'integer' && node.type !== 'number') return 'text';
  const least = node.minimum ?? (node.exclusiveMinimum === undefined ? undefined : node.exclusiveMinimum + 1);
  const most = node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum;
  const bounds =
    least === undefined ? '' : most === undefined ? `, at least ${least}` : `, ${least} to ${most}`;
  return `${node.type === 'integer' ? 'whole number' : 'number'}${bounds}`;
}

/** Text without quotes where YAML needs none. */
function yamlOf(value: unknown): string {
  if (typeof value === 'string') return /^[A-Za-z0-9./][\w./-]*$/.test(value) ? value : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(yamlOf).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const pairs = Object.entries(value).map(([key, one]) => `${key}: ${yamlOf(one)}`);
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
}
