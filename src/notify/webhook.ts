/**
 * Sends a message as an HTTP POST.
 *
 * Redirects are not followed, since a signed message must not go where somebody else says. Of an answer a few kilobytes
 * are read, whatever its length; one deadline holds for the whole attempt. No reason holds the URL, which may be a secret.
 */

import { createHmac } from 'node:crypto';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { clearTimeout, setTimeout } from 'node:timers';
import { isWebhookUrl, PAGERDUTY_URL, type WebhookTarget } from '../config/notify.ts';
import { readSecret, readSecretLine } from '../config/secret.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { NotifyMessage } from './message.ts';
import { plainLine } from './message.ts';
import { failed, type Sender, type SendResult } from './sender.ts';
import { webhookBody } from './webhook-forms.ts';

const ANSWER_BYTES = 4096;
/** The status says enough: a body that comes slowly is not waited for. */
const ANSWER_WAIT_MS = 1000;
const SHOWN_CHARS = 300;
/** A receiver that asks for a longer wait is asked again after so long. */
const MAX_RETRY_AFTER_MS = 3_600_000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

/** Throws RogueSmtpError `config` where a file that it needs cannot be read. */
export function createWebhookSender(target: WebhookTarget, version: string, now: () => number): Sender {
  const secrets = readWebhookSecrets(target);
  return {
    async send(message, signal) {
      try {
        const answer = await post(
          secrets,
          requestOf(target, secrets, message, version, now()),
          target.timeout,
          signal,
        );
        return resultOf(answer, now());
      } catch (error) {
        return failed(plainLine(reasonOf(error), SHOWN_CHARS));
      }
    },
  };
}

interface WebhookSecrets {
  readonly url: URL;
  readonly signingKey: string | null;
  readonly token: string | null;
  readonly routingKey: string;
  readonly ca: string | null;
}

/** Throws RogueSmtpError `config`, without what was read. */
function readWebhookSecrets(target: WebhookTarget): WebhookSecrets {
  const line = (file: string | undefined, key: string) => {
    if (file === undefined) return null;
    const text = readSecretLine(file, key);
    if (!/^[\x21-\x7e]+$/.test(text))
      throw new RogueSmtpError('config', `${key}: ${file}: expected one line of ASCII without spaces`);
    return text;
  };
  const url = line(target.url_file, 'url_file') ?? target.url ?? PAGERDUTY_URL;
  if (!isWebhookUrl(url))
    throw new RogueSmtpError('config', `url_file: ${target.url_file}: not an http or https URL`);
  return {
    url: new URL(url),
    signingKey: line(target.secret_file, 'secret_file'),
    token: line(target.token_file, 'token_file'),
    routingKey: line(target.routing_key_file, 'routing_key_file') ?? '',
    ca: target.ca_file === undefined ? null : readSecret(target.ca_file, 'ca_file'),
  };
}

interface Post {
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
}

/** With a timestamp of this attempt, so that a receiver can refuse what was recorded and sent again later. */
function requestOf(
  { form }: WebhookTarget,
  { signingKey, token, routingKey }: WebhookSecrets,
  message: NotifyMessage,
  version: string,
  nowMs: number,
): Post {
  const made = webhookBody(form, message, routingKey);
  const body = Buffer.from(made.body);
  const timestamp = String(Math.floor(nowMs / 1000));
  return {
    body,
    headers: {
      'Content-Type': made.contentType,
      'Content-Length': body.length,
      'User-Agent': `rogue-smtp/${version}`,
      'Idempotency-Key': message.id,
      'X-Rogue-Smtp-Kind': message.kind,
      ...made.headers,
      ...(token !== null && { Authorization: `Bearer ${token}` }),
      ...(signingKey !== null && {
        'X-Rogue-Smtp-Timestamp': timestamp,
        'X-Rogue-Smtp-Signature': `sha256=${webhookSignature(signingKey, timestamp, body)}`,
      }),
    },
  };
}

/** HMAC-SHA256 in hexadecimal digits over the timestamp (seconds since 1970), a dot and the body. */
function webhookSignature(key: string, timestamp: string, body: Uint8Array): string {
  return createHmac('sha256', key).update(`${timestamp}.`).update(body).digest('hex');
}

function post(
  { url, ca }: WebhookSecrets,
  { headers, body }: Post,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers, agent: false, signal };
    const request =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, ...(ca !== null && { ca }) })
        : requestHttp(url, options);
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    request.once('close', () => clearTimeout(timer));
    request.on('error', reject);
    request.once('response', (response) => {
      void readAnswer(response).then((text) => {
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: response.headers['retry-after'],
          body: text,
        });
        request.destroy();
      });
    });
    request.end(body);
  });
}

/** The beginning of the body, as far as it comes soon. */
function readAnswer(response: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = () => {
      clearTimeout(timer);
      response.pause();
      resolve(Buffer.concat(chunks).subarray(0, ANSWER_BYTES).toString());
    };
    const timer = setTimeout(done, ANSWER_WAIT_MS);
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= ANSWER_BYTES) done();
    });
    response.once('end', done);
    response.once('error', done);
    response.once('close', done);
  });
}

/** Statuses that speak of this message, not of the receiver. */
const REFUSED = new Set([400, 409, 413, 414, 415, 422]);

function resultOf({ status, retryAfter, body }: Answer, nowMs: number): SendResult {
  const said = plainLine(body.trim().replace(/\s+/g, ' '), SHOWN_CHARS);
  const answer = said === '' ? `HTTP ${status}` : `HTTP ${status}: ${said}`;
  if (status >= 200 && status < 300) return { ok: true, answer };
  const wait = retryAfterMs(retryAfter, nowMs);
  const hint = status >= 300 && status < 400 ? ' (redirects are not followed: use the final URL)' : '';
  return {
    ok: false,
    reason: `${answer}${hint}`,
    refused: REFUSED.has(status),
    ...(wait !== null && { retryAfterMs: wait }),
  };
}

/** Seconds or a date (RFC 9110 section 10.2.3), bounded; null where it is neither. */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  // A date begins with the name of its day; Date.parse takes much else.
  const date = /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) : Number.NaN;
  const ms = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : date - nowMs;
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const message = messageOf(error);
  return code === '' || message.includes(code) ? message : `${message} (${code})`;
}
