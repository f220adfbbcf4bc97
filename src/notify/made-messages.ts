/** Messages that are not about exactly one alert: outbreaks, digests, repetitions, and the state of targets. Pure. */

import { idOf, type NotifyMessage, plainLine, type Severity } from './message.ts';
import type { Outbreak, TargetState, Thread } from './target-state.ts';

const SEVERITIES: readonly Severity[] = ['info', 'notice', 'warning', 'error', 'critical'];

const iso = (ms: number) => new Date(ms).toISOString();

export function outbreakMessage(outbreak: Outbreak, nowMs: number, isOver: boolean): NotifyMessage {
  const { id, first, count, hosts, grade, startedAt } = outbreak;
  const more = count > hosts.length ? `, and ${count - hosts.length} more` : '';
  return {
    id: idOf(id, isOver ? 'over' : String(count)),
    kind: 'outbreak',
    at: iso(nowMs),
    severity: isOver ? 'info' : grade === 'attempted' ? 'warning' : 'critical',
    subject: isOver
      ? `Outbreak is over: ${count} hosts`
      : `Outbreak: ${count} new hosts send or try to send mail`,
    lines: [
      `${count} new hosts since ${iso(startedAt)}. Highest grade: ${grade}.`,
      `Hosts: ${hosts.join(', ')}${more}.`,
      ...(isOver
        ? []
        : ['Until it is over, new hosts are not reported one by one. All of them: rogue-smtp offenders']),
    ],
    thread: { key: `outbreak.${id}`, first },
    state: isOver ? 'closed' : 'open',
    alert: null,
  };
}

/** The alerts that were held for a digest, or in quiet hours. */
export function digestMessage(
  target: string,
  { held, heldMore }: Pick<TargetState, 'held' | 'heldMore'>,
  nowMs: number,
): NotifyMessage {
  const [oldest] = held;
  const count = held.length + heldMore;
  const id = idOf(target, 'digest', String(oldest?.at ?? 0), String(count), oldest?.text ?? '');
  return {
    id,
    kind: 'digest',
    at: iso(nowMs),
    severity: held.reduce<Severity>(
      (worst, { severity }) => (SEVERITIES.indexOf(severity) > SEVERITIES.indexOf(worst) ? severity : worst),
      'info',
    ),
    subject: `${count} ${count === 1 ? 'alert' : 'alerts'} since ${iso(oldest?.at ?? nowMs)}`,
    lines: [
      ...held.map(({ text }) => text),
      ...(heldMore === 0 ? [] : [`And ${heldMore} more: rogue-smtp alerts`]),
    ],
    thread: { key: `digest.${id}`, first: null },
    state: 'open',
    alert: null,
  };
}

export function repeatMessage(target: string, thread: Thread, repeats: number, nowMs: number): NotifyMessage {
  return {
    id: idOf(target, 'repeat', thread.incident, String(thread.startedAt), String(repeats)),
    kind: 'repeat',
    at: iso(nowMs),
    severity: thread.severity,
    subject: plainLine(`Not acknowledged: ${thread.first.subject}`, 180),
    lines: [
      ...thread.lines,
      `This incident is open since ${iso(thread.startedAt)} and nobody has acknowledged it (reminder ${repeats}).`,
      `To stop these reminders: rogue-smtp notify ack ${thread.incident}`,
    ],
    thread: { key: thread.incident, first: thread.first },
    state: 'open',
    alert: null,
  };
}

export function droppedMessage(target: string, count: number, nowMs: number): NotifyMessage {
  const id = idOf(target, 'dropped', String(nowMs));
  return {
    id,
    kind: 'dropped',
    at: iso(nowMs),
    severity: 'warning',
    subject: `${count} ${count === 1 ? 'notification was' : 'notifications were'} dropped`,
    lines: [
      `They could not be sent to ${target} in time, or it refused them.`,
      'What was found is complete: rogue-smtp alerts',
    ],
    thread: { key: `dropped.${id}`, first: null },
    state: 'open',
    alert: null,
  };
}

/** For the other targets: one fails since a time, or works again (`reason` null). */
export function targetMessage(
  to: string,
  failing: string,
  sinceMs: number,
  reason: string | null,
  nowMs: number,
): NotifyMessage {
  return {
    id: idOf(to, 'target', failing, String(sinceMs), reason === null ? 'works' : 'fails'),
    kind: 'target',
    at: iso(nowMs),
    severity: reason === null ? 'info' : 'error',
    subject:
      reason === null
        ? `Notifications to ${failing} work again`
        : `Notifications to ${failing} do not arrive`,
    lines:
      reason === null
        ? [`They failed since ${iso(sinceMs)}. What waited is sent now.`]
        : [
            plainLine(`They fail since ${iso(sinceMs)}: ${reason}`, 400),
            `Messages wait on disk. To try it: rogue-smtp notify test ${failing}`,
          ],
    thread: { key: `target.${failing}`, first: null },
    state: reason === null ? 'closed' : 'open',
    alert: null,
  };
}
