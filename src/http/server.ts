/**
 * The HTTP server: the page, JSON for it and for scripts, block lists and ACLs for routers, metrics, health.
 *
 * It only reads, but for the decisions of acl-routes.ts. Everything it needs is handed in as functions, so that it knows neither the store nor the stream. All
 * input is validated with zod; errors tell what was expected and never show internals.
 */

import { type Context, Hono } from 'hono';
import type { SocketAddress } from '../config/values.ts';
import { RogueSmtpError } from '../errors.ts';
import { INSTANCE_HEADER } from '../files/instance-id.ts';
import type { Alert } from '../messages/alert.ts';
import type { AclDesk } from '../publish/desk.ts';
import { readingFor } from '../store/reader.ts';
import { type Access, createAccess, isSafe } from './access/access.ts';
import type { HttpTokens } from './access/tokens.ts';
import { createAclRoutes } from './acl-routes.ts';
import { openApiDocument } from './api/openapi.ts';
import { API_BASE, conditionalBody } from './api/route.ts';
import { isKioskRoute, isOpenRoute, otherMethods, roleFor } from './api/route-access.ts';
import { type CommandSources, mountCommandRoutes } from './command-routes.ts';
import { createEventsRoute } from './events.ts';
import { createGuard, principalOf, type Refusal } from './guard.ts';
import { createListRoutes, type ListSources } from './list-routes.ts';
import { createHttpListener, type HttpListener } from './listener.ts';
import { mountPageRoutes, type PageModel } from './page-routes.ts';
import { problem, problemOf } from './problem.ts';
import { mountSessionRoutes } from './session-routes.ts';
import { readWebFiles } from './web-files.ts';

export interface HttpServerOptions extends HttpTokens {
  readonly listen: SocketAddress;
  readonly kiosk?: boolean;
  readonly tls?: { readonly cert_file: string; readonly key_file: string } | undefined;
}

export interface HttpServerDependencies extends CommandSources, ListSources {
  /** Prometheus text, and its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** What is not ready, in words; empty when everything is. Answers within seconds, whatever hangs. */
  readonly notReady: () => readonly string[] | Promise<readonly string[]>;
  /** What is wrong and keeps nothing from its work, in words, such as a notify target that fails. */
  readonly notes?: () => readonly string[];
  /** Calls back with every alert from now on, until the returned function is called. */
  readonly onAlert: (listener: (alert: Alert) => void) => () => void;
  /** The newest alerts of this process, oldest first: for clients that come back. */
  readonly recentAlerts?: () => readonly Alert[];
  /** Which data this instance works on, for commands of the same configuration; null until it is known. */
  readonly instanceId?: () => string | null;
  /** Where people decide about blocks; null where this process has no lists. */
  readonly desk: AclDesk | null;
  /** Answers what comes under /clickhouse. */
  readonly clickhouse: (request: Request, env?: unknown) => Response | Promise<Response>;
  readonly onError: (path: string, error: unknown) => void;
  /** What the page asks. */
  readonly page?: PageModel;
  /** Where the page's files are; without any `/` is a text. */
  readonly webDirectory?: string;
  /** Shared with other listeners, so that wrong tokens count together. */
  readonly access?: Access;
}

