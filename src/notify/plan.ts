/**
 * What becomes of an alert at one target, and what falls due with time: a message of its own, a line of a digest, a part
 * of an outbreak, a repetition.
 *
 * It never changes the state and never sends: it returns the changes, so that they can be on disk before anything is
 * sent. Pure; the time is given.
 */

import type { NotifyTarget } from '../config/notify.ts';
import type { Config } from '../config/schema.ts';
import { type Alert, type Grade, gradeAtLeast } from '../messages/alert.ts';
import type { Decision } from '../messages/decision.ts';
import { hostStreamKey } from '../messages/decision.ts';
import { nameAtSite } from '../messages/host-at-site.ts';
import { digestMessage, droppedMessage, outbreakMessage, repeatMessage } from './made-messages.ts';
import { matches } from './matches.ts';
import { alertMessageFor, idOf, type NotifyMessage, plainLine } from './message.ts';
import { isQuiet } from './quiet-hours.ts';
import type { Change, NewHost, Outbreak, TargetState, Thread } from './target-state.ts';

const MAX_NAMED_HOSTS = 20;
const MAX_KEPT_LINES = 4;

/** What an alert changes; nothing where the target is not told of it, or was. */
export function planAlert(
  target: NotifyTarget,
  groups: Config['alerts']['groups'],
  state: TargetState,
  alert: Alert,
  nowMs: number,
): Change[] {
  if (state.seen.has(alert.alert_id) || Date.parse(alert.emitted_at) < state.startedAt) return [];
  if (!matches(target, alert, groups)) return [];
  const saw: Change = { do: 'saw', ids: [alert.alert_id] };
  if (alert.incident_id === '' || alert.grade === null)
    return [saw, ...dispatch(target, alertMessageFor(target.name, alert, null), alert.grade, nowMs)];
  return [saw, ...planIncident(target, state, alert, alert.grade, nowMs)];
}

function planIncident(
  target: NotifyTarget,
  state: TargetState,
  alert: Alert,
  grade: Grade,
  nowMs: number,
): Change[] {
  const id = alert.incident_id;
  const thread = state.threads.get(id);
  const { outbreak } = state;
  const isFolded = state.folded.has(id);
  if (alert.kind === 'closed') {
    // Nobody was told of the host by name.
    if (isFolded) return [{ do: 'unfold', incident: id }];
    const message = alertMessageFor(target.name, alert, thread?.first ?? null);
    return [
      { do: 'unthread', incident: id },
      ...dispatch(target, message, grade, nowMs, thread !== undefined),
    ];
  }
  if (thread !== undefined) {
    const message = alertMessageFor(target.name, alert, thread.first);
    return [
      { do: 'thread', thread: renewedThread(target, thread, message, grade, nowMs) },
      ...dispatch(target, message, grade, nowMs),
    ];
  }
  if (isFolded && (outbreak !== null || alert.kind === 'updated'))
    return outbreak === null || !gradeAtLeast(grade, outbreak.grade)
      ? []
      : [{ do: 'outbreak', outbreak: { ...outbreak, grade } }];

  const host: NewHost = { incident: id, host: plainLine(nameAtSite(alert), 100), at: nowMs };
  if (outbreak !== null)
    return [
      { do: 'fold', incidents: [id] },
      { do: 'outbreak', outbreak: grown(outbreak, host, grade) },
    ];
  const recent = [...state.recent.filter(({ at }) => nowMs - at < target.outbreak.window), host];
  if (recent.length >= target.outbreak.hosts) return beginOutbreak(target, state, recent, grade, nowMs);
  const message = alertMessageFor(target.name, alert, null);
  return [
    ...(isFolded ? [{ do: 'unfold', incident: id } as const] : []),
    { do: 'recent', hosts: recent },
    { do: 'thread', thread: newThread(target, alert, message, grade, nowMs) },
    ...dispatch(target, message, grade, nowMs),
  ];
}

