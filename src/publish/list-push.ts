/**
 * The pushes of a running service: which texts go to which routers, and what is told when one does not get there.
 *
 * Off unless a target has a push. Nothing is sent in mode `observe` or without a sender: a policy would then be in force
 * that nobody asked for. Routers keep what they have when the mode is left.
 */

import type { AclFamily } from '../acl/model.ts';
import type { AclKind } from '../acl/platforms.ts';
import { type AclTargetConfig, type Config, PUSH_PLATFORMS } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import { createPushArchive } from '../push/archive.ts';
import { push } from '../push/push.ts';
import { createPusher, type PushEvent } from '../push/pusher.ts';
import { deviceName, type PushRequest } from '../push/report.ts';

export interface ListPush {
  start(): Promise<void>;
  /** What a list is now. */
  offer(target: AclTargetConfig, family: AclFamily, text: string): void;
  /** Takes over another configuration of lists and blocks. */
  reload(config: Config): void;
  stop(): Promise<void>;
  readonly counters: {
    readonly applied: number;
    readonly unchanged: number;
    readonly failed: number;
  };
}

export function createListPush(
  initial: Config,
  dependencies: {
    readonly tell: (alert: Alert) => void;
    readonly policyVersion: () => string;
    readonly log: Logger;
    readonly now: () => number;
  },
): ListPush {
  const { tell, policyVersion, log, now } = dependencies;
  let config = initial;
  const archive = createPushArchive(config.data, now);
  const pusher = createPusher({
    push: (request, signal) => push(request, archive, { dryRun: false, signal }),
    archive,
    log,
    now,
    tell(event) {
      const alert = deliveryAlert(event, policyVersion(), now());
      log[event.kind === 'recovered' ? 'info' : 'error'](alert.delivery ?? {}, alert.reasons.join('; '));
      tell(alert);
    },
  });
  return {
    counters: pusher.counters,
    start: () => archive.open(),
    offer(target, family, text) {
      if (target.push === undefined || whyNotPushed(config, target.kind) !== null) return;
      pusher.offer(pushRequest(target, family, text));
    },
    reload(next) {
      config = next;
      const pushed = new Set(
        config.acl.targets
          .filter(({ push, kind }) => push !== undefined && whyNotPushed(config, kind) === null)
          .map(({ name }) => name),
      );
      pusher.retain(({ target }) => pushed.has(target));
    },
    stop: () => pusher.stop(),
  };
}

/**
 * Why no router is sent a list of this kind under this configuration, or null. In mode `propose` the offenders that were
 * approved by hand are in lists and are pushed; a policy denies everyone else, and nobody has approved that.
 */
export function whyNotPushed(config: Config, kind: AclKind): string | null {
  const { mode } = config.block;
  if (mode === 'observe' || (mode === 'propose' && kind === 'policy'))
    return `block.mode is ${mode}, not publish`;
  return config.senders.length === 0 ? 'no senders are configured' : null;
}

/** Throws RogueSmtpError `config` for a target that is not pushed. */
export function pushRequest(target: AclTargetConfig, family: AclFamily, text: string): PushRequest {
  const platform = PUSH_PLATFORMS.find((one) => one === target.platform);
  if (target.push === undefined || target.interface === undefined || platform === undefined)
    throw new RogueSmtpError('config', `the ACL target "${target.name}" has no push`);
  return { target: target.name, platform, family, interface: target.interface, text, settings: target.push };
}

function deliveryAlert(event: PushEvent, policyVersion: string, nowMs: number): Alert {
  const { kind, request, report, failures, nextAtMs } = event;
  const { target, family } = request;
  const what = `the IPv${family} list of ${target} at ${deviceName(request.settings).replace(' ', ':')}`;
  const nextAt = nextAtMs === null ? null : new Date(nextAtMs).toISOString();
  const reasons =
    kind === 'recovered'
      ? [`${what} is up to date again after ${failures} failed attempt(s)`]
      : [
          `${what} could not be pushed: ${report.reason}`,
          `the device: ${report.device}`,
          ...(kind === 'paused' ? [`after ${failures} attempts it is left alone until ${nextAt}`] : []),
        ];
  return {
    ...hostlessAlert({
      kind: 'delivery',
      identity: [target, family, kind, nowMs],
      sinceMs: nowMs,
      nowMs,
      reasons,
      policy_version: policyVersion,
    }),
    delivery: { target, family, state: kind, failures, next_attempt_at: nextAt },
  };
}
