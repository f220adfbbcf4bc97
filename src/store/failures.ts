/**
 * What a failure of an engine says: whether it can pass by itself, whether a repeat at once can help, and whether the
 * bytes that were sent can be its cause.
 *
 * None of these is a verdict on rows. The writer lets rows wait in the stream whatever the code is; only a second look
 * (second-look.ts) may say that the bytes themselves are at fault.
 */

import { RogueSmtpError } from '../errors.ts';

/**
 * ClickHouse error codes (names by `errorCodeToName`) of values and texts that the same server takes at no time. Codes that
 * an administrator, another version or a healthy shard mends are not here: 32 and 33 come from a shard that dies while it
 * sends, 16, 36, 43, 46, 47, 50, 115 and 164 from tables, profiles and versions that are not what they should be.
 */
const REFUSES_WHAT_WAS_SENT: ReadonlySet<number> = new Set([
  6, // CANNOT_PARSE_TEXT
  7, // INCORRECT_NUMBER_OF_COLUMNS
  9, // SIZES_OF_COLUMNS_DOESNT_MATCH
  25, // CANNOT_PARSE_ESCAPE_SEQUENCE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  42, // NUMBER_OF_ARGUMENTS_DOESNT_MATCH
  53, // TYPE_MISMATCH
  62, // SYNTAX_ERROR
  70, // CANNOT_CONVERT_TYPE
  72, // CANNOT_PARSE_NUMBER
  80, // INCORRECT_QUERY
  117, // INCORRECT_DATA
  128, // TOO_LARGE_ARRAY_SIZE
  130, // CANNOT_READ_ARRAY_FROM_TEXT
  131, // TOO_LARGE_STRING_SIZE
  321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  407, // DECIMAL_OVERFLOW
  441, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
  456, // UNKNOWN_QUERY_PARAMETER
  457, // BAD_QUERY_PARAMETER
  675, // CANNOT_PARSE_IPV4
  676, // CANNOT_PARSE_IPV6
]);

/**
 * Codes after which the same call may go through a moment later: connections, shards, replicas and Keeper. What used up
 * time, memory or a quota would only use it up again; what was killed is not wanted; a table that is missing stays so.
 */
const PASSES_AT_ONCE: ReadonlySet<number> = new Set([
  3, // UNEXPECTED_END_OF_FILE
  32, // ATTEMPT_TO_READ_AFTER_EOF: a shard or a proxy died in the middle
  99, // UNKNOWN_PACKET_FROM_CLIENT
  100, // UNKNOWN_PACKET_FROM_SERVER
  101, // UNEXPECTED_PACKET_FROM_CLIENT
  102, // UNEXPECTED_PACKET_FROM_SERVER
  198, // DNS_ERROR
  202, // TOO_MANY_SIMULTANEOUS_QUERIES
  203, // NO_FREE_CONNECTION
  209, // SOCKET_TIMEOUT
  210, // NETWORK_ERROR
  236, // ABORTED
  242, // TABLE_IS_READ_ONLY
  279, // ALL_CONNECTION_TRIES_FAILED
  285, // TOO_FEW_LIVE_REPLICAS
  286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  319, // UNKNOWN_STATUS_OF_INSERT
  369, // ALL_REPLICAS_ARE_STALE
  425, // SYSTEM_ERROR
  519, // NO_AVAILABLE_REPLICA
  999, // KEEPER_EXCEPTION
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
  const transient = code === null || !REFUSES_WHAT_WAS_SENT.has(code);
  return new RogueSmtpError('store', message.trim().slice(0, MAX_MESSAGE_LENGTH), {
    transient,
    ...(code === null ? {} : { engine: { code, name } }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Whether the same call is worth repeating within a second. A connection that broke is, and so are the codes above. */
export function mayPassAtOnce({ transient, engine }: RogueSmtpError): boolean {
  return transient && (engine === undefined || PASSES_AT_ONCE.has(engine.code));
}

/** Whether the engine said no to what was sent, which a second look may turn into a verdict. */
export function refusesWhatWasSent(error: unknown): error is RogueSmtpError {
  return error instanceof RogueSmtpError && !error.transient;
}
