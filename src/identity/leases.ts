/**
 * Reads what DHCP servers write about their leases: which client had an address, from when until when.
 *
 * Formats: ISC dhcpd (dhcpd.leases(5), a log of all leases), dnsmasq (its lease file, current leases only), Kea (memfile
 * CSV, https://kea.readthedocs.io, "Memfile - Basic Storage for Leases"), the audit log of Windows (DhcpSrvLog-*.log), and
 * MikroTik (`/ip dhcp-server lease export` or `print terse`). Clients choose their names: they are hostile. Pure.
 */

import { splitCsv } from '../files/csv.ts';
import { type AddressBytes, formatAddress, parseAddress } from '../flow/address.ts';

export const LEASE_FORMATS = ['isc', 'dnsmasq', 'kea', 'windows', 'mikrotik'] as const;
export type LeaseFormat = (typeof LEASE_FORMATS)[number];

export interface Lease {
  /** As people write it. */
  readonly address: string;
  /** Lower case with colons; '' where it is not told. */
  readonly mac: string;
  /** As the client called itself; '' where it did not. */
  readonly name: string;
  /** Milliseconds since 1970. -Infinity: not told; the lease was there before. Infinity: it does not end, or not yet. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export interface ReadLeases {
  readonly leases: readonly Lease[];
  /** Lines or entries that look like a lease and could not be read. */
  readonly unread: number;
}

const MAX_NAME = 255;

/** `zoneMinutes`: of the clock that wrote local times (windows), east of UTC. */
export function readLeases(format: LeaseFormat, text: string, zoneMinutes = 0): ReadLeases {
  switch (format) {
    case 'isc':
      return readIsc(text);
    case 'dnsmasq':
      return readDnsmasq(text);
    case 'kea':
      return readKea(text);
    case 'windows':
      return readWindows(text, zoneMinutes);
    case 'mikrotik':
      return readMikrotik(text);
  }
}

interface Found {
  readonly address: string;
  readonly mac?: string | undefined;
  readonly name?: string | undefined;
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** Null for what is no lease of an address. */
function leaseOf({ address, mac, name, fromMs, untilMs }: Found): Lease | null {
  const bytes: AddressBytes | null = parseAddress(address);
  if (bytes === null || Number.isNaN(fromMs) || Number.isNaN(untilMs)) return null;
  return {
    address: formatAddress(bytes),
    mac: macOf(mac),
    name: (name ?? '').slice(0, MAX_NAME),
    fromMs: fromMs ?? Number.NEGATIVE_INFINITY,
    untilMs: untilMs ?? Number.POSITIVE_INFINITY,
  };
}

function macOf(text: string | undefined): string {
  const digits = (text ?? '').replace(/[:.-]/g, '').toLowerCase();
  return /^[0-9a-f]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : '';
}

function collected(entries: Iterable<Lease | null>): ReadLeases {
  const leases: Lease[] = [];
  let unread = 0;
  for (const entry of entries) {
    if (entry === null) unread++;
    else leases.push(entry);
  }
  return { leases, unread };
}

const linesOf = (text: string) => text.split(/\r?\n/).filter((line) => line.trim() !== '');

/** An entry for each change of a lease; times are in UTC (`starts 4 2026/11/26 08:12:00;`) or `epoch N`. */
function readIsc(text: string): ReadLeases {
  function* entries(): Generator<Lease | null> {
    for (const [, address, body] of text.matchAll(/^lease\s+([0-9A-Fa-f.:]+)\s*\{([^}]*)\}/gm)) {
      const field = (name: string) => new RegExp(`^\\s*${name}\\s+([^;]*);`, 'm').exec(body)?.[1].trim();
      if (/^(abandoned|backup)$/.test(field('binding state') ?? '')) continue;
      yield leaseOf({
        address,
        mac: field('hardware ethernet'),
        name: field('client-hostname')?.replace(/^"(.*)"$/, '$1'),
        fromMs: iscTime(field('starts')) ?? Number.NaN,
        untilMs: iscTime(field('ends')) ?? Number.NaN,
      });
    }
  }
  return collected(entries());
}

