/**
 * The churn guard of the lists: so many new hosts at once are more likely a mistake than an outbreak, and wait for a
 * person.
 *
 * Pure. It looks at the set of blocked hosts, of which every list is made, so that all lists agree. It never keeps a host
 * in: whoever is not to be blocked any more leaves at once, however many they are.
 */

export interface Admissions {
  /** Hosts that the lists may name, with what is noted of them. */
  readonly admitted: ReadonlyMap<string, Admission>;
  /** Hosts that wait to be approved, and since when. */
  readonly held: ReadonlyMap<string, string>;
}

interface Admission {
  /** When the lists with it were first written; null until they are. */
  readonly listed_at: string | null;
  /** From the first record to the list; null while unknown. */
  readonly time_to_block_ms: number | null;
}

interface Candidate {
  readonly key: string;
  /** A person said yes to it. */
  readonly approved: boolean;
}

/** `before`: null when nothing was ever admitted here, so that there is no list that could change. */
export function admit(
  candidates: readonly Candidate[],
  before: Admissions | null,
  maxChange: number,
  at: string,
): Admissions {
  const admitted = new Map<string, Admission>();
  const held = new Map<string, string>();
  const fresh: string[] = [];
  for (const { key, approved } of candidates) {
    const known = before?.admitted.get(key);
    if (known !== undefined) admitted.set(key, known);
    else if (approved || before === null) admitted.set(key, { listed_at: null, time_to_block_ms: null });
    else fresh.push(key);
  }
  const tooMany = fresh.length > maxChange;
  for (const key of fresh) {
    const since = before?.held.get(key);
    if (since !== undefined) held.set(key, since);
    else if (tooMany) held.set(key, at);
    else admitted.set(key, { listed_at: null, time_to_block_ms: null });
  }
  return { admitted, held };
}
