/**
 * What a flow counted since its last record, out of counters that run from its beginning.
 *
 * Only for exporters whose interval counters are unusable (Antrea's negative deltas): adding up their totals would count
 * the first packets of a long flow once for each record, and make a conversation of a greeting. Bounded; what is forgotten
 * counts from its beginning again.
 */

import { readWide, writeWide } from '../flow/batch.ts';
import type { WritableColumns } from './writable-columns.ts';

const MAX_FLOWS = 32_768;

/** Bits of the counters of a row that hold totals. */
export const FROM_TOTALS = { packets: 1, bytes: 2 } as const;

export class RunningTotals {
  readonly #last = new Map<string, { readonly packets: number; readonly bytes: number }>();

  /**
   * Takes from the counters of a row that hold totals what the last row of the same flow had. `which` is the sum of those
   * FROM_TOTALS that do; the other one counts an interval already.
   */
  sinceLast(columns: WritableColumns, row: number, which: number): void {
    const key = keyOf(columns, row);
    const last = this.#last.get(key);
    const ofPackets = (which & FROM_TOTALS.packets) !== 0;
    const ofBytes = (which & FROM_TOTALS.bytes) !== 0;
    const packets = ofPackets ? readWide(columns.packets, row) : (last?.packets ?? 0);
    const bytes = ofBytes ? readWide(columns.bytes, row) : (last?.bytes ?? 0);
    this.#last.delete(key);
    this.#last.set(key, { packets, bytes });
    if (this.#last.size > MAX_FLOWS) {
      for (const oldest of this.#last.keys()) {
        this.#last.delete(oldest);
        break;
      }
    }
    // Less than before is another flow with the same ends.
    if (last === undefined || packets < last.packets || bytes < last.bytes) return;
    if (ofPackets) writeWide(columns.packets, row, packets - last.packets);
    if (ofBytes) writeWide(columns.bytes, row, bytes - last.bytes);
  }
}

function keyOf(c: WritableColumns, row: number): string {
  const at = 4 * row;
  const exporter = `${c.exporter[at]}.${c.exporter[at + 1]}.${c.exporter[at + 2]}.${c.exporter[at + 3]}.${c.domain[row]}`;
  const source = `${c.src_addr[at]}.${c.src_addr[at + 1]}.${c.src_addr[at + 2]}.${c.src_addr[at + 3]}.${c.src_port[row]}`;
  const destination = `${c.dst_addr[at]}.${c.dst_addr[at + 1]}.${c.dst_addr[at + 2]}.${c.dst_addr[at + 3]}.${c.dst_port[row]}`;
  return `${exporter} ${source} ${destination} ${c.protocol[row]}.${c.reverse[row]}`;
}
