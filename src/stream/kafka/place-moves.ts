/**
 * Did a place in a partition move? Decides it from what is remembered of the place and what the brokers say. Pure.
 *
 * An offset means something only within one life of a partition. A topic that was deleted and made anew has other messages
 * at the same offsets; so has a log that an unclean election cut back, from the cut on. Whoever goes on behind the old
 * offset passes over what was never read. Ids of topics (KIP-516) and leader epochs (KIP-320) tell; offsets alone show it
 * only while the new log is shorter than the old place.
 */

export interface RememberedPlace {
  /** Null when it is not known, as with brokers that do not say. */
  readonly topicId: string | null;
  /** The first offset that was not read. */
  readonly next: number;
}

export interface FoundPartition {
  readonly topicId: string | null;
  /** The first offset kept, and the offset that the next message gets. */
  readonly low: number;
  readonly end: number;
  /** Where the records of the leader end whose record was read last; null when that is not known. */
  readonly epochEnd: number | null;
}

export interface Move {
  /** `recreated`: it is another topic. `cut`: it ended before the place, and may have grown again. */
  readonly kind: 'recreated' | 'cut';
  /** The first offset of what was not read. */
  readonly from: number;
}

/** Null when the place is what it was; a place below `low` is, too: what retention removed is a gap, not a move. */
export function moveOf(remembered: RememberedPlace, found: FoundPartition): Move | null {
  const { topicId, next } = remembered;
  if (topicId !== null && found.topicId !== null && topicId !== found.topicId)
    return { kind: 'recreated', from: found.low };
  // A new leader may say for a moment that the log ends earlier than it does: epochs are believed more than ends.
  if (found.epochEnd !== null)
    return found.epochEnd < next ? { kind: 'cut', from: Math.max(found.low, found.epochEnd) } : null;
  return found.end < next ? { kind: 'cut', from: found.low } : null;
}

/** What this process remembers of a partition that it has read before. */
export interface Memory {
  readonly topicId: string | null;
  /** The first offset that is not committed; -1 for none. */
  readonly committed: number;
}

export interface PositionFound {
  /** What the group has committed, or null for nothing. */
  readonly committed: number | null;
  /** The topic that the position was committed for; null when whoever committed it did not say. */
  readonly topicId: string | null;
  /** The position was committed by this program. */
  readonly isOurs: boolean;
}

export interface Beginning {
  /** The first offset to read; null when nothing was read before: everything that is kept. */
  readonly from: number | null;
  /** What happened to the position, if anything did. `removed`, `set`: by somebody else, as with an admin tool. */
  readonly story: Move['kind'] | 'removed' | 'set' | null;
}

/** Where a group begins to read a partition that was just assigned to it. */
export function beginningOf(
  position: PositionFound,
  memory: Memory | null,
  found: FoundPartition,
): Beginning {
  const { committed } = position;
  const remembered = memory === null || memory.committed < 0 ? null : memory.committed;
  const next = committed ?? remembered;
  const topicId = position.topicId ?? memory?.topicId ?? null;
  if (next === null) {
    const isAnother = topicId !== null && found.topicId !== null && topicId !== found.topicId;
    return isAnother ? { from: found.low, story: 'recreated' } : { from: null, story: null };
  }
  const move = moveOf({ topicId, next }, found);
  if (move !== null) return { from: move.from, story: move.kind };
  if (committed === null) return { from: next, story: 'removed' };
  // Positions that are committed here never go back, and come with a note.
  if (!position.isOurs || (remembered !== null && committed < remembered))
    return { from: committed, story: 'set' };
  return { from: committed, story: null };
}
