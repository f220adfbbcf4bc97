/**
 * The HTTP server: JSON for the CLI and scripts, block lists and ACLs for routers, metrics, health.
 *
 * It only reads, but for the decisions of acl-routes.ts. Everything it needs is handed in as functions, so that it knows neither the store nor the stream. All
 * input is validated with zod; errors tell what was expected and never show internals.
 */

import { createHash } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { ACL_FAMILIES } from '../acl/model.ts';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, ACL_TRAFFIC, WITHOUT_SENDERS } from '../acl/platforms.ts';
import type { PolicyStatus, ReadModel } from '../api/read-model.ts';
import type { SocketAddress } from '../config/values.ts';
import { RogueSmtpError } from '../errors.ts';
import { INSTANCE_HEADER } from '../files/instance-id.ts';
import type { Alert } from '../messages/alert.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import type { AclDesk } from '../publish/desk.ts';
import { readingFor } from '../store/reader.ts';
import { createAclRoutes } from './acl-routes.ts';
import { createEventsRoute } from './events.ts';
import { createGuard, type Refusal } from './guard.ts';
import { ipsetScript, listNotes, textList } from './list-forms.ts';
import { createHttpListener, type HttpListener } from './listener.ts';
import { boundedBody, ownRequestsOnly } from './own-requests.ts';
import { valid } from './valid.ts';

export interface HttpServerOptions {
  readonly listen: SocketAddress;
  readonly token?: string | undefined;
}

export interface HttpServerDependencies {
  readonly model: ReadModel;
  /** Prometheus text, and its content type. */
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** What is not ready, in words; empty when everything is. Answers within seconds, whatever hangs. */
  readonly notReady: () => readonly string[] | Promise<readonly string[]>;
  /** Calls back with every alert from now on, until the returned function is called. */
  readonly onAlert: (listener: (alert: Alert) => void) => () => void;
  /** Hosts of a family that are in the block lists now, in numerical order. */
  readonly blockedHosts: (family: '4' | '6') => readonly string[];
  /** A sentence for each list of a target that is held at an earlier revision; the lists here do not follow it. */
  readonly heldLists: () => readonly string[];
  /** The text of a configured ACL target. */
  readonly aclTarget: (name: string, family: '4' | '6', revision?: string) => Promise<string>;
  /** Which data this instance works on, for commands of the same configuration; null until it is known. */
  readonly instanceId?: () => string | null;
  /** Where people decide about blocks; null where this process has no lists. */
  readonly desk: AclDesk | null;
  /** Reads the configuration file again; `force`: what it loses is meant. Resolves with what came of it. */
  readonly reload: (force: boolean) => Promise<PolicyStatus>;
  /** Answers what comes under /clickhouse. */
  readonly clickhouse: (request: Request) => Response | Promise<Response>;
  readonly onError: (path: string, error: unknown) => void;
}

const alertsQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100_000).default(100),
  host: z.string().max(64).optional(),
  since: z.iso.datetime().optional(),
});
/** An id or an address with its zone; what is longer is neither. */
const incidentName = z.string().max(128, 'neither an incident id nor a host');
const renderQuery = z.strictObject({
  platform: z.enum(ACL_PLATFORMS),
  form: z.enum(ACL_FORMS).optional(),
  kind: z.enum(ACL_KINDS),
  family: z.enum(ACL_FAMILIES).default('4'),
  interface: z.string().max(63).optional(),
  site: z.string().max(63).optional(),
  traffic: z.enum(ACL_TRAFFIC).optional(),
  withoutSenders: z.enum(WITHOUT_SENDERS).optional(),
});

const reloadBody = z.strictObject({ force: z.boolean().default(false) });
const MAX_BODY_BYTES = 1024;

