/**
 * Sends a message as mail, plain text, over a connection of its own.
 *
 * What the network says stands in the subject and the text only, as encoded by nodemailer, never in an address or another
 * header. The Message-ID follows from the message, so that a repeat is known as one, and follow-ups name the first
 * message of their incident. Nothing is ever read from a file or a URL for it.
 */

import { isIP } from 'node:net';
import { createTransport } from 'nodemailer';
import type { MailTarget } from '../config/notify.ts';
import { readSecret, readSecretLine } from '../config/secret.ts';
import { messageOf } from '../errors.ts';
import { firstOf, rejectedBy, settled } from '../waiting.ts';
import { type NotifyMessage, plainLine } from './message.ts';
import { openConnection } from './open-connection.ts';
import { failed, type Sender, type SendResult } from './sender.ts';

const SHOWN_CHARS = 300;

export function mailPort({ port, tls }: Pick<MailTarget, 'port' | 'tls'>): number {
  return port ?? (tls === 'implicit' ? 465 : 587);
}

/** Throws RogueSmtpError `config` where a file that it needs cannot be read. */
export function createMailSender(target: MailTarget): Sender {
  const password =
    target.password_file === undefined ? null : readSecretLine(target.password_file, 'password_file');
  const ca = target.ca_file === undefined ? null : readSecret(target.ca_file, 'ca_file');

  async function attempt(message: NotifyMessage, signal: AbortSignal): Promise<SendResult> {
    const { host, tls, username } = target;
    const port = mailPort(target);
    // The connection is ours, so that an attempt that is over leaves none behind.
    const connection = await openConnection({ host, port }, signal);
    const transport = createTransport({
      host,
      port,
      connection,
      secure: tls === 'implicit',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      ...(username !== undefined && password !== null && { auth: { user: username, pass: password } }),
      tls: { ...(ca !== null && { ca }), ...(isIP(host) === 0 && { servername: host }) },
      greetingTimeout: target.timeout,
      socketTimeout: target.timeout,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      const sending = transport.sendMail(mailOf(target, message));
      const { response, rejected } = await firstOf(settled(sending), rejectedBy(signal));
      const some = rejected.length === 0 ? '' : `; refused for ${rejected.map(String).join(', ')}`;
      return { ok: true, answer: plainLine(`${response}${some}`, SHOWN_CHARS) };
    } catch (error) {
      return { ok: false, reason: plainLine(messageOf(error), SHOWN_CHARS), refused: isAboutMessage(error) };
    } finally {
      transport.close();
      connection.destroy();
    }
  }

  return {
    async send(message, stopping) {
      const deadline = new AbortController();
      const late = setTimeout(
        () => deadline.abort(new Error(`not done within ${target.timeout} ms`)),
        target.timeout,
      );
      const onStop = () => deadline.abort(new Error('stopped'));
      if (stopping.aborted) onStop();
      stopping.addEventListener('abort', onStop, { once: true });
      try {
        return await attempt(message, deadline.signal);
      } catch (error) {
        return failed(plainLine(messageOf(error), SHOWN_CHARS));
      } finally {
        clearTimeout(late);
        stopping.removeEventListener('abort', onStop);
      }
    },
  };
}

/** A server that refuses the text (5yz after DATA) may take another one. */
function isAboutMessage(error: unknown): boolean {
  return (
    error instanceof Error &&
    'responseCode' in error &&
    'command' in error &&
    error.command === 'DATA' &&
    Number(error.responseCode) >= 500
  );
}

/** The mail as nodemailer takes it. */
export function mailOf(target: Pick<MailTarget, 'from' | 'to'>, message: NotifyMessage) {
  const domain = target.from.slice(target.from.lastIndexOf('@') + 1);
  const messageId = (id: string) => `<${id}@${domain}>`;
  const { first } = message.thread;
  // Clients that group by subject hold a thread together by its first one.
  const subject = first === null ? `[rogue-smtp] ${message.subject}` : `Re: [rogue-smtp] ${first.subject}`;
  return {
    from: target.from,
    to: [...target.to],
    subject,
    text: `${[message.subject, '', ...message.lines].join('\n')}\n`,
    date: new Date(message.at),
    messageId: messageId(message.id),
    ...(first !== null && { inReplyTo: messageId(first.id), references: messageId(first.id) }),
    // RFC 3834: no absence notice is to answer it.
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Rogue-Smtp-Kind': message.kind },
  };
}