export function createHttpServer(
  options: HttpServerOptions,
  dependencies: HttpServerDependencies,
): HttpListener {
  const { model } = dependencies;
  const app = new Hono();
  const access =
    dependencies.access ??
    createAccess({ http: () => options, kiosk: options.kiosk ?? false, now: Date.now });
  const web = dependencies.webDirectory === undefined ? null : readWebFiles(dependencies.webDirectory);
  const events = createEventsRoute({
    onAlert: (listener) => dependencies.onAlert(listener),
    recent: () => dependencies.recentAlerts?.() ?? [],
    stored: (limit, since) => model.alerts({ limit, since }),
    mayStay(context) {
      const principal = principalOf(context);
      return principal === null || access.stillHolds(principal);
    },
  });

  app.use((context, next) => readingFor(context.req.raw.signal, next));
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of SAFE_HEADERS) if (!context.res.headers.has(name)) context.header(name, value);
  });
  // With a guard of its own, that answers as ClickHouse does.
  app.mount('/clickhouse', dependencies.clickhouse);
  const isWeb = ({ req }: Context) => isSafe(req.method) && (web?.has(req.path) ?? false);
  app.use(
    createGuard(access, refuse, {
      roleFor,
      isOpen: (context) => HEALTH_PATHS.has(context.req.path) || isOpenRoute(context) || isWeb(context),
      isKiosk: isKioskRoute,
      isPage: ({ req }) => web?.isPage(req.path) ?? false,
    }),
  );

  app.get('/healthz', (context) => {
    const id = dependencies.instanceId?.() ?? null;
    return context.text('ok\n', 200, id === null ? {} : { [INSTANCE_HEADER]: id });
  });
  app.get('/readyz', async (context) => {
    const reasons = await dependencies.notReady();
    const notes = (dependencies.notes?.() ?? []).map((note) => `note: ${note}\n`);
    return reasons.length === 0
      ? context.text(`ready\n${notes.join('')}`)
      : context.text(`not ready: ${reasons.join('; ')}\n`, 503);
  });
  app.get('/metrics', async (context) => {
    const { text, contentType } = await dependencies.metrics();
    return context.body(text, 200, { 'Content-Type': contentType });
  });

  let document: string | null = null;
  app.get(`${API_BASE}/openapi.json`, (context) => {
    document ??= JSON.stringify(openApiDocument());
    return conditionalBody(context, document, document, { type: 'application/json', weak: false });
  });
  mountSessionRoutes(app, access, options.tls !== undefined);
  mountCommandRoutes(app, dependencies);
  mountPageRoutes(app, dependencies.page ?? null, (context) => events.answer(context));
  if (dependencies.desk !== null) app.route(`${API_BASE}/acl`, createAclRoutes(dependencies.desk));
  app.route('/v1', createListRoutes(dependencies));
  app.get('/events', (context) => events.answer(context));
  if (web === null) app.get('/', (context) => context.text(INDEX));
  else app.get('*', (context, next) => (web.has(context.req.path) ? web.answer(context) : next()));

  app.notFound((context) => {
    const methods = otherMethods(context);
    if (methods === null) return problem(context, 404, 'not_found', `there is no ${context.req.path}`);
    context.header('Allow', methods.join(', '));
    return problem(context, 405, 'usage', `${context.req.path} takes ${methods.join(' and ')}`);
  });
  app.onError((error, context) => {
    if (error instanceof RogueSmtpError) return problemOf(context, error);
    dependencies.onError(context.req.path, error);
    return problem(context, 500, 'internal', 'internal error, see the log');
  });

  const listener = createHttpListener('http.listen', options.listen, app.fetch, options.tls);
  return {
    start: listener.start,
    async stop() {
      await events.stop();
      await listener.stop();
    },
  };
}

const HEALTH_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** What an answer has unless it says otherwise: no other page may frame it, read it or take it for something else. */
const SAFE_HEADERS = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-store'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Referrer-Policy', 'no-referrer'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
] as const;

const STATUS_OF_REFUSAL = { foreign: 403, role: 403, csrf: 403, token: 401, rate: 429 } as const;

function refuse(context: Context, { why, message }: Refusal): Response {
  return problem(context, STATUS_OF_REFUSAL[why], why, message);
}

const INDEX = `rogue-smtp

/api/v1/openapi.json says what there is under /api/v1
/v1/lists/offenders.v4.txt   /v1/lists/offenders.v6.txt   /v1/lists/offenders.all.txt   /v1/acl/<target>?family=4
/events   /metrics   /healthz   /readyz   /clickhouse?query=SELECT+...
`;
