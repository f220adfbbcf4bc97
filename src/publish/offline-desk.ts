/**
 * The desk without a service: on the data directory of one that is stopped, or beside roles on Kafka whose API does not
 * answer.
 *
 * Decisions are published on the stream, as a service would, and taken by the detector when it runs. The in-process stream
 * is locked by whoever uses it, so that this can never work beside a running service.
 */

import { existsSync } from 'node:fs';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type Alert, type Incident, incidentSchema } from '../messages/alert.ts';
import { decisionSchema, hostStreamKey } from '../messages/decision.ts';
import { alertMessage } from '../messages/encode.ts';
import { parseMessage } from '../messages/parse-message.ts';
import { createSteadyClock } from '../steady-clock.ts';
import { createStream } from '../stream/open-stream.ts';
import { createAuditLog } from './audit-log.ts';
import { type BlockDeskDependencies, createBlockDesk } from './block-desk.ts';
import { createDecisionNotes } from './decision-notes.ts';
import type { AclDesk } from './desk.ts';
import { createListPublisher } from './list-publisher.ts';
import { createStandingDecisions } from './standing-decisions.ts';

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
    const result = await use(
      createBlockDesk({
        config: () => config,
        stream,
        incidents,
        publisher,
        decisions,
        audit,
        notes: createDecisionNotes(audit),
        now,
        probableServer: probableServerAt(now),
      }),
    );
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
