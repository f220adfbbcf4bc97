/** What stands around every page: the bar with links and search, the notices, the help for keys. */

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { dismiss, notices } from '../data/decisions.ts';
import { connection } from '../data/live.ts';
import { logOut, session } from '../data/session.ts';
import { now } from '../data/stores.ts';
import { helpOpen, KEYS } from '../keys.ts';
import { go, hostPath, path } from '../router.ts';
import { zone } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { Disconnected } from './states.tsx';
import { nextTheme, scheme } from './theme.ts';

const LINKS: readonly (readonly [string, string])[] = [
  ['/', 'Overview'],
  ['/explore', 'Explore'],
  ['/inventory', 'Inventory'],
  ['/blocks', 'Blocks'],
  ['/coverage', 'Coverage'],
  ['/health', 'Health'],
];

export function Frame(props: { readonly children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="/">
          rogue-smtp
        </a>
        <nav aria-label="Pages">
          {LINKS.map(([to, text]) => (
            <a key={to} href={to} aria-current={path.value === to ? 'page' : undefined}>
              {text}
            </a>
          ))}
        </nav>
        <Search />
        <span class={`live live-${connection.value}`} title={LIVE[connection.value]}>
          <span aria-hidden="true">{connection.value === 'live' ? '●' : '○'}</span>{' '}
          <span class="wide-only">{connection.value === 'lost' ? 'not connected' : connection.value}</span>
          <span class="visually-hidden">{LIVE[connection.value]}</span>
        </span>
        <span class="muted wide-only" title="Times on this page are in this zone">
          {zone(now.value)}
        </span>
        <button type="button" class="plain" onClick={nextTheme} aria-label="Switch between dark and light">
          <span aria-hidden="true">{scheme.value === 'dark' ? '☀' : '☾'}</span>
        </button>
        <button
          type="button"
          class="plain wide-only"
          aria-label="Keys"
          onClick={() => {
            helpOpen.value = !helpOpen.value;
          }}
        >
          ?
        </button>
        <Who />
      </header>
      <Disconnected />
      {helpOpen.value ? <Help /> : null}
      <main class="page" id="main" tabIndex={-1}>
        {props.children}
      </main>
      <Notices />
    </>
  );
}

const LIVE = {
  live: 'Connected: alerts appear at once.',
  connecting: 'Connecting to the service.',
  lost: 'Not connected: what you see is old.',
} as const;

function Search() {
  const text = useSignal('');
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const host = text.value.trim();
        if (host === '') return;
        text.value = '';
        go(hostPath(host));
        event.currentTarget.querySelector('input')?.blur();
      }}
    >
      <input
        id="search"
        type="search"
        maxLength={128}
        aria-label="Search a host by its address"
        placeholder="search host ( / )"
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
    </form>
  );
}

function Who() {
  const who = session.value;
  if (who === null || who.by !== 'session') return null;
  return (
    <button
      type="button"
      class="plain"
      onClick={() => void logOut()}
      title={`Logged in as ${shown(who.name)} (${who.role})`}
    >
      Log out
    </button>
  );
}

function Help() {
  return (
    <aside class="help" aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </aside>
  );
}

function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text, isError, undo }) => (
        <p key={id} class={isError ? 'notice notice-error' : 'notice'}>
          <span>{shown(text, 600)}</span>
          {undo === undefined ? null : (
            <button
              type="button"
              onClick={() => {
                dismiss(id);
                undo.run();
              }}
            >
              {undo.label}
            </button>
          )}
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => dismiss(id)}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
