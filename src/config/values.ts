/** Scalars of the configuration that are written as text: durations, sizes, prefixes, socket addresses. */

import { isIP } from 'node:net';
import { z } from 'zod';
import { parseAddress } from '../flow/address.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

function scaled(units: Readonly<Record<string, number>>, text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text.trim());
  const unit = match === null ? undefined : units[match[2]];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

/** A TCP or UDP port. */
export const port = z.number().int().min(1).max(65535);
export const positive = z.number().int().positive();
/** A name that is safe wherever names are shown or end in file names. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'use 1 to 63 letters, digits, ".", "_" or "-", starting with a letter or digit',
  );

/** `30s`, `10m`, `24h`, `7d`, `250ms`; in the program milliseconds. */
export const duration = z.string().transform((text, context) => {
  const value = scaled(DURATION_MS, text);
  if (value === null) {
    context.addIssue({
      code: 'custom',
      message: `"${text}" is not a duration such as 30s, 10m, 24h or 7d`,
    });
    return z.NEVER;
  }
  return value;
});

/** `64MiB`, `4GiB`; in the program bytes. */
export const size = z.string().transform((text, context) => {
  const value = scaled(SIZE_BYTES, text);
  if (value === null) {
    context.addIssue({
      code: 'custom',
      message: `"${text}" is not a size such as 64MiB or 4GiB`,
    });
    return z.NEVER;
  }
  return value;
});

/** An address or prefix, IPv4 or IPv6; in the program a Prefix. */
export const prefix = z.string().transform((text, context): Prefix => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) {
    context.addIssue({
      code: 'custom',
      message: `${parsed.reason}, such as 10.0.0.0/8, 192.0.2.25 or 2001:db8::/32`,
    });
    return z.NEVER;
  }
  return parsed.prefix;
});

/**
 * A DNS name where an address or a prefix may stand. It holds no host until config/names.ts puts the addresses of the
 * name in its place.
 */
interface NamedPrefix extends Prefix {
  readonly hostname: string;
}

/** The DNS name that stands for its addresses, or null for an address or a prefix. */
export function hostnameOf(one: Prefix): string | null {
  return 'hostname' in one && typeof one.hostname === 'string' ? one.hostname : null;
}

/** An address, a prefix or a DNS name such as `mail.example.org`; in the program a Prefix, see `hostnameOf`. */
export const prefixOrName = z.string().transform((text, context): Prefix => {
  const parsed = parsePrefix(text);
  if (parsed.ok) return parsed.prefix;
  const hostname = parseHostname(text);
  if (hostname !== null) {
    const named: NamedPrefix = { bytes: new Uint8Array(16), length: 128, hostname };
    return named;
  }
  context.addIssue({
    code: 'custom',
    message: `${parsed.reason}, such as 10.0.0.0/8, 192.0.2.25 or 2001:db8::/32, and no DNS name such as mail.example.org`,
  });
  return z.NEVER;
});

/**
 * A DNS name in lower case without the dot at its end; null for other text. It has a dot, and its last label begins with a
 * letter, as those of the root do: 10.0.0.256 and 192.0.2.1O are mistyped addresses. Names of other scripts are written
 * with xn-- (RFC 5891).
 */
function parseHostname(text: string): string | null {
  if (text.length > 254) return null;
  const name = text.toLowerCase().replace(/\.$/, '');
  const labels = name.split('.');
  if (name.length > 253 || labels.length < 2) return null;
  if (!labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) return null;
  return /^[a-z]/.test(labels[labels.length - 1]) ? name : null;
}

/** A DNS server: `192.0.2.53`, `2001:db8::53`, or with a port as a socket address. In the program as node:dns takes it. */
export const dnsServer = z.string().transform((text, context): string => {
  if (parseAddress(text) !== null) return text;
  const parsed = socketAddress.safeParse(text);
  if (parsed.success) return formatSocketAddress(parsed.data);
  context.addIssue({
    code: 'custom',
    message: `"${text}" is not the address of a DNS server such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53`,
  });
  return z.NEVER;
});

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** `0.0.0.0:2055` or `[::]:2055`. */
export const socketAddress = z.string().transform((text, context): SocketAddress => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? Number.NaN);
  const family = match?.[1] === undefined ? 4 : 6;
  if (isIP(host) !== family || !(port <= 65535) || parseAddress(host) === null) {
    context.addIssue({
      code: 'custom',
      message: `"${text}" is not an address and port such as 0.0.0.0:2055 or [::]:2055`,
    });
    return z.NEVER;
  }
  return { host, port };
});

/** `kafka-1.example.net:9092`, `192.0.2.9:9092` or `[2001:db8::9]:9092`. */
export const brokerAddress = z
  .string()
  .regex(
    /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):\d{1,5}$/,
    'expected host:port, such as kafka-1.example.net:9092',
  );

/** Of http or https, and without credentials, which would end up in logs. */
export function isListUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}

export function formatSocketAddress(address: SocketAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** A prefix as it is written in a configuration. */
export { formatPrefix };
