/**
 * Which addresses appear most as the clients of mail flows neither end of which is internal.
 *
 * They tell a person what is wrong: the public address of a NAT, or a network that the configuration does not name. A few
 * fixed places and no more (Misra and Gries 1982), so that millions of addresses cost nothing.
 */

import { formatAddress } from '../flow/address.ts';
import type { FlowColumns } from '../flow/batch.ts';

const PLACES = 8;

export interface ForeignTalkers {
  /** Counts the end that is not on a mail port; `isMailPort`: the ports that are, by number, not 0. */
  note(columns: FlowColumns, row: number, isMailPort: Uint8Array): void;
  /** Text forms, the most frequent first. An address with more than an eighth of the flows is always among them. */
  top(count: number): readonly string[];
}

export function createForeignTalkers(): ForeignTalkers {
  const addresses = new Uint8Array(16 * PLACES);
  const counts = new Float64Array(PLACES);

  function placeOf(bytes: Uint8Array, at: number): number {
    for (let place = 0; place < PLACES; place++) {
      if (counts[place] === 0) continue;
      let i = 0;
      while (i < 16 && addresses[16 * place + i] === bytes[at + i]) i++;
      if (i === 16) return place;
    }
    return -1;
  }

  return {
    note(columns, row, isMailPort) {
      const bytes = isMailPort[columns.dst_port[row]] === 0 ? columns.dst_addr : columns.src_addr;
      const at = 16 * row;
      const known = placeOf(bytes, at);
      if (known >= 0) {
        counts[known]++;
        return;
      }
      const free = counts.indexOf(0);
      if (free < 0) {
        for (let place = 0; place < PLACES; place++) counts[place]--;
        return;
      }
      for (let i = 0; i < 16; i++) addresses[16 * free + i] = bytes[at + i];
      counts[free] = 1;
    },
    top(count) {
      return Array.from(counts, (n, place) => ({ n, place }))
        .filter(({ n }) => n > 0)
        .sort((a, b) => b.n - a.n || a.place - b.place)
        .slice(0, count)
        .map(({ place }) => formatAddress(addresses, 16 * place));
    },
  };
}
