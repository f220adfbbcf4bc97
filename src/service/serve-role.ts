/**
 * The serve role's memory and hands: the newest state of every incident, the ACL files that follow from it, and the log
 * of what people decided.
 *
 * Incidents come from the compacted stream, not from the store, so that blocks are right even while the store is away.
 * Files are rendered after each change and once a minute (a block that ends must leave the file); an unchanged list
 * is an unchanged file.
 */

import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExemptHost } from '../acl/interlocks.ts';
import type { AclFamily } from '../acl/model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type Alert, alertSchema, type Incident, incidentSchema } from '../messages/alert.ts';
import { type Decision, decisionSchema, hostStreamKey } from '../messages/decision.ts';
import { judgeJson, parseMessage } from '../messages/parse-message.ts';
import { targetNamed } from '../publish/acl-target.ts';
import { createAuditLog } from '../publish/audit-log.ts';
import { createBlockDesk } from '../publish/block-desk.ts';
import { createDecisionNotes } from '../publish/decision-notes.ts';
import type { AclDesk, BlockRow, DecisionInForce } from '../publish/desk.ts';
import { createEndingNotices } from '../publish/ending-notices.ts';
import type { BlockedHost } from '../publish/hand-blocks.ts';
import { createListHooks } from '../publish/hook.ts';
import { createListPublisher } from '../publish/list-publisher.ts';
import { createListReview, type ListReview } from '../publish/list-review.ts';
import { inForceOf } from '../publish/pending-decision.ts';
import { createStandingDecisions } from '../publish/standing-decisions.ts';
import type { Delivery, ReceivedMessage, Stream, Subscription } from '../stream/stream.ts';
import { type AlertTeller, createAlertTeller } from './alert-teller.ts';
import type { BadMessages } from './bad-messages.ts';
import { createProbableServer, type ProbableServer } from './probable-server.ts';

export interface ServeRole {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when all incidents are known. */
  readonly assigned: Promise<void>;
  /** Newest state of each host's incident, open and closed. */
  incidents(): readonly Incident[];
  /** The same. Throws RogueSmtpError `unavailable` until all are known. */
  allIncidents(): readonly Incident[];
  /** The newest alerts since the start, oldest first; a few hundred. */
  recentAlerts(): readonly Alert[];
  /**
   * Hosts in the block lists now. This, `hosts` and `targetText` throw RogueSmtpError `unavailable`
   * until all incidents are known: an empty list would be taken for one by a router.
   */
  blocked(): readonly BlockedHost[];
  /** The rows of `acl list`; null until all incidents are known. */
  blocks(): Promise<readonly BlockRow[] | null>;
  /** What a person decided about the host of an incident, while it is in force. */
  decisionAbout(incident: Incident): DecisionInForce | null;
  /** The hosts in the lists of a family, after the interlocks. */
  hosts(family: AclFamily): readonly string[];
  /** A sentence for each list that is held at an earlier revision. */
  heldLists(): readonly string[];
  /** Hosts that a standing decision keeps out of the lists of a site. */
  exempt(site: string | undefined): readonly ExemptHost[];
  /** The text of a configured ACL target as it would be written now, or of an earlier revision that is kept. */
  targetText(name: string, family: AclFamily, revision?: string): Promise<string>;
  /** Where people decide about blocks. */
  readonly desk: AclDesk;
  /** What the lists say, and what decisions would change in them. */
  readonly review: ListReview;
  /** What keeps the lists from being brought up to date, in words; empty while nothing does. */
  troubles(): readonly string[];
  /** Alerts of its own: notices about lists. */
  readonly counters: AlertTeller['counters'];
  /** Takes over another configuration of lists and blocks, and brings the files up to date. */
  reload(config: Config): void;
  /** Calls back with every alert from now on, until the returned function is called. */
  onAlert(listener: (alert: Alert) => void): () => void;
  /** The same with those of canaries, which nobody else hears of. */
  onCanary(listener: (alert: Alert) => void): () => void;
}

export interface ServeRoleDependencies {
  readonly stream: Stream;
  readonly log: Logger;
  readonly now: () => number;
  /** What a target's list is, each time it was rendered and is in its file. */
  readonly onText?: (target: AclTargetConfig, family: '4' | '6', text: string) => void;
  readonly policyVersion: () => string;
  /** Without it they are only counted. */
  readonly badMessages?: BadMessages;
  /** Absent: by what detectors have kept in the data directory. */
  readonly probableServer?: ProbableServer;
  /** Seconds from the first record of a host to the lists that name it. */
  readonly onBlocked?: (seconds: number) => void;
}

/** Changes that come together are written together. */
const PUBLISH_DELAY_MS = 100;
const PUBLISH_INTERVAL_MS = 60_000;
const IDENTITY_PAUSE_MS = 1000;
const REMEMBERED_ALERTS = 10_000;
const RECENT_ALERTS = 500;