function newThread(
  target: NotifyTarget,
  alert: Alert,
  message: NotifyMessage,
  grade: Grade,
  nowMs: number,
): Thread {
  const { repeat } = target;
  return {
    incident: alert.incident_id,
    host: hostStreamKey(alert),
    grade,
    first: { id: message.id, subject: message.subject },
    lines: repeat === undefined ? [] : message.lines.slice(0, MAX_KEPT_LINES),
    severity: message.severity,
    startedAt: nowMs,
    repeatAt: repeat !== undefined && gradeAtLeast(grade, repeat.grade) ? nowMs + repeat.every : null,
    repeats: 0,
  };
}

/** An incident that was acknowledged stays so, until it escalates. */
function renewedThread(
  target: NotifyTarget,
  thread: Thread,
  message: NotifyMessage,
  grade: Grade,
  nowMs: number,
): Thread {
  const { repeat } = target;
  const isHigher = grade !== thread.grade && gradeAtLeast(grade, thread.grade);
  const begins =
    repeat !== undefined && gradeAtLeast(grade, repeat.grade) && isHigher && thread.repeats < repeat.most;
  return {
    ...thread,
    grade,
    severity: message.severity,
    lines: repeat === undefined ? [] : message.lines.slice(0, MAX_KEPT_LINES),
    repeatAt: begins ? nowMs + repeat.every : thread.repeatAt,
  };
}

function beginOutbreak(
  target: NotifyTarget,
  state: TargetState,
  recent: readonly NewHost[],
  grade: Grade,
  nowMs: number,
): Change[] {
  const last = recent[recent.length - 1];
  const begun: Outbreak = {
    id: idOf(target.name, 'outbreak', last.incident, String(nowMs)),
    first: null,
    startedAt: recent[0].at,
    lastAt: nowMs,
    count: recent.length,
    hosts: recent.map(({ host }) => host).slice(0, MAX_NAMED_HOSTS),
    grade: recent
      .map(({ incident }) => state.threads.get(incident)?.grade ?? grade)
      .reduce((a, b) => (gradeAtLeast(a, b) ? a : b), grade),
    toldAt: nowMs,
    toldCount: recent.length,
  };
  const message = outbreakMessage(begun, nowMs, false);
  return [
    { do: 'recent', hosts: [] },
    { do: 'fold', incidents: [last.incident] },
    { do: 'outbreak', outbreak: { ...begun, first: { id: message.id, subject: message.subject } } },
    ...dispatch(target, message, begun.grade, nowMs),
  ];
}

function grown(outbreak: Outbreak, { host, at }: NewHost, grade: Grade): Outbreak {
  return {
    ...outbreak,
    lastAt: at,
    count: outbreak.count + 1,
    hosts: outbreak.hosts.length < MAX_NAMED_HOSTS ? [...outbreak.hosts, host] : outbreak.hosts,
    grade: gradeAtLeast(grade, outbreak.grade) ? grade : outbreak.grade,
  };
}

/** Sent, or held for a digest or the end of quiet hours. `resolves`: it ends what the receiver shows as open. */
function dispatch(
  target: NotifyTarget,
  message: NotifyMessage,
  grade: Grade | null,
  nowMs: number,
  resolves = false,
): Change[] {
  const { quiet_hours: quiet, digest } = target;
  const passes = (except: Grade | undefined) => except !== undefined && gradeAtLeast(grade, except);
  const isHeld =
    (isQuiet(quiet, nowMs) && !passes(quiet?.except_grade)) ||
    (digest !== undefined && !passes(digest.except_grade));
  // PagerDuty shows an incident as open until it is resolved; that wakes nobody.
  const mustResolve = resolves && target.type === 'webhook' && target.form === 'pagerduty';
  if (!isHeld || mustResolve) return [{ do: 'queue', message }];
  const text = plainLine(`${message.at} ${message.subject}`, 300);
  return [{ do: 'hold', alert: { at: nowMs, text, severity: message.severity } }];
}

/** What falls due by now. */
export function planTime(target: NotifyTarget, state: TargetState, nowMs: number): Change[] {
  return [
    ...planAge(target, state, nowMs),
    ...planOutbreak(target, state, nowMs),
    ...planHeld(target, state, nowMs),
    ...planRepeats(target, state, nowMs),
    ...planDropped(target, state, nowMs),
  ];
}

