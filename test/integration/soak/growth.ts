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
}

/**
 * In five minutes the heap still grows by what a service learns at first (compiled code, incidents with their evidence),
 * so that its bound is what a leak of 3 MB a minute, as there was one, is clearly above.
 */
export const MEASURES: readonly Measure[] = [
  { name: 'heap', unit: ', KiB', allowed: 1000 },
  { name: 'buffers', unit: ', KiB', allowed: 1500 },
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
