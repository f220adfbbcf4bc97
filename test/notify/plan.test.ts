/** Which messages follow from alerts and from time, with a given clock. */

import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { Alert } from '../../src/messages/alert.ts';
import type { Decision } from '../../src/messages/decision.ts';
import type { NotifyMessage } from '../../src/notify/message.ts';
import { planAcknowledgement, planAlert, planBound, planDecision, planTime } from '../../src/notify/plan.ts';
import { applyChange, type Change, emptyState } from '../../src/notify/target-state.ts';
import { alertOf, coverageAlert, incidentOf, NOON, webhookOf } from '../support/notifying.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A target whose messages are taken at once. */
function drive(more: Readonly<Record<string, unknown>> = {}, groups: unknown[] = []) {
  const target = webhookOf(more);
  const { alerts } = configSchema.parse({ alerts: { groups } });
  const state = emptyState();
  const apply = (changes: readonly Change[]) => {
    for (const change of changes) applyChange(state, change);
  };
  const taken = (): NotifyMessage[] => {
    const messages = [...state.queue];
    for (const { id } of messages) applyChange(state, { do: 'sent', id });
    return messages;
  };
  return {
    target,
    state,
    apply,
    alert(alert: Alert, nowMs = Date.parse(alert.emitted_at)) {
      apply(planAlert(target, alerts.groups, state, alert, nowMs));
      return taken();
    },
    at(nowMs: number) {
      apply(planTime(target, state, nowMs));
      return taken();
    },
  };
}

const subjects = (messages: readonly NotifyMessage[]) => messages.map(({ subject }) => subject);

describe('an alert', () => {
  it('is one message, and the same alert again is none', () => {
    const { alert } = drive();
    const one = alertOf('10.0.0.1');
    expect(subjects(alert(one))).toEqual(['10.0.0.1 sends mail without permission']);
    expect(alert(one)).toEqual([]);
  });

  it('from before the target was configured is not sent', () => {
    const { alert, apply } = drive();
    apply([{ do: 'begin', at: NOON }]);
    expect(alert(alertOf('10.0.0.1', {}, NOON - 1), NOON)).toEqual([]);
    expect(alert(alertOf('10.0.0.2', {}, NOON))).toHaveLength(1);
  });

  it.each([
    ['kinds', { kinds: ['escalated'] }, { kind: 'escalated' }, { kind: 'opened' }],
    ['grade', { grade: 'conversed' }, { grade: 'bulk' }, { grade: 'connected' }],
    ['sites', { sites: ['north'] }, { site: 'north' }, { site: 'south' }],
    ['ports', { ports: [587] }, { ports: [25, 587] }, { ports: [25] }],
  ] as const)('is filtered by %s', (_key, keys, fits, fitsNot) => {
    const { alert } = drive(keys);
    expect(alert(alertOf('10.0.0.1', fits as Partial<Alert>))).toHaveLength(1);
    expect(alert(alertOf('10.0.0.2', fitsNot as Partial<Alert>))).toEqual([]);
  });

  it('is filtered by group: the first group that has the host is its group', () => {
    const groups = [
      { name: 'printers', hosts: ['10.0.0.0/28'], grade: 'attempted' },
      { name: 'guests', hosts: ['10.0.0.0/24', '2001:db8::/64'], grade: 'bulk' },
    ];
    const { alert } = drive({ groups: ['guests'] }, groups);
    expect(alert(alertOf('10.0.0.100'))).toHaveLength(1);
    expect(alert(alertOf('2001:db8::1'))).toHaveLength(1);
    expect(alert(alertOf('10.0.0.5'))).toEqual([]);
    expect(alert(alertOf('10.0.1.1'))).toEqual([]);
    expect(alert(coverageAlert('an exporter is silent'))).toEqual([]);
  });

  it('about no host is sent whatever the grade, unless its kind is left out', () => {
    expect(drive({ grade: 'bulk' }).alert(coverageAlert('silent'))).toHaveLength(1);
    expect(drive({ kinds: ['opened'] }).alert(coverageAlert('silent'))).toEqual([]);
  });

  it('names the first message of its incident, and closes it', () => {
    const { alert } = drive();
    const [first] = alert(alertOf('10.0.0.1', { grade: 'connected' }));
    const [second] = alert(alertOf('10.0.0.1', { kind: 'escalated', grade: 'bulk' }, NOON + 1));
    const [last] = alert(alertOf('10.0.0.1', { kind: 'closed' }, NOON + 2));
    expect(first.thread).toEqual({ key: incidentOf('10.0.0.1'), first: null });
    for (const { thread } of [second, last])
      expect(thread).toEqual({
        key: incidentOf('10.0.0.1'),
        first: { id: first.id, subject: first.subject },
      });
    expect([first.state, second.state, last.state]).toEqual(['open', 'open', 'closed']);
  });
});

