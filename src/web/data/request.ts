/**
 * Requests to the API that served the page, and what can go wrong with them, as values.
 *
 * The session is a cookie that scripts cannot read; what changes something carries the session's CSRF token in a header
 * besides. A request that takes too long counts as failed: a page that waits for ever tells nobody anything.
 */

import { signal } from '@preact/signals';

/** Answers of a week of history take up to a second; a machine under load somewhat longer. */
const TIMEOUT_MS = 20_000;

export class ApiError extends Error {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

export const API = '/api/v1';

/** Of the session in force; null before a login, and where the service asks for no token. */
export const csrfToken = signal<string | null>(null);
/** The service wants a token before it answers. */
export const loginNeeded = signal(false);

const CSRF_HEADER = 'X-CSRF-Token';

async function answer(path: string, init: RequestInit): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signals = init.signal ? [timeout, init.signal] : [timeout];
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: 'same-origin', signal: AbortSignal.any(signals) });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(
      0,
      timeout.aborted ? `no answer within ${TIMEOUT_MS / 1000} s` : 'the service cannot be reached',
    );
  }
  if (response.ok) return response;
  if (response.status === 401) loginNeeded.value = true;
  throw new ApiError(response.status, await complaint(response));
}

/** The sentence of a problem (RFC 9457), or of the older `error` field. */
async function complaint(response: Response): Promise<string> {
  const fallback = `the service answered ${response.status}`;
  try {
    const body: unknown = await response.json();
    if (typeof body !== 'object' || body === null) return fallback;
    for (const key of ['detail', 'error', 'title'] as const) {
      const text = (body as Record<string, unknown>)[key];
      if (typeof text === 'string' && text !== '') return text;
    }
  } catch {
    // Not JSON: a proxy answered.
  }
  return fallback;
}

/** Throws ApiError. */
export async function getJson<Answer>(path: string, signalOf?: AbortSignal): Promise<Answer> {
  const response = await answer(path, {
    headers: { Accept: 'application/json' },
    ...(signalOf && { signal: signalOf }),
  });
  return (await response.json()) as Answer;
}

/** Throws ApiError. */
export async function getText(path: string, signalOf?: AbortSignal): Promise<string> {
  const response = await answer(path, signalOf ? { signal: signalOf } : {});
  return response.text();
}

/** Throws ApiError. */
export async function postJson<Answer>(path: string, body: unknown, method = 'POST'): Promise<Answer> {
  const response = await answer(path, {
    method,
    headers: {
      Accept: 'application/json',
      'Content-Type': 'application/json',
      ...(csrfToken.value !== null && { [CSRF_HEADER]: csrfToken.value }),
    },
    body: JSON.stringify(body),
  });
  return (response.status === 204 ? undefined : await response.json()) as Answer;
}

/** `/path?a=1`, without what is undefined or empty. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  if (given.length === 0) return path;
  return `${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}
