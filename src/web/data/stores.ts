/** What the page knows: answers that are kept up to date, and the alerts since. One of each for the whole page. */

import { computed, signal } from '@preact/signals';
import type { Alert, HostRow, HostsAnswer, OverviewAnswer } from './answers.ts';
import { mergeHosts, rowOfAlert } from './host-list.ts';
import { followAlerts } from './live.ts';
import { API, getJson, withQuery } from './request.ts';
import { createResource } from './resource.ts';

export const overview = createResource(() => getJson<OverviewAnswer>(`${API}/overview`));

const HOSTS_PAGE = 500;
const hostsPage = (cursor?: string) =>
  getJson<HostsAnswer>(withQuery(`${API}/hosts`, { limit: HOSTS_PAGE, cursor }));

/** Hosts, worst first: the first page, which is asked for again and again. */
export const hosts = createResource(() => hostsPage());

interface Tail {
  readonly rows: readonly HostRow[];
  readonly cursor: string | null;
}
/** What follows the first page, as far as the reader has scrolled. Alerts keep it up to date; it is read once. */
const tail = signal<Tail | null>(null);
let loadsMore = false;

/** The reader nears the end of what is there. */
export async function loadMoreHosts(): Promise<void> {
  const cursor = tail.value === null ? (hosts.value.value?.next_cursor ?? null) : tail.value.cursor;
  if (cursor === null || loadsMore) return;
  loadsMore = true;
  try {
    const page = await hostsPage(cursor);
    tail.value = { rows: [...(tail.value?.rows ?? []), ...page.hosts], cursor: page.next_cursor };
  } catch {
    // The next scroll tries again.
  } finally {
    loadsMore = false;
  }
}

const answered = computed((): readonly HostRow[] => {
  const first = hosts.value.value?.hosts ?? [];
  if (tail.value === null) return first;
  const known = new Set(first.map(({ incident_id }) => incident_id));
  return [...first, ...tail.value.rows.filter(({ incident_id }) => !known.has(incident_id))];
});

/** The newest alerts since the page was opened, newest first. */
const newAlerts = signal<readonly Alert[]>([]);
/** Rows that alerts have told and the answers have not yet. */
const ahead = signal<ReadonlyMap<string, HostRow>>(new Map());

const merged = computed(() => mergeHosts(answered.value, ahead.value));
export const hostRows = computed(() => merged.value.rows);

/** Now, for ages and relative times; it moves slowly, so that little is drawn anew. */
export const now = signal(Date.now());

/** Something has changed: pages with answers of their own ask anew when it grows. */
export const changes = signal(0);

const KEPT_ALERTS = 200;
const KEPT_AHEAD = 1000;
/** The store writes in batches; alerts that come together are asked for once. */
const CATCH_UP_MS = 1500;
const SOON_MS = 150;
const NOW_STEP_MS = 5000;
const OFTEN_MS = 10_000;
const SELDOM_MS = 20_000;

/** Does it once a while after it was first asked for, however often that is. */
function once(afterMs: number, work: () => void): () => void {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      work();
    }, afterMs);
  };
}

const refreshSoon = once(SOON_MS, () => void overview.refresh());
const catchUp = once(CATCH_UP_MS, () => refreshAll());

function take(alert: Alert): void {
  if (newAlerts.value.some(({ alert_id }) => alert_id === alert.alert_id)) return;
  newAlerts.value = [alert, ...newAlerts.value].slice(0, KEPT_ALERTS);
  const before = hostRows.value.find(({ incident_id }) => incident_id === alert.incident_id);
  const row = rowOfAlert(alert, before);
  if (row !== null) {
    const kept = [...merged.value.ahead].slice(-KEPT_AHEAD);
    ahead.value = new Map([...kept, [row.incident_id, row]]);
  }
  refreshSoon();
  catchUp();
}

/** Asks for everything anew, for example after a decision. */
export function refreshAll(): void {
  void overview.refresh();
  void hosts.refresh();
  changes.value++;
}

/** Begins to follow the service, until the returned function is called. A kiosk may see the overview only. */
export function startStores(isKiosk: boolean): () => void {
  const stops = isKiosk
    ? [overview.follow(OFTEN_MS)]
    : [overview.follow(OFTEN_MS), hosts.follow(SELDOM_MS), followAlerts(`${API}/events`, take, refreshAll)];
  const timer = setInterval(() => {
    now.value = Date.now();
  }, NOW_STEP_MS);
  return () => {
    clearInterval(timer);
    for (const stop of stops) stop();
  };
}
