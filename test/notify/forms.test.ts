/** How a message looks to each kind of receiver, with names that try to be more than names. */

import { describe, expect, it } from 'vitest';
import { mailOf } from '../../src/notify/mail.ts';
import { alertMessageFor, type NotifyMessage, plainJson } from '../../src/notify/message.ts';
import { syslogText } from '../../src/notify/syslog-text.ts';
import { retryDelayMs } from '../../src/notify/target-line.ts';
import { retryAfterMs } from '../../src/notify/webhook.ts';
import { webhookBody } from '../../src/notify/webhook-forms.ts';
import { alertOf, incidentOf, NOON } from '../support/notifying.ts';

const HOSTILE =
  '<!channel> <@U1> <https://evil.example|click> *b* [x](http://e) {{DATE(1)}} $\u007ba} "]\\ |=\r\nBcc: a@b\n\u001b[31m \u202e \ud800 é';

const message = alertMessageFor(
  'hook',
  alertOf('10.0.0.1', {
    site: 'north',
    reasons: [HOSTILE],
    block: { ...alertOf('x').block, reason: HOSTILE },
  }),
  null,
);
const hostile: NotifyMessage = { ...message, subject: message.lines[0].slice(0, 150) };
const json = (form: 'plain' | 'slack' | 'teams' | 'pagerduty', of = hostile) =>
  JSON.parse(webhookBody(form, of, 'key').body);

describe('plain', () => {
  it('is the alert as it was published', () => {
    expect(json('plain')).toEqual(JSON.parse(JSON.stringify(hostile.alert)));
  });

  it('of what is not one alert is a notification', () => {
    expect(JSON.parse(plainJson({ ...message, kind: 'digest', alert: null }))).toMatchObject({
      schema: 'rogue-smtp.notification',
      schema_version: 1,
      kind: 'digest',
      about: incidentOf('10.0.0.1'),
    });
  });
});

describe('slack', () => {
  it('shows commands, mentions and links as text', () => {
    const body = webhookBody('slack', hostile).body;
    expect(body).not.toMatch(/<!channel>|<@U1>|<https/);
    expect(body).toContain('&lt;!channel&gt;');
  });

  it('keeps to the lengths that Slack takes, and never cuts an escaped character', () => {
    const long = {
      ...hostile,
      subject: '&'.repeat(400),
      lines: Array.from({ length: 50 }, () => '<'.repeat(900)),
    };
    const [header, section] = json('slack', long).blocks;
    expect(header.text.text.length).toBeLessThanOrEqual(150);
    expect(section.text.text.length).toBeLessThanOrEqual(3000);
    expect(section.text.text).toMatch(/^(?:&lt;|\n)+…$/);
    expect(section.text.type).toBe('plain_text');
  });
});

describe('teams', () => {
  it('has text without Markdown, functions and mentions', () => {
    const [{ content }] = json('teams').attachments;
    expect(content).toMatchObject({ type: 'AdaptiveCard', version: '1.4' });
    expect(new Set(content.body.map(({ type }: { type: string }) => type))).toEqual(
      new Set(['RichTextBlock']),
    );
    expect(JSON.stringify(content.body)).not.toMatch(/\{\{|\$\{|<at>|<!/);
  });
});

describe('pagerduty', () => {
  it('opens by incident and resolves what is closed', () => {
    expect(json('pagerduty')).toMatchObject({
      routing_key: 'key',
      event_action: 'trigger',
      dedup_key: incidentOf('10.0.0.1'),
      payload: { source: '10.0.0.1@north', severity: 'error', class: 'opened', group: 'north' },
    });
    const closed = alertMessageFor('hook', alertOf('10.0.0.1', { kind: 'closed' }), null);
    expect(json('pagerduty', closed)).toMatchObject({
      event_action: 'resolve',
      dedup_key: incidentOf('10.0.0.1'),
    });
  });
});

describe('ntfy', () => {
  it('has headers of ASCII on one line, and a bounded body', () => {
    const { headers, body } = webhookBody('ntfy', { ...hostile, lines: ['é'.repeat(9000)] });
    for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]*$/);
    expect(headers.Priority).toBe('4');
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4096);
    expect(body).not.toContain('\ufffd');
  });
});

describe('syslog', () => {
  const sender = { hostname: 'mon 1', pid: 7, version: '1|2' };
  const text = (form: 'rfc5424' | 'cef', of: NotifyMessage, most = 8192) =>
    syslogText({ facility: 16, form }, of, sender, most).toString();

  it('has structured data that nothing in it can end', () => {
    const told = text('rfc5424', {
      ...hostile,
      alert: { ...alertOf('10.0.0.1'), site: 'a"] b\\ [x y="1"]' },
    });
    expect(told).toMatch(/^<131>1 2026-03-02T12:00:00\.000Z mon1 rogue-smtp 7 alert \[rogue-smtp@32473 /);
    expect(told).toContain('site="a\\"\\] b\\\\ [x y=\\"1\\"\\]"');
    expect(told).not.toMatch(/\p{Cc}/u);
  });

  it('is CEF with escaped header and extension', () => {
    const told = text('cef', hostile);
    expect(told).toContain(' - CEF:0|rogue-smtp|rogue-smtp|1\\|2|opened|');
    const [, subject, extension] = /\|opened\|((?:[^|\\]|\\.)*)\|8\|(.*)$/.exec(told) ?? [];
    expect(subject).toContain('\\|click');
    expect(extension).toContain('src=10.0.0.1 shost=10.0.0.1 cs2Label=site cs2=north');
    expect(extension).toContain('\\=');
    expect(told).not.toMatch(/[\n\r]/);
  });

  it('is cut at the limit of its transport, not within a character', () => {
    const told = syslogText(
      { facility: 16, form: 'rfc5424' },
      { ...message, lines: ['é'.repeat(5000)] },
      sender,
      2048,
    );
    expect(told.length).toBeLessThanOrEqual(2048);
    expect(told.toString()).not.toContain('\ufffd');
  });
});

describe('mail', () => {
  const target = { from: 'rogue-smtp@example.org', to: ['noc@example.org'] };

  it('holds the messages of an incident together', () => {
    const first = mailOf(target, message);
    const follow = alertMessageFor('hook', alertOf('10.0.0.1', { kind: 'escalated', grade: 'bulk' }), {
      id: message.id,
      subject: message.subject,
    });
    expect(first.messageId).toBe(`<${message.id}@example.org>`);
    expect(mailOf(target, follow)).toMatchObject({
      subject: 'Re: [rogue-smtp] 10.0.0.1@north sends mail without permission',
      inReplyTo: first.messageId,
      references: first.messageId,
    });
  });

  it('has no line break in a header', () => {
    const { subject } = mailOf(target, hostile);
    expect(subject).not.toMatch(/\p{Cc}/u);
  });
});

describe('waiting', () => {
  it('doubles up to five minutes, half of it by chance', () => {
    expect([1, 2, 3, 20, 2000].map((failures) => retryDelayMs(failures, 1))).toEqual([
      1000, 2000, 4000, 300_000, 300_000,
    ]);
    expect(retryDelayMs(3, 0)).toBe(2000);
  });

  it.each([
    ['7', 7000],
    ['0', 0],
    ['99999999', 3_600_000],
    ['Mon, 02 Mar 2026 12:00:30 GMT', 30_000],
    ['Mon, 02 Mar 2020 12:00:30 GMT', 0],
    ['soon', null],
    ['-5', null],
    [undefined, null],
  ])('as Retry-After: %s says', (header, ms) => {
    expect(retryAfterMs(header, NOON)).toBe(ms);
  });
});
