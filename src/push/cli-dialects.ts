/**
 * How IOS, IOS-XR and EOS are told to change a list so that they take it back by themselves.
 *
 * Each has its own way to say "undo this unless I come back". A platform without one has no place here. The commands are
 * those of the vendors' manuals; no device of them has been asked in the tests, only servers that behave as the manuals say.
 */

import type { AclFamily } from '../acl/model.ts';
import type { PushPlatform } from '../config/schema.ts';

export interface CliDialect {
  /** Once, after the login. */
  readonly setUp: readonly string[];
  /** Opens the change. After it every line is the list's. */
  begin(id: string, confirmMs: number): readonly string[];
  /** Shows what would change, before anything has; null where there is no candidate. */
  readonly changes: string | null;
  /** Puts the change into force, on trial. */
  commit(id: string, confirmMs: number): readonly string[];
  confirm(id: string): readonly string[];
  /** Gives the change up before `commit`. */
  abandon(id: string): readonly string[];
  /** Takes the change back after `commit`. */
  revert(id: string): readonly string[];
  /** Shows a list. */
  showList(name: string, family: AclFamily): string;
}

const minutes = (ms: number) => Math.ceil(ms / 60_000);

/** `00:05:00` */
function clock(ms: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const seconds = Math.ceil(ms / 1000);
  return [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
}

export const CLI_DIALECTS: Readonly<Record<Exclude<PushPlatform, 'junos'>, CliDialect>> = {
  // Every line is in force at once: the timer runs from the first on, and needs "archive" with a "path".
  'cisco-ios': {
    setUp: ['terminal length 0', 'terminal width 0'],
    begin: (_id, confirmMs) => [`configure terminal revert timer ${minutes(confirmMs)}`],
    changes: null,
    commit: () => ['end'],
    confirm: () => ['configure confirm'],
    abandon: () => ['end', 'configure revert now'],
    revert: () => ['configure revert now'],
    showList: (name, family) =>
      family === '4' ? `show ip access-lists ${name}` : `show ipv6 access-list ${name}`,
  },
  'cisco-iosxr': {
    setUp: ['terminal length 0', 'terminal width 0'],
    begin: () => ['configure exclusive'],
    changes: 'show commit changes diff',
    commit: (_id, confirmMs) => [`commit confirmed ${Math.ceil(confirmMs / 1000)}`],
    confirm: () => ['commit', 'end'],
    abandon: () => ['abort'],
    revert: () => ['abort', 'rollback configuration last 1'],
    showList: (name, family) => `show access-lists ipv${family} ${name}`,
  },
  // A session that was committed on trial goes on by its name.
  'arista-eos': {
    setUp: ['terminal length 0', 'terminal width 32767'],
    begin: (id) => [`configure session ${id}`],
    changes: 'show session-config diffs',
    commit: (_id, confirmMs) => [`commit timer ${clock(confirmMs)}`],
    confirm: (id) => [`configure session ${id} commit`],
    abandon: () => ['abort'],
    revert: (id) => [`configure session ${id} abort`],
    showList: (name, family) =>
      family === '4' ? `show ip access-lists ${name}` : `show ipv6 access-lists ${name}`,
  },
};
