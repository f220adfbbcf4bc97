/**
 * Which partition the mail of a host belongs to.
 *
 * Both directions of a session and all sessions of a host must meet in one detector, so the answer follows from the
 * host's address alone. Collectors and detectors of all versions must agree: never change the hash.
 */

/**
 * The partition, 0 to `partitions - 1`, of the 16 address bytes at `offset`: FNV-1a, 32 bits, over the bytes, with the
 * finish of MurmurHash3 so that neighbouring addresses do not share low bits.
 */
export function hostPartition(address: Uint8Array, offset: number, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (let i = offset; i < offset + 16; i++) hash = Math.imul(hash ^ address[i], 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions;
}
