/**
 * The desk where people decide about blocks: what waits, and what becomes of it.
 *
 * A decision is published on its stream, from which the detector of the host takes it, and is in the audit log before it
 * is answered: nothing here changes a block by itself. It must never promise what an interlock will refuse: what cannot
 * be approved is said at once.
 */

import { randomUUID } from 'node:crypto';
import { prefixFamily } from '../acl/model.ts';
import type { Config } from '../config/schema.ts';
import { BLOCK_PORT, HELD_BACK, isStanding } from '../detect/block.ts';
import { RogueSmtpError } from '../errors.ts';
import { hostPartition } from '../flow/host-partition.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import { GRADES, type Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';
import { nameAtSite, severalSites, splitSite } from '../messages/host-at-site.ts';
import type { Stream } from '../stream/stream.ts';
import type { AuditLog } from './audit-log.ts';
import type { DecisionNotes } from './decision-notes.ts';
import type { DeniedLists } from './denied-lists.ts';
import type { AclDesk, Author, BlockRow, DecisionRequest, ForeseenDecision } from './desk.ts';
import { type BlockedHost, createHandInterlock } from './hand-blocks.ts';
import type { ListPublisher } from './list-publisher.ts';
import { pendingOf, REJECTED } from './pending-decision.ts';
import type { StandingDecisions } from './standing-decisions.ts';

export interface BlockDeskDependencies {
  readonly config: () => Config;
  readonly stream: Pick<Stream, 'publish' | 'partitions'>;
  /** Throws RogueSmtpError `unavailable` while not all are known: nothing can be decided then. */
  readonly incidents: () => readonly Incident[];
  readonly publisher: ListPublisher;
  readonly decisions: StandingDecisions;
  readonly audit: Pick<AuditLog, 'tail'>;
  readonly notes: DecisionNotes;
  readonly now: () => number;
  /** Why a host, which need not have an incident, is probably a mail server, or null: a sentence part. */
  readonly probableServer: (host: Uint8Array, site: string) => Promise<string | null>;
}

type Known = Incident | BlockedHost;
/** What a decision is about. */
type Place = Pick<Incident, 'host' | 'site' | 'incident_id'>;

const rank = ({ grade }: Known): number => (grade === null ? -1 : GRADES.indexOf(grade));
const byEvidence = (a: Known, b: Known): number => rank(b) - rank(a) || b.sessions - a.sessions;
const isByHand = (known: Known): boolean => 'byHand' in known;
const lastSeen = (known: Known): string | null => ('last_seen' in known ? known.last_seen : null);

export interface BlockDesk extends AclDesk {
  /** What would come of a decision, by the checks that it would meet. Throws RogueSmtpError `usage`, `not_found`. */
  foresee(request: DecisionRequest): Promise<ForeseenDecision>;
}

