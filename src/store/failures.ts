/**
 * Which failures of an engine can pass by themselves.
 *
 * A wrong "permanent" throws rows into the dead-letter file, a wrong "transient" lets the writer wait until someone
 * looks, with the rows safe in the stream. So everything is transient except what is known to fail the same way for
 * ever; a missing table or a refused password is not, since both can be given later.
 */

import { RogueSmtpError } from '../errors.ts';

/** ClickHouse error codes (names by `errorCodeToName`) of statements and data that can never work. */
const PERMANENT: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  7, // INCORRECT_NUMBER_OF_COLUMNS
  8, // THERE_IS_NO_COLUMN
  9, // SIZES_OF_COLUMNS_DOESNT_MATCH
  10, // NOT_FOUND_COLUMN_IN_BLOCK
  16, // NO_SUCH_COLUMN_IN_TABLE
  20, // NUMBER_OF_COLUMNS_DOESNT_MATCH
  25, // CANNOT_PARSE_ESCAPE_SEQUENCE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  32, // ATTEMPT_TO_READ_AFTER_EOF
  33, // CANNOT_READ_ALL_DATA
  36, // BAD_ARGUMENTS
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  42, // NUMBER_OF_ARGUMENTS_DOESNT_MATCH
  43, // ILLEGAL_TYPE_OF_ARGUMENT
  44, // ILLEGAL_COLUMN
  46, // UNKNOWN_FUNCTION
  47, // UNKNOWN_IDENTIFIER
  50, // UNKNOWN_TYPE
  53, // TYPE_MISMATCH
  62, // SYNTAX_ERROR
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  80, // INCORRECT_QUERY
  108, // NO_DATA_TO_INSERT
  115, // UNKNOWN_SETTING
  117, // INCORRECT_DATA
  128, // TOO_LARGE_ARRAY_SIZE
  130, // CANNOT_READ_ARRAY_FROM_TEXT
  131, // TOO_LARGE_STRING_SIZE
  164, // READONLY
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  396, // TOO_MANY_ROWS_OR_BYTES
  407, // DECIMAL_OVERFLOW
  441, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
  456, // UNKNOWN_QUERY_PARAMETER
  457, // BAD_QUERY_PARAMETER
  675, // CANNOT_PARSE_IPV4
  676, // CANNOT_PARSE_IPV6
]);

/** A server quotes the statement in its message, which may be long. */
const MAX_MESSAGE_LENGTH = 2000;

/** The error for callers. `code` and `name` are ClickHouse's, null and '' when the surroundings failed (process, connection). */
export function engineError(
  message: string,
  code: number | null,
  name = '',
  cause?: unknown,
): RogueSmtpError {
  const transient = code === null || !PERMANENT.has(code);
  return new RogueSmtpError('store', message.trim().slice(0, MAX_MESSAGE_LENGTH), {
    transient,
    ...(code === null ? {} : { engine: { code, name } }),
    ...(cause === undefined ? {} : { cause }),
  });
}
