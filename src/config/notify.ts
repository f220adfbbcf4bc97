/**
 * The key `notify`: who is told of alerts, how, and of which.
 *
 * Every target has the same keys for what it is sent and when; the keys of its type say where it is. Secrets lie in
 * files of their own. A change takes effect at the next start.
 */

import { z } from 'zod';
import { ALERT_KINDS, gradeSchema } from '../messages/alert.ts';
import { duration, name, port, positive } from './values.ts';

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

const host = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$/, 'expected a host name or an address');
const file = z.string().min(1);
/** No spaces, angle brackets or control characters: it stands in a header and in the dialogue with the server. */
const mailAddress = z
  .string()
  .max(254)
  .regex(
    /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/,
    'expected an address such as noc@example.org',
  );
const clockTime = z
  .string()
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'expected a time of day in quotes, such as "22:00"');
const timeZone = z.string().refine(isTimeZone, 'expected the name of a time zone, such as Europe/Berlin');

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone: text }) !== null;
  } catch {
    return false;
  }
}

const between = (least: number, most: number, text: string) =>
  duration.refine((ms) => ms >= least && ms <= most, `expected ${text}`);

/** Keys that a target of any type has. */
const common = {
  name,
  /** Kinds of alerts that are sent. `updated` is not among them by default: an open incident may go on for days. */
  kinds: z
    .array(z.enum(ALERT_KINDS))
    .min(1)
    .default(['opened', 'escalated', 'closed', 'coverage', 'delivery', 'finding']),
  /** Alerts about incidents are sent from this grade on. Alerts without a grade (coverage, delivery, finding) go by `kinds`. */
  grade: gradeSchema.default('attempted'),
  /** Names of `networks.sites`: only alerts about hosts of these sites. Absent: all alerts. */
  sites: z.array(name).min(1).optional(),
  /** Names of `alerts.groups`: only alerts about hosts of these groups. Absent: all alerts. */
  groups: z.array(name).min(1).optional(),
  /** Only alerts about hosts that used one of these TCP ports. Absent: all alerts. */
  ports: z.array(port).min(1).optional(),
  /** Collects alerts and sends them as one message. */
  digest: z
    .strictObject({
      /** So long after the first alert that waits. */
      every: between(10 * SECOND_MS, 7 * DAY_MS, '10s to 7d'),
      /** Alerts of this grade or higher are sent at once all the same. */
      except_grade: gradeSchema.optional(),
    })
    .optional(),
  /** Many new hosts within a short time are one message, which is sent again with the new count. */
  outbreak: z
    .strictObject({
      /** So many incidents opened within `window` are an outbreak. */
      hosts: positive.min(2).max(1000).default(10),
      /** The outbreak is over when no host was added for so long. */
      window: between(SECOND_MS, DAY_MS, '1s to 24h').prefault('10m'),
      /** A new count is sent at most so often. */
      update: between(SECOND_MS, DAY_MS, '1s to 24h').prefault('15m'),
    })
    .prefault({}),
  /** Nothing is sent within these hours; one summary follows after them. */
  quiet_hours: z
    .strictObject({
      from: clockTime,
      /** Before `from`: of the next day. */
      to: clockTime,
      time_zone: timeZone.default('UTC'),
      /** Alerts of this grade or higher are sent all the same. */
      except_grade: gradeSchema.optional(),
    })
    .refine(({ from, to }) => from !== to, 'expected "from" and "to" to differ')
    .optional(),
  /** An incident is sent again until somebody acknowledges it, decides about it, or it closes. */
  repeat: z
    .strictObject({
      every: between(10 * SECOND_MS, 7 * DAY_MS, '10s to 7d'),
      /** Of incidents of this grade or higher. */
      grade: gradeSchema.default('conversed'),
      /** At most so many times. */
      most: positive.max(1000).default(20),
    })
    .optional(),
  /** Bound of the messages that wait on disk. When it is reached, the oldest is dropped, counted, and reported. */
  queue: positive.max(10_000).default(1000),
  /** A message that has waited for so long is dropped, counted, and reported. */
  max_age: between(60 * SECOND_MS, 30 * DAY_MS, '1m to 30d').prefault('3d'),
  /** A target that has failed for so long is reported through the other targets. */
  report_after: between(SECOND_MS, DAY_MS, '1s to 24h').prefault('5m'),
  /** For one attempt to send. */
  timeout: between(100, 300 * SECOND_MS, '100ms to 5m').prefault('10s'),
} as const;

const WEBHOOK_FORMS = ['plain', 'slack', 'teams', 'pagerduty', 'ntfy'] as const;
export type WebhookForm = (typeof WEBHOOK_FORMS)[number];

