/**
 * All targets together: takes alerts in, plans, lets each target send, and reports a target that fails through the others.
 *
 * It never holds up who hands it alerts for longer than it takes to have them on disk. What is sent when is decided in
 * plan.ts.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import type { NotifyTarget } from '../config/notify.ts';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import { createSender } from './create-sender.ts';
import { type Journal, openJournal } from './journal.ts';
import { targetMessage } from './made-messages.ts';
import { planAcknowledgement, planAlert, planBound, planDecision, planTime } from './plan.ts';
import { failed, type Sender } from './sender.ts';
import { createTargetLine, type Failing, type TargetCounters, type TargetLine } from './target-line.ts';
import type { Change } from './target-state.ts';

/** The folder of the queues in the data directory. */
export const NOTIFY_FOLDER = 'notify';

export interface Notifier {
  /** Opens the queues and begins to send what waits in them. Throws RogueSmtpError `io`, and may be called again then. */
  start(): Promise<void>;
  /** Resolves when what follows from the alerts is on disk; throws RogueSmtpError `io`, and may be called again with the same. */
  take(alerts: readonly Alert[]): Promise<void>;
  /** Who decides about an incident has seen it. */
  decided(decisions: readonly Decision[]): void;
  /** Stops the repetitions of an incident. False where no target repeats it. */
  acknowledge(incident: string): Promise<boolean>;
  status(): readonly TargetStatus[];
  /** Targets that have failed for long, in words. */
  troubles(): readonly string[];
  /** Looks for what falls due; done once a second by itself. */
  tick(): void;
  stop(): Promise<void>;
}

export interface TargetStatus {
  readonly name: string;
  readonly type: NotifyTarget['type'];
  readonly queued: number;
  /** Alerts that wait for a digest or the end of quiet hours. */
  readonly held: number;
  /** When the oldest message that waits was made; null where none waits. */
  readonly oldest_at: string | null;
  /** Null while all is well. */
  readonly failing: { readonly since: string; readonly reason: string } | null;
  readonly counters: TargetCounters;
}

export interface NotifierDependencies {
  readonly config: Pick<Config, 'notify' | 'alerts' | 'data'>;
  readonly version: string;
  readonly log: Logger;
  readonly now: () => number;
  readonly random?: () => number;
  /** For tests: another way to send. */
  readonly senderOf?: (target: NotifyTarget) => Sender;
  readonly firstRetryMs?: number;
}

const TICK_MS = 1000;

interface Part {
  readonly target: NotifyTarget;
  readonly journal: Journal;
  readonly line: TargetLine;
  /** Since when the others know that it fails; null while they do not. */
  reportedSince: number | null;
}

