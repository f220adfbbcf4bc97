/**
 * Asks a URL once for a list of prefixes, conditionally where an earlier answer allows it.
 *
 * The other end is not trusted: bytes, time and redirects are bounded, only http and https are followed and never from
 * https to http. What is no list of prefixes is refused as a whole. Nothing of a URL behind its path gets into a message.
 */

import { MAX_LIST_BYTES, parseList, shownUrl } from '../config/lists.ts';
import { isListUrl } from '../config/values.ts';
import { causeOf, messageOf, RogueSmtpError } from '../errors.ts';
import type { Prefix } from '../flow/prefix.ts';

/** What an answer said of itself, to ask whether there is a newer one. RFC 9110, 8.8. */
export interface Validators {
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export type FetchedList =
  | { readonly kind: 'fresh'; readonly prefixes: readonly Prefix[]; readonly validators: Validators }
  | { readonly kind: 'unchanged' }
  /** An answer came, and is no list: what was there before stays. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What is longer is not worth being sent back every hour. */
const MAX_VALIDATOR = 256;

/** `known` is null where there is no copy. Never throws; `signal` ends the wait. */
export async function fetchList(
  url: string,
  known: Validators | null,
  signal: AbortSignal,
): Promise<FetchedList> {
  try {
    const response = await follow(url, known, signal);
    if (response.status === 304 && known !== null) {
      await discard(response);
      return { kind: 'unchanged' };
    }
    if (response.status !== 200) {
      await discard(response);
      return { kind: 'failed', reason: `${shownUrl(url)}: HTTP ${response.status}` };
    }
    const text = await readBody(response);
    if (text === null)
      return { kind: 'refused', reason: `${shownUrl(url)}: is larger than ${MAX_LIST_BYTES} bytes` };
    const validators = {
      etag: validatorOf(response, 'etag'),
      lastModified: validatorOf(response, 'last-modified'),
    };
    return { kind: 'fresh', prefixes: parseList(shownUrl(url), text), validators };
  } catch (error) {
    if (error instanceof RogueSmtpError)
      return { kind: error.code === 'config' ? 'refused' : 'failed', reason: error.message };
    const reason = signal.aborted ? 'no answer in time' : causeOf(error);
    return { kind: 'failed', reason: `${shownUrl(url)}: ${reason}` };
  }
}

/** Throws RogueSmtpError `unavailable` for a redirect that is not followed, else what fetch throws. */
async function follow(first: string, known: Validators | null, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { accept: 'text/plain, */*;q=0.1' };
  if (known?.etag) headers['if-none-match'] = known.etag;
  if (known?.lastModified) headers['if-modified-since'] = known.lastModified;
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url, { headers, signal, redirect: 'manual' });
    if (!REDIRECTS.has(response.status)) return response;
    await discard(response);
    const refuse = (why: string) =>
      new RogueSmtpError('unavailable', `${shownUrl(first)}: ${why}`, { transient: true });
    if (redirects >= MAX_REDIRECTS) throw refuse(`more than ${MAX_REDIRECTS} redirects`);
    const location = response.headers.get('location') ?? '';
    const next = URL.canParse(location, url) ? new URL(location, url) : null;
    if (next === null || !isListUrl(next.href)) throw refuse('a redirect to what is no http or https URL');
    if (url.startsWith('https:') && next.protocol !== 'https:') throw refuse('a redirect from https to http');
    url = next.href;
  }
}

/** The text, after decompression; null when there is too much of it. */
async function readBody(response: Response): Promise<string | null> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    // Leaving the loop lets go of the connection.
    if (bytes > MAX_LIST_BYTES) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch((error: unknown) => messageOf(error));
}

function validatorOf(response: Response, header: 'etag' | 'last-modified'): string | null {
  const value = response.headers.get(header);
  return value === null || value.length > MAX_VALIDATOR ? null : value;
}
