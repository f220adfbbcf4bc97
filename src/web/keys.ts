/** The keyboard: what each key does, in one table that the help shows, too. Keys typed into a field are the field's. */

import { signal } from '@preact/signals';
import { go } from './router.ts';

export const helpOpen = signal(false);

export const KEYS: readonly (readonly [string, string])[] = [
  ['/', 'search a host'],
  ['j  k', 'next and previous row'],
  ['Enter', 'open the marked row'],
  ['a', 'approve the marked host, or the one that waits longest; shows the effect first'],
  ['g then o e i b c h', 'go to Overview, Explore, Inventory, Blocks, Coverage, Health'],
  ['?', 'show or hide this list'],
  ['Esc', 'close what is open'],
];

interface RowKeys {
  move(step: number): void;
  open(): void;
  approve(): void;
}

/** The last table that came: j and k are its. */
const tables: { readonly current: RowKeys }[] = [];

/** Until the returned function is called. */
export function onRowKeys(keys: { readonly current: RowKeys }): () => void {
  tables.push(keys);
  return () => {
    tables.splice(tables.indexOf(keys), 1);
  };
}

const escapes = new Set<() => void>();

/** Calls back when Esc is pressed, until the returned function is called. */
export function onEscape(listener: () => void): () => void {
  escapes.add(listener);
  return () => escapes.delete(listener);
}

const PLACES: Readonly<Record<string, string>> = {
  o: '/',
  e: '/explore',
  i: '/inventory',
  b: '/blocks',
  c: '/coverage',
  h: '/health',
};
const CHORD_MS = 1500;

export function startKeys(): void {
  let goPressedAt = 0;
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as HTMLElement;
    if (event.key === 'Escape') {
      helpOpen.value = false;
      for (const listener of escapes) listener();
      target.blur?.();
      return;
    }
    if (target.closest('input, select, textarea')) return;
    const place = PLACES[event.key];
    if (place !== undefined && Date.now() - goPressedAt < CHORD_MS) {
      goPressedAt = 0;
      go(place);
      return;
    }
    // The first table of the page; the others are beside it.
    const table = tables[0]?.current;
    if (event.key === 'g') goPressedAt = Date.now();
    else if (event.key === '?') helpOpen.value = !helpOpen.value;
    else if (event.key === '/') document.querySelector<HTMLInputElement>('#search')?.focus();
    else if (event.key === 'j') table?.move(1);
    else if (event.key === 'k') table?.move(-1);
    else if (event.key === 'a') table?.approve();
    else if (event.key === 'Enter' && !target.closest('a, button, summary')) table?.open();
    else return;
    event.preventDefault();
  });
}
