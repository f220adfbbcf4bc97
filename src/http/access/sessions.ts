/**
 * Sessions of the page: a cookie in place of a token, for a bounded time.
 *
 * The cookie says whose token opened the session and until when, signed with a key that is made from that token. So sessions outlive a
 * restart, hold no secret, and end with the token: who changes or removes it ends them all. Only those that were ended by hand are
 * remembered, in memory, until their time is over.
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AccessToken } from './tokens.ts';

/** A working day. */
const SESSION_MS = 12 * 3_600_000;
/** Of sessions ended by hand. Each takes a login, and the oldest is over soonest. */
const MAX_ENDED = 10_000;

export interface Session {
  readonly token: AccessToken;
  /** What unsafe requests must carry in `X-CSRF-Token`. */
  readonly csrf: string;
  readonly expiresMs: number;
}

export interface Sessions {
  /** Those in force from now on; sessions of others are over. */
  useTokens(tokens: readonly AccessToken[]): void;
  /** `cookie` is its value. */
  open(token: AccessToken): Session & { readonly cookie: string };
  /** Null for what is forged, over, ended, or of a token that is no more. */
  find(cookie: string): Session | null;
  end(cookie: string): void;
}

/** None opens before `useTokens`. */
export function createSessions(now: () => number): Sessions {
  let byName: ReadonlyMap<string, { readonly token: AccessToken; readonly key: Buffer }> = new Map();
  /** Ids of sessions that were ended by hand, with their time. */
  const ended = new Map<string, number>();

  function find(cookie: string): (Session & { readonly id: string }) | null {
    const match = /^([A-Za-z0-9._-]{1,63})~(\d{1,16})~([A-Za-z0-9_-]{22})~([A-Za-z0-9_-]{43})$/.exec(cookie);
    if (match === null) return null;
    const [, name, expires, id, signature] = match;
    const known = byName.get(name);
    if (known === undefined) return null;
    const expiresMs = Number(expires);
    if (!isEqual(signature, sign(known.key, `${name}~${expires}~${id}`))) return null;
    if (expiresMs <= now() || ended.has(id)) return null;
    return { id, token: known.token, csrf: sign(known.key, `csrf~${id}`), expiresMs };
  }

  return {
    useTokens(tokens) {
      byName = new Map(tokens.map((token) => [token.name, { token, key: keyOf(token) }]));
    },
    open(token) {
      const key = byName.get(token.name)?.key ?? keyOf(token);
      const expiresMs = now() + SESSION_MS;
      const id = randomBytes(16).toString('base64url');
      const said = `${token.name}~${expiresMs}~${id}`;
      return { token, expiresMs, csrf: sign(key, `csrf~${id}`), cookie: `${said}~${sign(key, said)}` };
    },
    find,
    end(cookie) {
      const session = find(cookie);
      if (session === null) return;
      for (const [id, untilMs] of ended)
        if (untilMs <= now() || ended.size >= MAX_ENDED) ended.delete(id);
        else break;
      ended.set(session.id, session.expiresMs);
    },
  };
}

const keyOf = ({ name, role, token }: AccessToken): Buffer =>
  createHmac('sha256', token).update(`rogue-smtp session ${name} ${role}`).digest();

const sign = (key: Buffer, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url');

/** In a time that does not tell where they differ. */
export function isEqual(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
