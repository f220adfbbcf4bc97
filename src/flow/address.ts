/**
 * IP addresses as 16 bytes, IPv4 in mapped form, and their text.
 *
 * Parsing is ipaddr.js with one rule added: only full, canonical-looking literals are taken (`10.1` and `0x0a.1` are
 * refused), since these texts end in router configurations. Formatting is our own because it runs per row: dotted for
 * mapped addresses, RFC 5952 for the rest.
 */

import ipaddr from 'ipaddr.js';

/** 16 bytes in network order. */
export type AddressBytes = Uint8Array;

/** Bytes of an address literal, or null when the text is not one. Zone indices are refused. */
export function parseAddress(text: string): AddressBytes | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return mapped(ipaddr.IPv4.parse(text).toByteArray());
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return null;
  return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
}

function mapped(v4: readonly number[]): AddressBytes {
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes.set(v4, 12);
  return bytes;
}

/** True when the 16 bytes at `offset` are an IPv4 address in mapped form. */
export function isIPv4(bytes: Uint8Array, offset = 0): boolean {
  if (bytes[offset + 10] !== 0xff || bytes[offset + 11] !== 0xff) return false;
  for (let i = offset; i < offset + 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Text of the 16 bytes at `offset`: dotted when IPv4, else RFC 5952 (lower case, longest zero run shortened). */
export function formatAddress(bytes: Uint8Array, offset = 0): string {
  if (isIPv4(bytes, offset)) {
    return `${bytes[offset + 12]}.${bytes[offset + 13]}.${bytes[offset + 14]}.${bytes[offset + 15]}`;
  }
  let bestStart = -1;
  let bestLength = 1;
  let start = -1;
  for (let group = 0; group < 8; group++) {
    const zero = bytes[offset + 2 * group] === 0 && bytes[offset + 2 * group + 1] === 0;
    if (!zero) start = -1;
    else if (start < 0) start = group;
    if (start >= 0 && group - start + 1 > bestLength) {
      bestStart = start;
      bestLength = group - start + 1;
    }
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === bestStart) {
      text += '::';
      group += bestLength - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += ((bytes[offset + 2 * group] << 8) | bytes[offset + 2 * group + 1]).toString(16);
  }
  return text;
}

/** Compares two addresses of 16 bytes. */
export function isSameAddress(a: AddressBytes, b: AddressBytes): boolean {
  // From the end: the beginning of mapped addresses is the same for all.
  for (let i = 15; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}

/** Orders addresses numerically: negative, zero or positive, as for Array.sort. IPv4 comes first in mapped form. */
export function compareAddresses(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) {
    const difference = a[i] - b[i];
    if (difference !== 0) return difference;
  }
  return 0;
}
