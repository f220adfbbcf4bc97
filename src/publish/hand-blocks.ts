/**
 * Blocks that a person asked for, as the lists take them in: of hosts with an incident, and of hosts that have none.
 *
 * The decision itself is the block, so that it is in the lists at once and after every restart, whether a detector runs or
 * not; the detector writes it into the incident, where there is one. It must never pass by an interlock: each is asked again
 * whenever the blocks are, by the rules that the desk asked when the block was ordered.
 */

import type { Offender } from '../acl/build.ts';
import { createInterlock, createPrefixInterlock, type ExemptHost } from '../acl/interlocks.ts';
import { isHost, prefixFamily } from '../acl/model.ts';
import type { Config } from '../config/schema.ts';
import { rulingInForce } from '../detect/block.ts';
import { missingListsReason } from '../detect/policy.ts';
import { type Prefix, parsePrefix } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';
import { requestFor } from './acl-request.ts';
import type { StandingDecisions } from './standing-decisions.ts';

/** A host whose block is decided, with its incident or without one: `grade` is null and `incident_id` '' then. */
export interface BlockedHost extends Offender, Pick<Incident, 'site' | 'block'> {}

/** Why no list may deny a host that a person wants blocked, as a sentence part, or null. */
export type HandInterlock = (host: Prefix, incident: Incident | undefined) => string | null;

/** `exempt`: hosts of the site that another standing decision speaks for, or that are held. */
export function createHandInterlock(
  config: Config,
  site: string,
  exempt: readonly ExemptHost[],
  nowMs: number,
): HandInterlock {
  const missing = missingListsReason(config);
  if (missing !== null) return () => `cannot be judged: ${missing}`;
  if (config.senders.length === 0) return () => 'might be a mail server: no senders are configured';
  const input = requestFor(config, [], { kind: 'offenders', family: '4', site }, nowMs, exempt);
  const ofHost = createInterlock(input);
  const ofPrefix = createPrefixInterlock(input, ofHost);
  return (host, incident) => {
    if (incident?.flags.includes('expected') === true)
      return 'does what is declared of it (expected), and nothing else';
    if (isHost(host)) return ofHost(host.bytes);
    if (prefixFamily(host) === '4') return 'is a network: of IPv4 only single hosts are blocked';
    if (config.block.ipv6 !== 'prefix')
      return 'is a network: name its addresses, or set block.ipv6 to prefix';
    return ofPrefix(host);
  };
}

export interface HandBlocks {
  /**
   * The newest state of every host: the blocked ones as they are because a person said so, hosts without an incident among
   * them, and all others as they came. Those that an interlock refuses come along as refused.
   */
  withHandBlocks(incidents: readonly Incident[]): readonly (Incident | BlockedHost)[];
  /** Blocks by hand that the lists are to have. */
  published(): readonly BlockedHost[];
  /** Hosts whose block by hand is over and that nothing else blocks: a list of an earlier time may name them still. */
  ended(site: string | undefined): readonly ExemptHost[];
}

export interface HandBlocksDependencies {
  readonly config: () => Config;
  readonly decisions: StandingDecisions;
  /** The newest incident of a host, by its stream key. */
  readonly incidentOf: (key: string) => Incident | undefined;
  readonly now: () => number;
}

export function createHandBlocks(dependencies: HandBlocksDependencies): HandBlocks {
  const { config, decisions, incidentOf, now } = dependencies;

  /** By stream key. */
  function all(): ReadonlyMap<string, BlockedHost> {
    const nowMs = now();
    const interlocks = new Map<string, HandInterlock>();
    const interlockOf = (site: string): HandInterlock => {
      const known = interlocks.get(site);
      if (known !== undefined) return known;
      const made = createHandInterlock(config(), site, decisions.exempt(site), nowMs);
      interlocks.set(site, made);
      return made;
    };
    const blocks = new Map<string, BlockedHost>();
    for (const decision of decisions.handBlocks()) {
      const ruling = rulingInForce(decision, '', nowMs);
      const parsed = parsePrefix(decision.host);
      if (ruling === null || !parsed.ok) continue;
      const key = hostStreamKey(decision);
      const incident = incidentOf(key);
      const why = interlockOf(decision.site)(parsed.prefix, incident);
      blocks.set(key, hostOf(decision, incident, blockOf(decision, ruling, why)));
    }
    return blocks;
  }

  function blockOf(
    { decided_at, until }: Decision,
    { by, reason }: { readonly by: string; readonly reason: string },
    why: string | null,
  ): Incident['block'] {
    if (why !== null) return { state: 'refused', reason: `the host ${why}`, since: null, until: null };
    if (config().block.mode === 'observe') {
      const observed = 'would be blocked, but block.mode is observe';
      return { state: 'observed', reason: `${observed} (${reason})`, since: null, until: null };
    }
    return { state: 'published', reason, since: decided_at, until, approved_by: by };
  }

  /**
   * What the detector has written already is newer: the host may have gone on, and its block may last longer. But a block that
   * nobody has approved is none in mode `propose`.
   */
  function hostOf(decision: Decision, incident: Incident | undefined, block: Incident['block']): BlockedHost {
    const { host, site, decided_at } = decision;
    if (incident === undefined) {
      const first_seen = decided_at;
      return { host, site, incident_id: '', grade: null, sessions: 0, first_seen, byHand: true, block };
    }
    // What a person has to decide is said by the incident.
    if (block.state === 'refused' && incident.block.state === 'held') return { ...incident, byHand: true };
    const isEnough = incident.block.approved_by !== undefined || config().block.mode !== 'propose';
    const isWritten =
      isEnough && incident.block.state === block.state && (incident.block.until ?? '') >= (block.until ?? '');
    return { ...incident, byHand: true, block: isWritten ? incident.block : block };
  }

  return {
    withHandBlocks(incidents) {
      const blocks = all();
      if (blocks.size === 0) return incidents;
      const others = incidents.filter((incident) => !blocks.has(hostStreamKey(incident)));
      return [...others, ...blocks.values()];
    },
    published: () => [...all().values()].filter(({ block }) => block.state === 'published'),
    ended(site) {
      const nowMs = now();
      return decisions.ofHosts().flatMap((decision) => {
        if (site !== undefined && decision.site !== site) return [];
        if (rulingInForce(decision, '', nowMs) !== null) return [];
        const { action, until, host } = decision;
        const incident = incidentOf(hostStreamKey(decision));
        // Of a host that was released and has an incident an earlier list may speak again.
        if (action === 'release' && incident !== undefined) return [];
        const goesOn =
          incident?.block.state === 'published' && Date.parse(incident.block.until ?? '') > nowMs;
        const parsed = parsePrefix(host);
        if (goesOn || !parsed.ok) return [];
        const words = action === 'block' ? `blocked by hand until ${until}` : 'blocked by hand, and released';
        return [{ prefix: parsed.prefix, reason: `was ${words}` }];
      });
    },
  };
}
