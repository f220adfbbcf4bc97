/**
 * Notices that a topic removes messages long before they are as old as it is to keep them: a broker whose clock is a day
 * ahead does so, and retention by size. The answers to publications say where the log begins. Pure but for the clock.
 */

export interface EarlyRemoval {
  /** A publication got the offset `base`, in a log that begins at `start` now. */
  note(partition: number, base: number, start: number): void;
  /** In words; null where nothing was removed early within the last hour. */
  trouble(): string | null;
}

/** Offsets with the time of their publication, so many for the time that a topic keeps messages. */
const MARKS = 48;
const SHOWN_MS = 3_600_000;

interface Mark {
  readonly offset: number;
  readonly atMs: number;
}

/** `now` in milliseconds, of which only differences count. */
export function createEarlyRemoval(topic: string, retentionMs: number, now: () => number): EarlyRemoval {
  const marksOf = new Map<number, Mark[]>();
  let seen: { readonly atMs: number; readonly ageMs: number } | null = null;

  return {
    note(partition, base, start) {
      const nowMs = now();
      let marks = marksOf.get(partition) ?? [];
      // Offsets that go back are those of another log.
      if (marks.length > 0 && marks[marks.length - 1].offset > base) marks = [];
      const removed = marks.findLast(({ offset }) => offset < start);
      if (removed !== undefined && nowMs - removed.atMs < retentionMs / 2)
        seen = { atMs: nowMs, ageMs: nowMs - removed.atMs };
      marks = marks.filter(({ offset, atMs }) => offset >= start && nowMs - atMs < retentionMs);
      if (marks.length === 0 || nowMs - marks[marks.length - 1].atMs > retentionMs / MARKS)
        marks.push({ offset: base, atMs: nowMs });
      marksOf.set(partition, marks);
    },
    trouble: () =>
      seen === null || now() - seen.atMs > SHOWN_MS
        ? null
        : `topic ${topic} has removed messages ${Math.ceil(seen.ageMs / 1000)} s or less after they were written, and is to keep them ${Math.round(retentionMs / 1000)} s: the clock of a broker is wrong, or retention.bytes or somebody removes them`,
  };
}
