/**
 * The part of the HTTP API where people decide about blocks.
 *
 * Whoever may read may not yet write by accident: what changes something wants a JSON body, which no form of another
 * site can send, and no `Origin` but this server's own. Who did it is noted as the caller says it; with one token for all
 * nobody can prove more.
 */

import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { ACL_FAMILIES } from '../acl/model.ts';
import { duration } from '../config/values.ts';
import { decisionAuthor, decisionReason } from '../messages/decision.ts';
import type { AclDesk } from '../publish/desk.ts';
import { boundedBody, ownRequestsOnly } from './own-requests.ts';
import { valid } from './valid.ts';

const MAX_BODY_BYTES = 256 * 1024;
const DEFAULT_LOG_ENTRIES = 100;

const targetName = z.string().min(1).max(63);
const author = {
  by: decisionAuthor.default(''),
  reason: decisionReason.default(''),
};
const hosts = z.array(z.string().max(64)).max(1000);
const someHosts = hosts.min(1, 'no host is named');

const approveBody = z
  .strictObject({ hosts: hosts.default([]), all: z.boolean().default(false), ...author })
  .refine((body) => body.all === (body.hosts.length === 0), 'name hosts, or say "all": true');
const rejectBody = z.strictObject({ hosts: someHosts, ...author });
const releaseBody = z.strictObject({ hosts: someHosts, for: duration.prefault('24h'), ...author });
const blockBody = z.strictObject({
  hosts: someHosts,
  for: duration.refine((ms) => ms > 0, 'expected more than nothing'),
  by: author.by,
  reason: decisionReason.refine((text) => text.trim() !== '', 'say why'),
});
const rollbackChoice = {
  target: targetName.optional(),
  family: z.enum(ACL_FAMILIES).optional(),
  to: z
    .string()
    .regex(/^[0-9a-f]{8}$/, 'expected the eight digits of a revision')
    .optional(),
};
const rollbackBody = z.strictObject({ ...rollbackChoice, ...author });
const rollbackQuery = z.object(rollbackChoice);
const forgetLostBody = z.strictObject(author);
const followBody = z.strictObject({ targets: z.array(targetName).max(1000).default([]), ...author });
const logQuery = z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(DEFAULT_LOG_ENTRIES) });
const diffQuery = z.object({ target: targetName.optional() });

/** Mounted under `/api/v1/acl`, behind the guard. */
export function createAclRoutes(desk: AclDesk): Hono {
  const app = new Hono();
  app.get('/', async (context) => context.json(await desk.overview()));
  app.get('/diff', async (context) =>
    context.text(await desk.diff(valid(diffQuery, context.req.query()).target)),
  );
  app.get('/rollback', async (context) =>
    context.text(await desk.rollbackDiff(valid(rollbackQuery, context.req.query()))),
  );
  app.get('/log', async (context) =>
    context.json(await desk.log(valid(logQuery, context.req.query()).limit)),
  );

  app.use(ownRequestsOnly);
  app.use(boundedBody(MAX_BODY_BYTES));
  const act = <Body extends { readonly by: string }>(
    path: string,
    schema: z.ZodType<Body>,
    work: (body: Body) => Promise<readonly string[]>,
  ) =>
    app.post(path, async (context) => {
      const body = valid(schema, await context.req.json().catch(() => null));
      return context.json({ done: await work({ ...body, by: authorOf(context, body.by) }) });
    });
  act('/approve', approveBody, (body) => desk.approve(body));
  act('/reject', rejectBody, (body) => desk.reject(body));
  act('/release', releaseBody, ({ for: forMs, ...body }) => desk.release({ ...body, forMs }));
  act('/block', blockBody, ({ for: forMs, ...body }) => desk.block({ ...body, forMs }));
  act('/rollback', rollbackBody, (body) => desk.rollback(body));
  act('/forget-lost', forgetLostBody, (body) => desk.forgetLost(body));
  act('/follow', followBody, (body) => desk.follow(body));
  return app;
}

/** The name of Basic, or what the caller says; a desk without a name is the API itself. */
function authorOf(context: Context, said: string): string {
  const basic = /^Basic +(\S+)$/i.exec(context.req.header('authorization') ?? '');
  const user = basic === null ? '' : Buffer.from(basic[1], 'base64').toString('utf8').split(':')[0];
  const name = decisionAuthor.safeParse(user);
  if (name.success && name.data !== '') return name.data;
  return said === '' ? 'api' : said;
}
