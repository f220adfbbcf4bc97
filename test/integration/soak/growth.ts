/** How fast what was measured grows, and how fast it may. */

export interface Sample {
  /** Since the start. */
  readonly minutes: number;
  /** KiB. */
  readonly heap: number;
  readonly buffers: number;
  readonly resident: number;
  readonly descriptors: number;
  /** Sockets, pipes, processes, requests and what else Node counts as active, without timers. */
  readonly handles: number;
  /** Timers that will run, also those that do not keep the process alive. */
  readonly timers: number;
  readonly listeners: number;
  readonly promises: number;
  /** Function objects: a listener or a callback that is never let go is one. */
  readonly functions: number;
  readonly threads: number;
  readonly children: number;
}

interface Measure {
  readonly name: Exclude<keyof Sample, 'minutes'>;
  readonly unit: string;
  /** So much growth a minute is allowed, however long the run. */
  readonly allowed: number;
  /** So much growth over the part that is judged is noise, however short the run. */
  readonly noise: number;
  /** Below this it may grow as it likes: what is kept there has a bound of its own, which takes longer to fill. */
  readonly free?: number;
}

export const MEASURES: readonly Measure[] = [
  { name: 'heap', unit: ', KiB', allowed: 150, noise: 3072 },
  // The newest messages of each of five streams, 8 MiB (TAIL_BYTES), and batches on their way; through Kafka, fetched ones
  // besides: such a run begins with 50 MiB, and the tail of the mail stream takes minutes to fill.
  { name: 'buffers', unit: ', KiB', allowed: 150, noise: 4096, free: 81_920 },
  // What malloc keeps comes and goes by tens of MiB; the bound is what a day may cost, 1.4 GiB.
  { name: 'resident', unit: ', KiB', allowed: 1000, noise: 49_152, free: 409_600 },
  { name: 'descriptors', unit: '', allowed: 0.5, noise: 8 },
  { name: 'handles', unit: '', allowed: 0.5, noise: 8 },
  { name: 'timers', unit: '', allowed: 0.5, noise: 12 },
  // Requests to the ClickHouse server that have ended are collected only some collections later: 300 to 1000 listeners.
  { name: 'listeners', unit: '', allowed: 1, noise: 400 },
  { name: 'promises', unit: '', allowed: 15, noise: 500 },
  { name: 'functions', unit: '', allowed: 60, noise: 1500 },
  { name: 'threads', unit: '', allowed: 0.05, noise: 1 },
  { name: 'children', unit: '', allowed: 0.05, noise: 1 },
];

export interface Growth extends Measure {
  readonly first: number;
  readonly middle: number;
  readonly last: number;
  /** A minute, over the second half: the median of the slopes between all pairs, which outliers do not move. */
  readonly slope: number;
  /** A minute: what is allowed, or what is noise where the second half is so short that this is more. */
  readonly bound: number;
}

/** `samples` are those of moments in which all parts stood: what is gone while a broker is down comes back after it. */
export function growthOf(samples: readonly Sample[]): Growth[] {
  const half = samples.slice(Math.floor(samples.length / 2));
  const minutes = (half.at(-1)?.minutes ?? 0) - (half[0]?.minutes ?? 0);
  return MEASURES.map((measure) => {
    const at = (sample: Sample | undefined) => sample?.[measure.name] ?? 0;
    const slopes: number[] = [];
    for (const [i, a] of half.entries())
      for (const b of half.slice(i + 1)) slopes.push((at(b) - at(a)) / (b.minutes - a.minutes));
    slopes.sort((a, b) => a - b);
    return {
      ...measure,
      first: at(samples[0]),
      middle: at(half[0]),
      last: at(samples.at(-1)),
      slope: slopes[slopes.length >> 1] ?? 0,
      bound: Math.max(measure.allowed, measure.noise / minutes),
    };
  });
}

export const grows = ({ slope, bound, last, free = 0 }: Growth): boolean => slope > bound && last > free;
