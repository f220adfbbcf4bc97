/**
 * For how long each exporter has been heard, as far as that tells old friends from newcomers.
 *
 * Source addresses of exports can be forged, any number of them. What cannot be made up afterwards is to have been there
 * before: an exporter is a newcomer while it is known for less than half as long as the one that is known longest, and for
 * an hour at least unless both were first heard within a minute. Who is silent for a day begins anew. All by the detector's clock; it says nothing about what an exporter reports.
 */

const SILENT_MS = 86_400_000;
/** Nobody needs to have been there for longer than half of this. */
const LONG_MS = 7 * 86_400_000;
const AT_LEAST_MS = 3_600_000;
/** Routers that are there when a detector begins are heard within so long of each other. */
const TOGETHER_MS = 60_000;

export interface ExporterStanding {
  /** A record of the exporter (a number of vantage-points.ts) was read. */
  heard(exporter: number, atMs: number): void;
  /** An incident of an earlier process says when the exporter saw a host. */
  wasHeard(exporter: number, fromMs: number, untilMs: number): void;
  isNewcomer(exporter: number, atMs: number): boolean;
}

export function createExporterStanding(): ExporterStanding {
  const sinceMs: number[] = [];
  const lastMs: number[] = [];
  /** The one that is heard for longest, -1 when it is to be looked for. */
  let eldest = -1;

  function begin(exporter: number, fromMs: number, untilMs: number): void {
    while (sinceMs.length <= exporter) {
      sinceMs.push(Number.POSITIVE_INFINITY);
      lastMs.push(Number.NEGATIVE_INFINITY);
    }
    if (exporter === eldest) eldest = -1;
    sinceMs[exporter] = fromMs;
    lastMs[exporter] = untilMs;
    if (eldest >= 0 && fromMs < sinceMs[eldest]) eldest = exporter;
  }

  function findEldest(atMs: number): void {
    eldest = -1;
    for (let one = 0; one < sinceMs.length; one++)
      if (lastMs[one] >= atMs - SILENT_MS && (eldest < 0 || sinceMs[one] < sinceMs[eldest])) eldest = one;
  }

  return {
    heard(exporter, atMs) {
      if (exporter < lastMs.length && atMs - lastMs[exporter] <= SILENT_MS) {
        if (atMs > lastMs[exporter]) lastMs[exporter] = atMs;
      } else begin(exporter, atMs, atMs);
    },
    wasHeard(exporter, fromMs, untilMs) {
      const known = exporter < sinceMs.length;
      begin(
        exporter,
        known ? Math.min(fromMs, sinceMs[exporter]) : fromMs,
        known ? Math.max(untilMs, lastMs[exporter]) : untilMs,
      );
    },
    isNewcomer(exporter, atMs) {
      if (eldest < 0 || lastMs[eldest] < atMs - SILENT_MS) findEldest(atMs);
      if (eldest < 0 || exporter === eldest) return false;
      const since = sinceMs[exporter] ?? atMs;
      const age = atMs - since;
      if (age < AT_LEAST_MS && since - sinceMs[eldest] > TOGETHER_MS) return true;
      return 2 * age < Math.min(LONG_MS, atMs - sinceMs[eldest]);
    },
  };
}
