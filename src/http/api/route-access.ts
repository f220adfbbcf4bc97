/** Which role a request takes, and whether it may come without a token: by the routes. */

import type { Context } from 'hono';
import type { Role } from '../../messages/access-role.ts';
import type { Route } from './route.ts';
import { ROUTES } from './routes.ts';

const PATTERNS = ROUTES.map((one) => ({
  one,
  method: one.method.toUpperCase(),
  pattern: new RegExp(`^${one.path.replace(/\{\w+\}/g, '[^/]+')}$`),
}));

function routeOf({ req }: Context): Route | undefined {
  const method = req.method === 'HEAD' ? 'GET' : req.method;
  return PATTERNS.find((known) => known.method === method && known.pattern.test(req.path))?.one;
}

/** What no route says takes `admin` if it may change anything. */
export function roleFor(context: Context): Role {
  const { method } = context.req;
  return routeOf(context)?.role ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'admin');
}

export const isOpenRoute = (context: Context): boolean => routeOf(context)?.open === 'nobody';
export const isKioskRoute = (context: Context): boolean => routeOf(context)?.open === 'kiosk';

/** Methods of a path that has routes, where the request's is none of them; null otherwise. */
export function otherMethods({ req }: Context): readonly string[] | null {
  if (req.method === 'HEAD' || req.method === 'OPTIONS') return null;
  const known = PATTERNS.filter(({ pattern }) => pattern.test(req.path)).map(({ method }) => method);
  return known.length === 0 || known.includes(req.method) ? null : known;
}
