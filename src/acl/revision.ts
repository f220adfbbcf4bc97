/** The short name of a list's content: the same content has the same name, so that an unchanged list is an unchanged file. */

import { createHash } from 'node:crypto';

/** Eight hex digits. */
export function revisionOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 8);
}
