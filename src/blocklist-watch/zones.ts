/**
 * DNS blocklists: how an address is asked for, and what the answers of known lists mean (RFC 5782). Pure.
 *
 * A list answers with addresses in 127.0.0.0/8. Which says what is the list's own matter; 127.255.255.0/24 are errors that
 * Spamhaus and others return instead of an answer, and which naive clients take for a listing.
 */

import { type AddressBytes, isIPv4 } from '../flow/address.ts';

/** Answers of known lists by their codes; pages of the lists as of 2026. Others are shown as they are. */
const KNOWN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'zen.spamhaus.org': {
    '127.0.0.2': 'SBL, a source of spam by hand of its editors',
    '127.0.0.3': 'CSS, a source of spam found by machine',
    '127.0.0.4': 'XBL, an infected or misused host',
    '127.0.0.9': 'DROP, a network in the hands of criminals',
    '127.0.0.10': 'PBL, an address that its provider says sends no mail of its own',
    '127.0.0.11': 'PBL, an address that Spamhaus says sends no mail of its own',
  },
  'bl.spamcop.net': { '127.0.0.2': 'mail from it was reported as spam' },
  'b.barracudacentral.org': { '127.0.0.2': 'it sent spam to Barracuda' },
  'psbl.surriel.com': { '127.0.0.2': 'it sent mail to a spam trap' },
  'dnsbl-1.uceprotect.net': { '127.0.0.2': 'it sent mail to a spam trap in the last seven days' },
};

/** Instead of an answer about the address. */
const ERRORS: Readonly<Record<string, string>> = {
  '127.255.255.252': 'the name of the list is wrong',
  '127.255.255.254': 'the list refuses questions that come through a public resolver',
  '127.255.255.255': 'the list got too many questions from this resolver',
};

export type Meaning =
  | { readonly kind: 'listed'; readonly text: string }
  /** It says nothing of the address. */
  | { readonly kind: 'error'; readonly text: string };

export function meaningOf(zone: string, code: string, own: Readonly<Record<string, string>> = {}): Meaning {
  const text = own[code] ?? KNOWN[zone]?.[code];
  if (text !== undefined) return { kind: 'listed', text };
  const error = ERRORS[code];
  if (error !== undefined) return { kind: 'error', text: error };
  if (code.startsWith('127.255.255.'))
    return { kind: 'error', text: `the list answered with the error ${code}` };
  if (!code.startsWith('127.'))
    return {
      kind: 'error',
      text: `the resolver answered with ${code}, which no list does (a page for mistyped names?)`,
    };
  return { kind: 'listed', text: `answer ${code}` };
}

/** RFC 5782 section 5: the first is listed by each list that works, the second by none. */
export const TEST_LISTED: Readonly<Record<'4' | '6', string>> = { '4': '127.0.0.2', '6': '::ffff:7f00:2' };
export const TEST_CLEAR: Readonly<Record<'4' | '6', string>> = { '4': '127.0.0.1', '6': '::ffff:7f00:1' };

/** `203.0.113.5` as `5.113.0.203.ZONE`, an IPv6 address by its 32 nibbles (RFC 5782 sections 2.1 and 2.4). */
export function questionName(address: AddressBytes, zone: string): string {
  return `${isIPv4(address) ? [...address.subarray(12)].reverse().join('.') : nibblesOf(address)}.${zone}`;
}

/** Also of an IPv4 address in its mapped form, as the test entries of IPv6 lists are. */
export function nibblesOf(address: AddressBytes): string {
  return [...address]
    .reverse()
    .flatMap((byte) => [byte & 15, byte >> 4])
    .map((nibble) => nibble.toString(16))
    .join('.');
}
