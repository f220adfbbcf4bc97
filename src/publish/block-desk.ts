/**
 * The desk where people decide about blocks: what waits, and what becomes of it.
 *
 * A decision is published on its stream, from which the detector of the host takes it, and is in the audit log before it
 * is answered: nothing here changes a block by itself. It must never promise what an interlock will refuse: what cannot
 * be approved is said at once.
 */

import { randomUUID } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { HELD_BACK, isStanding } from '../detect/block.ts';
import { RogueSmtpError } from '../errors.ts';
import { hostPartition } from '../flow/host-partition.ts';
import { formatPrefix, parsePrefix } from '../flow/prefix.ts';
import { GRADES, type Incident } from '../messages/alert.ts';
import { type Decision, hostStreamKey } from '../messages/decision.ts';
import { nameAtSite, severalSites, splitSite } from '../messages/host-at-site.ts';
import type { Stream } from '../stream/stream.ts';
import type { AuditLog } from './audit-log.ts';
import type { DecisionNotes } from './decision-notes.ts';
import type { AclDesk, Author, BlockRow } from './desk.ts';
import type { ListPublisher } from './list-publisher.ts';
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
}

const byEvidence = (a: Incident, b: Incident): number =>
  GRADES.indexOf(b.grade) - GRADES.indexOf(a.grade) || b.sessions - a.sessions;

export function createBlockDesk(dependencies: BlockDeskDependencies): AclDesk {
  const { config, stream, incidents, publisher, decisions: standing, audit, notes, now } = dependencies;

  function row(incident: Incident, listed: ReadonlySet<string>): BlockRow {
    const { host, site, incident_id, grade, last_seen, block } = incident;
    const key = hostStreamKey(incident);
    const { admitted, held } = publisher.admissions();
    const admission = admitted.get(key);
    return {
      host,
      site,
      incident_id,
      grade,
      last_seen,
      block,
      // Admitted it is a moment before the lists with it are written.
      listed: listed.has(key) && admission?.listed_at !== null,
      waiting: isWaiting(incident),
      held_since: held.get(key) ?? null,
      listed_at: admission?.listed_at ?? null,
      time_to_block_ms: admission?.time_to_block_ms ?? null,
    };
  }

  function isWaiting(incident: Incident): boolean {
    const { state, reason } = incident.block;
    return (
      state === 'proposed' ||
      state === 'held' ||
      (state === 'refused' && reason.startsWith(HELD_BACK)) ||
      publisher.admissions().held.has(hostStreamKey(incident))
    );
  }

  /**
   * The incident of a host or IPv6 network; `HOST@SITE` where several sites have one. Throws RogueSmtpError `usage` for what is no
   * address or is said of several hosts, or `not_found`.
   */
  function incidentsOf(text: string): readonly Incident[] {
    const { host, site } = splitSite(text);
    const parsed = parsePrefix(host);
    if (!parsed.ok) throw new RogueSmtpError('usage', `"${text.slice(0, 64)}" is not an address`);
    const address = formatPrefix(parsed.prefix);
    const found = incidents().filter(
      (incident) => incident.host === address && (site === undefined || incident.site === site),
    );
    if (found.length === 0) throw new RogueSmtpError('not_found', `there is no incident of ${text}`);
    if (found.length > 1)
      throw severalSites(
        address,
        found.map((incident) => incident.site),
      );
    return found;
  }

  /** What is answered with success is in the files by then, for whoever pushes them; that takes all incidents. */
  const mustKnowIncidents = () => void incidents();

  async function decide(
    action: Decision['action'],
    chosen: readonly Incident[],
    { by, reason }: Author,
    until: string | null,
  ): Promise<void> {
    const decided_at = new Date(now()).toISOString();
    const decisions = chosen.map(
      ({ host, site, incident_id }): Decision => ({
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
      }),
    );
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

  return {
    async overview() {
      const listed = new Set(publisher.listed().map(hostStreamKey));
      return {
        mode: config().block.mode,
        hosts: incidents()
          .filter(
            ({ state, block }) => block.state !== 'none' && (state === 'open' || isStanding(block.state)),
          )
          .map((incident) => ({ incident, shown: row(incident, listed) }))
          .sort((a, b) => {
            const waiting = Number(b.shown.waiting) - Number(a.shown.waiting);
            if (waiting !== 0) return waiting;
            // Those that wait: the most evidence first. A person who decides is not to search among forged ones.
            const evidence = a.shown.waiting ? byEvidence(a.incident, b.incident) : 0;
            return evidence !== 0 ? evidence : a.shown.last_seen < b.shown.last_seen ? 1 : -1;
          })
          .map(({ shown }) => shown),
        targets: await publisher.targets(),
      };
    },
    diff: (target) => publisher.diff(target),
    log: (limit) => audit.tail(limit),
    async approve(request) {
      const { block, senders } = config();
      if (block.mode === 'observe')
        throw new RogueSmtpError('refused', 'nothing can be approved: block.mode is observe');
      if (senders.length === 0)
        throw new RogueSmtpError('refused', 'nothing can be approved: no senders are configured');
      // Who is probably a mail server is blocked only by whoever names it.
      const asked =
        request.hosts.length === 0
          ? incidents().filter((incident) => isWaiting(incident) && incident.block.state !== 'held')
          : request.hosts.flatMap(incidentsOf);
      const chosen = asked.filter((incident) => isWaiting(incident) || wasRejected(incident));
      if (chosen.length > 0) await decide('approve', chosen, request, null);
      return asked.map((incident) =>
        chosen.includes(incident)
          ? `${nameAtSite(incident)} is approved`
          : `${nameAtSite(incident)} does not wait for approval: its block is ${incident.block.state} (${incident.block.reason})`,
      );
    },
    async reject(request) {
      const chosen = request.hosts.flatMap(incidentsOf);
      await decide('reject', chosen, request, null);
      return chosen.map((incident) => `${nameAtSite(incident)} is rejected, as long as this incident lasts`);
    },
    async release(request) {
      const chosen = request.hosts.flatMap(incidentsOf);
      const until = new Date(now() + request.forMs).toISOString();
      await decide('release', chosen, request, until);
      return chosen.map((incident) => `${nameAtSite(incident)} is released, and not blocked before ${until}`);
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

/** A person said no to it, and may think again. */
const wasRejected = ({ block }: Incident): boolean =>
  block.state === 'refused' && block.reason.startsWith('rejected by ');
