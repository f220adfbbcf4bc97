/** A unified diff with colours, and with its signs for those who do not see them. */

import type { ListDiff } from '../data/answers.ts';
import { plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

const SIGNS = { same: ' ', added: '+', removed: '-', hunk: '' } as const;

export function Diff(props: { readonly diff: ListDiff; readonly label: string }) {
  const { diff, label } = props;
  if (diff.refused !== null) return <p class="muted">No such list: {shown(diff.refused)}</p>;
  if (diff.lines.length === 0) return <p class="muted">Nothing changes.</p>;
  return (
    <pre class="diff" role="group" tabIndex={0} aria-label={label}>
      {diff.lines.map(({ kind, text }, i) => (
        <span key={i} class={`diff-${kind}`}>
          {SIGNS[kind]}
          {shown(text, 2000)}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}

/** `2 lines more, 1 line fewer`. */
export function diffWords({ added, removed, refused }: ListDiff): string {
  if (refused !== null) return 'cannot be written';
  if (added + removed === 0) return 'no change';
  const parts = [
    ...(added > 0 ? [`${plural(added, 'line')} more`] : []),
    ...(removed > 0 ? [`${plural(removed, 'line')} fewer`] : []),
  ];
  return parts.join(', ');
}
