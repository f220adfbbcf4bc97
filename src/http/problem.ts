/**
 * Refusals as `application/problem+json` (RFC 9457). `error` and `code` are beside its fields for clients of earlier versions.
 *
 * What is told is written for whoever asked. Internals are never in it.
 */

import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { RogueSmtpError } from '../errors.ts';
import type { Problem } from './api/schemas.ts';

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is wrong',
  401: 'A token is needed',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Not this method',
  409: 'Refused',
  413: 'Too large',
  429: 'Too many failures',
  500: 'Internal error',
  503: 'Not available now',
};

const STATUS_OF_CODE: Readonly<Partial<Record<RogueSmtpError['code'], 400 | 404 | 409>>> = {
  usage: 400,
  config: 400,
  not_found: 404,
  refused: 409,
};

export function problem(
  context: Context,
  status: ContentfulStatusCode,
  code: string,
  detail: string,
): Response {
  const content: Problem = {
    type: 'about:blank',
    title: TITLES[status] ?? 'Refused',
    status,
    detail,
    error: detail,
    code,
  };
  return context.body(JSON.stringify(content), status, { 'Content-Type': 'application/problem+json' });
}

export const problemOf = (context: Context, error: RogueSmtpError): Response =>
  problem(context, STATUS_OF_CODE[error.code] ?? 503, error.code, error.message);
