/** Where the reader is: path and query of the address bar as a signal. Every view has a link of its own. */

import { computed, signal } from '@preact/signals';

const href = signal(location.pathname + location.search);

export const path = computed(() => new URL(href.value, location.origin).pathname);
export const query = computed(() => new URL(href.value, location.origin).searchParams);

/** Goes to a place of this page; `replace` leaves no entry in the history. */
export function go(to: string, replace = false): void {
  if (to === href.value) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  const moved = new URL(to, location.origin).pathname !== path.value;
  href.value = to;
  if (moved && !replace) window.scrollTo(0, 0);
}

/** The place of a host; what is no address cannot leave the path. */
export const hostPath = (host: string, site = ''): string =>
  `/host/${encodeURIComponent(site === '' ? host : `${host}@${site}`)}`;

/** Changes parts of the query; undefined or empty takes one away. */
export function setQuery(changes: Readonly<Record<string, string | undefined>>, replace = true): void {
  const next = new URLSearchParams(query.value);
  for (const [key, value] of Object.entries(changes))
    if (value === undefined || value === '') next.delete(key);
    else next.set(key, value);
  const text = next.toString();
  go(text === '' ? path.value : `${path.value}?${text}`, replace);
}

/** Links of this page are followed without loading it anew; all others, and those with a modifier key, by the browser. */
export function startRouter(): void {
  window.addEventListener('popstate', () => {
    href.value = location.pathname + location.search;
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link?.href || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin)
      return;
    if (!isOurs(link.pathname)) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}

const PAGES = ['/', '/explore', '/inventory', '/blocks', '/coverage', '/health', '/wall', '/login'];
/** A place that the page draws itself. */
const isOurs = (pathname: string): boolean => PAGES.includes(pathname) || pathname.startsWith('/host/');
