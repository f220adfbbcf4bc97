/**
 * Errors as a ClickHouse server words them: `Code: 62. DB::Exception: ... (SYNTAX_ERROR)` with the code in a header.
 *
 * Clients parse that text, and tell by the status whether the request or the server is at fault. What broke inside is never
 * shown; it is only said that something did.
 */

import type { Context } from 'hono';
import { RogueSmtpError } from '../../errors.ts';

export class ClickHouseException extends Error {
  readonly status: Status;
  readonly code: number;
  /** Name of the code in ClickHouse. */
  readonly type: string;

  constructor(status: Status, code: number, type: string, message: string) {
    super(message);
    this.name = 'ClickHouseException';
    this.status = status;
    this.code = code;
    this.type = type;
  }
}

type Status = 400 | 401 | 403 | 404 | 408 | 413 | 429 | 500 | 501 | 503;

/** As in `exceptionCodeToHTTPStatus` of ClickHouse; what is not here is 500. */
const STATUS_OF_NAME: Readonly<Record<string, Status>> = {
  SYNTAX_ERROR: 400,
  BAD_ARGUMENTS: 400,
  TYPE_MISMATCH: 400,
  ILLEGAL_TYPE_OF_ARGUMENT: 400,
  ILLEGAL_COLUMN: 400,
  ILLEGAL_AGGREGATION: 400,
  NUMBER_OF_ARGUMENTS_DOESNT_MATCH: 400,
  NOT_AN_AGGREGATE: 400,
  AMBIGUOUS_IDENTIFIER: 400,
  UNKNOWN_QUERY_PARAMETER: 400,
  BAD_QUERY_PARAMETER: 400,
  NO_SUCH_COLUMN_IN_TABLE: 400,
  UNKNOWN_TABLE: 404,
  UNKNOWN_FUNCTION: 404,
  UNKNOWN_IDENTIFIER: 404,
  UNKNOWN_TYPE: 404,
  UNKNOWN_DATABASE: 404,
  UNKNOWN_SETTING: 404,
  UNKNOWN_FORMAT: 404,
  UNKNOWN_AGGREGATE_FUNCTION: 404,
  READONLY: 403,
  ACCESS_DENIED: 403,
  TIMEOUT_EXCEEDED: 408,
  NOT_IMPLEMENTED: 501,
};

/** What was thrown, as an exception of ClickHouse; null for what nobody foresaw. */
export function exceptionOf(error: unknown): ClickHouseException | null {
  if (error instanceof ClickHouseException) return error;
  if (!(error instanceof RogueSmtpError)) return null;
  const { engine } = error;
  if (engine !== undefined) {
    const status = STATUS_OF_NAME[engine.name] ?? (engine.name.startsWith('CANNOT_PARSE') ? 400 : 500);
    return new ClickHouseException(status, engine.code, engine.name, error.message);
  }
  if (error.code === 'refused') return new ClickHouseException(403, 497, 'ACCESS_DENIED', error.message);
  if (error.code === 'usage') return new ClickHouseException(400, 36, 'BAD_ARGUMENTS', error.message);
  return new ClickHouseException(503, 1001, 'STD_EXCEPTION', error.message);
}

export function answerException(context: Context, exception: ClickHouseException): Response {
  const { code, type, status, message } = exception;
  return context.text(`Code: ${code}. DB::Exception: ${message} (${type})\n`, status, {
    'X-ClickHouse-Exception-Code': String(code),
  });
}
