/**
 * Guards what changes something: a browser that shows another site's page must not be made to decide anything with the
 * operator's credentials in it.
 */

import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { RogueSmtpError } from '../errors.ts';
import { isForeignFetch } from './guard.ts';
import { problem } from './problem.ts';

/** Lets GET and HEAD pass; others need a JSON body, which no form can send, and no `Origin` but this server's own. */
export const ownRequestsOnly: MiddlewareHandler = async (context, next) => {
  if (context.req.method === 'GET' || context.req.method === 'HEAD') return next();
  if (!isOwn(context)) return foreign(context);
  if (!/^application\/json\b/i.test(context.req.header('content-type') ?? ''))
    throw new RogueSmtpError('usage', 'send JSON, with Content-Type: application/json');
  return next();
};

/** The same for a request without a body. */
export const ownOriginOnly: MiddlewareHandler = async (context, next) =>
  isOwn(context) ? next() : foreign(context);

const foreign = (context: Context): Response =>
  problem(context, 403, 'foreign', 'refused: the request comes from another site');

function isOwn(context: Context): boolean {
  const origin = context.req.header('origin');
  const sameHost = origin === undefined || originHost(origin) === context.req.header('host');
  return sameHost && !isForeignFetch(context);
}

/** Refuses a body of more than so many bytes. */
export const boundedBody = (maxSize: number): MiddlewareHandler =>
  bodyLimit({
    maxSize,
    onError: (context) => problem(context, 413, 'usage', `the body is over ${maxSize} bytes`),
  });

function originHost(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
