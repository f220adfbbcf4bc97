/**
 * Who a host is: the DHCP client that had an address at a time, and who owns it. From files alone; nothing is asked on the
 * network.
 *
 * The time that counts is that of the flow: a lease that changed hands changes the name.
 */

import { readFileSync, statSync } from 'node:fs';
import { messageOf } from '../errors.ts';
import { parseAddress } from '../flow/address.ts';
import { createPrefixTable } from '../flow/prefix.ts';
import { type Lease, type LeaseFormat, readLeases } from './leases.ts';
import { type Owner, readOwners } from './owners.ts';

/** As in the configuration (`identity`). */
export interface IdentityFiles {
  readonly leases: readonly { readonly file: string; readonly format: LeaseFormat; readonly zone: number }[];
  readonly owners?: string | undefined;
}

export interface HostIdentity {
  /** As the client called itself; '' when not known. */
  readonly name: string;
  readonly mac: string;
  readonly owner: string;
  /** When the lease began, ISO 8601; null when the file does not tell, or there was none. */
  readonly since: string | null;
}

export interface Identities {
  /** Null for a host of which nothing is known at that time. `host`: an address as people write it. */
  at(host: string, ms: number): HostIdentity | null;
  /** Files that could not be read, or not whole, in words. */
  readonly problems: readonly string[];
}

/** Of one file; a lease file of a campus has some ten. */
const MAX_BYTES = 128 << 20;

/** Never throws: what cannot be read is a problem that is told. */
export function readIdentities(identity: IdentityFiles): Identities {
  const problems: string[] = [];
  const leases: Lease[] = [];
  const owners: Owner[] = [];
  const read = (file: string): string | null => {
    try {
      const { size } = statSync(file);
      if (size <= MAX_BYTES) return readFileSync(file, 'utf8');
      problems.push(`${file}: larger than ${MAX_BYTES >> 20} MiB`);
    } catch (error) {
      problems.push(messageOf(error));
    }
    return null;
  };
  for (const { file, format, zone } of identity.leases) {
    const text = read(file);
    if (text === null) continue;
    const found = readLeases(format, text, zone);
    leases.push(...found.leases);
    if (found.unread > 0) problems.push(`${file}: ${found.unread} entries of ${format} could not be read`);
    else if (found.leases.length === 0) problems.push(`${file}: no lease of the format ${format} is in it`);
  }
  if (identity.owners !== undefined) {
    const text = read(identity.owners);
    const found = text === null ? null : readOwners(text);
    if (found !== null) {
      owners.push(...found.owners);
      problems.push(...found.problems.map((problem) => `${identity.owners}: ${problem}`));
    }
  }
  return { at: createLookup(leases, owners), problems };
}

/** Of leases that overlap, the one that began last counts; of owners, the longest prefix. */
export function createLookup(leases: readonly Lease[], owners: readonly Owner[]): Identities['at'] {
  const byAddress = new Map<string, Lease[]>();
  for (const lease of leases) {
    const same = byAddress.get(lease.address);
    if (same === undefined) byAddress.set(lease.address, [lease]);
    else same.push(lease);
  }
  // The later line of two that begin together is the newer.
  for (const same of byAddress.values())
    same.sort((a, b) => (a.fromMs < b.fromMs ? -1 : a.fromMs > b.fromMs ? 1 : 0));
  const table = createPrefixTable(owners.map(({ prefix }) => prefix));

  return (host, ms) => {
    const lease = byAddress.get(host)?.findLast(({ fromMs, untilMs }) => fromMs <= ms && ms <= untilMs);
    const bytes = parseAddress(host);
    const index = bytes === null ? -1 : table.lookup(bytes);
    const owner = index < 0 ? undefined : owners[index].owner;
    if (lease === undefined && owner === undefined) return null;
    return {
      name: lease?.name ?? '',
      mac: lease?.mac ?? '',
      owner: owner ?? '',
      since:
        lease === undefined || !Number.isFinite(lease.fromMs) ? null : new Date(lease.fromMs).toISOString(),
    };
  };
}

/** `pc-42 (00:1b:21:0a:0b:0c), Sales`; '' where nothing is known. */
export function describeIdentity(identity: HostIdentity | null): string {
  if (identity === null) return '';
  const { name, mac, owner } = identity;
  const client = name === '' ? mac : mac === '' ? name : `${name} (${mac})`;
  return [client, owner].filter((part) => part !== '').join(', ');
}
