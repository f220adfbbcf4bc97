/**
 * One detector for each partition of the mail stream that this process reads.
 *
 * Partitions are read at different speeds and come and go; each has a clock, sessions and incidents of its own, so that
 * what a detector says follows from its partition alone, wherever that is read. All records of a host are in one
 * partition. A partition that is let go takes everything with it but what was counted.
 */

import type { Detector } from './detector.ts';

export interface DetectorPartitions {
  /** A new detector, which knows nothing, in place of one that there may be. */
  begin(partition: number): Detector;
  get(partition: number): Detector | undefined;
  end(partition: number): void;
  readonly assigned: Iterable<readonly [partition: number, detector: Detector]>;
  /** Sums over all partitions. */
  readonly counters: Detector['counters'];
}

type Counters = Detector['counters'];

export function createDetectorPartitions(create: () => Detector): DetectorPartitions {
  const detectors = new Map<number, Detector>();
  let ended: Counters | null = null;

  function end(partition: number): void {
    const detector = detectors.get(partition);
    if (detector === undefined) return;
    detectors.delete(partition);
    ended = withoutSizes(ended === null ? detector.counters : add(ended, detector.counters));
  }

  return {
    begin(partition) {
      end(partition);
      const detector = create();
      detectors.set(partition, detector);
      return detector;
    },
    get: (partition) => detectors.get(partition),
    end,
    assigned: detectors,
    get counters() {
      let sum = ended;
      for (const { counters } of detectors.values()) sum = sum === null ? counters : add(sum, counters);
      return sum ?? create().counters;
    },
  };
}

function add(a: Counters, b: Counters): Counters {
  return {
    mailFlows: a.mailFlows + b.mailFlows,
    ignored: addEach(a.ignored, b.ignored),
    alerts: addEach(a.alerts, b.alerts),
    backscatter: a.backscatter + b.backscatter,
    evictedHosts: a.evictedHosts + b.evictedHosts,
    evictedFor: addEach(a.evictedFor, b.evictedFor),
    crowdedBy: b.crowdedBy || a.crowdedBy,
    evictedSessions: a.evictedSessions + b.evictedSessions,
    evictedAttempts: a.evictedAttempts + b.evictedAttempts,
    expiredAttempts: a.expiredAttempts + b.expiredAttempts,
    evictedSubmitters: a.evictedSubmitters + b.evictedSubmitters,
    restored: a.restored + b.restored,
    restoreIgnored: a.restoreIgnored + b.restoreIgnored,
    hosts: a.hosts + b.hosts,
    sessions: a.sessions + b.sessions,
    waitingAttempts: a.waitingAttempts + b.waitingAttempts,
    open: addEach(a.open, b.open),
    blocks: addEach(a.blocks, b.blocks),
  };
}

/** What was counted stays; what is there at the moment is somebody else's now. */
function withoutSizes(counters: Counters): Counters {
  const { open, blocks } = counters;
  return {
    ...counters,
    hosts: 0,
    sessions: 0,
    waitingAttempts: 0,
    open: zeroes(open),
    blocks: zeroes(blocks),
  };
}

function addEach<Key extends string>(
  a: Readonly<Record<Key, number>>,
  b: Readonly<Record<Key, number>>,
): Record<Key, number> {
  const sum: Record<Key, number> = { ...a };
  for (const key of keysOf(sum)) sum[key] += b[key];
  return sum;
}

function zeroes<Key extends string>(like: Readonly<Record<Key, number>>): Record<Key, number> {
  const zero: Record<Key, number> = { ...like };
  for (const key of keysOf(zero)) zero[key] = 0;
  return zero;
}

function keysOf<Key extends string>(record: Readonly<Record<Key, number>>): Key[] {
  return Object.keys(record) as Key[];
}
