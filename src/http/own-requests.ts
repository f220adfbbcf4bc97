/**
 * Guards what changes something: a browser that shows another site's page must not be made to decide anything with the
 * operator's credentials in it.
 */

import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { RogueSmtpError } from '../errors.ts';
import { isForeignFetch } from './guard.ts';

/** Lets GET and HEAD pass; others need a JSON body, which no form can send, and no `Origin` but this server's own. */
export const ownRequestsOnly: MiddlewareHandler = async (context, next) => {
  if (context.req.method === 'GET' || context.req.method === 'HEAD') return next();
  const origin = context.req.header('origin');
  const isOwn = origin === undefined || originHost(origin) === context.req.header('host');
  if (!isOwn || isForeignFetch(context))
    return context.json({ error: 'refused: the request comes from another site' }, 403);
  if (!/^application\/json\b/i.test(context.req.header('content-type') ?? ''))
    throw new RogueSmtpError('usage', 'send JSON, with Content-Type: application/json');
  return next();
};

/** Refuses a body of more than so many bytes. */
export const boundedBody = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (context) => context.json({ error: `the body is over ${maxSize} bytes` }, 413),
  });

function originHost(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
