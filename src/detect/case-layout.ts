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
/** First and last packet by the exporters' clocks; 0: not told. */
export const FIRST_PACKET_MS = 16;
export const LAST_PACKET_MS = 17;
/** Doubles of the host. */
export const OFFSET = 18;
export const CLOCK_MS = 19;
export const DEADLINE_MS = 20;
export const RESTORED_OFFSET = 21;
export const RESTORED_CLOCK_MS = 22;
export const DIRTY_SINCE_MS = 23;

/** Words of the host. The key is four words of the address and one of the site. */
export const HOST_KEY = 48;
export const SITE = 52;
export const HASH = 53;
export const OLDER = 54;
export const NEWER = 55;
export const DIRTY_BEFORE = 56;
export const DIRTY_AFTER = 57;
export const PARTITION = 58;
/** Plus one; 0 when nothing was restored. */
export const RESTORED_PARTITION = 59;
/** Words of the case file: from here to `CASE_END`. */
export const CASE_WORDS = 60;
/** Three words: the 24 hex digits of the incident's id. */
export const ID = 60;
export const RECURRENCE = 63;
export const VERDICT = 64;
export const BLOCK = 65;
export const STATE = 66;
/** The destinations: how many, then the first and last of those that were reached, and of those that were not. */
export const DESTINATION_COUNT = 67;
export const REACHED_FIRST = 68;
export const REACHED_LAST = 69;
export const UNREACHED_FIRST = 70;
export const UNREACHED_LAST = 82;
/** Lists, see cell-lists.ts. */
export const PORTS = 71;
export const SAMPLING = 72;
export const INTERFACES = 73;
/** Rings: the newest cell, and behind it the number of cells. */
export const WINDOW = 74;
export const WINDOW_COUNT = 75;
export const SOLID_WINDOW = 76;
export const SOLID_WINDOW_COUNT = 77;
export const SCORE = 78;
export const TRIALS = 79;
export const SAMPLED_PAYLOAD = 80;
/** 1 when a destination found no room. */
export const DESTINATIONS_CUT = 81;
/** The test over likely messages: its score as a signed word, and how many sessions were likely, and unclear. */
export const MESSAGE_SCORE = 83;
export const LIKELY_MESSAGES = 84;
export const UNCLEAR_MESSAGES = 85;
/** Low word of the hash of the first datagram behind `scanning`. */
export const SCAN_DATAGRAM = 86;
/** At most so many destinations were told addresses within the window, and were probed. */
export const ASKED_BOUND = 87;
export const PROBED_BOUND = 88;
/** Words of the case file end here. What follows is of the host again: who reported it first, and its place in two lists. */
export const CASE_END = 90;
export const REPORTER = 90;
export const REPORTER_OLDER = 91;
export const REPORTER_NEWER = 92;
export const PREFIX_BEFORE = 93;
export const PREFIX_AFTER = 94;
export const HOST_WORDS = 96;
