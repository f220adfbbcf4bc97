/**
 * The one error family of rogue-smtp.
 *
 * Malformed input (a datagram, a log line, a message) is never an exception: it is a counted result. What is thrown
 * is either a mistake of the user (configuration, command line) or a broken surrounding (disk, broker, store), and
 * always carries one of these codes, so that callers and scripts can tell them apart.
 */

export type ErrorCode =
  /** Wrong command line or configuration: exit code 2. */
  | 'usage'
  | 'config'
  /** Something that is asked for does not exist (an incident, an ACL target). */
  | 'not_found'
  /** An action is refused by a safety interlock, such as a policy ACL without a sender. */
  | 'refused'
  /** A file or directory cannot be read or written. */
  | 'io'
  /** The stream (spool or broker) cannot take or give messages. */
  | 'stream'
  /** The store (engine or server) failed; `transient` says whether a retry can help. */
  | 'store'
  /** An optional part is not installed. */
  | 'unavailable';

/** An error of ClickHouse: its number and its name, such as 47 and UNKNOWN_IDENTIFIER. */
export interface EngineComplaint {
  readonly code: number;
  /** '' when it is not known. */
  readonly name: string;
}

export class RogueSmtpError extends Error {
  readonly code: ErrorCode;
  /** True when the same call may succeed later without anything being changed. */
  readonly transient: boolean;
  /** Of code `store`: what the engine itself said, when it did. */
  readonly engine: EngineComplaint | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; transient?: boolean; engine?: EngineComplaint } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RogueSmtpError';
    this.code = code;
    this.transient = options.transient ?? false;
    this.engine = options.engine;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message of what `fetch` threw, which hides the reason (ECONNREFUSED) in the cause. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : messageOf(error);
}

/**
 * Why a socket could not be opened. `what`: protocol and address; `taken`: how to find who has it, and what helps; `low`: what a
 * port below 1024 needs.
 */
export function describeListenError(
  what: string,
  error: unknown,
  { taken, low }: { readonly taken: string; readonly low: string },
): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  switch (code) {
    case 'EADDRINUSE':
      return `${what} is taken by another program (EADDRINUSE); ${taken}`;
    case 'EACCES':
      return `${what} may not be opened by this user: ports below 1024 need ${low}`;
    case 'EADDRNOTAVAIL':
      return `${what}: no interface of this machine has that address`;
    case 'EAFNOSUPPORT':
      return `${what}: this machine has no IPv6`;
    default:
      return `${what}: ${messageOf(error)}`;
  }
}
