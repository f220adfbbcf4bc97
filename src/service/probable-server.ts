/**
 * Whether a host that somebody wants blocked is probably a mail server: asked of the detectors of this process, else of what
 * they kept in the data directory.
 *
 * A host that only takes mail has no incident, so that nothing else would speak for it.
 */

import type { Config } from '../config/schema.ts';
import { createDetector } from '../detect/detector.ts';
import type { DetectorPartitions } from '../detect/detector-partitions.ts';
import { detectorOptions } from './detectors.ts';
import { readMailServers } from './mail-server-file.ts';

/** A sentence part for people, or null. `site`: its name, '' for none. Throws RogueSmtpError `io` for a damaged file. */
export type ProbableServer = (host: Uint8Array, site: string) => Promise<string | null>;

export function createProbableServer(
  config: () => Config,
  detectors: Pick<DetectorPartitions, 'assigned'>,
  now: () => number,
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
    return kept.probableServer(host, site, now());
  };
}
