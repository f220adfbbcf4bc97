/**
 * Which partition the mail of a host belongs to.
 *
 * Both directions of a session and all sessions of a host must meet in one detector, so the answer follows from the
 * host's address alone. Collectors and detectors of all versions must agree: never change the hash.
 */

import { isIPv4 } from './address.ts';

/**
 * The partition, 0 to `partitions - 1`, of the 16 address bytes at `offset`: FNV-1a, 32 bits, over the bytes, with the
 * finish of MurmurHash3 so that neighbouring addresses do not share low bits. With `ipv6Group` 64 an IPv6 address
 * belongs where its /64 does (the rest counts as zeroes).
 */
export function hostPartition(
  address: Uint8Array,
  offset: number,
  partitions: number,
  ipv6Group: 64 | 128 = 128,
): number {
  if (partitions === 1) return 0;
  const end = offset + (ipv6Group === 128 || isIPv4(address, offset) ? 16 : 8);
  let hash = 0x811c9dc5;
  for (let i = offset; i < end; i++) hash = Math.imul(hash ^ address[i], 0x01000193);
  for (let i = end; i < offset + 16; i++) hash = Math.imul(hash, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions;
}