export function createServeRole(initial: Config, dependencies: ServeRoleDependencies): ServeRole {
  const { stream, log, now, badMessages } = dependencies;
  let config = initial;
  /** By host and site, closed ones too: a host that comes back replaces its old incident. */
  const newest = new Map<string, Incident>();
  const listeners = new Set<(alert: Alert) => void>();
  const canaryListeners = new Set<(alert: Alert) => void>();
  /** Ids of the newest alerts. */
  const told = new Set<string>();
  let firstAssigned: () => void = () => undefined;
  const assigned = new Promise<void>((resolve) => {
    firstAssigned = resolve;
  });
  const recentAlerts: Alert[] = [];
  const audit = createAuditLog(config.data);
  const notes = createDecisionNotes(audit);
  const standing = createStandingDecisions((key) => newest.get(key), now);
  // A word about the lists themselves.
  const teller = createAlertTeller(stream, log);
  const publisher = createListPublisher({
    config: () => config,
    incidents: allIncidents,
    incidentOf: (key) => newest.get(key),
    decisions: standing,
    audit,
    log,
    now,
    tell: teller.tell,
    policyVersion: dependencies.policyVersion,
    incidentsFrom: () => incidentsFrom,
    onList: (call) => hooks.offer(call),
    ...(dependencies.onText !== undefined && { onText: dependencies.onText }),
    ...(dependencies.onBlocked !== undefined && { onBlocked: dependencies.onBlocked }),
  });
  const hooks = createListHooks({
    log,
    taken: publisher.hooked,
    noteTaken: publisher.noteHooked,
    onFailure: publisher.hookFailed,
  });
  const desk = createBlockDesk({
    config: () => config,
    stream,
    incidents: allIncidents,
    publisher,
    decisions: standing,
    audit,
    notes,
    now,
    probableServer: dependencies.probableServer ?? createProbableServer(() => config, { assigned: [] }, now),
  });
  const review = createListReview({
    config: () => config,
    publisher,
    desk,
    incidentOf: (key) => newest.get(key),
    now,
  });
  const endings = createEndingNotices({
    config: () => config,
    audit,
    tell: teller.tell,
    log,
    now,
    policyVersion: dependencies.policyVersion,
  });
  let looking: Promise<void> = Promise.resolve();
  let incidentsSubscription: Subscription | null = null;
  let alertsSubscription: Subscription | null = null;
  let decisionsSubscription: Subscription | null = null;
  let soon: NodeJS.Timeout | null = null;
  let regularly: NodeJS.Timeout | null = null;
  let publishing: Promise<void> = Promise.resolve();
  let stopped = false;
  let complete = false;
  let incidentsFrom: string | null = null;

  /** Half of the incidents would let go of the other half, and tell a person who decides that there is nothing to decide. */
  function allIncidents(): readonly Incident[] {
    if (complete) return [...newest.values()];
    const why = 'the incidents are still being read: try again in a moment';
    throw new RogueSmtpError('unavailable', why, { transient: true });
  }

  /** Detectors that hand over a partition may publish a state that is older than what is known. */
  function remember(incident: Incident): void {
    const key = hostStreamKey(incident);
    const known = newest.get(key);
    if (known !== undefined && isOlder(incident, known)) return;
    newest.set(key, incident);
    standing.noteIncident(incident);
  }

  /** The same alert may come again, after a restart of a detector or of a broker. */
  function isNew(alert: Alert): boolean {
    if (told.has(alert.alert_id)) return false;
    told.add(alert.alert_id);
    if (told.size > REMEMBERED_ALERTS) for (const oldest of told) return told.delete(oldest);
    return true;
  }

  async function restore(partitions: readonly number[]): Promise<void> {
    for await (const message of stream.latest('incidents', partitions)) {
      const incident = judgeJson(incidentSchema, message);
      if (incident.ok) remember(incident.content);
      else badMessages?.passedOver('incidents', incident.reason);
    }
  }

  async function onIncidents(delivery: Delivery): Promise<void> {
    for (const message of delivery.messages) {
      const incident = judgeJson(incidentSchema, message);
      if (incident.ok) remember(incident.content);
      else badMessages?.passedOver('incidents', incident.reason);
    }
    publishSoon();
    await incidentsSubscription?.commit('incidents', delivery.partition, delivery.lastOffset);
  }

  function publishSoon(): void {
    soon ??= setTimeout(() => {
      soon = null;
      publishInTurn();
    }, PUBLISH_DELAY_MS);
  }

  async function onAlerts(delivery: Delivery): Promise<void> {
    for (const message of delivery.messages) {
      const judged = judgeJson(alertSchema, message);
      if (!judged.ok) {
        badMessages?.passedOver('alerts', judged.reason);
        continue;
      }
      const alert = judged.content;
      if (!isNew(alert)) continue;
      if (alert.kind === 'canary') {
        for (const listener of canaryListeners) listener(alert);
        continue;
      }
      recentAlerts.push(alert);
      for (const listener of listeners) listener(alert);
    }
    if (recentAlerts.length > RECENT_ALERTS) recentAlerts.splice(0, recentAlerts.length - RECENT_ALERTS);
    await alertsSubscription?.commit('alerts', delivery.partition, delivery.lastOffset);
  }

  /** A serve role that was killed may have published one and not noted it; others publish, too. */
  async function restoreDecisions(partitions: readonly number[]): Promise<void> {
    const kept: Decision[] = [];
    for await (const message of stream.latest('decisions', partitions)) kept.push(...decisionsOf([message]));
    standing.note(kept);
    await notes.note(kept);
  }

  async function onDecisions(delivery: Delivery): Promise<void> {
    const decided = decisionsOf(delivery.messages);
    standing.note(decided);
    publishSoon();
    await notes.note(decided);
    await decisionsSubscription?.commit('decisions', delivery.partition, delivery.lastOffset);
  }

  /** Which stream the incidents come from. Before that is known no list may follow them. */
  async function identify(): Promise<string | null> {
    for (let failures = 0; !stopped; failures++) {
      try {
        return (await stream.identity?.('incidents')) ?? null;
      } catch (error) {
        if (failures === 0)
          log.warn({ error: messageOf(error) }, 'which stream the incidents come from cannot be asked yet');
        await sleep(IDENTITY_PAUSE_MS);
      }
    }
    return null;
  }

  function begin(from: string | null): void {
    incidentsFrom = from;
    complete = true;
    firstAssigned();
    if (stopped) return;
    regularly = setInterval(publishInTurn, PUBLISH_INTERVAL_MS);
    publishInTurn();
  }

  function publishInTurn(): void {
    if (!complete) return;
    publishing = publisher.publish();
    looking = endings.look();
  }

  return {
    assigned,
    counters: teller.counters,
    desk,
    review,
    troubles: publisher.problems,
    async start() {
      // Without what is remembered nothing is published, and files stay as they are.
      await publisher
        .open()
        .catch((error: unknown) => log.error({ error: messageOf(error) }, 'the lists cannot be kept'));
      incidentsSubscription = await stream.subscribe({
        streams: ['incidents'],
        group: 'serve',
        unit: 'message',
        sharing: 'alone',
        onAssigned: restore,
        onDelivery: onIncidents,
      });
      alertsSubscription = await stream.subscribe({
        streams: ['alerts'],
        group: 'serve',
        unit: 'message',
        sharing: 'alone',
        onDelivery: onAlerts,
      });
      decisionsSubscription = await stream.subscribe({
        streams: ['decisions'],
        group: 'serve',
        unit: 'message',
        sharing: 'alone',
        onAssigned: restoreDecisions,
        onDelivery: onDecisions,
      });
      const subscriptions = [incidentsSubscription, alertsSubscription, decisionsSubscription];
      const assignedAll = Promise.all(subscriptions.map((subscription) => subscription.assigned));
      void assignedAll.then(() => (stream.identity === undefined ? begin(null) : identify().then(begin)));
    },
    async stop() {
      stopped = true;
      if (soon !== null) clearTimeout(soon);
      if (regularly !== null) clearInterval(regularly);
      await Promise.all([
        incidentsSubscription?.stop(),
        alertsSubscription?.stop(),
        decisionsSubscription?.stop(),
      ]);
      publishInTurn();
      await publishing;
      await looking;
      await hooks.stop();
      await teller.settled();
    },
    incidents: () => [...newest.values()],
    allIncidents,
    recentAlerts: () => recentAlerts,
    blocked: publisher.listed,
    blocks: async () => (complete ? (await desk.overview()).hosts : null),
    decisionAbout: (incident) => inForceOf(standing, incident),
    hosts: publisher.hosts,
    heldLists: publisher.heldLists,
    exempt: standing.exempt,
    async targetText(name, family, revision) {
      const target = targetNamed(config, name);
      return revision === undefined
        ? publisher.render(target, family).text
        : publisher.textOf(target, family, revision);
    },
    reload(next) {
      for (const target of config.acl.targets) {
        const successor = next.acl.targets.find(({ name }) => name === target.name);
        if (successor !== undefined && successor.path === target.path) continue;
        log.warn(
          { target: target.name },
          'the files of this ACL target are no longer written: what lies there stays as it is',
        );
      }
      config = next;
      publishInTurn();
    },
    onCanary(listener) {
      canaryListeners.add(listener);
      return () => canaryListeners.delete(listener);
    },
    onAlert(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What cannot be read is told by the detectors, who would have to act on it. */
function decisionsOf(messages: readonly ReceivedMessage[]): readonly Decision[] {
  return messages.flatMap((message) => parseMessage(decisionSchema, message) ?? []);
}

/** Of two incidents of a host. */
function isOlder(a: Incident, b: Incident): boolean {
  if (a.incident_id === b.incident_id) return a.revision < b.revision;
  return a.opened_at < b.opened_at;
}
