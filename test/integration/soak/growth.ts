/** How fast what was measured grows, and how fast it may. */

export interface Sample {
  /** Since the start. */
  readonly minutes: number;
  /** KiB. */
  readonly heap: number;
  readonly buffers: number;
  readonly descriptors: number;
  /** Timers, handles and requests that Node counts as active. */
  readonly timers: number;
  readonly listeners: number;
  readonly threads: number;
}

interface Measure {
  readonly name: Exclude<keyof Sample, 'minutes'>;
  readonly unit: string;
  /** So much growth a minute is noise over some minutes. */
  readonly allowed: number;
  /** Below this it may grow as it likes: what is kept there has a bound of its own, which takes longer to fill. */
  readonly free?: number;
}

/**
 * In five minutes the heap still grows by what a service learns at first (compiled code, incidents with their evidence),
 * measured at 0.8 MB a minute from the third minute on and 0.3 after five. The bound is half of the leak that there was.
 */
export const MEASURES: readonly Measure[] = [
  { name: 'heap', unit: ', KiB', allowed: 1500 },
  // The newest messages of each of five streams, 8 MiB (TAIL_BYTES), and batches on their way.
  { name: 'buffers', unit: ', KiB', allowed: 1000, free: 65_536 },
  { name: 'descriptors', unit: '', allowed: 3 },
  { name: 'timers', unit: '', allowed: 3 },
  { name: 'listeners', unit: '', allowed: 10 },
  { name: 'threads', unit: '', allowed: 0.5 },
];

export interface Growth extends Measure {
  readonly first: number;
  readonly middle: number;
  readonly last: number;
  /** A minute, over the second half: the median of the slopes between all pairs, which outliers do not move. */
  readonly slope: number;
}

export function growthOf(samples: readonly Sample[]): Growth[] {
  const half = samples.slice(Math.floor(samples.length / 2));
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
    };
  });
}

export const grows = ({ slope, allowed, last, free = 0 }: Growth): boolean => slope > allowed && last > free;
