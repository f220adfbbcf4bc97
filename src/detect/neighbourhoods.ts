/**
 * The IPv6 /64 of each declared sender, and whether it is that sender's own or a network that many hosts share.
 *
 * A mail server takes further addresses in its /64 as it likes (RFC 8981) and may send by one that nobody declared. In the /64
 * of an office the same address is some other host. What tells them apart is who sends there (the declared address itself, and
 * several others), and whether the configuration names the /64 as a network of its own.
 */

import { finish, mix, readWord } from './murmur.ts';
import type { SenderNeighbourhood } from './policy.ts';

/** So many undeclared addresses that send in the /64, and it is shared; fewer suffice where the declared one sends, too. */
const OTHERS_OF_A_SHARED = 8;
const OTHERS_BESIDE_DECLARED = 3;

interface Known {
  declaredSends: boolean;
  /** Hashes of the other addresses; 0 is none. */
  readonly others: Uint32Array;
}

export interface Neighbourhoods {
  /** The declared address sends itself. */
  noteDeclared(of: SenderNeighbourhood, site: number): void;
  /** An address of the /64 sends that nobody declared. */
  noteOther(of: SenderNeighbourhood, site: number, bytes: Uint8Array, at: number): void;
  isShared(of: SenderNeighbourhood, site: number): boolean;
}

export function createNeighbourhoods(): Neighbourhoods {
  /** Of each site by its number: two sites may use the same network. */
  const sites = new Map<number, Map<string, Known>>();

  function knownOf({ key }: SenderNeighbourhood, site: number): Known {
    let known = sites.get(site);
    if (known === undefined) {
      known = new Map();
      sites.set(site, known);
    }
    const found = known.get(key);
    if (found !== undefined) return found;
    const fresh = { declaredSends: false, others: new Uint32Array(OTHERS_OF_A_SHARED) };
    known.set(key, fresh);
    return fresh;
  }

  return {
    noteDeclared(of, site) {
      knownOf(of, site).declaredSends = true;
    },
    noteOther(of, site, bytes, at) {
      const { others } = knownOf(of, site);
      const hash = finish(mix(readWord(bytes, at + 8), readWord(bytes, at + 12))) >>> 0 || 1;
      for (let i = 0; i < others.length; i++) {
        if (others[i] === hash) return;
        if (others[i] !== 0) continue;
        others[i] = hash;
        return;
      }
    },
    isShared(of, site) {
      // Not by who sends: each of several detectors sees a part of that only, and all must decide alike.
      if (of.isLan) return true;
      const { declaredSends, others } = knownOf(of, site);
      return others[(declaredSends ? OTHERS_BESIDE_DECLARED : OTHERS_OF_A_SHARED) - 1] !== 0;
    },
  };
}
