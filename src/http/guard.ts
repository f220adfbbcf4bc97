/**
 * Who may talk to the HTTP server.
 *
 * A request that a page of another site caused is refused first, whatever its method or path: browsers say so in
 * Sec-Fetch-Site (W3C Fetch Metadata), also where they send no Origin, as for an image or a GET. With a token, every
 * request but the health checks must carry it: as `Bearer`, as the password of `Basic`, or as `X-ClickHouse-Key`. Without
 * one the server listens on loopback only, and the guard then also refuses requests whose Host or Origin is not loopback,
 * so that a web page open in the operator's browser cannot read incidents by DNS rebinding.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';

/** Answered without a token. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);
/** `none`: the user typed the address. `same-site` is another port or subdomain, so another program's page. */
const OWN_FETCH_SITES = new Set(['same-origin', 'none']);
const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface Refusal {
  /** `foreign`: from a page or name that is not of this machine, without a token to tell who it is. */
  readonly why: 'foreign' | 'token';
  readonly message: string;
}

/** Asks for the token; `answer` puts a refusal into the words of its protocol. `openPaths` need none. */
export function createGuard(
  token: string | undefined,
  answer: (context: Context, refusal: Refusal) => Response,
  openPaths = HEALTH_PATHS,
): MiddlewareHandler {
  const expected = token === undefined ? null : digest(token);
  return async (context, next) => {
    if (isForeignFetch(context))
      return answer(context, {
        why: 'foreign',
        message: 'refused: the request comes from a page of another site (Sec-Fetch-Site)',
      });
    if (openPaths.has(context.req.path)) return next();
    if (expected === null) {
      const host = hostName(context.req.header('host'));
      const origin = context.req.header('origin');
      if (LOOPBACK_NAMES.has(host) && (origin === undefined || LOOPBACK_NAMES.has(originName(origin))))
        return next();
      const message = 'refused: without http.token only loopback clients are served';
      return answer(context, { why: 'foreign', message });
    }
    const given =
      context.req.header('x-clickhouse-key') ?? presentedToken(context.req.header('authorization'));
    if (given !== null && timingSafeEqual(digest(given), expected)) return next();
    context.header('WWW-Authenticate', 'Basic realm="rogue-smtp", charset="UTF-8"');
    return answer(context, {
      why: 'token',
      message: 'a token is needed: Authorization: Bearer <http.token>',
    });
  };
}

/** A browser says that a page of another site caused the request. */
export function isForeignFetch(context: Context): boolean {
  const site = context.req.header('sec-fetch-site');
  return site !== undefined && !OWN_FETCH_SITES.has(site);
}

function presentedToken(header: string | undefined): string | null {
  const match = /^(Bearer|Basic) +(\S+)$/i.exec(header ?? '');
  if (match === null) return null;
  if (match[1].toLowerCase() === 'bearer') return match[2];
  const pair = Buffer.from(match[2], 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon < 0 ? null : pair.slice(colon + 1);
}

/** Comparing digests makes the comparison independent of the lengths. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d+$/, '').toLowerCase();
}

function originName(origin: string): string {
  return hostName(origin.replace(/^https?:\/\//, ''));
}