describe('an outbreak', () => {
  const hosts = (count: number, atMs = NOON) =>
    Array.from({ length: count }, (_, i) => alertOf(`10.1.${i >> 8}.${i & 255}`, {}, atMs + i));

  it('is one message, sent again with the count at intervals, and once more when it is over', () => {
    const { alert, at } = drive({ outbreak: { hosts: 5, window: '10m', update: '15m' } });
    const said = hosts(500).flatMap((one) => alert(one));
    expect(said).toHaveLength(5);
    expect(said[4].subject).toBe('Outbreak: 5 new hosts send or try to send mail');
    for (let minute = 1; minute < 20; minute++)
      alert(alertOf(`10.2.0.${minute}`, {}, NOON + minute * MINUTE));
    expect(at(NOON + 14 * MINUTE)).toEqual([]);
    const [update] = at(NOON + 15 * MINUTE + 10);
    expect(update.subject).toBe('Outbreak: 519 new hosts send or try to send mail');
    expect(update.thread).toEqual({
      key: said[4].thread.key,
      first: { id: said[4].id, subject: said[4].subject },
    });
    expect(at(NOON + 16 * MINUTE)).toEqual([]);
    const [over] = at(NOON + 29 * MINUTE);
    expect(over).toMatchObject({ subject: 'Outbreak is over: 519 hosts', state: 'closed' });
    expect(at(NOON + 100 * HOUR)).toEqual([]);
  });

  it('keeps quiet about the ends of hosts that it never named, and tells of those that it did', () => {
    const { alert } = drive({ outbreak: { hosts: 3 } });
    for (const one of hosts(10)) alert(one);
    expect(alert(alertOf('10.1.0.9', { kind: 'escalated', grade: 'bulk' }, NOON + 100))).toEqual([]);
    expect(alert(alertOf('10.1.0.9', { kind: 'closed' }, NOON + 101))).toEqual([]);
    expect(alert(alertOf('10.1.0.1', { kind: 'closed' }, NOON + 102))).toHaveLength(1);
  });

  it('begins with hosts within the window only', () => {
    const { alert } = drive({ outbreak: { hosts: 3, window: '10m' } });
    const said = [0, 6, 12, 18, 24].flatMap((minute, i) =>
      alert(alertOf(`10.1.0.${i}`, {}, NOON + minute * MINUTE)),
    );
    expect(said.every(({ kind }) => kind === 'alert')).toBe(true);
  });
});

describe('quiet hours', () => {
  const quiet_hours = { from: '22:00', to: '07:00', time_zone: 'Europe/Berlin', except_grade: 'bulk' };

  it('hold alerts for one summary after them, but for an exception', () => {
    const { alert, at } = drive({ quiet_hours });
    const night = Date.UTC(2026, 2, 2, 21); // 22:00 in Berlin
    expect(alert(alertOf('10.0.0.1', {}, night - 1))).toHaveLength(1);
    expect(alert(alertOf('10.0.0.2', {}, night))).toEqual([]);
    expect(alert(coverageAlert('silent', night))).toEqual([]);
    expect(alert(alertOf('10.0.0.3', { grade: 'bulk' }, night))).toHaveLength(1);
    expect(at(Date.UTC(2026, 2, 3, 5, 59))).toEqual([]);
    const [summary] = at(Date.UTC(2026, 2, 3, 6));
    expect(summary.subject).toBe('2 alerts since 2026-03-02T21:00:00.000Z');
    expect(summary.lines[0]).toContain('10.0.0.2 sends mail without permission');
    expect(at(Date.UTC(2026, 2, 3, 7))).toEqual([]);
  });

  it('move with the clock on the wall: daylight saving time', () => {
    const { alert } = drive({ quiet_hours });
    // 2026-03-29: Berlin goes from UTC+1 to UTC+2 at 01:00 UTC.
    expect(alert(alertOf('10.0.0.1', {}, Date.UTC(2026, 2, 29, 5, 0)))).toHaveLength(1);
    expect(alert(alertOf('10.0.0.2', {}, Date.UTC(2026, 2, 29, 4, 59)))).toEqual([]);
  });

  it('do not keep PagerDuty from resolving what it was sent', () => {
    const { alert } = drive({ form: 'pagerduty', url: 'http://a/', routing_key_file: '/k', quiet_hours });
    alert(alertOf('10.0.0.1'));
    expect(alert(alertOf('10.0.0.1', { kind: 'closed' }, Date.UTC(2026, 2, 2, 23)))).toHaveLength(1);
  });
});

