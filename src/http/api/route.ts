/**
 * One route of the API: what it takes, what it answers, who may ask. The server, the document (openapi.ts) and the check of roles
 * are all made from such definitions, so that none of them can say anything else.
 */

import { createHash } from 'node:crypto';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { RogueSmtpError } from '../../errors.ts';
import type { Role } from '../../messages/access-role.ts';
import { boundedBody, ownOriginOnly, ownRequestsOnly } from '../own-requests.ts';
import { valid } from '../valid.ts';

export const API_BASE = '/api/v1';

export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'delete';
  /** With parameters in braces. */
  readonly path: string;
  /** Of the operation; unique. */
  readonly id: string;
  readonly summary: string;
  readonly role: Role;
  /** `nobody`: no token is needed. `kiosk`: none in a kiosk. */
  readonly open?: 'nobody' | 'kiosk';
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly answer: Answer;
  /** Of the answer. Default: JSON. Of `text/...` the schema is of the text. */
  readonly mediaTypes: readonly string[];
  /** Codes of refusals beside those that every route has. */
  readonly refusals: readonly (400 | 404 | 409 | 413 | 429 | 503)[];
  readonly maxBodyBytes: number;
}

const NOTHING = z.strictObject({});
const NO_BODY = z.undefined();
const JSON_TYPE = 'application/json';
const MAX_BODY_BYTES = 1024;

type Given<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> = Pick<Route, 'method' | 'path' | 'id' | 'summary' | 'role'> &
  Partial<Pick<Route, 'mediaTypes' | 'refusals' | 'maxBodyBytes'>> & {
    readonly open?: NonNullable<Route['open']>;
    readonly params?: Params;
    readonly query?: Query;
    readonly body?: Body;
    readonly answer: Answer;
  };

export function route<
  Answer extends z.ZodType,
  Params extends z.ZodType = typeof NOTHING,
  Query extends z.ZodType = typeof NOTHING,
  Body extends z.ZodType = typeof NO_BODY,
>(given: Given<Params, Query, Body, Answer>): Route<Params, Query, Body, Answer> {
  return {
    params: NOTHING as unknown as Params,
    query: NOTHING as unknown as Query,
    body: NO_BODY as unknown as Body,
    mediaTypes: [JSON_TYPE],
    refusals: [],
    maxBodyBytes: MAX_BODY_BYTES,
    ...given,
  };
}

interface Asked<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly context: Context;
}

/** What is only written out may be read-only. */
type Written<Value> = Value extends readonly (infer Entry)[]
  ? readonly Written<Entry>[]
  : Value extends object
    ? { readonly [Key in keyof Value]: Written<Value[Key]> }
    : Value;

type Answered<One extends Route> = Written<z.input<One['answer']>> | Response;

/** Answers with the value of the schema, or with a response of its own. */
export type Handler<One extends Route> = (
  asked: Asked<z.output<One['params']>, z.output<One['query']>, z.output<One['body']>>,
) => Promise<Answered<One>> | Answered<One>;

/** `base`: what the application is mounted under. Input that does not fit throws RogueSmtpError `usage`. */
export function mount<One extends Route>(app: Hono, one: One, handler: Handler<One>, base = ''): void {
  const path = one.path.slice(base.length).replace(/\{(\w+)\}/g, ':$1');
  const answer = async (context: Context) => {
    const asked = {
      params: valid(one.params, context.req.param()),
      query: valid(one.query, queryOf(context)),
      body: hasBody(one) ? valid(one.body, await context.req.json().catch(() => null)) : undefined,
      context,
    } as Parameters<Handler<One>>[0];
    const value = await handler(asked);
    if (value instanceof Response) return value;
    const [type] = one.mediaTypes;
    if (type !== JSON_TYPE)
      return context.body(String(value), 200, { 'Content-Type': `${type}; charset=UTF-8` });
    return one.method === 'get' ? tagged(context, value) : context.json(value as object);
  };
  const at = path === '' ? '/' : path;
  if (one.method === 'get') app.get(at, answer);
  else if (hasBody(one))
    app.on(one.method.toUpperCase(), at, ownRequestsOnly, boundedBody(one.maxBodyBytes), answer);
  else app.on(one.method.toUpperCase(), at, ownOriginOnly, answer);
}

export const hasBody = ({ body }: Route): boolean => body !== NO_BODY;

/** Of a parameter that is given twice nobody knows which is meant. */
function queryOf(context: Context): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (values.length > 1) throw new RogueSmtpError('usage', `${name.slice(0, 64)} is given twice`);
    given[name] = values[0];
  }
  return given;
}

/** Fields that differ with every question and say nothing new. */
const VOLATILE: ReadonlySet<string> = new Set(['now', 'silent_s']);

/** Answers 304 to a client that has this already (RFC 9110, section 13.1.2). */
function tagged(context: Context, value: unknown): Response {
  const text = JSON.stringify(value);
  const lasting = JSON.stringify(value, (key, inner: unknown) => (VOLATILE.has(key) ? undefined : inner));
  // Weak: two answers with one tag may differ in what is volatile.
  return conditionalBody(context, text, lasting, { type: 'application/json', weak: true });
}

/** `identity`: what the tag is made of. */
export function conditionalBody(
  context: Context,
  text: string,
  identity: string,
  { type, weak }: { readonly type: string; readonly weak: boolean },
): Response {
  const tag = `"${createHash('sha256').update(identity).digest('hex')}"`;
  const headers = {
    ETag: weak ? `W/${tag}` : tag,
    'Cache-Control': weak ? 'private, no-cache' : 'no-cache',
    'Content-Type': type,
  };
  const known = (context.req.header('if-none-match') ?? '')
    .split(',')
    .map((entry) => entry.trim().replace(/^W\//, ''));
  if (known.includes(tag) || known.includes('*')) return context.body(null, 304, headers);
  return context.body(text, 200, headers);
}
