/**
 * Who may talk to the HTTP server.
 *
 * A request that a page of another site caused is refused first, whatever its method or path: browsers say so in
 * Sec-Fetch-Site (W3C Fetch Metadata), also where they send no Origin, as for an image or a GET. With a token, every
 * request but the health checks must carry one: as `Bearer`, as the password of `Basic`, as `X-ClickHouse-Key`, or by the cookie of
 * a session. Without one the server listens on loopback only, and the guard then also refuses requests whose Host or Origin is not
 * loopback, so that a web page open in the operator's browser cannot read incidents by DNS rebinding.
 */

import type { Context, MiddlewareHandler } from 'hono';
import type { Role } from '../messages/access-role.ts';
import type { Access, NoPrincipal, Principal } from './access/access.ts';
import { mayActAs } from './access/tokens.ts';

/** Answered without a token. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);
/** `none`: the user typed the address. `same-site` is another port or subdomain, so another program's page. */
const OWN_FETCH_SITES = new Set(['same-origin', 'none']);
const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

export interface Refusal {
  /** `foreign`: from a page or name that is not of this machine, without a token to tell who it is. `role`: its role may not do this. */
  readonly why: 'foreign' | 'role' | NoPrincipal['why'];
  readonly message: string;
}

export interface GuardOptions {
  /** They need no token. */
  readonly isOpen?: (context: Context) => boolean;
  /** A link from another site may lead there: a page that holds no data. */
  readonly isPage?: (context: Context) => boolean;
  /** Answered in a kiosk (`http.kiosk`) without a token. */
  readonly isKiosk?: (context: Context) => boolean;
  /** What a request takes. */
  readonly roleFor?: (context: Context) => Role;
}

/** Names who makes the request, for `principalOf`; `answer` puts a refusal into the words of its protocol. */
export function createGuard(
  access: Access,
  answer: (context: Context, refusal: Refusal) => Response,
  {
    isOpen = isHealth,
    isPage = () => false,
    isKiosk = () => false,
    roleFor = () => 'read',
  }: GuardOptions = {},
): MiddlewareHandler {
  return async (context, next) => {
    if (isForeignFetch(context) && !(isNavigation(context) && isPage(context)))
      return answer(context, {
        why: 'foreign',
        message: 'refused: the request comes from a page of another site (Sec-Fetch-Site)',
      });
    if (isOpen(context)) return next();
    if (!access.isGuarded && !isLoopback(context)) {
      const message = 'refused: without http.token only loopback clients are served';
      return answer(context, { why: 'foreign', message });
    }
    const found = access.identify(context);
    if (!('why' in found)) {
      const role = roleFor(context);
      if (!mayActAs(found.role, role)) {
        const message = `refused: this takes the role ${role}, and the token ${JSON.stringify(found.name)} has the role ${found.role}`;
        return answer(context, { why: 'role', message });
      }
      principals.set(context.req.raw, found);
      return next();
    }
    if (found.why === 'token' && access.kiosk && isKiosk(context)) return next();
    if (found.why === 'token') context.header('WWW-Authenticate', challengeFor(context));
    if (found.why === 'rate') context.header('Retry-After', String(found.waitS));
    return answer(context, found);
  };
}

const principals = new WeakMap<Request, Principal>();

/** Who makes a request that the guard let pass; null for one that nobody need be named for. */
export const principalOf = (context: Context): Principal | null => principals.get(context.req.raw) ?? null;

const isHealth = (context: Context): boolean => HEALTH_PATHS.has(context.req.path);

/** A browser says that a page of another site caused the request. */
export function isForeignFetch(context: Context): boolean {
  const site = context.req.header('sec-fetch-site');
  return site !== undefined && !OWN_FETCH_SITES.has(site);
}

/** Somebody followed a link, in the whole window. */
function isNavigation({ req }: Context): boolean {
  const isDocument =
    req.header('sec-fetch-mode') === 'navigate' && req.header('sec-fetch-dest') === 'document';
  return req.method === 'GET' && isDocument;
}

/** A browser asks a person for `Basic` at once; a page of ours asks by itself. */
const challengeFor = (context: Context): string =>
  ['cors', 'same-origin', 'no-cors'].includes(context.req.header('sec-fetch-mode') ?? '')
    ? 'Bearer realm="rogue-smtp"'
    : 'Basic realm="rogue-smtp", charset="UTF-8"';

function isLoopback(context: Context): boolean {
  const origin = context.req.header('origin');
  const host = hostName(context.req.header('host'));
  return LOOPBACK_NAMES.has(host) && (origin === undefined || LOOPBACK_NAMES.has(originName(origin)));
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d+$/, '').toLowerCase();
}

function originName(origin: string): string {
  return hostName(origin.replace(/^https?:\/\//, ''));
}