export function createHttpServer(
  options: HttpServerOptions,
  dependencies: HttpServerDependencies,
): HttpListener {
  const { model } = dependencies;
  const app = new Hono();
  const events = createEventsRoute((listener) => dependencies.onAlert(listener));

  app.use((context, next) => readingFor(context.req.raw.signal, next));
  app.use(async (context, next) => {
    await next();
    context.header('X-Content-Type-Options', 'nosniff');
    if (!context.res.headers.has('Cache-Control')) context.header('Cache-Control', 'no-store');
  });
  // With a guard of its own, that answers as ClickHouse does.
  app.mount('/clickhouse', dependencies.clickhouse);
  app.use(createGuard(options.token, refuse));

  app.get('/healthz', (context) => {
    const id = dependencies.instanceId?.() ?? null;
    return context.text('ok\n', 200, id === null ? {} : { [INSTANCE_HEADER]: id });
  });
  app.get('/readyz', async (context) => {
    const reasons = await dependencies.notReady();
    return reasons.length === 0
      ? context.text('ready\n')
      : context.text(`not ready: ${reasons.join('; ')}\n`, 503);
  });
  app.get('/metrics', async (context) => {
    const { text, contentType } = await dependencies.metrics();
    return context.body(text, 200, { 'Content-Type': contentType });
  });

  app.get('/', (context) => context.text(INDEX));
  app.get('/api/v1/status', async (context) => context.json(await model.status()));
  app.get('/api/v1/offenders', async (context) => context.json(await model.offenders()));
  app.get('/api/v1/inventory', async (context) => context.json(await model.inventory()));
  app.get('/api/v1/exporters', async (context) => context.json(await model.exporters()));
  app.get('/api/v1/sight', async (context) => context.json(await model.sight()));
  app.get('/api/v1/alerts', async (context) =>
    context.json(await model.alerts(valid(alertsQuery, context.req.query()))),
  );
  app.get('/api/v1/incidents/:id', async (context) =>
    context.json(await model.incident(valid(incidentName, context.req.param('id')))),
  );
  app.get('/api/v1/acl/render', async (context) => {
    const { form, interface: lan, site, ...rest } = valid(renderQuery, context.req.query());
    const request: AclRenderRequest = {
      ...rest,
      ...(form !== undefined && { form }),
      ...(lan !== undefined && { interface: lan }),
      ...(site !== undefined && { site }),
    };
    const { text, entries, leftOut } = await model.renderAcl(request);
    return context.json({ text, entries, left_out: leftOut });
  });

  app.post('/api/v1/reload', ownRequestsOnly, boundedBody(MAX_BODY_BYTES), async (context) => {
    const { force } = valid(reloadBody, await context.req.json().catch(() => null));
    return context.json(await dependencies.reload(force));
  });

  if (dependencies.desk !== null) app.route('/api/v1/acl', createAclRoutes(dependencies.desk));

  app.get('/v1/lists/:name', async (context) => {
    const match = /^offenders\.(?:(v4|v6|all)\.txt|v(4|6)\.(ipset|nft|rsc))$/.exec(context.req.param('name'));
    if (match === null)
      throw new RogueSmtpError(
        'not_found',
        'the lists are offenders.v4.txt, offenders.v6.txt, offenders.all.txt, and offenders.v4 or .v6 as .ipset, .nft, .rsc',
      );
    const [, plain, digit, form] = match;
    const notes = listNotes(
      dependencies.heldLists().map((held) => `not rolled back: ${held}, this list follows the incidents`),
    );
    if (plain !== undefined) {
      const families = plain === 'all' ? ACL_FAMILIES : plain === 'v4' ? (['4'] as const) : (['6'] as const);
      const hosts = families.flatMap((family) => dependencies.blockedHosts(family));
      return conditional(context, notes + textList(hosts));
    }
    const family = digit === '4' ? '4' : '6';
    if (form === 'ipset')
      return conditional(context, notes + ipsetScript(dependencies.blockedHosts(family), family));
    const platform = form === 'nft' ? 'nftables' : 'mikrotik';
    const { text } = await model.renderAcl({ platform, kind: 'offenders', family });
    return conditional(context, notes + text);
  });
  app.get('/v1/acl/:target', async (context) => {
    const family = valid(z.enum(ACL_FAMILIES).default('4'), context.req.query('family'));
    const revision = valid(z.string().max(64).optional(), context.req.query('rev'));
    return conditional(context, await dependencies.aclTarget(context.req.param('target'), family, revision));
  });

  app.get('/events', (context) => events.answer(context));

  app.notFound((context) => context.json({ error: `there is no ${context.req.path}` }, 404));
  app.onError((error, context) => {
    if (error instanceof RogueSmtpError) {
      const status = STATUS_OF_CODE[error.code] ?? 503;
      return context.json({ error: error.message, code: error.code }, status);
    }
    dependencies.onError(context.req.path, error);
    return context.json({ error: 'internal error, see the log' }, 500);
  });

  const listener = createHttpListener('http.listen', options.listen, app.fetch);
  return {
    start: listener.start,
    async stop() {
      await events.stop();
      await listener.stop();
    },
  };
}

function refuse(context: Context, { why, message }: Refusal): Response {
  return context.json({ error: message }, why === 'foreign' ? 403 : 401);
}

const STATUS_OF_CODE: Readonly<Partial<Record<RogueSmtpError['code'], 400 | 404 | 409>>> = {
  usage: 400,
  config: 400,
  not_found: 404,
  refused: 409,
};

const INDEX = `rogue-smtp

/api/v1/offenders   /api/v1/alerts   /api/v1/incidents/<id>   /api/v1/inventory   /api/v1/exporters   /api/v1/status
/api/v1/sight
/api/v1/acl   /api/v1/acl/diff   /api/v1/acl/log
/v1/lists/offenders.v4.txt   /v1/lists/offenders.v6.txt   /v1/lists/offenders.all.txt   /v1/acl/<target>?family=4
/events   /metrics   /healthz   /readyz   /clickhouse?query=SELECT+...
`;

/** Answers 304 to a client that has these bytes already (RFC 9110 section 13.1.2). */
function conditional(context: Context, text: string): Response {
  const tag = `"${createHash('sha256').update(text).digest('hex')}"`;
  const headers = { ETag: tag, 'Cache-Control': 'no-cache', 'Content-Type': 'text/plain; charset=utf-8' };
  const known = (context.req.header('if-none-match') ?? '')
    .split(',')
    .map((value) => value.trim().replace(/^W\//, ''));
  if (known.includes(tag) || known.includes('*')) return context.body(null, 304, headers);
  return context.body(text, 200, headers);
}