function iscTime(text: string | undefined): number | null {
  if (text === 'never') return Number.POSITIVE_INFINITY;
  const epoch = /^epoch\s+(\d{1,12})/.exec(text ?? '');
  if (epoch !== null) return 1000 * Number(epoch[1]);
  const match = /^\d\s+(\d{4})\/(\d\d)\/(\d\d)\s+(\d\d:\d\d:\d\d)/.exec(text ?? '');
  return match === null ? null : Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}Z`);
}

/** `EXPIRY MAC ADDRESS NAME CLIENT-ID`, seconds since 1970; 0 does not end. Only what is leased now. */
function readDnsmasq(text: string): ReadLeases {
  return collected(
    linesOf(text)
      .filter((line) => !line.startsWith('duid '))
      .map((line) => {
        const [expiry, mac, address, name] = line.split(' ');
        if (!/^\d{1,12}$/.test(expiry) || address === undefined) return null;
        return leaseOf({
          address,
          // Type of hardware before it, and in IPv6 the IAID instead.
          mac: mac.replace(/^\d\d-(?=..:)/, ''),
          name: name === '*' ? '' : name,
          untilMs: expiry === '0' ? Number.POSITIVE_INFINITY : 1000 * Number(expiry),
        });
      }),
  );
}

/** A row for each change; the newest of a lease is the last. `expire` less `valid_lifetime` is when it was given out. */
function readKea(text: string): ReadLeases {
  const [header, ...lines] = linesOf(text);
  const names = splitCsv(header ?? '');
  const at = (name: string) => names.indexOf(name);
  const [address, mac, lifetime, expire, name, state] = [
    'address',
    'hwaddr',
    'valid_lifetime',
    'expire',
    'hostname',
    'state',
  ].map(at);
  if (address < 0 || expire < 0) return { leases: [], unread: lines.length };
  function* entries(): Generator<Lease | null> {
    for (const line of lines) {
      const cells = splitCsv(line);
      // 1: declined, a conflict; 2: expired and taken back.
      if (cells[state] === '1') continue;
      const seconds = Number(cells[lifetime] ?? Number.NaN);
      const untilMs = 1000 * Number(cells[expire] || Number.NaN);
      const isEndless = seconds >= 0xffff_ffff;
      yield leaseOf({
        address: cells[address],
        mac: cells[mac],
        name: cells[name],
        // Kea writes a comma in a text so.
        ...(!isEndless && { fromMs: untilMs - 1000 * seconds }),
        untilMs: isEndless ? Number.POSITIVE_INFINITY : untilMs,
      });
    }
  }
  return collected(entries());
}

/**
 * `ID,Date,Time,Description,IP Address,Host Name,MAC Address,...` in local time, dates as MM/DD/YY. 10 is a new lease, 11 a
 * renewal, 12 a release, 16 and 17 the end; a lease lasts until one of these, or until somebody else has the address.
 */
function readWindows(text: string, zoneMinutes: number): ReadLeases {
  const open = new Map<string, Lease>();
  const done: Lease[] = [];
  let unread = 0;
  const end = (address: string, ms: number) => {
    const lease = open.get(address);
    if (lease === undefined) return;
    done.push({ ...lease, untilMs: ms });
    open.delete(address);
  };
  for (const line of linesOf(text)) {
    const [id, date, time, , address, name, mac] = splitCsv(line);
    if (!['10', '11', '12', '16', '17', '18'].includes(id)) continue;
    const at = /^(\d\d)\/(\d\d)\/(\d\d)$/.exec(date ?? '');
    const ms =
      at === null || !/^\d\d:\d\d:\d\d$/.test(time ?? '')
        ? Number.NaN
        : Date.parse(`20${at[3]}-${at[1]}-${at[2]}T${time}Z`) - 60_000 * zoneMinutes;
    const lease = leaseOf({ address: address ?? '', mac, name, fromMs: ms });
    if (lease === null) {
      unread++;
      continue;
    }
    const known = open.get(lease.address);
    if (id === '10' || (id === '11' && known?.mac !== lease.mac)) {
      end(lease.address, ms);
      // A renewal that begins the file began before it.
      open.set(
        lease.address,
        id === '11' && known === undefined ? { ...lease, fromMs: Number.NEGATIVE_INFINITY } : lease,
      );
    } else if (id !== '11') end(lease.address, ms);
  }
  return { leases: [...done, ...open.values()], unread };
}

/** `add address=10.0.0.5 mac-address=... host-name="..."`, or the same fields of `print terse`; no times. */
function readMikrotik(text: string): ReadLeases {
  const joined = text.replace(/\\\r?\n\s*/g, '');
  return collected(
    linesOf(joined)
      .filter((line) => /(^|\s)address=/.test(line) && !line.trim().startsWith('#'))
      .map((line) => {
        const field = (name: string) => {
          const match = new RegExp(`(?:^|\\s)${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|(\\S*))`).exec(line);
          return match === null ? undefined : (match[1]?.replace(/\\(.)/g, '$1') ?? match[2]);
        };
        return leaseOf({
          address: field('active-address') ?? field('address') ?? '',
          mac: field('active-mac-address') ?? field('mac-address'),
          name: field('comment') ?? field('host-name'),
        });
      }),
  );
}