describe('a digest', () => {
  it('collects alerts for its interval, and says how many it cannot name', () => {
    const { alert, at } = drive({
      digest: { every: '30m', except_grade: 'bulk' },
      outbreak: { hosts: 1000 },
    });
    for (let i = 0; i < 250; i++) expect(alert(alertOf(`10.0.0.${i}`, {}, NOON + i))).toEqual([]);
    expect(alert(alertOf('10.0.1.1', { grade: 'bulk' }, NOON + 300))).toHaveLength(1);
    expect(at(NOON + 30 * MINUTE - 1)).toEqual([]);
    const [digest] = at(NOON + 30 * MINUTE);
    expect(digest.subject).toBe('250 alerts since 2026-03-02T12:00:00.000Z');
    expect(digest.lines.at(-1)).toBe('And 50 more: rogue-smtp alerts');
    expect(at(NOON + 90 * MINUTE)).toEqual([]);
  });
});

describe('reminders', () => {
  const repeat = { every: '1h', grade: 'conversed', most: 3 };

  it('come until the incident is closed, and at most so often', () => {
    const { alert, at } = drive({ repeat });
    const [first] = alert(alertOf('10.0.0.1'));
    const reminders = [1, 2, 3, 4, 5].flatMap((hour) => at(NOON + hour * HOUR));
    expect(reminders).toHaveLength(3);
    expect(reminders[0]).toMatchObject({ kind: 'repeat', thread: { first: { id: first.id } } });
    expect(new Set(reminders.map(({ id }) => id)).size).toBe(3);
    alert(alertOf('10.0.0.2', {}, NOON + 6 * HOUR));
    alert(alertOf('10.0.0.2', { kind: 'closed' }, NOON + 6 * HOUR + 1));
    expect(at(NOON + 8 * HOUR)).toEqual([]);
  });

  it('end with an acknowledgement, until the incident escalates', () => {
    const { alert, at, apply, state } = drive({ repeat });
    alert(alertOf('10.0.0.1'));
    apply(planAcknowledgement(state, incidentOf('10.0.0.1')));
    expect(at(NOON + HOUR)).toEqual([]);
    alert(alertOf('10.0.0.1', { kind: 'escalated', grade: 'bulk' }, NOON + 2 * HOUR));
    expect(at(NOON + 3 * HOUR)).toHaveLength(1);
  });

  it('end with a decision about the incident or about its host, not with one of before', () => {
    const decide = (more: Partial<Decision>): Decision => ({
      schema: 'rogue-smtp.decision',
      schema_version: 1,
      decision_id: 'd',
      host: '10.0.0.1',
      site: '',
      action: 'release',
      incident_id: '',
      until: null,
      by: 'a',
      reason: '',
      decided_at: new Date(NOON + 1).toISOString(),
      ...more,
    });
    const { alert, at, apply, state } = drive({ repeat });
    alert(alertOf('10.0.0.1'));
    apply(planDecision(state, decide({ decided_at: new Date(NOON - 1).toISOString() })));
    apply(planDecision(state, decide({ site: 'other' })));
    expect(at(NOON + HOUR)).toHaveLength(1);
    apply(planDecision(state, decide({})));
    expect(at(NOON + 3 * HOUR)).toEqual([]);
  });

  it('below the grade never come', () => {
    const { alert, at } = drive({ repeat });
    alert(alertOf('10.0.0.1', { grade: 'attempted' }));
    expect(at(NOON + HOUR)).toEqual([]);
  });
});

describe('a full queue', () => {
  it('drops the oldest but the one on its way, and says how many once there is room', () => {
    const { target, state, apply } = drive({ queue: 4, outbreak: { hosts: 1000 } });
    for (let i = 0; i < 10; i++) {
      apply(planAlert(target, [], state, alertOf(`10.0.0.${i}`, {}, NOON + i), NOON + i));
      apply(planBound(target, state));
    }
    expect(state.queue.map(({ alert }) => alert?.host)).toEqual([
      '10.0.0.0',
      '10.0.0.7',
      '10.0.0.8',
      '10.0.0.9',
    ]);
    apply(planTime(target, state, NOON + 20));
    expect(state.queue).toHaveLength(4);
    for (const { id } of state.queue.slice(0, 2)) apply([{ do: 'sent', id }]);
    apply(planTime(target, state, NOON + 20));
    expect(state.queue.at(-1)?.subject).toBe('6 notifications were dropped');
    apply(planTime(target, state, NOON + 20));
    expect(state.queue).toHaveLength(3);
  });

  it('lets go of what is too old', () => {
    const { target, state, apply } = drive({ max_age: '1h' });
    apply(planAlert(target, [], state, alertOf('10.0.0.1'), NOON));
    apply(planTime(target, state, NOON + HOUR + 1));
    expect(state.queue.map(({ kind }) => kind)).not.toContain('alert');
  });
});
