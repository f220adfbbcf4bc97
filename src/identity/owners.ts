/** Who owns an address: a CSV of prefixes with a line of names. Pure. */

import { splitCsv } from '../files/csv.ts';
import { type Prefix, parsePrefix } from '../flow/prefix.ts';

export interface Owner {
  readonly prefix: Prefix;
  readonly owner: string;
}

export interface ReadOwners {
  readonly owners: readonly Owner[];
  /** Lines that are none, by number from 1, with the reason. */
  readonly problems: readonly string[];
}

const MAX_PROBLEMS = 10;

/** Columns `prefix` (or `address`, `network`) and `owner` (or `name`, `customer`), in any order. */
export function readOwners(text: string): ReadOwners {
  const [header = '', ...lines] = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const names = splitCsv(header).map((name) => name.trim().toLowerCase());
  const find = (...known: readonly string[]) => names.findIndex((name) => known.includes(name));
  const prefixAt = find('prefix', 'address', 'network', 'ip');
  const ownerAt = find('owner', 'name', 'customer');
  if (prefixAt < 0 || ownerAt < 0)
    return { owners: [], problems: ['the first line has to name the columns "prefix" and "owner"'] };
  const owners: Owner[] = [];
  const problems: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const cells = splitCsv(line);
    const parsed = parsePrefix((cells[prefixAt] ?? '').trim());
    if (parsed.ok) owners.push({ prefix: parsed.prefix, owner: (cells[ownerAt] ?? '').trim().slice(0, 255) });
    else if (problems.length < MAX_PROBLEMS) problems.push(`line ${index + 2}: ${parsed.reason}`);
  }
  return { owners, problems };
}
