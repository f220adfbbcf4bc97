/**
 * The detect role: mail flows in, alerts and incidents out.
 *
 * A thin shell around the pure detectors, one for each partition that this process reads: it restores incidents, feeds
 * deliveries, gives the clock, publishes what comes out and commits only what is published. It must never commit a
 * position whose effects are not durable; a crash in between means the same messages again, which a detector recognises.
 */

import { setInterval } from 'node:timers';
import type { Detector } from '../detect/detector.ts';
import type { DetectorPartitions } from '../detect/detector-partitions.ts';
import type { DetectorOptions } from '../detect/detector-state.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { isCanaryBatch } from '../flow/canary.ts';
import { hostPartition } from '../flow/host-partition.ts';
import { decodeNative } from '../flow/native.ts';
import { parsePrefix } from '../flow/prefix.ts';
import type { Logger } from '../logger.ts';
import { type Alert, type Incident, incidentSchema } from '../messages/alert.ts';
import { type Decision, decisionSchema, hostStreamKey } from '../messages/decision.ts';
import { alertMessage, incidentMessage } from '../messages/encode.ts';
import { judgeJson } from '../messages/parse-message.ts';
import { judgeBlocks } from '../stream/judge-blocks.ts';
import { collectorOf } from '../stream/producer-lives.ts';
import type {
  Delivery,
  ReadingPlace,
  ReceivedMessage,
  Stream,
  StreamMessage,
  StreamName,
  Subscription,
} from '../stream/stream.ts';
import type { BadMessages } from './bad-messages.ts';
import { canaryAlerts } from './canary-detector.ts';
import type { CollectorClocks } from './collector-clocks.ts';
import { createEvictionNotice } from './eviction-notice.ts';

export interface DetectRoleDependencies {
  readonly stream: Stream;
  readonly detectors: DetectorPartitions;
  readonly log: Logger;
  readonly now: () => number;
  /** Takes an alert about the detector itself. */
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
  /** Without it they are only counted. */
  readonly badMessages?: BadMessages;
  /** Puts right the receive times of collectors on other machines; absent where there are none. */
  readonly collectorClocks?: CollectorClocks;
  /** Seconds from the receipt of the datagram that caused an alert to its publication. */
  readonly onAlertLatency: (seconds: number) => void;
}

export interface DetectRole {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when partitions of mail are assigned and restored for the first time. */
  readonly assigned: Promise<void>;
  /** Puts another policy in force in every detector, each between two messages. Resolves when all have it. */
  reload(options: DetectorOptions): Promise<void>;
  /** Mail messages that are not committed. */
  lag(): number;
  readonly counters: { readonly corruptMessages: number };
}

/** Between deliveries the clock moves on by itself, so that quiet incidents close and blocks expire. */
const TICK_MS = 1000;

/** What belongs to a partition besides its detector. */
interface Part {
  readonly detector: Detector;
  readonly noticeEvictions: ReturnType<typeof createEvictionNotice>;
  lastDeliveryMs: number;
  /** Of the messages that were read. */
  newestOffset: number;
  /** Deliveries and ticks share the detector: one at a time. */
  turn: Promise<void>;
  /** Why the last tick failed; told when it changes, not every second. */
  trouble: string;
  /** Taken from the detector but not yet durable: kept until the stream has them, since it tells them only once. */
  readonly pending: { readonly alerts: Alert[]; readonly incidents: Incident[] };
}

/** All decisions about a host are in one partition. */
interface PlacedDecision {
  readonly decision: Decision;
  readonly offset: number;
}

