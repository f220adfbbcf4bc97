/**
 * What the sizes of earlier sessions with the same server tell about a session: the length of its headers, and whether it
 * resumes TLS.
 *
 * Only sessions of which that decides the weight are compared: those over TLS that are larger than a check if their headers
 * are bare. Each is compared once, when both halves have ended. Then it is settled: what is proven later changes it
 * no more, so that it never counts twice.
 */

import type { DetectionConfig } from '../config/schema.ts';
import type { Destinations } from './destinations.ts';
import { compareSession, HEADER, headerOf, isComparable, isResumed } from './header-length.ts';
import { MESSAGE, weighMessage } from './message-weight.ts';
import { mostPayload } from './payload.ts';
import type { Session } from './session-record.ts';

type Bounds = DetectionConfig['conversed'];

/** Earlier sessions may tell something about this one, or this one about later ones. */
export function isWorthComparing(session: Session, bounds: Bounds): boolean {
  const { message } = session;
  if (message < MESSAGE.tlsGreeting || message === MESSAGE.certain) return false;
  if (session.settled || session.sampled || !session.forwardSeen || !session.replySeen) return false;
  return mostPayload(session.forwardPackets, session.forwardBytes, session.ipv6) >= bounds.tls_payload_bytes;
}

/**
 * Gives a session what is known of its destination; once it is over, also what it adds to that itself. Weigh it anew then.
 *
 * `told`: it is in the figures already, and adds nothing. Returns the weight of the session before when that counted for less
 * than `likely` and is likely now, since this one proves how long the headers are; else `MESSAGE.nothing`.
 */
export function learnFromOthers(
  destinations: Destinations,
  destination: number,
  session: Session,
  bounds: Bounds,
  told: boolean,
): number {
  const sizes = destinations.sizesOf(destination);
  const isOver = isComparable(session);
  const wasKnown = headerOf(sizes) !== HEADER.unknown;
  if (isOver && !told) compareSession(sizes, session);
  const header = headerOf(sizes);
  if (header === HEADER.bare) session.noTimestamps = true;
  else if (header === HEADER.timed) session.timestamps = true;
  session.resumed = isOver && isResumed(sizes, session);
  if (!isOver) return MESSAGE.nothing;
  session.settled = true;
  if (told) return MESSAGE.nothing;
  const earlier = sizes.weight;
  const inThatLight = header === HEADER.bare ? sizes.weightBare : sizes.weightTimed;
  sizes.weight = weighMessage(session, bounds);
  sizes.weightBare = weighMessage(session, bounds, HEADER.bare);
  sizes.weightTimed = weighMessage(session, bounds, HEADER.timed);
  destinations.keepSizes(destination);
  const isNews = !wasKnown && header !== HEADER.unknown;
  return isNews && earlier < MESSAGE.likely && inThatLight >= MESSAGE.likely ? earlier : MESSAGE.nothing;
}
