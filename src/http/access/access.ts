/**
 * Who makes a request: by a token in a header, by the cookie of a session, or anyone where no token is configured.
 *
 * It answers with a principal or with why there is none. A request with a cookie that changes something must also carry the CSRF token
 * of its session, since a browser sends cookies by itself. What a principal may do is decided by the routes.
 */

import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { getCookie } from 'hono/cookie';
import type { Role } from '../../messages/access-role.ts';
import { createFailures } from './failures.ts';
import { createSessions, isEqual, type Session, type Sessions } from './sessions.ts';
import { type AccessToken, createTokenTable, type HttpTokens, isSameToken, tokensOf } from './tokens.ts';

export interface Principal {
  /** The name of the token; '' where none is configured or needed. */
  readonly name: string;
  readonly role: Role;
  readonly by: 'session' | 'token' | 'open' | 'kiosk';
  readonly session: Session | null;
  /** With which it came; null where none is configured or needed. */
  readonly token: AccessToken | null;
}

/** `token`: none, or a wrong one. `rate`: too many wrong ones, to be tried again after `waitS` seconds. `csrf`: of another page. */
export interface NoPrincipal {
  readonly why: 'token' | 'rate' | 'csrf';
  readonly message: string;
  readonly waitS: number;
}

export interface Access {
  /** False: no token is configured, and whoever reaches the server may do everything. */
  readonly isGuarded: boolean;
  /** `/overview` and `/timeseries` need no token. */
  readonly kiosk: boolean;
  readonly sessions: Sessions;
  identify(context: Context): Principal | NoPrincipal;
  /** False as soon as the token was changed or removed, or the session is over: for answers that last. */
  stillHolds(principal: Principal): boolean;
  /** The token that was presented, or why it is not taken; counts failures. */
  present(context: Context, token: string): AccessToken | NoPrincipal;
}

export const SESSION_COOKIE = 'rogue_smtp_session';
const CSRF_HEADER = 'X-CSRF-Token';

export interface AccessOptions {
  /** As the configuration in force has it: another object has other tokens. */
  readonly http: () => HttpTokens;
  readonly kiosk?: boolean;
  readonly now: () => number;
}

export function createAccess({ http, kiosk = false, now }: AccessOptions): Access {
  let from: HttpTokens | null = null;
  let tokens: readonly AccessToken[] = [];
  let tokenOf = createTokenTable(tokens);
  const sessions = createSessions(now);
  const failures = createFailures(now);

  /** The tokens in force, after what knows them has been told of a change. */
  function inForce(): readonly AccessToken[] {
    const newest = http();
    if (newest !== from) {
      from = newest;
      tokens = tokensOf(newest);
      tokenOf = createTokenTable(tokens);
      sessions.useTokens(tokens);
    }
    return tokens;
  }
  const isGuarded = () => inForce().length > 0;

  function present(context: Context, presented: string): AccessToken | NoPrincipal {
    inForce();
    const address = addressOf(context);
    const waitS = failures.waitOf(address);
    const token = tokenOf(presented);
    if (waitS > 0 && (token === null || !failures.wasRight(address, token.name))) {
      const message = `too many wrong tokens from this address: try again in ${waitS} s`;
      return { why: 'rate', message, waitS };
    }
    if (token !== null) {
      failures.noteRight(address, token.name);
      return token;
    }
    failures.note(address);
    return missing('the token is wrong');
  }

  function ofCookie(context: Context, cookie: string): Principal | NoPrincipal | null {
    const session = sessions.find(cookie);
    if (session === null) return null;
    if (!isSafe(context.req.method) && !isEqual(context.req.header(CSRF_HEADER) ?? '', session.csrf)) {
      const message = `refused: the request lacks the ${CSRF_HEADER} of its session`;
      return { why: 'csrf', message, waitS: 0 };
    }
    const { token } = session;
    return { name: token.name, role: token.role, by: 'session', session, token };
  }

  return {
    get isGuarded() {
      return isGuarded();
    },
    kiosk,
    sessions,
    present,
    stillHolds({ by, token, session }) {
      if (token === null) return by === 'kiosk' || !isGuarded();
      if (session !== null && session.expiresMs <= now()) return false;
      return inForce().some((known) => isSameToken(known, token));
    },
    identify(context) {
      if (!isGuarded()) return { name: '', role: 'admin', by: 'open', session: null, token: null };
      const presented =
        context.req.header('x-clickhouse-key') ?? presentedToken(context.req.header('authorization'));
      if (presented !== null) {
        const found = present(context, presented);
        if ('why' in found) return found;
        return { name: found.name, role: found.role, by: 'token', session: null, token: found };
      }
      const cookie = getCookie(context, SESSION_COOKIE);
      return (cookie === undefined ? null : ofCookie(context, cookie)) ?? missing('a token is needed');
    },
  };
}

const missing = (what: string): NoPrincipal => ({
  why: 'token',
  message: `${what}: Authorization: Bearer <http.token>`,
  waitS: 0,
});

export const isSafe = (method: string): boolean => method === 'GET' || method === 'HEAD';

/** Of the connection; '' where there is none, as in a test. */
function addressOf(context: Context): string {
  const bindings = context.env as Partial<HttpBindings> | undefined;
  return bindings?.incoming?.socket.remoteAddress ?? '';
}

function presentedToken(header: string | undefined): string | null {
  const match = /^(Bearer|Basic) +(\S+)$/i.exec(header ?? '');
  if (match === null) return null;
  if (match[1].toLowerCase() === 'bearer') return match[2];
  const pair = Buffer.from(match[2], 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? null : pair.slice(colon + 1);
}
