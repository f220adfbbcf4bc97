/**
 * `rogue-smtp notify test NAME`: one test message to one target, now, and what the other side answered.
 * `rogue-smtp notify ack INCIDENT`: ends the reminders about an incident. And what `check` says of targets.
 *
 * The test asks no running service: it reads the configuration and sends from this process.
 */

import type { LoadedConfig } from '../config/load.ts';
import type { NotifyTarget } from '../config/notify.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createSender } from '../notify/create-sender.ts';
import { mailPort } from '../notify/mail.ts';
import { testMessage } from '../notify/message.ts';
import { syslogPort } from '../notify/syslog.ts';
import { createClient } from './client.ts';
import type { Finding } from './finding.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

/** The exit code: 0 when the other side took the message. Throws RogueSmtpError `not_found` or `config`. */
export async function notifyTestCommand(
  { config }: LoadedConfig,
  name: string,
  version: string,
  streams: ReportStreams,
): Promise<number> {
  const target = config.notify.find((one) => one.name === name);
  if (target === undefined) {
    const names = config.notify.map((one) => one.name).join(', ');
    throw new RogueSmtpError(
      'not_found',
      `there is no notify target "${name}"${names === '' ? ': the configuration has none (notify)' : `; there are: ${names}`}`,
    );
  }
  const stopping = new AbortController();
  const onSignal = () => stopping.abort();
  process.once('SIGINT', onSignal);
  try {
    const sender = createSender(target, version, Date.now);
    const result = await sender.send(testMessage(name, Date.now()), stopping.signal);
    streams.stdout.write(
      printable(
        result.ok
          ? `Sent to ${name} (${describeTarget(target)}). Answer: ${result.answer}`
          : `Not sent to ${name} (${describeTarget(target)}): ${result.reason}`,
      ).concat('\n'),
    );
    return result.ok ? 0 : 1;
  } finally {
    process.off('SIGINT', onSignal);
  }
}

export async function notifyAckCommand(
  loaded: LoadedConfig,
  incident: string,
  streams: ReportStreams,
): Promise<void> {
  await createClient(loaded).acknowledge(incident);
  streams.stdout.write(printable(`Incident ${incident} is acknowledged: no more reminders.`).concat('\n'));
}

/** Whether each target could be used, as far as that shows without sending. */
export function notifyFindings(config: Pick<Config, 'notify' | 'detection'>): Finding[] {
  return config.notify.flatMap((target): Finding[] => {
    const what = `notify ${target.name}: ${describeTarget(target)}`;
    try {
      createSender(target, '', Date.now);
    } catch (error) {
      return [{ level: 'FAIL', text: `${what}: ${messageOf(error)}` }];
    }
    return [{ level: 'ok', text: what }, ...warningsOf(target, config)];
  });
}

/** Type and place, without what may be a secret. */
function describeTarget(target: NotifyTarget): string {
  switch (target.type) {
    case 'webhook':
      return target.url === undefined
        ? `webhook, form ${target.form}`
        : `webhook, form ${target.form}, ${new URL(target.url).host}`;
    case 'mail':
      return `mail, ${target.host} port ${mailPort(target)}`;
    case 'syslog':
      return `syslog over ${target.transport}, ${target.host} port ${syslogPort(target)}`;
    case 'exec':
      return `exec ${target.command[0]}`;
  }
}

function warningsOf(target: NotifyTarget, { detection }: Pick<Config, 'detection'>): Finding[] {
  const warn = (text: string): Finding => ({ level: 'warn', text: `notify ${target.name}: ${text}` });
  if (target.type === 'mail' && detection.ports.includes(mailPort(target)))
    return [
      warn(
        `this machine sends mail to ${target.host} on port ${mailPort(target)}, which is watched: declare it under senders (to: the server), or use port 587`,
      ),
    ];
  if (target.type === 'webhook' && target.url !== undefined && new URL(target.url).protocol === 'http:')
    return [warn('the URL is http: messages and tokens cross the network as they are')];
  return [];
}