function planAge(target: NotifyTarget, state: TargetState, nowMs: number): Change[] {
  return state.queue
    .filter(({ at }) => nowMs - Date.parse(at) > target.max_age)
    .map(({ id }) => ({ do: 'drop', id, reason: 'too_old' }));
}

function planOutbreak(target: NotifyTarget, { outbreak }: TargetState, nowMs: number): Change[] {
  if (outbreak === null) return [];
  const isOver = nowMs - outbreak.lastAt >= target.outbreak.window;
  const isDue = nowMs - outbreak.toldAt >= target.outbreak.update && outbreak.count !== outbreak.toldCount;
  if (!isOver && !isDue) return [];
  const message = outbreakMessage(outbreak, nowMs, isOver);
  return [
    {
      do: 'outbreak',
      outbreak: isOver ? null : { ...outbreak, toldAt: nowMs, toldCount: outbreak.count },
    },
    ...dispatch(target, message, outbreak.grade, nowMs, isOver),
  ];
}

function planHeld(target: NotifyTarget, state: TargetState, nowMs: number): Change[] {
  const { digest, quiet_hours: quiet } = target;
  const [oldest] = state.held;
  if (oldest === undefined || isQuiet(quiet, nowMs)) return [];
  if (digest !== undefined && nowMs - oldest.at < digest.every) return [];
  return [{ do: 'queue', message: digestMessage(target.name, state, nowMs) }, { do: 'release' }];
}

function planRepeats(target: NotifyTarget, state: TargetState, nowMs: number): Change[] {
  const { repeat, quiet_hours: quiet } = target;
  if (repeat === undefined) return [];
  const quietNow = isQuiet(quiet, nowMs);
  return [...state.threads.values()].flatMap((thread): Change[] => {
    if (thread.repeatAt === null || thread.repeatAt > nowMs) return [];
    if (quietNow && !(quiet?.except_grade !== undefined && gradeAtLeast(thread.grade, quiet.except_grade)))
      return [];
    const repeats = thread.repeats + 1;
    return [
      {
        do: 'thread',
        thread: { ...thread, repeats, repeatAt: repeats >= repeat.most ? null : nowMs + repeat.every },
      },
      { do: 'queue', message: repeatMessage(target.name, thread, repeats, nowMs) },
    ];
  });
}

/** Told once there is room again, so that the news itself pushes nothing out. */
function planDropped(target: NotifyTarget, state: TargetState, nowMs: number): Change[] {
  if (state.dropped === 0 || state.queue.length > target.queue / 2) return [];
  return [
    { do: 'queue', message: droppedMessage(target.name, state.dropped, nowMs) },
    { do: 'dropped', count: 0 },
  ];
}

/** Changes that keep the queue within its bound: the oldest give way, but for the first, which may be on its way. */
export function planBound(target: NotifyTarget, state: TargetState): Change[] {
  const excess = Math.max(0, state.queue.length - target.queue);
  return state.queue.slice(1, 1 + excess).map(({ id }) => ({ do: 'drop', id, reason: 'queue_full' }));
}

/** Somebody has seen it: it is not repeated any more, unless it escalates. */
export function planAcknowledgement(state: TargetState, incident: string): Change[] {
  const thread = state.threads.get(incident);
  if (thread === undefined || thread.repeatAt === null) return [];
  return [{ do: 'thread', thread: { ...thread, repeatAt: null } }];
}

/** A decision about the incident, or about its host since it began, acknowledges it. */
export function planDecision(state: TargetState, decision: Decision): Change[] {
  const host = hostStreamKey(decision);
  return [...state.threads.values()]
    .filter(
      (thread) =>
        thread.incident === decision.incident_id ||
        (thread.host === host && Date.parse(decision.decided_at) >= thread.startedAt),
    )
    .flatMap(({ incident }) => planAcknowledgement(state, incident));
}
