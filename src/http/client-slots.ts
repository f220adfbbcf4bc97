/**
 * Places for clients that stay: how many there are in all, and how many one address may have of them.
 *
 * Without a share per address one client could take all places. It counts only; closing connections is the caller's.
 */

export interface ClientSlots {
  /** Takes a place; null when the address, or everybody together, has no more. Calling the result twice frees one place. */
  take(address: string): (() => void) | null;
  readonly taken: number;
}

export function createClientSlots(limits: {
  readonly total: number;
  readonly perAddress: number;
}): ClientSlots {
  const byAddress = new Map<string, number>();
  let taken = 0;
  return {
    get taken() {
      return taken;
    },
    take(address) {
      const own = byAddress.get(address) ?? 0;
      if (taken >= limits.total || own >= limits.perAddress) return null;
      taken++;
      byAddress.set(address, own + 1);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        taken--;
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left > 0) byAddress.set(address, left);
        else byAddress.delete(address);
      };
    },
  };
}