export function createDetectRole(dependencies: DetectRoleDependencies): DetectRole {
  const { stream, detectors, log, now, collectorClocks, onAlertLatency } = dependencies;
  const counters = { corruptMessages: 0 };
  const parts = new Map<number, Part>();
  let reloaded: DetectorOptions | null = null;
  /**
   * The newest decision about each host that came since the start, of whatever partition: what comes while a partition is
   * being restored must not be lost. The newest by its place in the stream: those who decide may have clocks that differ,
   * and a restart goes by the place, too.
   */
  const decisions = new Map<string, PlacedDecision>();
  let subscription: Subscription | null = null;
  let decisionsSubscription: Subscription | null = null;
  let ticker: NodeJS.Timeout | null = null;
  let firstAssigned: () => void = () => undefined;
  const assigned = new Promise<void>((resolve) => {
    firstAssigned = resolve;
  });

  function passOver(name: StreamName, reason: string): void {
    counters.corruptMessages++;
    dependencies.badMessages?.passedOver(name, reason);
  }

  function inTurn(part: Part, work: () => Promise<void>): Promise<void> {
    const result = part.turn.then(work);
    part.turn = result.catch(() => undefined);
    return result;
  }

  async function onAssigned(
    partitions: readonly number[],
    placeOf: (stream: StreamName, partition: number) => ReadingPlace | null,
  ): Promise<void> {
    const fresh = new Map(partitions.map((partition) => [partition, detectors.begin(partition)]));
    for (const [partition, detector] of fresh) {
      const place = placeOf('mail', partition);
      if (place !== null) detector.resume(partition, place);
    }
    await restore(fresh);
    for (const [partition, detector] of fresh)
      if (placeOf('mail', partition)?.moved === true) detector.rebase(partition);
    await restoreDecisions(partitions);
    // From here to the end nothing waits, so that no decision falls in between.
    for (const { decision } of decisions.values()) fresh.get(partitionOf(decision))?.decide(decision);
    for (const [partition, detector] of fresh) {
      // The policy may have changed while incidents were restored.
      if (reloaded !== null) detector.reload(reloaded);
      parts.set(partition, {
        detector,
        noticeEvictions: createEvictionNotice(log, now, dependencies.tell, dependencies.policyVersion),
        lastDeliveryMs: now(),
        newestOffset: -1,
        turn: Promise.resolve(),
        trouble: '',
        pending: { alerts: [], incidents: [] },
      });
    }
  }

  /** The detector goes on with what it knows; offsets of before say nothing about what comes. */
  async function onMoved(_stream: StreamName, partition: number): Promise<void> {
    const part = parts.get(partition);
    if (part === undefined) return;
    await inTurn(part, async () => {
      part.detector.rebase(partition);
      part.newestOffset = -1;
    });
  }

  /** A decision of the new stream stands against every one of the old. */
  async function onDecisionsMoved(_stream: StreamName, partition: number): Promise<void> {
    for (const [key, { decision }] of decisions)
      if (partitionOf(decision) === partition) decisions.set(key, { decision, offset: -1 });
  }

  /** What is not published by now is computed again by whoever has the partition, under the same ids. */
  async function onRevoked(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) {
      parts.delete(partition);
      detectors.end(partition);
    }
  }

  async function restore(fresh: ReadonlyMap<number, Detector>): Promise<void> {
    let restored = 0;
    for await (const message of stream.latest('incidents', [...fresh.keys()])) {
      const incident = judgeJson(incidentSchema, message);
      const detector = incident.ok ? fresh.get(partitionOf(incident.content)) : undefined;
      if (!incident.ok || detector === undefined) {
        passOver('incidents', incident.ok ? 'of a host of another partition' : incident.reason);
        continue;
      }
      detector.restore(incident.content);
      restored++;
    }
    if (restored > 0) log.info({ incidents: restored, partitions: [...fresh.keys()] }, 'incidents restored');
  }

  async function restoreDecisions(partitions: readonly number[]): Promise<void> {
    for await (const message of stream.latest('decisions', partitions)) rememberDecision(message);
  }

  /** Null for what cannot be read, or is older than what is known. */
  function rememberDecision(message: ReceivedMessage): Decision | null {
    const judged = judgeJson(decisionSchema, message);
    if (!judged.ok) {
      passOver('decisions', judged.reason);
      return null;
    }
    const decision = judged.content;
    const key = hostStreamKey(decision);
    const known = decisions.get(key);
    if (known !== undefined && known.offset > message.offset) return null;
    decisions.set(key, { decision, offset: message.offset });
    return decision;
  }

  /** Every process hears all decisions; the one that has the partition acts. */
  async function onDecisions(delivery: Delivery): Promise<void> {
    for (const message of delivery.messages) {
      const decision = rememberDecision(message);
      const part = decision === null ? undefined : parts.get(partitionOf(decision));
      if (decision === null || part === undefined) continue;
      await inTurn(part, async () => {
        part.detector.decide(decision);
        await publishOutcomes(part, partitionOf(decision));
      });
    }
    await decisionsSubscription?.commit('decisions', delivery.partition, delivery.lastOffset);
  }

  function partitionOf(incident: Pick<Incident, 'host'>): number {
    const host = parsePrefix(incident.host);
    return host.ok ? hostPartition(host.prefix.bytes, 0, stream.partitions('incidents')) : -1;
  }

  async function onDelivery(delivery: Delivery): Promise<void> {
    const { partition } = delivery;
    const part = parts.get(partition);
    if (part === undefined)
      throw new RogueSmtpError('stream', `mail of partition ${partition}, which is not ours`);
    await inTurn(part, () => observe(part, delivery));
  }

  async function observe(part: Part, delivery: Delivery): Promise<void> {
    const { detector } = part;
    part.lastDeliveryMs = now();
    for (const message of delivery.messages) {
      const position = { partition: delivery.partition, offset: message.offset };
      const judged = judgeBlocks(message);
      if (!judged.ok) passOver('mail', judged.reason);
      for (let at = 0; judged.ok && at < message.value.length; ) {
        const block = decodeNative(message.value, at);
        if (!block.ok) break;
        // A message that comes again must not be taken for a clock that was set back.
        if (message.origin !== undefined && message.offset >= part.newestOffset)
          collectorClocks?.correct(block.batch, collectorOf(message.origin.producer), delivery.partition);
        if (isCanaryBatch(block.batch)) {
          part.pending.alerts.push(...canaryAlerts(block.batch, now()));
          // The message counts as read; what is in it is no news of any host.
          block.batch.length = 0;
        }
        detector.observe(block.batch, position);
        at = block.next;
      }
      part.newestOffset = Math.max(part.newestOffset, message.offset);
    }
    await publishOutcomes(part, delivery.partition);
    const safe = detector.safeOffset(delivery.partition);
    if (safe >= 0) await subscription?.commit('mail', delivery.partition, safe);
  }

  async function publishOutcomes(
    { detector, noticeEvictions, pending }: Part,
    partition: number,
  ): Promise<void> {
    const outcome = detector.take();
    noticeEvictions(detector.counters, partition);
    pending.alerts.push(...outcome.alerts);
    pending.incidents.push(...outcome.incidents);
    // Alerts first: a crash in between repeats them under the same ids, the other order would lose them.
    const wallMs = Date.now();
    await publishAll(
      'alerts',
      pending.alerts.map((alert) => alertMessage(alert, wallMs)),
    );
    await publishAll(
      'incidents',
      pending.incidents.map((incident) => ({ ...incidentMessage(incident), partition })),
    );
    pending.incidents.length = 0;
    for (const alert of pending.alerts.splice(0)) {
      if (alert.kind === 'canary') continue;
      log.info(
        {
          kind: alert.kind,
          host: alert.host,
          grade: alert.grade,
          sessions: alert.sessions,
          block: alert.block.state,
        },
        'alert',
      );
      if (alert.kind === 'opened' || alert.kind === 'escalated') {
        onAlertLatency(Math.max(0, now() - Date.parse(alert.last_seen)) / 1000);
      }
    }
  }

  /** An outcome that is refused would be lost for good if its cause were committed: both come again instead. */
  async function publishAll(name: 'alerts' | 'incidents', messages: readonly StreamMessage[]): Promise<void> {
    if (messages.length === 0) return;
    const { dropped } = await stream.publish(name, messages);
    if (dropped > 0) throw new RogueSmtpError('stream', `${dropped} ${name} were refused: the spool is full`);
  }

  /** The tick tries again what cannot be published now. */
  async function reloadPart(partition: number, part: Part, options: DetectorOptions): Promise<void> {
    part.detector.reload(options);
    await publishOutcomes(part, partition).catch((error: unknown) =>
      log.error({ error: messageOf(error) }, 'what the new policy changed could not be published yet'),
    );
  }

  /** While mail comes or waits it carries the clock: running ahead would close incidents that go on in a backlog. */
  async function tick(partition: number, part: Part): Promise<void> {
    if (now() - part.lastDeliveryMs < TICK_MS) return;
    if (parts.get(partition) !== part || subscription?.isUpToDate('mail', partition) !== true) return;
    part.detector.advance(now());
    await publishOutcomes(part, partition);
  }

  return {
    counters,
    assigned,
    async reload(options) {
      reloaded = options;
      await Promise.all(
        [...parts].map(([partition, part]) => inTurn(part, () => reloadPart(partition, part, options))),
      );
    },
    lag: () => subscription?.lag() ?? 0,
    async start() {
      decisionsSubscription = await stream.subscribe({
        streams: ['decisions'],
        group: 'detect',
        unit: 'message',
        sharing: 'alone',
        onMoved: onDecisionsMoved,
        onDelivery: onDecisions,
      });
      // Before the first partition reads what was decided earlier.
      await decisionsSubscription.assigned;
      subscription = await stream.subscribe({
        streams: ['mail'],
        group: 'detect',
        unit: 'message',
        onAssigned,
        onRevoked,
        onMoved,
        onDelivery,
      });
      // One detector more than there are partitions has none, and is ready all the same.
      void subscription.assigned.then(firstAssigned);
      ticker = setInterval(() => {
        for (const [partition, part] of parts) {
          inTurn(part, () => tick(partition, part)).then(
            () => {
              part.trouble = '';
            },
            (error: unknown) => {
              if (part.trouble !== messageOf(error))
                log.error({ error: messageOf(error) }, 'the detector could not publish, and tries again');
              part.trouble = messageOf(error);
            },
          );
        }
      }, TICK_MS);
      ticker.unref();
    },
    async stop() {
      if (ticker !== null) clearInterval(ticker);
      await Promise.all([subscription?.stop(), decisionsSubscription?.stop()]);
      await Promise.all([...parts.values()].map((part) => part.turn));
      await collectorClocks?.settled();
    },
  };
}
