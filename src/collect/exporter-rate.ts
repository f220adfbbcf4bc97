/**
 * How many datagrams a second an exporter may send, where the configuration sets a limit.
 *
 * It protects the other exporters from one that runs wild: what is over the limit is counted and never decoded. The
 * source address is all there is to tell exporters apart, so against forged addresses it helps only together with the
 * allow-list; what is remembered is bounded.
 */

import { TokenBucket } from '../decode/token-bucket.ts';

const MAX_KNOWN = 16_384;

export interface ExporterRate {
  /** False when the exporter is over its limit at `nowMs`, which is counted. */
  admit(address: string, nowMs: number): boolean;
  /** Datagrams over the limit, of all exporters. */
  limitedDatagrams(): number;
  /** Exporters over the limit since the last call, at most ten of them. */
  takeLimited(): readonly string[];
}

const MAX_SHOWN = 10;

/** A second's worth may come at once. */
export function createExporterRate(datagramsPerSecond: number): ExporterRate {
  const buckets = new Map<string, TokenBucket>();
  let limited = 0;
  let shown = new Set<string>();

  return {
    admit(address, nowMs) {
      let bucket = buckets.get(address);
      if (bucket === undefined) {
        if (buckets.size >= MAX_KNOWN) buckets.clear();
        bucket = new TokenBucket(datagramsPerSecond, datagramsPerSecond, nowMs);
        buckets.set(address, bucket);
      }
      if (bucket.take(nowMs)) return true;
      limited++;
      if (shown.size < MAX_SHOWN) shown.add(address);
      return false;
    },
    limitedDatagrams: () => limited,
    takeLimited() {
      const taken = [...shown];
      shown = new Set();
      return taken;
    },
  };
}
