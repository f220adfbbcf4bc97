/**
 * Who may export to us: addresses of datagrams against the allow-list, with an account of those that are refused.
 *
 * NetFlow is unauthenticated, and source addresses are cheap to forge: what is remembered about strangers is bounded.
 */

import { type AddressBytes, parseAddress } from '../flow/address.ts';
import { createPrefixTable, type Prefix } from '../flow/prefix.ts';

/** Addresses as text whose bytes are remembered; a lookup instead of parsing for each datagram. */
const MAX_KNOWN = 16_384;
/** Strangers that are told apart. */
const MAX_REFUSED = 1024;

export interface RefusedExporter {
  readonly address: string;
  readonly datagrams: number;
}

export interface ExporterAccess {
  /** Bytes of the address, or null when its datagrams are not taken, which is counted. */
  admit(address: string): AddressBytes | null;
  /** The strangers, at most 1024 of them: those that came first. */
  refused(): readonly RefusedExporter[];
  /** Datagrams refused, of all strangers. */
  refusedDatagrams(): number;
}

/** An empty list admits everyone. */
export function createExporterAccess(allowed: readonly Prefix[]): ExporterAccess {
  const table = allowed.length === 0 ? null : createPrefixTable(allowed);
  const known = new Map<string, AddressBytes | null>();
  const strangers = new Map<string, number>();
  let refusedDatagrams = 0;

  function judge(text: string): AddressBytes | null {
    const zone = text.indexOf('%');
    const bytes = parseAddress(zone < 0 ? text : text.slice(0, zone));
    return bytes === null || table === null || table.lookup(bytes) >= 0 ? bytes : null;
  }

  return {
    admit(text) {
      let bytes = known.get(text);
      if (bytes === undefined) {
        bytes = judge(text);
        if (known.size >= MAX_KNOWN) known.clear();
        known.set(text, bytes);
      }
      if (bytes === null) {
        refusedDatagrams++;
        const count = strangers.get(text);
        if (count !== undefined || strangers.size < MAX_REFUSED) strangers.set(text, (count ?? 0) + 1);
      }
      return bytes;
    },
    refused: () => [...strangers].map(([address, datagrams]) => ({ address, datagrams })),
    refusedDatagrams: () => refusedDatagrams,
  };
}
