/** Counters that are looked at again and again, so that rates can be told: the newest samples, and what names an exporter in them. */

import { clearInterval, setInterval } from 'node:timers';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';

export interface KeptSamples<Sample> {
  /** Oldest first, never empty. */
  all(): readonly [Sample, ...Sample[]];
  /** Takes a sample now. */
  note(): void;
  /** Takes one each interval from now on. */
  start(): void;
  stop(): void;
}

export interface SamplingPace {
  readonly everyMs: number;
  /** Samples that are kept. */
  readonly most: number;
}

export function keepSamples<Sample>(
  first: Sample,
  take: () => Sample,
  { everyMs, most }: SamplingPace,
): KeptSamples<Sample> {
  let samples: [Sample, ...Sample[]] = [first];
  let timer: NodeJS.Timeout | null = null;

  function note(): void {
    const [oldest, ...later] = samples;
    const kept = [...later, take()];
    samples = samples.length < most ? [oldest, ...kept] : (kept as [Sample, ...Sample[]]);
  }

  return {
    all: () => samples,
    note,
    start() {
      timer = setInterval(note, everyMs);
      timer.unref();
    },
    stop() {
      if (timer !== null) clearInterval(timer);
    },
  };
}

/** The same for the same exporter in every sample. */
export function exporterKey({ address, domain, version, agent }: ExporterState): string {
  return `${formatAddress(address)} ${domain} ${version} ${agent === null ? '' : formatAddress(agent)}`;
}

/** Three digits are enough for people, and scripts must not get 0.30000000000000004; a counter that began anew is no negative rate. */
export function roundRate(rate: number): number {
  return rate >= 100 ? Math.round(rate) : Number(Math.max(0, rate).toPrecision(3));
}
