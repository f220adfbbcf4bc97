/**
 * The OpenAPI 3.1 document of the API, made from the routes. Its schemas are JSON Schema 2020-12, which zod writes by itself; so no
 * library stands between the schemas that check a request and those that describe it.
 */

import { z } from 'zod';
import { hasBody, type Route } from './route.ts';
import { NAMED_SCHEMAS, ROUTES } from './routes.ts';

type Json = Readonly<Record<string, unknown>>;

/** Of the API, not of the program: it grows with what is added. */
const API_VERSION = '1.1.0';

/** Names of answers are those of their operations. */
export function openApiDocument(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED_SCHEMAS)) registry.add(schema, { id });
  for (const { id, answer } of ROUTES)
    if (!registry.has(answer)) registry.add(answer, { id: answerName(id) });
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    unrepresentable: 'any',
    io: 'output',
    override: describeText,
  });
  const nameOf = (schema: z.ZodType): string => registry.get(schema)?.id ?? '';

  const paths: Record<string, Record<string, Json>> = {};
  for (const one of ROUTES) {
    paths[one.path] = { ...paths[one.path], [one.method]: operation(one, nameOf(one.answer)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'rogue-smtp',
      version: API_VERSION,
      description:
        'Hosts that send mail without permission, the evidence, the blocks, and how much of the network this is true for. Times are UTC. ' +
        'GET answers carry an ETag. Text may come from strangers: it is never markup.',
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, { session: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)])),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'One of http.tokens, or http.token' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'rogue_smtp_session',
          description: 'Made by POST /api/v1/session; whatever changes something also needs X-CSRF-Token',
        },
      },
    },
  };
}

const answerName = (id: string): string => `${id.slice(0, 1).toUpperCase()}${id.slice(1)}Answer`;

function operation(one: Route, answer: string): Json {
  const refusals = [400, 401, 403, 429, ...one.refusals, 500];
  if (hasBody(one)) refusals.push(413);
  return {
    operationId: one.id,
    summary: one.summary,
    description: `Takes the role ${one.role}${one.open === 'kiosk' ? ', or none in a kiosk (http.kiosk)' : ''}.`,
    ...(one.open === 'nobody' ? { security: [] } : {}),
    parameters: [...parameters(one.params, 'path'), ...parameters(one.query, 'query')],
    ...(hasBody(one)
      ? { requestBody: { required: true, content: { 'application/json': { schema: input(one.body) } } } }
      : {}),
    responses: {
      200: {
        description: 'The answer',
        content: Object.fromEntries(
          one.mediaTypes.map((type) => [
            type,
            {
              schema:
                type === 'application/json' ? { $ref: `#/components/schemas/${answer}` } : { type: 'string' },
            },
          ]),
        ),
      },
      ...(one.method === 'get' ? { 304: { description: 'Unchanged since the answer with this ETag' } } : {}),
      ...Object.fromEntries(
        [...new Set(refusals)].sort().map((status) => [
          status,
          {
            description: REFUSALS[status] ?? 'Refused',
            content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
          },
        ]),
      ),
    },
  };
}

const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request is wrong; detail says what was expected',
  401: 'A token is needed, or it is wrong',
  403: 'The role does not suffice, the CSRF token is missing, or a page of another site caused the request',
  404: 'There is no such thing',
  409: 'An interlock refuses it',
  413: 'The body is too large',
  429: 'Too many wrong tokens from this address',
  500: 'Internal error; the log says more',
  503: 'Not available now: try again in a moment',
};

function parameters(schema: z.ZodType, place: 'path' | 'query'): readonly Json[] {
  const { properties = {}, required = [] } = input(schema) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

/** What is sent, before defaults and transformations. */
const input = (schema: z.ZodType): Json =>
  bare(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: describeText }) as Json);

/**
 * A number in a query travels as text, and zod calls what it coerces from unknown. Classes of Unicode are written out, for readers
 * of patterns that do not know them. What a time looks like is said by its format.
 */
function describeText({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  if (zodSchema._zod.def.type === 'number' && jsonSchema.type === undefined) jsonSchema.type = 'integer';
  if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.pattern?.includes('\\p{Cc}') === true)
    jsonSchema.pattern = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$';
}

function bare(schema: object): Json {
  const { $schema: _dialect, $id: _id, ...rest } = schema as Record<string, unknown>;
  return rest;
}
