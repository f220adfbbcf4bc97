/** The options of commands that select offenders and alerts; what they choose is in src/api/selection.ts. */

import { InvalidArgumentError, Option } from 'commander';
import { type Prefix, parsePrefix } from '../flow/prefix.ts';
import { GRADES } from '../messages/alert.ts';

export { csv } from '../api/csv.ts';
export {
  type Selection,
  SORTS,
  type Sort,
  selectAlerts,
  selectOffenders,
  worstAlertsFirst,
} from '../api/selection.ts';

/** The options of commands that select. */
export const selectionOptions = (states: string): readonly Option[] => [
  new Option('--grade <grade>', 'at least this grade').choices(GRADES),
  new Option('--host <address>', 'this address, or those of a prefix').argParser(prefixOption),
  new Option('--site <name>', 'hosts of this site'),
  new Option('--state <state>', states),
  new Option('--since <time>', 'active at or after, ISO 8601 or 24h').argParser(timeOption),
  new Option('--until <time>', 'active at or before, ISO 8601 or 24h').argParser(timeOption),
];

function prefixOption(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new InvalidArgumentError(`expected an address or a prefix: ${parsed.reason}.`);
  return parsed.prefix;
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function timeOption(text: string): number {
  const ago = /^(\d{1,6})([smhd])$/.exec(text);
  if (ago !== null) return Date.now() - Number(ago[1]) * UNITS[ago[2]];
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('expected a time such as 2026-03-01T10:00:00Z, or 24h for a day ago.');
  return ms;
}