export function createNotifier(dependencies: NotifierDependencies): Notifier {
  const { config, version, log, now, random = Math.random } = dependencies;
  const senderOf = dependencies.senderOf ?? ((target) => createSender(target, version, now));
  const { groups } = config.alerts;
  const parts: Part[] = [];
  let timer: NodeJS.Timeout | null = null;

  /** Applies, keeps the bound, and sends when it is on disk. */
  function change(part: Part, changes: readonly Change[]): void {
    if (changes.length === 0) return;
    part.line.change(changes);
    part.line.change(planBound(part.target, part.journal.state));
  }

  async function open(target: NotifyTarget): Promise<Part> {
    const file = join(config.data, NOTIFY_FOLDER, fileOf(target.name));
    const journal = await openJournal(file, now());
    if (journal.damaged > 0)
      log.error(
        { file, lines: journal.damaged },
        'the queue of a notify target was damaged: notifications in it are lost; see rogue-smtp alerts',
      );
    const part: Part = {
      target,
      journal,
      reportedSince: null,
      line: createTargetLine(target, {
        journal,
        sender: usable(target),
        log,
        now,
        random,
        onRecovered: (failing) => recovered(part, failing),
        ...(dependencies.firstRetryMs !== undefined && { firstRetryMs: dependencies.firstRetryMs }),
      }),
    };
    return part;
  }

  /** A secret that cannot be read keeps one target from sending, not the service from running. */
  function usable(target: NotifyTarget): Sender {
    let sender: Sender | null = null;
    return {
      async send(message, signal) {
        try {
          sender ??= senderOf(target);
        } catch (error) {
          return failed(messageOf(error));
        }
        return sender.send(message, signal);
      },
    };
  }

  function tellOthers(about: Part, sinceMs: number, reason: string | null): void {
    for (const part of parts) {
      // Two that fail have nothing to tell each other.
      if (part === about || part.line.failing() !== null) continue;
      const message = targetMessage(part.target.name, about.target.name, sinceMs, reason, now());
      change(part, [{ do: 'queue', message }]);
      part.line.begin();
    }
  }

  function recovered(part: Part, { sinceMs }: Failing): void {
    if (part.reportedSince !== null) tellOthers(part, sinceMs, null);
    part.reportedSince = null;
  }

  function isLong({ target, line }: Part): boolean {
    const failing = line.failing();
    return failing !== null && now() - failing.sinceMs >= target.report_after;
  }

  function reportFailing(part: Part): void {
    const failing = part.line.failing();
    if (failing === null || part.reportedSince !== null || !isLong(part)) return;
    part.reportedSince = failing.sinceMs;
    log.error(
      { target: part.target.name, since: iso(failing.sinceMs), reason: failing.reason },
      'notifications do not arrive at a target',
    );
    tellOthers(part, failing.sinceMs, failing.reason);
  }

  function tick(): void {
    for (const part of parts) {
      change(part, planTime(part.target, part.journal.state, now()));
      reportFailing(part);
      part.line.begin();
    }
  }

  return {
    async start() {
      const directory = join(config.data, NOTIFY_FOLDER);
      await makeDirectory(directory, 'directory of notifications');
      const opened: Part[] = [];
      for (const target of config.notify) opened.push(await open(target));
      parts.push(...opened);
      const known = new Set(config.notify.map(({ name }) => fileOf(name)));
      for (const name of await readdir(directory))
        if (name.endsWith('.ndjson') && !known.has(name))
          log.warn(
            { file: join(directory, name) },
            'this queue belongs to no notify target of the configuration: it is left as it is',
          );
      tick();
      timer = setInterval(tick, TICK_MS);
    },
    async take(alerts) {
      for (const part of parts)
        for (const alert of alerts)
          change(part, planAlert(part.target, groups, part.journal.state, alert, now()));
      await Promise.all(parts.map(({ journal }) => journal.durable()));
      for (const { line } of parts) line.begin();
    },
    decided(decisions) {
      for (const part of parts)
        for (const decision of decisions) change(part, planDecision(part.journal.state, decision));
    },
    async acknowledge(incident) {
      let found = false;
      for (const part of parts) {
        const changes = planAcknowledgement(part.journal.state, incident);
        found ||= changes.length > 0;
        change(part, changes);
      }
      await Promise.all(parts.map(({ journal }) => journal.durable()));
      return found;
    },
    status: () =>
      parts.map(({ target, journal, line }) => {
        const failing = line.failing();
        return {
          name: target.name,
          type: target.type,
          queued: journal.state.queue.length,
          held: journal.state.held.length + journal.state.heldMore,
          oldest_at: journal.state.queue[0]?.at ?? null,
          failing: failing === null ? null : { since: iso(failing.sinceMs), reason: failing.reason },
          counters: line.counters,
        };
      }),
    troubles: () =>
      parts.filter(isLong).map(({ target, line, journal }) => {
        const failing = line.failing();
        return `notifications to ${target.name} do not arrive since ${iso(failing?.sinceMs ?? now())} (${journal.state.queue.length} wait): ${failing?.reason}`;
      }),
    tick,
    async stop() {
      if (timer !== null) clearInterval(timer);
      await Promise.all(parts.map(({ line }) => line.stop()));
      await Promise.all(
        parts.map(({ journal, target }) =>
          journal
            .durable()
            .catch((error: unknown) =>
              log.error(
                { target: target.name, error: messageOf(error) },
                'the queue of notifications could not be saved',
              ),
            ),
        ),
      );
    },
  };
}

/** A name is safe as the name of a file; no two names differ in upper and lower case only. */
const fileOf = (name: string): string => `${name}.ndjson`;

const iso = (ms: number): string => new Date(ms).toISOString();
