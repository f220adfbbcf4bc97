/**
 * Tokens of clients: each has a name, which the audit log shows, and a role.
 *
 * `read` sees everything; `decide` also decides about blocks; `admin` also reloads the configuration. Comparing takes the same time
 * whichever token is right and however much of it was guessed.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { ROLES, type Role, SHARED_TOKEN } from '../../messages/access-role.ts';

export interface AccessToken {
  readonly name: string;
  readonly role: Role;
  readonly token: string;
}

export const mayActAs = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed);

/** `http` of the configuration; what stands in files was read. */
export interface HttpTokens {
  readonly token?: string | undefined;
  readonly tokens?: readonly {
    readonly name: string;
    readonly role: Role;
    readonly token?: string | undefined;
  }[];
}

export function tokensOf(http: HttpTokens): readonly AccessToken[] {
  const shared =
    http.token === undefined ? [] : [{ name: SHARED_TOKEN, role: 'admin' as const, token: http.token }];
  const named = (http.tokens ?? []).flatMap(({ name, role, token }) =>
    token === undefined ? [] : [{ name, role, token }],
  );
  return [...shared, ...named];
}

/** No secret is guessed by it: both are ours. */
export const isSameToken = (a: AccessToken, b: AccessToken): boolean =>
  a.name === b.name && a.role === b.role && a.token === b.token;

/** Finds the token that a client presents. */
export function createTokenTable(tokens: readonly AccessToken[]): (presented: string) => AccessToken | null {
  const known = tokens.map((token) => ({ token, digest: digest(token.token) }));
  return (presented) => {
    const given = digest(presented);
    let found: AccessToken | null = null;
    for (const one of known) if (timingSafeEqual(one.digest, given)) found = one.token;
    return found;
  };
}

/** Comparing digests makes the comparison independent of the lengths. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
