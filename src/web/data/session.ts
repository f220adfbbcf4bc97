/** Who the reader is to the service: a token's name and role, or nobody. */

import { computed, signal } from '@preact/signals';
import type { SessionAnswer } from './answers.ts';
import { API, ApiError, csrfToken, getJson, loginNeeded, postJson } from './request.ts';

export const session = signal<SessionAnswer | null>(null);

/** May approve, reject, release and block. */
export const mayDecide = computed(() => session.value?.role === 'decide' || session.value?.role === 'admin');

/** Only the overview and the chart are answered. */
export const isKiosk = computed(() => session.value?.by === 'kiosk');

function take(answer: SessionAnswer): void {
  csrfToken.value = answer.csrf;
  session.value = answer;
  loginNeeded.value = false;
}

/** Throws ApiError, also when the service cannot be reached. */
export async function askWhoIAm(): Promise<void> {
  try {
    take(await getJson<SessionAnswer>(`${API}/session`));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  }
}

/** Throws ApiError with what is wrong with the token. */
export async function logIn(token: string): Promise<void> {
  take(await postJson<SessionAnswer>(`${API}/session`, { token }));
}

export async function logOut(): Promise<void> {
  await postJson(`${API}/session`, {}, 'DELETE').catch(() => undefined);
  csrfToken.value = null;
  session.value = null;
  loginNeeded.value = true;
}
