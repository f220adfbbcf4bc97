/**
 * The environment as a part of the configuration: `ROGUE_SMTP__SECTION__KEY`.
 *
 * A key that is text takes the variable as it stands: a password of digits, or a token with a `#` in it, must not be
 * read as YAML. Every other value is YAML, so that lists and numbers can be given. Nothing here repeats a value.
 */

import { parse } from 'yaml';
import { z } from 'zod';
import { RogueSmtpError } from '../errors.ts';

const PREFIX = 'ROGUE_SMTP__';

export interface EnvironmentValue {
  /** Name of the variable. */
  readonly name: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** The values that the environment sets, for keys of `schema`. Throws RogueSmtpError `config`. */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  schema: z.ZodType,
): EnvironmentValue[] {
  return Object.entries(environment).flatMap(([name, text]) => {
    if (!name.startsWith(PREFIX) || text === undefined) return [];
    const path = name.slice(PREFIX.length).toLowerCase().split('__');
    const value = isText(schemaAt(schema, path)) ? text : yamlValue(name, text);
    return [{ name, path, value }];
  });
}

/**
 * Variables that look like ours and are not read, such as `ROGUE_SMTP_BLOCK_MODE` with single underscores: a sentence each,
 * without the value.
 */
export function unreadVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(environment).flatMap(([name, text]) => {
    if (text === undefined || !/^ROGUE_?SMTP_/i.test(name) || name.startsWith(PREFIX)) return [];
    const rest = name.replace(/^ROGUE_?SMTP_+/i, '').toUpperCase();
    return [
      `environment variable ${name} is not read: names begin with ${PREFIX} and have two underscores between section and key, such as ${PREFIX}${rest.replace(/_+/, '__')}`,
    ];
  });
}

function yamlValue(name: string, text: string): unknown {
  try {
    return parse(text);
  } catch {
    throw new RogueSmtpError('config', `environment variable ${name}: not a YAML value`);
  }
}

/** The schema of a key, or null when there is no such key; the validation says so later. */
function schemaAt(schema: z.ZodType, path: readonly string[]): unknown {
  let at: unknown = schema;
  for (const key of path) {
    const section = writtenForm(at);
    if (!(section instanceof z.ZodObject) || !Object.hasOwn(section.shape, key)) return null;
    at = section.shape[key];
  }
  return at;
}

function isText(schema: unknown): boolean {
  const bare = writtenForm(schema);
  if (bare instanceof z.ZodUnion) return bare.options.every(isText);
  if (bare instanceof z.ZodLiteral) return [...bare.values].every((value) => typeof value === 'string');
  return bare instanceof z.ZodString || bare instanceof z.ZodStringFormat || bare instanceof z.ZodEnum;
}

/** A schema without defaults, and as the value is written before it is transformed. */
export function writtenForm(schema: unknown): unknown {
  let at = schema;
  for (;;) {
    if (at instanceof z.ZodDefault || at instanceof z.ZodPrefault || at instanceof z.ZodOptional)
      at = at.unwrap();
    else if (at instanceof z.ZodPipe) at = at.in;
    else return at;
  }
}
