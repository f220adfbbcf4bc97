/**
 * Where the fields of a host and of its case file lie in a record: first the doubles, by their place among doubles, then
 * the words.
 *
 * The one declaration for all views of the record. A record is memory only, never stored: the layout may change freely.
 */

/** Doubles of the case file. */
export const OPENED_MS = 0;
export const FIRST_MS = 1;
export const LAST_MS = 2;
export const CHANGED_MS = 3;
export const CLOSED_MS = 4;
export const REVISION = 5;
export const SESSIONS = 6;
export const ATTEMPTS = 7;
export const HALF_SESSIONS = 8;
export const DENIED_SESSIONS = 9;
export const PACKETS = 10;
export const BYTES = 11;
export const INTERNAL_SESSIONS = 12;
export const FIRST_DATAGRAM = 13;
export const UPDATES = 14;
export const ALERTED_MS = 15;
/** Doubles of the host. */
export const OFFSET = 16;
export const CLOCK_MS = 17;
export const DEADLINE_MS = 18;
export const RESTORED_OFFSET = 19;
export const RESTORED_CLOCK_MS = 20;
export const DIRTY_SINCE_MS = 21;

/** Words of the host. The key is four words of the address and one of the site. */
export const HOST_KEY = 44;
export const SITE = 48;
export const HASH = 49;
export const OLDER = 50;
export const NEWER = 51;
export const DIRTY_BEFORE = 52;
export const DIRTY_AFTER = 53;
export const PARTITION = 54;
/** Plus one; 0 when nothing was restored. */
export const RESTORED_PARTITION = 55;
/** Words of the case file: from here to `CASE_END`. */
export const CASE_WORDS = 56;
/** Three words: the 24 hex digits of the incident's id. */
export const ID = 56;
export const RECURRENCE = 59;
export const VERDICT = 60;
export const BLOCK = 61;
export const STATE = 62;
/** The destinations: how many, then the first and last of those that were reached, and of those that were not. */
export const DESTINATION_COUNT = 63;
export const REACHED_FIRST = 64;
export const REACHED_LAST = 65;
export const UNREACHED_FIRST = 66;
export const UNREACHED_LAST = 78;
/** Lists, see cell-lists.ts. */
export const PORTS = 67;
export const SAMPLING = 68;
export const INTERFACES = 69;
/** Rings: the newest cell, and behind it the number of cells. */
export const WINDOW = 70;
export const WINDOW_COUNT = 71;
export const SOLID_WINDOW = 72;
export const SOLID_WINDOW_COUNT = 73;
export const SCORE = 74;
export const TRIALS = 75;
export const SAMPLED_PAYLOAD = 76;
/** 1 when a destination found no room. */
export const DESTINATIONS_CUT = 77;
/** The test over likely messages: its score as a signed word, and how many sessions were likely, and unclear. */
export const MESSAGE_SCORE = 79;
export const LIKELY_MESSAGES = 80;
export const UNCLEAR_MESSAGES = 81;
/** Low word of the hash of the first datagram behind `scanning`. */
export const SCAN_DATAGRAM = 82;
/** At most so many destinations were told addresses within the window, and were probed. */
export const ASKED_BOUND = 83;
export const PROBED_BOUND = 84;
/** Words of the case file end here. What follows is of the host again: who reported it first, and its place in two lists. */
export const CASE_END = 86;
export const REPORTER = 86;
export const REPORTER_OLDER = 87;
export const REPORTER_NEWER = 88;
export const PREFIX_BEFORE = 89;
export const PREFIX_AFTER = 90;
export const HOST_WORDS = 92;
