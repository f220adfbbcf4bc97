/**
 * Whether a host that somebody wants blocked is probably a mail server: asked of the detectors of this process, else of what
 * they kept in the data directory and, where they run on another machine, of the inventory in the store.
 *
 * A host that only takes mail has no incident, so that nothing else would speak for it.
 */

import type { Config } from '../config/schema.ts';
import { createDetector } from '../detect/detector.ts';
import type { DetectorPartitions } from '../detect/detector-partitions.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import type { InventoryRow } from '../store/queries.ts';
import { detectorOptions } from './detectors.ts';
import { readMailServers } from './mail-server-file.ts';

/**
 * A sentence part for people, or null. `site`: its name, '' for none. Throws RogueSmtpError `io` for a damaged file, and
 * `unavailable` where only the store could know.
 */
export type ProbableServer = (host: Uint8Array, site: string) => Promise<string | null>;

/** `inventory`: of the store that the detectors of other machines share; null where there is none. */
export function createProbableServer(
  config: () => Config,
  detectors: Pick<DetectorPartitions, 'assigned'>,
  now: () => number,
  inventory: (() => Promise<readonly InventoryRow[]>) | null = null,
): ProbableServer {
  return async (host, site) => {
    let isAsked = false;
    for (const [, detector] of detectors.assigned) {
      isAsked = true;
      const why = detector.probableServer(host, site, now());
      if (why !== null) return why;
    }
    if (isAsked) return null;
    const kept = createDetector(detectorOptions(config(), 1));
    kept.restoreMailServers((await readMailServers(config().data))?.servers ?? []);
    return (
      kept.probableServer(host, site, now()) ??
      (inventory === null ? null : inventoryReason(await rowsOf(inventory), host, site))
    );
  };
}

/** A person can try again; a mail server that was cut off unasked costs more. */
async function rowsOf(inventory: () => Promise<readonly InventoryRow[]>): Promise<readonly InventoryRow[]> {
  try {
    return await inventory();
  } catch (error) {
    const why = `whether the host is a mail server cannot be asked of the store now: ${messageOf(error)}`;
    throw new RogueSmtpError('unavailable', why, { cause: error, transient: true });
  }
}

function inventoryReason(rows: readonly InventoryRow[], host: Uint8Array, site: string): string | null {
  const address = formatAddress(host);
  const row = rows.find((one) => one.host === address && one.site === site);
  return row?.likely_mail_server === true
    ? `is likely one by the inventory (${row.reasons.join('; ')})`
    : null;
}
