/**
 * How many hosts the detector keeps where the configuration does not say: what a quarter of the machine's memory holds.
 *
 * A million hosts with incidents, which somebody who forges datagrams can invent, are 4 GB over all that keeps them
 * (detector, read model, stream): too much for a small machine, or for a container.
 */

import { totalmem } from 'node:os';
import type { Config } from '../config/schema.ts';

/**
 * An incident with all that is kept of it, over all roles in one process. Measured at a million IPv6 hosts: 3975 bytes of
 * resident memory each (test/bench/README.md).
 */
const BYTES_PER_HOST = 4096;
const SHARE = 1 / 4;
const MOST_HOSTS = 1_000_000;
const LEAST_HOSTS = 1000;

/** Bytes of memory that this process may use: those of the machine, or of its control group where that has fewer. */
export function memoryPresent(): number {
  // 0, or a number beyond any machine, where nothing constrains.
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

/** The bound on hosts of all detectors together; `memoryBytes` as of `memoryPresent`. */
export function hostBound({ detection }: Pick<Config, 'detection'>, memoryBytes: number): number {
  const fitting = Math.floor((memoryBytes * SHARE) / BYTES_PER_HOST);
  return detection.max_hosts ?? Math.max(LEAST_HOSTS, Math.min(MOST_HOSTS, fitting));
}
