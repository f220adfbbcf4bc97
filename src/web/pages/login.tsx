/** Takes a token and gets a session for it; the token itself is not kept. */

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../data/request.ts';
import { logIn } from '../data/session.ts';
import { shown } from '../words/shown.ts';

export function Login() {
  const input = useRef<HTMLInputElement>(null);
  const busy = useSignal(false);
  const refused = useSignal<string | null>(null);
  useEffect(() => input.current?.focus(), []);
  async function submit(event: Event) {
    event.preventDefault();
    const token = input.current?.value ?? '';
    if (token === '') return;
    busy.value = true;
    try {
      await logIn(token);
    } catch (error) {
      refused.value = error instanceof ApiError ? error.message : String(error);
      if (input.current) input.current.value = '';
      input.current?.focus();
    }
    busy.value = false;
  }
  return (
    <main class="login">
      <form class="card" onSubmit={submit}>
        <h1>rogue-smtp</h1>
        <p>
          This service asks for a token. It is one of those in its configuration: http.token, or http.tokens.
        </p>
        <label>
          Token
          <input
            ref={input}
            type="password"
            name="token"
            autoComplete="current-password"
            maxLength={512}
            required
          />
        </label>
        {refused.value === null ? null : (
          <p class="refused" role="alert">
            {shown(refused.value)}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy.value}>
          {busy.value ? 'Asking…' : 'Log in'}
        </button>
      </form>
    </main>
  );
}
