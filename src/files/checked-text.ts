/**
 * A JSON object with a checksum as its last member, for files that nobody but this program writes: a flipped bit in an
 * address is still JSON, and must not be believed.
 *
 * CRC-32 finds every single flipped bit and every burst up to 32 bits; it is no protection against people.
 */

import { crc32 } from 'node:zlib';

const LAST_MEMBER = /,?"crc32":"([0-9a-f]{8})"\}\s*$/;

/** `json` is the text of an object. */
export function withChecksum(json: string): string {
  const body = json.trimEnd().slice(0, -1);
  return `${body}${body === '{' ? '' : ','}"crc32":"${checksum(body)}"}\n`;
}

/** The object's text as it was given to `withChecksum`; text of earlier versions, without one, as it is. Null when damaged. */
export function checkedText(stored: string): string | null {
  const match = LAST_MEMBER.exec(stored);
  if (match === null) return stored;
  const body = stored.slice(0, match.index);
  return match[1] === checksum(body) ? `${body}}` : null;
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');
