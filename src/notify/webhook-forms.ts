/**
 * A message as the receivers of webhooks take it: our JSON, Slack, Teams, PagerDuty, ntfy.
 *
 * Names and hosts are other people's text: where a form has markup, mentions or links, they must come out as the letters
 * that they are. Pure.
 */

import type { WebhookForm } from '../config/notify.ts';
import { nameAtSite } from '../messages/host-at-site.ts';
import { type NotifyMessage, plainJson, plainLine, type Severity } from './message.ts';

export interface WebhookBody {
  readonly contentType: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** `routingKey`: of PagerDuty only. */
export function webhookBody(form: WebhookForm, message: NotifyMessage, routingKey = ''): WebhookBody {
  switch (form) {
    case 'plain':
      return json(plainJson(message));
    case 'slack':
      return json(JSON.stringify(slack(message)));
    case 'teams':
      return json(JSON.stringify(teams(message)));
    case 'pagerduty':
      return json(JSON.stringify(pagerduty(message, routingKey)));
    case 'ntfy':
      return ntfy(message);
  }
}

const json = (body: string): WebhookBody => ({ contentType: 'application/json', body, headers: {} });

/** A section takes 3000 characters, and escaping makes five of one. */
const SLACK_TEXT = 2900;

function slack({ subject, lines }: NotifyMessage) {
  return {
    text: slackText(subject),
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: 'header', text: plainSlack(subject, 150) },
      { type: 'section', text: plainSlack(lines.join('\n') || subject, SLACK_TEXT) },
    ],
  };
}

/** `plain_text` knows no markup; the three characters are escaped all the same, as Slack asks for all text. */
const plainSlack = (text: string, most: number) => ({
  type: 'plain_text',
  text: cut(slackText(text), most),
  emoji: false,
});

/** Slack reads <!channel>, <@user> and <link> as commands, and these three characters are escaped for it. */
const slackText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** Never within an escaped character or a pair of surrogates. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/&[a-z]{0,4}$|[\ud800-\udbff]$/, '')}…`;
}

/** An Adaptive Card, as Teams takes it through a workflow. A TextRun has no Markdown, where a TextBlock has. */
function teams({ subject, lines, severity }: NotifyMessage) {
  const run = (text: string, more: object = {}) => ({
    type: 'RichTextBlock',
    inlines: [{ type: 'TextRun', text: teamsText(text), ...more }],
  });
  const colour = severity === 'info' || severity === 'notice' ? 'Default' : 'Attention';
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          body: [
            run(subject, { weight: 'Bolder', size: 'Medium', color: colour }),
            ...lines.slice(0, 40).map((line) => run(line)),
          ],
        },
      },
    ],
  };
}

/** Hosts of cards fill in {{DATE(...)}} and ${...}, and make <at> a mention. */
const teamsText = (text: string): string =>
  text.replaceAll('{', '(').replaceAll('}', ')').replaceAll('<', '‹').replaceAll('>', '›');

const PAGERDUTY_SEVERITY: Readonly<Record<Severity, string>> = {
  info: 'info',
  notice: 'info',
  warning: 'warning',
  error: 'error',
  critical: 'critical',
};

/** Events API v2. What is over resolves what it began. */
function pagerduty(message: NotifyMessage, routingKey: string) {
  const { alert, subject, lines, severity, at, kind, state, thread, id } = message;
  return {
    routing_key: routingKey,
    event_action: state === 'closed' ? 'resolve' : 'trigger',
    dedup_key: thread.key.slice(0, 255),
    client: 'rogue-smtp',
    payload: {
      summary: plainLine(subject, 1000),
      source: alert === null || alert.host === '' ? 'rogue-smtp' : nameAtSite(alert),
      severity: PAGERDUTY_SEVERITY[severity],
      timestamp: at,
      component: 'smtp',
      class: alert?.kind ?? kind,
      ...(alert !== null && alert.site !== '' && { group: alert.site }),
      custom_details: { notification: id, text: lines },
    },
  };
}

const NTFY_PRIORITY: Readonly<Record<Severity, string>> = {
  info: '2',
  notice: '3',
  warning: '3',
  error: '4',
  critical: '5',
};
/** A longer message becomes an attachment. */
const NTFY_BYTES = 4000;

/** Posted to the topic: the body is the text, which ntfy shows as it is, and headers say the rest. */
function ntfy({ subject, lines, severity }: NotifyMessage): WebhookBody {
  const bytes = Buffer.from(lines.join('\n'));
  return {
    contentType: 'text/plain; charset=utf-8',
    // A cut character is left out.
    body:
      bytes.length <= NTFY_BYTES
        ? bytes.toString()
        : bytes
            .subarray(0, NTFY_BYTES)
            .toString()
            .replace(/\ufffd+$/, ''),
    headers: { Title: headerText(subject), Priority: NTFY_PRIORITY[severity], Tags: 'rogue-smtp' },
  };
}

/** Of other letters than ASCII an encoded word (RFC 2047), which ntfy reads. */
function headerText(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) && !text.includes('=?')
    ? text
    : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
}
