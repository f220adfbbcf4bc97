/** Dark, light, or as the system has it; remembered by the browser. */

import { computed, signal } from '@preact/signals';

type Choice = 'system' | 'light' | 'dark';

const KEY = 'rogue-smtp.theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(dark.matches);

function stored(): Choice {
  try {
    const text = localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : 'system';
  } catch {
    return 'system';
  }
}

const choice = signal<Choice>(stored());
/** What is drawn now. */
export const scheme = computed<'light' | 'dark'>(() =>
  choice.value === 'system' ? (systemIsDark.value ? 'dark' : 'light') : choice.value,
);

export function startTheme(): void {
  dark.addEventListener('change', (event) => {
    systemIsDark.value = event.matches;
  });
  choice.subscribe((value) => {
    if (value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
  });
}

export function nextTheme(): void {
  choice.value = scheme.value === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // Private windows of some browsers: it lasts as long as the page.
  }
}
