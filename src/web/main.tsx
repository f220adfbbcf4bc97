/** Where the page begins: who the reader is, which page is asked for, and what is followed meanwhile. */

import { signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { loginNeeded } from './data/request.ts';
import { askWhoIAm, isKiosk, session } from './data/session.ts';
import { startStores } from './data/stores.ts';
import { startKeys } from './keys.ts';
import { Blocks } from './pages/blocks.tsx';
import { Coverage } from './pages/coverage.tsx';
import { Explore } from './pages/explore.tsx';
import { Health } from './pages/health.tsx';
import { Host } from './pages/host.tsx';
import { Inventory } from './pages/inventory.tsx';
import { Login } from './pages/login.tsx';
import { Overview } from './pages/overview.tsx';
import { Wall } from './pages/wall.tsx';
import { Frame } from './parts/frame.tsx';
import { Empty, Failure } from './parts/states.tsx';
import { startTheme } from './parts/theme.ts';
import { path, startRouter } from './router.ts';
import { shown } from './words/shown.ts';

const unreachable = signal<string | null>(null);
const RETRY_MS = 2000;

const PAGES: Readonly<Record<string, () => preact.JSX.Element>> = {
  '/': Overview,
  '/explore': Explore,
  '/inventory': Inventory,
  '/blocks': Blocks,
  '/coverage': Coverage,
  '/health': Health,
};

async function begin(): Promise<void> {
  try {
    await askWhoIAm();
    unreachable.value = null;
  } catch (error) {
    unreachable.value = String((error as Error).message);
    setTimeout(() => void begin(), RETRY_MS);
  }
}

function Page() {
  const place = path.value;
  useTitle(place);
  if (place.startsWith('/host/')) return <Host key={place} />;
  const Known = PAGES[place];
  if (Known !== undefined) return <Known />;
  return (
    <Empty>
      <h1>There is no such page</h1>
      <p>
        Nothing is at {shown(place, 100)}. <a href="/">Back to the overview</a>
      </p>
    </Empty>
  );
}

function useTitle(place: string): void {
  useEffect(() => {
    const last = decodeURIComponent(place.split('/').at(-1) ?? '');
    document.title = last === '' ? 'rogue-smtp' : `${shown(last, 60)} - rogue-smtp`;
  }, [place]);
}

function Inside() {
  const kiosk = isKiosk.value;
  useEffect(() => startStores(kiosk), [kiosk]);
  if (kiosk && path.value !== '/wall') return <Login />;
  if (path.value === '/wall') return <Wall />;
  return (
    <Frame>
      <Page />
    </Frame>
  );
}

function App() {
  if (loginNeeded.value) return <Login />;
  if (session.value !== null) return <Inside />;
  return (
    <main class="page">
      {unreachable.value === null ? (
        <p class="headline">Asking the service…</p>
      ) : (
        <Failure
          what="The service does not answer"
          why={`${unreachable.value}. The page tries again by itself.`}
        />
      )}
    </main>
  );
}

startTheme();
startRouter();
startKeys();
const root = document.querySelector('#app');
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
}
void begin();
