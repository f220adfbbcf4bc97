/**
 * The desk without a service: on the data directory of one that is stopped, or beside roles on Kafka whose API does not
 * answer.
 *
 * Decisions are published on the stream, as a service would, and taken by the detector when it runs. The in-process stream
 * is locked by whoever uses it, so that this can never work beside a running service.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ExemptHost } from '../acl/interlocks.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type Alert, type Incident, incidentSchema } from '../messages/alert.ts';
import { decisionSchema, hostStreamKey } from '../messages/decision.ts';
import { alertMessage } from '../messages/encode.ts';
import { parseMessage } from '../messages/parse-message.ts';
import { createSteadyClock } from '../steady-clock.ts';
import { createStream, STREAM_DIRECTORY } from '../stream/open-stream.ts';
import type { Stream } from '../stream/stream.ts';
import { type AuditLog, createAuditLog } from './audit-log.ts';
import { type BlockDeskDependencies, createBlockDesk } from './block-desk.ts';
import { createDecisionNotes } from './decision-notes.ts';
import type { AclDesk, BlockRow, DecisionInForce } from './desk.ts';
import type { BlockedHost } from './hand-blocks.ts';
import { createListPublisher, type ListPublisher } from './list-publisher.ts';
import { readListState } from './list-state.ts';
import { inForceOf } from './pending-decision.ts';
import { createStandingDecisions, type StandingDecisions } from './standing-decisions.ts';

interface OfflineLists {
  readonly stream: Stream;
  readonly incidents: () => readonly Incident[];
  readonly publisher: ListPublisher;
  readonly decisions: StandingDecisions;
  readonly audit: AuditLog;
  readonly now: () => number;
}

/** Lists as a service would have them, without writing any. Alerts about hosts are published at the end. */
async function withLists<Result>(
  config: Config,
  log: Logger,
  use: (lists: OfflineLists) => Promise<Result>,
): Promise<Result> {
  const { stream } = createStream(config, false, log);
  await stream.start();
  try {
    const newest = new Map<string, Incident>();
    const findings: Alert[] = [];
    const partitions = Array.from({ length: stream.partitions('incidents') }, (_, partition) => partition);
    for await (const message of stream.latest('incidents', partitions)) {
      const incident = parseMessage(incidentSchema, message);
      if (incident !== null) newest.set(hostStreamKey(incident), incident);
    }
    const audit = createAuditLog(config.data);
    // A block must not end because the machine's clock was set since the last run.
    const { now } = createSteadyClock({ directory: config.data, log, onStep: () => undefined });
    const incidents = () => [...newest.values()];
    const decisions = createStandingDecisions((key) => newest.get(key), now);
    for (const incident of newest.values()) decisions.noteIncident(incident);
    for await (const message of stream.latest('decisions', partitions)) {
      const decision = parseMessage(decisionSchema, message);
      if (decision !== null) decisions.note([decision]);
    }
    const incidentsFrom = (await stream.identity?.('incidents')) ?? null;
    const publisher = createListPublisher({
      incidentsFrom: () => incidentsFrom,
      config: () => config,
      incidents,
      incidentOf: (key) => newest.get(key),
      decisions,
      audit,
      log,
      now,
      // Of what happens to the lists the person who would be told is the one who is looking.
      tell: (alert) => {
        if (alert.kind === 'finding') findings.push(alert);
      },
      policyVersion: () => '',
    });
    await publisher.open();
    const result = await use({ stream, incidents, publisher, decisions, audit, now });
    // That a host was blocked others are to hear of when the service runs.
    if (findings.length > 0)
      await stream.publish(
        'alerts',
        findings.map((alert) => alertMessage(alert)),
      );
    return result;
  } finally {
    await stream.stop();
  }
}

function deskOf(
  config: Config,
  { stream, incidents, publisher, decisions, audit, now }: OfflineLists,
  probableServer: BlockDeskDependencies['probableServer'],
): AclDesk {
  return createBlockDesk({
    config: () => config,
    stream,
    incidents,
    publisher,
    decisions,
    audit,
    notes: createDecisionNotes(audit),
    now,
    probableServer,
  });
}

/** `probableServerAt`: the judgement of hosts at the time of a clock. Throws RogueSmtpError `unavailable` where there is nothing to decide about. */
export async function withOfflineDesk<Result>(
  { config }: LoadedConfig,
  log: Logger,
  probableServerAt: (now: () => number) => BlockDeskDependencies['probableServer'],
  use: (desk: AclDesk) => Promise<Result>,
): Promise<Result> {
  if (!existsSync(config.data)) {
    throw new RogueSmtpError(
      'unavailable',
      `no running instance answers, and there is no data in ${config.data}; start one with: rogue-smtp run`,
    );
  }
  return withLists(config, log, (lists) => use(deskOf(config, lists, probableServerAt(lists.now))));
}

/** Who is in the lists and what people decided, as far as it matters for what is shown. */
export interface ListsAtRest {
  /** The rows of `acl list`. */
  readonly rows: readonly BlockRow[];
  /** Hosts that a list may name. */
  readonly blocked: readonly BlockedHost[];
  exempt(site: string | undefined): readonly ExemptHost[];
  decisionAbout(incident: Incident): DecisionInForce | null;
}

/**
 * What a stopped service has left; null where none ever ran, so that nobody can have decided anything. Throws RogueSmtpError where
 * that cannot be read: who was released is not known then.
 */
export async function readListsAtRest({ config }: LoadedConfig, log: Logger): Promise<ListsAtRest | null> {
  if (config.kafka.brokers.length === 0 && !existsSync(join(config.data, STREAM_DIRECTORY))) return null;
  return withLists(config, log, async (lists) => {
    const { hosts } = await deskOf(config, lists, async () => null).overview();
    const { publisher, decisions } = lists;
    const wasListing = (await readListState(config.data)).admissions !== null;
    return {
      rows: hosts,
      // A process that made no lists has let nobody in; whose block has ended is told as left out.
      blocked: wasListing ? publisher.listed() : publisher.known(),
      exempt: decisions.exempt,
      decisionAbout: (incident) => inForceOf(decisions, incident),
    };
  });
}