export function createBlockDesk(dependencies: BlockDeskDependencies): BlockDesk {
  const { config, stream, incidents, publisher, decisions: standing, audit, notes, now } = dependencies;

  function row(incident: Known, lists: DeniedLists): BlockRow {
    const { host, site, incident_id, grade, block } = incident;
    const key = hostStreamKey(incident);
    const { admitted, held } = publisher.admissions();
    const listed = publisher.listedSince(incident, lists);
    return {
      host,
      site,
      incident_id: incident_id === '' ? null : incident_id,
      grade,
      last_seen: lastSeen(incident),
      by_hand: isByHand(incident),
      block,
      listed: listed !== undefined,
      pending: pendingOf(standing, incident),
      waiting: isWaiting(incident),
      held_since: held.get(key) ?? null,
      listed_at: listed?.at ?? null,
      time_to_block_ms: admitted.get(key)?.time_to_block_ms ?? null,
    };
  }

  function isWaiting(incident: Known): boolean {
    const { state, reason } = incident.block;
    return (
      state === 'proposed' ||
      state === 'held' ||
      (state === 'refused' && reason.startsWith(HELD_BACK)) ||
      publisher.admissions().held.has(hostStreamKey(incident))
    );
  }

  /** Throws RogueSmtpError `usage` for what is no address. */
  function hostOf(text: string): {
    readonly prefix: Prefix;
    readonly address: string;
    readonly site?: string | undefined;
  } {
    const { host, site } = splitSite(text);
    const parsed = parsePrefix(host);
    if (!parsed.ok) throw new RogueSmtpError('usage', `"${text.slice(0, 64)}" is not an address`);
    return { prefix: parsed.prefix, address: formatPrefix(parsed.prefix), site };
  }

  /**
   * Those of the places that are meant by an address or IPv6 network, or by `HOST@SITE` where several sites have it. Throws
   * RogueSmtpError `usage` for what is no address or is said of several hosts.
   */
  function named<One extends Place>(text: string, places: readonly One[]): readonly One[] {
    const { address, site } = hostOf(text);
    const found = places.filter((one) => one.host === address && (site === undefined || one.site === site));
    if (found.length > 1)
      throw severalSites(
        address,
        found.map((one) => one.site),
      );
    return found;
  }

  /** The incident of a host. Throws RogueSmtpError as `named`, or `not_found`. */
  function incidentsOf(text: string): readonly Incident[] {
    const found = named(text, incidents());
    if (found.length === 0) throw new RogueSmtpError('not_found', `there is no incident of ${text}`);
    return found;
  }

  /** A host with an incident, or that was blocked by hand without one. Throws RogueSmtpError as `incidentsOf`. */
  function releasable(text: string): readonly Place[] {
    const keys = new Set(incidents().map(hostStreamKey));
    const others = standing.handBlocks().filter((decision) => !keys.has(hostStreamKey(decision)));
    const found = named(text, [...incidents(), ...others]);
    return found.length > 0 ? found : incidentsOf(text);
  }

  /** Any host. Throws RogueSmtpError `usage` where several sites may mean the address, or for one that is none. */
  function blockable(text: string): Place {
    const [known] = named(text, incidents());
    if (known !== undefined) return known;
    const { address, site } = hostOf(text);
    const sites = config().networks.sites.map(({ name }) => name);
    if (site === undefined && sites.length > 0) throw severalSites(address, [...sites, '']);
    if (site !== undefined && site !== '' && !sites.includes(site))
      throw new RogueSmtpError(
        'usage',
        `"${site.slice(0, 64)}" is no site of the configuration (networks.sites)`,
      );
    return { host: address, site: site ?? '', incident_id: '' };
  }

  /** Throws RogueSmtpError `refused` for a host that an interlock speaks for. */
  async function assertBlockable(place: Place): Promise<void> {
    const key = hostStreamKey(place);
    const { prefix } = hostOf(place.host);
    const interlock = createHandInterlock(config(), place.site, standing.exempt(place.site, key), now());
    const incident = incidents().find((one) => hostStreamKey(one) === key);
    const why = interlock(prefix, incident) ?? (await serverReason(place, prefix, incident));
    if (why !== null)
      throw new RogueSmtpError('refused', `nothing was blocked: the host ${nameAtSite(place)} ${why}`);
  }

  /** Of a host that a person has approved already nobody asks again. */
  async function serverReason(
    { site }: Place,
    { bytes }: Prefix,
    incident: Incident | undefined,
  ): Promise<string | null> {
    if (incident?.block.approved_by !== undefined) return null;
    const why = await dependencies.probableServer(bytes, site);
    return why === null
      ? null
      : `is probably a mail server: it ${why}. Declare it in senders, or approve its block once it has an incident`;
  }

  /** Throws RogueSmtpError `refused` where the lists have no room for these hosts. */
  function assertRoom(places: readonly Place[]): void {
    const listed = new Set(publisher.listed().map(hostStreamKey));
    const fresh = new Set(places.map(hostStreamKey).filter((key) => !listed.has(key)));
    const { max_entries } = config().block;
    if (listed.size + fresh.size > max_entries)
      throw new RogueSmtpError(
        'refused',
        `nothing was blocked: the list is full (block.max_entries is ${max_entries}, ${listed.size} hosts are in it)`,
      );
  }

  /** What lists cannot say of a host that was blocked: a sentence a list. */
  function leftOut({ host, site }: Place): readonly string[] {
    const targets = config().acl.targets.filter(
      (target) => target.kind === 'offenders' && (target.site === undefined || target.site === site),
    );
    const family = prefixFamily(hostOf(host).prefix);
    return targets.flatMap((target) => {
      const why = publisher.render(target, family).leftOut.find((one) => one.host === host);
      return why === undefined ? [] : [`${host} is left out of the list ${target.name}: ${why.reason}`];
    });
  }

  /** Throws RogueSmtpError `usage` for a time that no date can say. */
  function untilOf(forMs: number): string {
    if (forMs > LONGEST_MS) throw new RogueSmtpError('usage', 'that is longer than ten years');
    return new Date(now() + forMs).toISOString();
  }

  /** What is answered with success is in the files by then, for whoever pushes them; that takes all incidents. */
  const mustKnowIncidents = () => void incidents();

  async function decide(
    action: Decision['action'],
    chosen: readonly Place[],
    { by, reason }: Author,
    until: string | null,
    renewed: ReadonlyMap<Place, FirstRelease> = new Map(),
  ): Promise<void> {
    const decided_at = new Date(now()).toISOString();
    const decisions = chosen.map((incident): Decision => {
      const { host, site, incident_id } = incident;
      const renews = renewed.get(incident);
      return {
        schema: 'rogue-smtp.decision',
        schema_version: 1,
        decision_id: randomUUID(),
        host,
        site,
        action,
        incident_id,
        until,
        by,
        reason,
        decided_at,
        ...(renews !== undefined && { renews }),
      };
    });
    const { dropped } = await stream.publish('decisions', decisions.map(message));
    if (dropped > 0) throw new RogueSmtpError('stream', 'the decision was refused: the spool is full');
    standing.note(decisions);
    await notes.note(decisions);
    // A list must not go on denying the host until the detector has acted on it.
    await publisher.publish();
  }

  function message(decision: Decision) {
    const parsed = parsePrefix(decision.host);
    return {
      key: hostStreamKey(decision),
      id: decision.decision_id,
      value: Buffer.from(JSON.stringify(decision)),
      rows: 1,
      partition: parsed.ok ? hostPartition(parsed.prefix.bytes, 0, stream.partitions('decisions')) : 0,
    };
  }

  /** Throws RogueSmtpError `refused`. `what`: approved or blocked. */
  function assertMayBlock(what: string): void {
    const { block, senders } = config();
    if (block.mode === 'observe')
      throw new RogueSmtpError('refused', `nothing can be ${what}: block.mode is observe`);
    if (senders.length === 0)
      throw new RogueSmtpError('refused', `nothing can be ${what}: no senders are configured`);
  }

  const mayApprove = (incident: Incident): boolean => isWaiting(incident) || wasRejected(incident);
  const notWaiting = (incident: Incident): string =>
    `${nameAtSite(incident)} does not wait for approval: its block is ${incident.block.state} (${incident.block.reason})`;

  /** The host that a decision would be about. Throws as the decision itself. */
  function placeOf(action: DecisionRequest['action'], host: string): Place {
    if (action === 'block') return blockable(host);
    return action === 'release' ? releasable(host)[0] : incidentsOf(host)[0];
  }

  /** Throws RogueSmtpError `refused` for a decision that would not be taken. */
  async function assertTaken({ action, host }: DecisionRequest, place: Place): Promise<void> {
    if (action === 'approve') {
      assertMayBlock('approved');
      const [incident] = incidentsOf(host);
      if (!mayApprove(incident)) throw new RogueSmtpError('refused', notWaiting(incident));
    } else if (action === 'block') {
      assertMayBlock('blocked');
      await assertBlockable(place);
      assertRoom([place]);
    }
  }

  return {
    async foresee(request) {
      const place = placeOf(request.action, request.host);
      const lasts = request.action === 'block' || request.action === 'release';
      const until = lasts ? untilOf(request.forMs) : null;
      const { host, site } = place;
      try {
        await assertTaken(request, place);
        return { host, site, until, refused: null };
      } catch (error) {
        if (!(error instanceof RogueSmtpError && error.code === 'refused')) throw error;
        return { host, site, until, refused: error.message };
      }
    },
    async overview() {
      const lists = await publisher.denied();
      return {
        mode: config().block.mode,
        hosts: publisher
          .known()
          .filter(
            (known) =>
              isByHand(known) ||
              (known.block.state !== 'none' &&
                (('state' in known && known.state === 'open') || isStanding(known.block.state))) ||
              // What is over may be in a list that is held.
              publisher.listedSince(known, lists) !== undefined,
          )
          .map((incident) => ({ incident, shown: row(incident, lists) }))
          .sort((a, b) => {
            const waiting = Number(b.shown.waiting) - Number(a.shown.waiting);
            if (waiting !== 0) return waiting;
            // Those that wait: the most evidence first. A person who decides is not to search among forged ones.
            const evidence = a.shown.waiting ? byEvidence(a.incident, b.incident) : 0;
            if (evidence !== 0) return evidence;
            return (a.shown.last_seen ?? '') < (b.shown.last_seen ?? '') ? 1 : -1;
          })
          .map(({ shown }) => shown),
        targets: await publisher.targets(),
      };
    },
    diff: (target) => publisher.diff(target),
    log: (limit) => audit.tail(limit),
    async approve(request) {
      assertMayBlock('approved');
      // Who is probably a mail server is blocked only by whoever names it.
      const asked =
        request.hosts.length === 0
          ? incidents().filter((incident) => isWaiting(incident) && incident.block.state !== 'held')
          : request.hosts.flatMap(incidentsOf);
      const chosen = asked.filter(mayApprove);
      if (chosen.length > 0) await decide('approve', chosen, request, null);
      return asked.map((incident) =>
        chosen.includes(incident) ? `${nameAtSite(incident)} is approved` : notWaiting(incident),
      );
    },
    async reject(request) {
      const chosen = request.hosts.flatMap(incidentsOf);
      await decide('reject', chosen, request, null);
      return chosen.map((incident) => `${nameAtSite(incident)} is rejected, as long as this incident lasts`);
    },
    async release(request) {
      const chosen = request.hosts.flatMap(releasable);
      const until = untilOf(request.forMs);
      const renewed = new Map<Place, FirstRelease>();
      const longer: Place[] = [];
      const done = chosen.map((incident) => {
        const host = nameAtSite(incident);
        const known = standing.inForce(incident);
        if (known === null || known.action !== 'release' || known.until === null) {
          longer.push(incident);
          return `${host} is released, and not blocked before ${until}`;
        }
        const first = known.renews ?? { by: known.by, decided_at: known.decided_at };
        const already = `${host} was released already at ${first.decided_at} by ${first.by}`;
        if (Date.parse(known.until) >= Date.parse(until))
          return `${already}, and is not blocked before ${known.until}: nothing was changed`;
        renewed.set(incident, first);
        longer.push(incident);
        return `${already}; it is not blocked before ${until} now (it was ${known.until})`;
      });
      if (longer.length > 0) await decide('release', longer, request, until, renewed);
      return done;
    },
    async block(request) {
      assertMayBlock('blocked');
      if (request.forMs <= 0) throw new RogueSmtpError('usage', 'say for how long, such as 24h');
      const until = untilOf(request.forMs);
      const chosen = [
        ...new Map(request.hosts.map(blockable).map((one) => [hostStreamKey(one), one])).values(),
      ];
      for (const place of chosen) await assertBlockable(place);
      assertRoom(chosen);
      await decide('block', chosen, request, until);
      return [
        ...chosen.map((place) => `${nameAtSite(place)} is blocked on port ${BLOCK_PORT} until ${until}`),
        ...publisher.problems(),
        ...chosen.flatMap(leftOut),
      ];
    },
    async rollbackDiff(choice) {
      mustKnowIncidents();
      return publisher.rollbackDiff(choice);
    },
    async rollback(request) {
      mustKnowIncidents();
      return publisher.rollback(request);
    },
    async forgetLost({ by, reason }) {
      mustKnowIncidents();
      return publisher.forgetLost(by, reason);
    },
    async follow({ targets, by, reason }) {
      mustKnowIncidents();
      return publisher.follow(targets, by, reason);
    },
  };
}

/** Of a block or a release by hand. */
const LONGEST_MS = 10 * 366 * 86_400_000;

type FirstRelease = NonNullable<Decision['renews']>;

/** A person said no to it, and may think again. */
const wasRejected = ({ block }: Incident): boolean =>
  block.state === 'refused' && block.reason.startsWith(REJECTED);
