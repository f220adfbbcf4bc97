/** Hosts as they are named in paths and queries, and answers that several clients ask for at once. */

import { RogueSmtpError } from '../../errors.ts';
import { formatAddress, isIPv4, parseAddress } from '../../flow/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../flow/prefix.ts';

/** Throws RogueSmtpError `usage` for what is neither an address nor a prefix. Host bits of a prefix are passed over. */
export function prefixOf(text: string): Prefix {
  const parsed = parsePrefix(network(text));
  if (!parsed.ok) throw new RogueSmtpError('usage', parsed.reason);
  return parsed.prefix;
}

function network(text: string): string {
  const [, address, length] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  const bytes = address === undefined ? null : parseAddress(address);
  if (bytes === null) return text;
  const kept = Number(length) + (isIPv4(bytes) ? 96 : 0);
  const masked = bytes.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, 8 * (i + 1) - kept))));
  return `${formatAddress(masked)}/${length}`;
}

export const optionalPrefix = (text: string | undefined): Prefix | undefined =>
  text === undefined || text === '' ? undefined : prefixOf(text);

export const canonicalHost = (text: string): string => formatPrefix(prefixOf(text));

/** Asks once for everybody who asks within so long; a failure is not kept. */
export function shared<Value>(
  ask: () => Promise<Value>,
  validMs: number,
  now: () => number,
): () => Promise<Value> {
  let known: { readonly atMs: number; readonly value: Promise<Value> } | null = null;
  return () => {
    if (known !== null && now() - known.atMs < validMs) return known.value;
    const asked = { atMs: now(), value: ask() };
    known = asked;
    asked.value.catch(() => {
      if (known === asked) known = null;
    });
    return asked.value;
  };
}

const MAX_CURSOR = 1024;

/** Opaque for clients, and only read back by us: text that is none of ours is no cursor. */
export const cursorOf = (values: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(values)).toString('base64url');

/** Throws RogueSmtpError `not_found`. */
export function readCursor(cursor: string): readonly (string | number)[] {
  try {
    const values: unknown = JSON.parse(
      Buffer.from(cursor.slice(0, MAX_CURSOR), 'base64url').toString('utf8'),
    );
    if (Array.isArray(values) && values.every((one) => typeof one === 'string' || typeof one === 'number'))
      return values;
  } catch {
    // Said below.
  }
  throw new RogueSmtpError('not_found', 'there is no page at this cursor');
}
