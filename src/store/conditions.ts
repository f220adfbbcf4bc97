/**
 * Pieces of WHERE clauses made from parsed values: address ranges and the mail ports.
 *
 * Only bytes and numbers of ours get into the text, never outside text.
 */

import type { AddressBytes } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';

/**
 * True for rows of `flows` that are mail by their ports: SMTP and submission (RFC 5321, RFC 8314, RFC 6409; 2525 by
 * custom), either direction. The same condition as in 0002_mail.sql.
 */
export const ON_MAIL_PORTS =
  '(dst_port IN (25, 465, 587, 2525) OR src_port IN (25, 465, 587) OR (src_port = 2525 AND dst_port >= 1024))';

/** True for rows whose IPv6 column lies in the prefix. Ranges of addresses can use an index, masks cannot. */
export function addressRange(column: string, prefix: Prefix): string {
  const last = prefix.bytes.map((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix.length - 8 * i));
    return byte | (0xff >> bits);
  });
  if (prefix.length === 128) return `${column} = ${addressLiteral(prefix.bytes)}`;
  return `${column} BETWEEN ${addressLiteral(prefix.bytes)} AND ${addressLiteral(last)}`;
}

/** True for rows whose IPv6 column lies in any of the prefixes. */
export function inAnyPrefix(column: string, prefixes: readonly Prefix[]): string {
  if (prefixes.length === 0) return '0';
  return `(${prefixes.map((prefix) => `(${addressRange(column, prefix)})`).join(' OR ')})`;
}

function addressLiteral(bytes: AddressBytes): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] << 8) | bytes[i + 1]).toString(16));
  return `toIPv6('${groups.join(':')}')`;
}
