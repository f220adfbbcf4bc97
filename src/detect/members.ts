/**
 * The addresses of a group that stands as one host, and what each of them did.
 *
 * What is blocked of a group are single addresses: each that has evidence of its own, from two datagrams, and for a short
 * life. A member that only one datagram tells of must never get into a list, however bad the others are.
 */

import { formatAddress } from '../flow/address.ts';
import { formatPrefix } from '../flow/prefix.ts';
import { datagramHash } from './recent-records.ts';
import type { Sighting } from './screen.ts';

/** One address of a group. */
interface Member {
  /** Newest evidence that a block may rest on. */
  lastMs: number;
  /** The best grade of its sessions. */
  grade: number;
  firstDatagram: number;
  /** Datagrams behind that, counted up to 2. */
  datagrams: number;
  /** Until when it belongs into a list while the group is blocked; 0 as long as its own evidence does not suffice. */
  untilMs: number;
}

/** By the text of the address. */
export type Members = Map<string, Member>;

export const GROUP_BYTES = 8;

/** The text of the group that these 16 network bytes stand for, such as `2001:db8::/64`. */
export const groupName = (bytes: Uint8Array): string => formatPrefix({ bytes, length: 8 * GROUP_BYTES });

/** More than a /64 has at a time where nobody means harm; the longest quiet leaves. */
export const MAX_MEMBERS = 256;
const DATAGRAMS_NEEDED = 2;

/** What a member needs, and for how long it is blocked then. */
export interface MemberTerms {
  readonly grade: number;
  readonly lifeMs: number;
}

/** Notes evidence of the client's own half. True when the member now has what a block needs and had not before. */
export function noteMember(members: Members, s: Sighting, grade: number, terms: MemberTerms): boolean {
  const key = formatAddress(s.client, s.clientAt);
  let member = members.get(key);
  if (member === undefined) {
    if (members.size >= MAX_MEMBERS) members.delete(longestQuiet(members));
    member = { lastMs: 0, grade: 0, firstDatagram: 0, datagrams: 0, untilMs: 0 };
    members.set(key, member);
  }
  const untilMs = member.untilMs;
  member.lastMs = Math.max(member.lastMs, s.receivedMs);
  member.grade = Math.max(member.grade, grade);
  if (s.columns !== null && member.datagrams < DATAGRAMS_NEEDED) {
    const datagram = datagramHash(s.columns, s.row);
    if (member.datagrams === 0) {
      member.firstDatagram = datagram;
      member.datagrams = 1;
    } else if (datagram !== member.firstDatagram) {
      member.datagrams = 2;
    }
  }
  if (member.datagrams < DATAGRAMS_NEEDED || member.grade < terms.grade) return false;
  member.untilMs = member.lastMs + terms.lifeMs;
  return untilMs < s.receivedMs;
}

function longestQuiet(members: Members): string {
  let oldest = '';
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const [key, { lastMs }] of members) {
    if (lastMs >= oldestMs) continue;
    oldest = key;
    oldestMs = lastMs;
  }
  return oldest;
}
