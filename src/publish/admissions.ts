/**
 * Who is in the lists of this process: every list is made of the same admitted hosts.
 *
 * Too many new hosts at once wait for a person. It must never let a host slip in that it could not remember having held
 * back, nor let one go because its incident was lost: the stream keeps the incident of every host for ever, so a listed
 * host without one is damage, and the lists stay as they are until a person has looked.
 */

import type { Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';
import { blockedOf } from './acl-request.ts';
import { type Admissions, admit } from './admission.ts';
import type { BlockedHost, HandBlocks } from './hand-blocks.ts';
import type { ListMemory } from './list-state.ts';
import { type ListNotices, MAX_NAMED } from './notices.ts';
import type { StandingDecisions } from './standing-decisions.ts';

export interface ListAdmissionsDependencies {
  readonly config: () => Config;
  /** Newest state of each host's incident. May throw RogueSmtpError `unavailable`: nothing changes then. */
  readonly incidents: () => readonly Incident[];
  readonly decisions: StandingDecisions;
  readonly hand: HandBlocks;
  /** The newest incident of a host, by its stream key. */
  readonly incidentOf: (key: string) => Incident | undefined;
  readonly memory: ListMemory;
  readonly notices: ListNotices;
  readonly now: () => number;
  /** What tells the stream of the incidents from every other one; null where that cannot be told. */
  readonly incidentsFrom?: (() => string | null) | undefined;
  /** Seconds from the first record of a host that was blocked without a person to the lists that name it. */
  readonly onBlocked?: ((seconds: number) => void) | undefined;
}

interface HandChange {
  readonly decision: Decision;
  readonly isListed: boolean;
}

export interface ListAdmissions {
  current(): Admissions;
  /** Hosts that the lists may name. Throws RogueSmtpError `unavailable` while that is not known. */
  listed(): readonly BlockedHost[];
  /** Hosts, by their stream key, that are in the lists and whose incident is gone. */
  lost(): readonly string[];
  /** Hosts in the lists, while their incidents come from another stream than the lists were made of; none else. */
  strayed(): readonly string[];
  /**
   * Lets go of those that are lost, as a person has decided, and takes the present stream for the right one. Who they
   * were. Throws RogueSmtpError `io`.
   */
  forgetLost(): Promise<readonly string[]>;
  /** Those that a person could approve. */
  waiting(): readonly Incident[];
  /** Takes over what is remembered. */
  restore(): void;
  /** Lets in those that may. Throws RogueSmtpError `io` where that could not be remembered; nobody is let in then. */
  update(): Promise<void>;
  /**
   * The lists are written. Notes since when each host is in one, and which are in none although they may be: a list is held, or a
   * decision stands. `isDenied`: whether a list has the host. Throws RogueSmtpError `io`.
   */
  noteListed(isDenied: (host: Pick<Incident, 'host' | 'site'>) => boolean): Promise<void>;
}

export function createListAdmissions(dependencies: ListAdmissionsDependencies): ListAdmissions {
  const {
    config,
    incidents,
    decisions,
    hand,
    memory,
    notices,
    now,
    incidentsFrom = () => null,
  } = dependencies;
  let admissions: Admissions = { admitted: new Map(), held: new Map() };
  const iso = () => new Date(now()).toISOString();

  const blocked = () => blockedOf(config(), hand.withHandBlocks(incidents()), now());

  function listed(): readonly BlockedHost[] {
    // Without what is remembered, "nobody" would let go of everybody.
    memory.state();
    assertSameStream();
    assertNoneLost();
    return blocked().filter((incident) => admissions.admitted.has(hostStreamKey(incident)));
  }

  function lost(): readonly string[] {
    const missing = new Set(admissions.admitted.keys());
    // Nearly always all are among the first that are looked at.
    for (const incident of incidents())
      if (missing.size === 0 || !missing.delete(hostStreamKey(incident))) continue;
    return [...missing].filter((key) => decisions.ofHost(key) === undefined);
  }

  /** Throws RogueSmtpError `unavailable`. */
  function assertNoneLost(): void {
    const keys = lost();
    if (keys.length > 0) throw new RogueSmtpError('unavailable', lostReason(keys));
  }

  /** Its incidents may be few, or be about the same hosts without the decisions of people. */
  function strayed(): readonly string[] {
    const { incidents_from: before } = memory.state();
    const from = incidentsFrom();
    return before === undefined || from === null || before === from ? [] : [...admissions.admitted.keys()];
  }

  /** Throws RogueSmtpError `unavailable`. */
  function assertSameStream(): void {
    const keys = strayed();
    if (keys.length === 0) return;
    const before = memory.state().incidents_from ?? '';
    throw new RogueSmtpError('unavailable', strayedReason(keys.length, before, incidentsFrom() ?? ''));
  }

  /** Blocks by hand of hosts without an incident that begin or end: of the others their incident tells. */
  function handChanges(before: Admissions | null, next: Admissions): HandChange[] {
    const keys = new Set([...(before?.admitted.keys() ?? []), ...next.admitted.keys()]);
    return [...keys].flatMap((key): HandChange[] => {
      const isListed = next.admitted.has(key);
      if (isListed === before?.admitted.has(key) || dependencies.incidentOf(key) !== undefined) return [];
      const decision = decisions.ofHost(key);
      return decision === undefined ? [] : [{ decision, isListed }];
    });
  }

  async function remember(next: Admissions): Promise<void> {
    const from = incidentsFrom();
    await memory.change({
      admissions: { admitted: Object.fromEntries(next.admitted), held: Object.fromEntries(next.held) },
      ...(from !== null && { incidents_from: from }),
    });
    admissions = next;
  }

  return {
    current: () => admissions,
    listed,
    waiting: () =>
      incidents().filter(
        (incident) => incident.block.state === 'proposed' || admissions.held.has(hostStreamKey(incident)),
      ),
    restore() {
      const kept = memory.state().admissions;
      if (kept === null) return;
      admissions = {
        admitted: new Map(Object.entries(kept.admitted)),
        held: new Map(Object.entries(kept.held)),
      };
    },
    lost,
    strayed,
    async forgetLost() {
      const keys = lost();
      const gone = new Set(keys);
      await remember({
        admitted: new Map([...admissions.admitted].filter(([key]) => !gone.has(key))),
        held: admissions.held,
      });
      return keys;
    },
    async update() {
      assertSameStream();
      assertNoneLost();
      const before = memory.state().admissions === null ? null : admissions;
      const candidates = blocked().map((incident) => ({
        key: hostStreamKey(incident),
        approved: incident.block.approved_by !== undefined,
      }));
      const maxChange = config().block.max_change;
      const next = admit(candidates, before, maxChange, iso());
      const handNews = handChanges(before, next);
      const newlyHeld = [...next.held.keys()].filter((key) => before?.held.has(key) !== true);
      const unchanged =
        before !== null &&
        sameKeys(before.admitted, next.admitted) &&
        sameKeys(before.held, next.held) &&
        (incidentsFrom() ?? memory.state().incidents_from) === memory.state().incidents_from;
      if (unchanged) return;
      await remember(next);
      for (const { decision, isListed } of handNews) notices.blockedByHand(decision, isListed);
      if (newlyHeld.length > 0) await notices.heldBack(newlyHeld, maxChange);
    },
    async noteListed(isDenied) {
      const at = iso();
      const admitted = new Map(admissions.admitted);
      const seconds: number[] = [];
      let changed = false;
      for (const incident of listed()) {
        const key = hostStreamKey(incident);
        const known = admitted.get(key);
        if (known === undefined || isDenied(incident) === (known.listed_at !== null)) continue;
        changed = true;
        const { time_to_block_ms: before } = known;
        const time_to_block_ms = before ?? Math.max(0, now() - Date.parse(incident.first_seen));
        admitted.set(key, { listed_at: known.listed_at === null ? at : null, time_to_block_ms });
        if (before === null && incident.block.approved_by === undefined)
          seconds.push(time_to_block_ms / 1000);
      }
      if (!changed) return;
      await remember({ ...admissions, admitted });
      for (const one of seconds) dependencies.onBlocked?.(one);
    },
  };
}

/** What is said of hosts, by their stream key, that are in the lists and without an incident. */
export function lostReason(keys: readonly string[]): string {
  const named = keys.slice(0, MAX_NAMED).map((key) => key.slice(key.indexOf('|') + 1));
  return (
    `${keys.length} host(s) in the lists have no incident any more (${named.join(', ')}): the stream of incidents was damaged ` +
    'or removed. Restore it, or let them go: rogue-smtp acl forget-lost --reason TEXT'
  );
}

/** What is said while so many hosts are listed and the incidents come from elsewhere. */
function strayedReason(listed: number, before: string, now: string): string {
  return (
    `the incidents come from another stream (${now}) than those that the lists were made of (${before}): ` +
    `${listed} listed host(s) stay listed. Go back to the old one, or let the lists follow the new one: ` +
    'rogue-smtp acl forget-lost --reason TEXT'
  );
}

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key));
}
