/** The short name of a list's content: the same content has the same name, so that an unchanged list is an unchanged file. */

import { createHash } from 'node:crypto';

/** Eight hex digits of the digest of a content. A file's own digest tells whether it is damaged. */
export function revisionOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 8);
}

const STATED = /\brevision ([0-9a-f]{8})\b/;

/**
 * The revision that a list states in its header, which is in the names of its objects on the router, too: the one id that people
 * are shown. A text that states none is known by its digest.
 */
export function statedRevision(text: string | Buffer): string {
  return STATED.exec(text.toString())?.[1] ?? revisionOf(text);
}