const webhook = z.strictObject({
  type: z.literal('webhook'),
  ...common,
  /** Where messages are posted. One of `url` and `url_file`; of PagerDuty there is a default. */
  url: z
    .string()
    .max(2000)
    .refine(isWebhookUrl, 'expected an http or https URL without user and password')
    .optional(),
  /** The file whose only line is the URL: that of Slack and of Teams is a secret. */
  url_file: file.optional(),
  /** What the receiver understands. */
  form: z.enum(WEBHOOK_FORMS).default('plain'),
  /** The file whose only line is the key that signs each request (HMAC-SHA256). */
  secret_file: file.optional(),
  /** The file whose only line is a token, sent as `Authorization: Bearer`. */
  token_file: file.optional(),
  /** Of form `pagerduty`: the file whose only line is the integration key. */
  routing_key_file: file.optional(),
  /** Authorities in PEM that have signed the certificate of the receiver. Absent: those of the system. */
  ca_file: file.optional(),
});

const mail = z.strictObject({
  type: z.literal('mail'),
  ...common,
  host,
  /** Default: 587, or 465 with `tls: implicit`. */
  port: port.optional(),
  /** `starttls`: refuse a server without it. `opportunistic`: use it where the server has it. `implicit`: TLS from the start. */
  tls: z.enum(['starttls', 'opportunistic', 'implicit', 'none']).default('starttls'),
  username: z.string().min(1).max(255).optional(),
  /** The file whose only line is the password. */
  password_file: file.optional(),
  ca_file: file.optional(),
  /** For one message; a server may take its time (tarpits, checks of content). */
  timeout: between(100, 300 * SECOND_MS, '100ms to 5m').prefault('30s'),
  from: mailAddress,
  to: z.array(mailAddress).min(1).max(100),
});

const syslog = z.strictObject({
  type: z.literal('syslog'),
  ...common,
  host,
  /** Default: 514, or 6514 with `transport: tls`. */
  port: port.optional(),
  transport: z.enum(['udp', 'tcp', 'tls']).default('udp'),
  /** `rfc5424`: text with structured data. `cef`: a CEF line as the message. */
  form: z.enum(['rfc5424', 'cef']).default('rfc5424'),
  /** Number of the facility; 16 is local0. */
  facility: z.number().int().min(0).max(23).default(16),
  ca_file: file.optional(),
});

const exec = z.strictObject({
  type: z.literal('exec'),
  ...common,
  /** A program and its arguments, run without a shell, with the message as JSON on its standard input. */
  command: z.array(z.string().min(1).max(4096)).min(1).max(64),
});

export const notifySchema = z.array(z.discriminatedUnion('type', [webhook, mail, syslog, exec])).max(50);

export type NotifyTarget = z.output<typeof notifySchema>[number];
export type WebhookTarget = z.output<typeof webhook>;
export type MailTarget = z.output<typeof mail>;
export type SyslogTarget = z.output<typeof syslog>;
export type ExecTarget = z.output<typeof exec>;

export const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue';

export function isWebhookUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}

/** The files with secrets that a target names, by key. */
export function secretFilesOf(target: NotifyTarget): (readonly [key: string, file: string])[] {
  const named: (readonly [string, string | undefined])[] =
    target.type === 'webhook'
      ? [
          ['url_file', target.url_file],
          ['secret_file', target.secret_file],
          ['token_file', target.token_file],
          ['routing_key_file', target.routing_key_file],
        ]
      : target.type === 'mail'
        ? [['password_file', target.password_file]]
        : [];
  return named.flatMap(([key, path]) => (path === undefined ? [] : [[key, path] as const]));
}

export interface NotifyMistake {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What the keys of the targets say together that cannot be. `sites` and `groups`: the names that exist. */
export function notifyMistakes(
  targets: readonly NotifyTarget[],
  sites: ReadonlySet<string>,
  groups: ReadonlySet<string>,
): NotifyMistake[] {
  const mistakes: NotifyMistake[] = [];
  targets.forEach((target, i) => {
    const at = (key: string, message: string) => mistakes.push({ path: ['notify', i, key], message });
    if (targets.findIndex((other) => other.name.toLowerCase() === target.name.toLowerCase()) !== i)
      at('name', `the name "${target.name}" is used twice`);
    for (const site of target.sites ?? [])
      if (!sites.has(site)) at('sites', `there is no site "${site}" in networks.sites`);
    for (const group of target.groups ?? [])
      if (!groups.has(group)) at('groups', `there is no group "${group}" in alerts.groups`);
    if (target.type === 'webhook') {
      const urls = [target.url, target.url_file].filter((one) => one !== undefined).length;
      if (urls > 1) at('url_file', 'url and url_file exclude each other');
      if (urls === 0 && target.form !== 'pagerduty') at('url', 'needs one of url and url_file');
      if (target.form === 'pagerduty' && target.routing_key_file === undefined)
        at('routing_key_file', 'the form pagerduty needs the integration key');
      if (target.form !== 'pagerduty' && target.routing_key_file !== undefined)
        at('routing_key_file', 'is of the form pagerduty only');
    }
    if (target.type === 'mail') {
      if ((target.username === undefined) !== (target.password_file === undefined))
        at('password_file', 'username and password_file belong together');
      if (target.username !== undefined && target.tls !== 'starttls' && target.tls !== 'implicit')
        at(
          'tls',
          'with a password it must be starttls or implicit, or the password could cross the network as it is',
        );
    }
    if (target.type === 'syslog' && target.ca_file !== undefined && target.transport !== 'tls')
      at('ca_file', 'needs transport: tls');
  });
  return mistakes;
}
