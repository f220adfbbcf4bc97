/** Sessions of the page: a token in, a cookie out; who am I; and the end of it. */

import type { Context, Hono } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { type Access, type Principal, SESSION_COOKIE } from './access/access.ts';
import { mount } from './api/route.ts';
import { SESSION_ROUTES as ROUTES } from './api/routes.ts';
import type { SessionAnswer } from './api/schemas.ts';
import { principalOf } from './guard.ts';
import { problem } from './problem.ts';

/** Everybody, where no token is configured. */
const OPEN: SessionAnswer = { name: 'local', role: 'admin', by: 'open', csrf: null, expires_at: null };
/** Nobody in particular, in a kiosk. */
const KIOSK: SessionAnswer = { name: '', role: 'read', by: 'kiosk', csrf: null, expires_at: null };

/** `isSecure`: the server itself speaks TLS. */
export function mountSessionRoutes(app: Hono, access: Access, isSecure: boolean): void {
  mount(app, ROUTES.login, ({ body, context }) => {
    if (!access.isGuarded) return OPEN;
    const found = access.present(context, body.token);
    if ('why' in found) {
      if (found.why === 'rate') {
        context.header('Retry-After', String(found.waitS));
        return problem(context, 429, 'rate', found.message);
      }
      return problem(context, 401, 'token', 'the token is wrong');
    }
    const { cookie, ...session } = access.sessions.open(found);
    setCookie(context, SESSION_COOKIE, cookie, {
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: isSecure || context.req.header('x-forwarded-proto') === 'https',
      expires: new Date(session.expiresMs),
    });
    return answerOf({ name: found.name, role: found.role, by: 'session', session });
  });
  mount(app, ROUTES.session, ({ context }) => {
    noStore(context);
    const principal = principalOf(context);
    if (principal === null) return KIOSK;
    return principal.by === 'open' ? OPEN : answerOf(principal);
  });
  mount(app, ROUTES.logout, ({ context }) => {
    const cookie = getCookie(context, SESSION_COOKIE);
    if (cookie !== undefined) access.sessions.end(cookie);
    deleteCookie(context, SESSION_COOKIE, { path: '/' });
    return { done: ['the session is over'] };
  });
}

function answerOf({ name, role, by, session }: Omit<Principal, 'token'>): SessionAnswer {
  return {
    name,
    role,
    by,
    csrf: session?.csrf ?? null,
    expires_at: session === null ? null : new Date(session.expiresMs).toISOString(),
  };
}

const noStore = (context: Context): void => context.header('Cache-Control', 'no-store');
