/**
 * The part of the HTTP API where people decide about blocks.
 *
 * Whoever may read may not yet write by accident: what changes something wants a JSON body, which no form of another
 * site can send, and no `Origin` but this server's own. Who did it is the name of the token, with what the caller says of himself
 * beside it; with one token for all nobody can prove more than that.
 */

import { type Context, Hono } from 'hono';
import type { z } from 'zod';
import { SHARED_TOKEN } from '../messages/access-role.ts';
import { decisionAuthor } from '../messages/decision.ts';
import type { AclDesk } from '../publish/desk.ts';
import { API_BASE, mount, type Route } from './api/route.ts';
import { ACL_ROUTES as ROUTES } from './api/routes.ts';
import { principalOf } from './guard.ts';

const BASE = `${API_BASE}/acl`;
/** Of an author. */
const MAX_NAME = 64;

/** Mounted under `/api/v1/acl`, behind the guard. */
export function createAclRoutes(desk: AclDesk): Hono {
  const app = new Hono();
  mount(app, ROUTES.acl, () => desk.overview(), BASE);
  mount(app, ROUTES.diff, ({ query }) => desk.diff(query.target), BASE);
  mount(app, ROUTES.rollbackDiff, ({ query }) => desk.rollbackDiff(query), BASE);
  mount(app, ROUTES.log, ({ query }) => desk.log(query.limit), BASE);

  const act = <Body extends { readonly by: string }>(
    one: Route<z.ZodType, z.ZodType, z.ZodType<Body>, typeof ROUTES.approve.answer>,
    work: (body: Body) => Promise<readonly string[]>,
  ) =>
    mount(
      app,
      one,
      async ({ body, context }) => ({
        done: await work({ ...body, by: authorOf(context, body.by) }),
      }),
      BASE,
    );
  act(ROUTES.approve, (body) => desk.approve(body));
  act(ROUTES.reject, (body) => desk.reject(body));
  act(ROUTES.release, ({ for: forMs, ...body }) => desk.release({ ...body, forMs }));
  act(ROUTES.block, ({ for: forMs, ...body }) => desk.block({ ...body, forMs }));
  act(ROUTES.rollback, (body) => desk.rollback(body));
  act(ROUTES.forgetLost, (body) => desk.forgetLost(body));
  act(ROUTES.follow, (body) => desk.follow(body));
  return app;
}

/** The name of a token of one's own; else the name of Basic, or what the caller says; a desk without a name is the API itself. */
function authorOf(context: Context, said: string): string {
  const claimed = basicName(context) ?? said;
  const principal = principalOf(context);
  if (principal !== null && principal.name !== '' && principal.name !== SHARED_TOKEN)
    return claimed === '' || claimed === principal.name
      ? principal.name
      : `${claimed.slice(0, MAX_NAME - principal.name.length - 3)} (${principal.name})`.slice(-MAX_NAME);
  if (claimed !== '') return claimed;
  return principal?.by === 'session' ? principal.name : 'api';
}

function basicName(context: Context): string | null {
  const basic = /^Basic +(\S+)$/i.exec(context.req.header('authorization') ?? '');
  const user = basic === null ? '' : Buffer.from(basic[1], 'base64').toString('utf8').split(':')[0];
  const name = decisionAuthor.safeParse(user);
  return name.success && name.data !== '' ? name.data : null;
}
