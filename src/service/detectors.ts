/** What a configuration asks of each detector: the policy compiled once, bounds shared out between partitions. */

import type { Config } from '../config/schema.ts';
import type { DetectorOptions } from '../detect/detector-state.ts';
import { compilePolicy } from '../detect/policy.ts';
import { hostBound, memoryPresent } from './host-bound.ts';

/**
 * A detector knows its own partition only. So that the bounds hold over all of them, wherever they are read, each gets
 * an equal part: of blocks rather too few than too many.
 */
export function detectorOptions(config: Config, partitions: number): DetectorOptions {
  const { detection, block } = config;
  const part = (bound: number) => Math.max(1, Math.floor(bound / partitions));
  return {
    policy: compilePolicy(config),
    detection: {
      ...detection,
      max_hosts: part(hostBound(config, memoryPresent())),
      max_sessions: part(detection.max_sessions),
    },
    block: {
      ...block,
      max_entries: part(block.max_entries),
      max_new_per_hour: part(block.max_new_per_hour),
    },
  };
}
