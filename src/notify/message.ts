/**
 * One notification: what a target is sent, in words and as data, whatever form the target takes it in.
 *
 * Everything in it that came from the network or from people is without control characters; each form escapes what its
 * own syntax needs. Pure.
 */

import { createHash } from 'node:crypto';
import type { Alert, Grade } from '../messages/alert.ts';
import { nameAtSite } from '../messages/host-at-site.ts';
import { isHostless } from '../messages/hostless-alert.ts';
import { printable } from '../messages/printable.ts';

/** `target`: another target fails, or works again. `dropped`: messages were dropped. */
type MessageKind = 'alert' | 'outbreak' | 'digest' | 'repeat' | 'target' | 'dropped' | 'test';

export type Severity = 'info' | 'notice' | 'warning' | 'error' | 'critical';

/** Messages about the same thing. */
export interface MessageThread {
  /** The incident, the outbreak, or what else it is about: the deduplication key of receivers that have one. */
  readonly key: string;
  /** Id and subject of the first message of the thread; null in the first one itself. */
  readonly first: { readonly id: string; readonly subject: string } | null;
}

export interface NotifyMessage {
  /** The same message has the same id, however often it is sent. */
  readonly id: string;
  readonly kind: MessageKind;
  /** ISO 8601, when it was made. */
  readonly at: string;
  readonly severity: Severity;
  /** One line. */
  readonly subject: string;
  readonly lines: readonly string[];
  readonly thread: MessageThread;
  /** `closed`: what it is about is over. */
  readonly state: 'open' | 'closed';
  /** The alert as it was published; null for what is made of several, or of none. */
  readonly alert: Alert | null;
}

const MAX_LINE = 1000;
const MAX_LISTED = 10;

/** Twenty-four hexadecimal digits that follow from what they are made of. */
export function idOf(...parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);
}

/** One line of bounded length. A cut never leaves half of a character. */
export function plainLine(text: string, most = MAX_LINE): string {
  const line = printable(text);
  // Half of a pair of surrogates becomes U+FFFD.
  return Buffer.from(line.length <= most ? line : `${line.slice(0, most - 1)}…`).toString();
}

const SEVERITY_OF_GRADE: Readonly<Record<Grade, Severity>> = {
  attempted: 'notice',
  connected: 'warning',
  conversed: 'error',
  bulk: 'critical',
};

const WORDS_OF_GRADE: Readonly<Record<Grade, string>> = {
  attempted: 'tried to send mail',
  connected: 'connected to mail servers',
  conversed: 'sends mail without permission',
  bulk: 'sends mail in bulk without permission',
};

/** The message about one alert to one target, the first of its thread unless `first` names another. */
export function alertMessageFor(target: string, alert: Alert, first: MessageThread['first']): NotifyMessage {
  const { key, state } = threadOf(alert);
  return {
    id: idOf(target, 'alert', alert.alert_id),
    kind: 'alert',
    at: alert.emitted_at,
    severity: severityOf(alert),
    subject: plainLine(subjectOf(alert), 150),
    lines: linesOf(alert).map((line) => plainLine(line)),
    thread: { key, first },
    state,
    alert,
  };
}

/** What an alert is about, and whether that is over with it. */
function threadOf(alert: Alert): { readonly key: string; readonly state: 'open' | 'closed' } {
  const { delivery, coverage, exporters } = alert;
  if (alert.incident_id !== '')
    return { key: alert.incident_id, state: alert.kind === 'closed' ? 'closed' : 'open' };
  if (delivery !== undefined)
    return {
      key: `delivery.${delivery.target}.${delivery.family}`,
      state: delivery.state === 'recovered' ? 'closed' : 'open',
    };
  const cause = coverage?.cause;
  if ((cause === 'exporter_silent' || cause === 'exporter_returned') && exporters.length > 0)
    return {
      key: `exporter.${idOf(...exporters.map(({ address, domain }) => `${address} ${domain}`))}`,
      state: cause === 'exporter_returned' ? 'closed' : 'open',
    };
  return { key: alert.alert_id, state: 'open' };
}

function severityOf({ kind, grade, delivery, coverage }: Alert): Severity {
  if (kind === 'closed' || delivery?.state === 'recovered' || coverage?.cause === 'exporter_returned')
    return 'info';
  if (grade !== null) return SEVERITY_OF_GRADE[grade];
  return kind === 'delivery' ? 'error' : kind === 'coverage' ? 'warning' : 'notice';
}

function subjectOf(alert: Alert): string {
  const { kind, grade, delivery } = alert;
  const host = nameAtSite(alert);
  if (kind === 'closed') return `${host}: the incident is closed`;
  if (grade !== null) return `${host} ${WORDS_OF_GRADE[grade]}`;
  if (delivery !== undefined)
    return delivery.state === 'recovered'
      ? `The block list ${delivery.target} reaches its router again`
      : `The block list ${delivery.target} does not reach its router`;
  if (kind === 'coverage') return 'rogue-smtp: a notice about coverage or block lists';
  return alert.host === '' ? 'rogue-smtp: a finding' : `${host}: a finding`;
}

function linesOf(alert: Alert): string[] {
  const { reasons, missing, destinations, block } = alert;
  if (isHostless(alert.kind)) return [...reasons];
  const top = destinations.top.slice(0, MAX_LISTED).map(({ address }) => address);
  const some =
    top.length === 0 ? '' : ` (${top.join(', ')}${destinations.count > top.length ? ', ...' : ''})`;
  return [
    ...reasons,
    `Grade: ${alert.grade}. This is: ${alert.kind}.`,
    `Sessions: ${alert.sessions}. Attempts without a connection: ${alert.attempts}.`,
    `Destinations: ${destinations.exact ? '' : 'at least '}${destinations.count}${some}.`,
    `First seen: ${alert.first_seen}. Last seen: ${alert.last_seen}.`,
    `Block: ${block.state}${block.reason === '' ? '' : ` (${block.reason})`}.`,
    ...(missing.length === 0 ? [] : [`Missing evidence: ${missing.join('; ')}.`]),
    `Incident: ${alert.incident_id}`,
  ];
}

/** What exec and `form: plain` hand over: the alert itself, or the notification where it is not about exactly one alert. */
export function plainJson(message: NotifyMessage): string {
  const { alert, lines, thread, ...rest } = message;
  if (alert !== null && message.kind !== 'test') return JSON.stringify(alert);
  return JSON.stringify({
    schema: 'rogue-smtp.notification',
    schema_version: 1,
    ...rest,
    about: thread.key,
    lines,
  });
}

export function testMessage(target: string, nowMs: number): NotifyMessage {
  const at = new Date(nowMs).toISOString();
  const id = idOf(target, 'test', at);
  return {
    id,
    kind: 'test',
    at,
    severity: 'info',
    subject: 'rogue-smtp: a test message',
    lines: [`Somebody asked for it with: rogue-smtp notify test ${target}`, 'Nothing needs to be done.'],
    thread: { key: `test.${id}`, first: null },
    state: 'open',
    alert: null,
  };
}
