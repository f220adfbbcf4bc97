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

/**
 * Words of the host. The key is four words of the address and one of the site. All that links hosts with each other is together: to
 * move a host to the end of a list writes to its neighbours, and one load from memory for each is enough.
 */
export const HOST_KEY = 48;
export const SITE = 52;
export const HASH = 53;
export const OLDER = 54;
export const NEWER = 55;
/** Who reported it first, and its place among the hosts of that exporter. */
export const REPORTER = 56;
export const REPORTER_OLDER = 57;
export const REPORTER_NEWER = 58;
export const DIRTY_BEFORE = 59;
export const DIRTY_AFTER = 60;
export const PARTITION = 61;
/** Plus one; 0 when nothing was restored. */
export const RESTORED_PARTITION = 62;
export const PREFIX_BEFORE = 63;
export const PREFIX_AFTER = 64;
/** Words of the case file: from here to `CASE_END`. */
export const CASE_WORDS = 65;
/** Three words: the 24 hex digits of the incident's id. */
export const ID = 65;
export const RECURRENCE = 68;
export const VERDICT = 69;
export const BLOCK = 70;
export const STATE = 71;
/** The destinations: how many, then the first and last of those that were reached, and of those that were not. */
export const DESTINATION_COUNT = 72;
export const REACHED_FIRST = 73;
export const REACHED_LAST = 74;
export const UNREACHED_FIRST = 75;
export const UNREACHED_LAST = 76;
/** 1 when a destination found no room. */
export const DESTINATIONS_CUT = 77;
/** Lists, see cell-lists.ts. */
export const PORTS = 78;
export const SAMPLING = 79;
export const INTERFACES = 80;
/** Rings: the newest cell, behind it the number of cells, and the oldest cell. */
export const WINDOW = 81;
export const WINDOW_COUNT = 82;
export const WINDOW_OLDEST = 83;
export const SOLID_WINDOW = 84;
export const SOLID_WINDOW_COUNT = 85;
export const SOLID_WINDOW_OLDEST = 86;
export const SCORE = 87;
export const TRIALS = 88;
export const SAMPLED_PAYLOAD = 89;
/** The test over likely messages: its score as a signed word, and how many sessions were likely, and unclear. */
export const MESSAGE_SCORE = 90;
export const LIKELY_MESSAGES = 91;
export const UNCLEAR_MESSAGES = 92;
/** Low word of the hash of the first datagram behind `scanning`. */
export const SCAN_DATAGRAM = 93;
/** At most so many destinations were told addresses within the window, and were probed. */
export const ASKED_BOUND = 94;
export const PROBED_BOUND = 95;
/** The case file ends with the record. */
export const CASE_END = 96;
export const HOST_WORDS = 96;
