/** What stands where an answer should be: loading, failed, old, or nothing there. */

import type { ComponentChildren } from 'preact';
import { connection, lastContactAt } from '../data/live.ts';
import type { Resource } from '../data/resource.ts';
import { now } from '../data/stores.ts';
import { duration } from '../words/format.ts';
import { shown } from '../words/shown.ts';

/** Grey bars of the size of what will stand there, so that nothing jumps. */
function Skeleton(props: { readonly rows: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: props.rows }, (_, i) => (
        <span key={i} class="skeleton-row" />
      ))}
    </div>
  );
}

/** Draws `children` with the answer; before that a skeleton, and beside an old answer why it is old. */
export function Loaded<Value>(props: {
  readonly of: Resource<Value>;
  readonly rows?: number;
  readonly children: (value: Value) => ComponentChildren;
}) {
  const { of: resource } = props;
  const value = resource.value.value;
  const error = resource.error.value;
  if (value === null) {
    if (error === null) return <Skeleton rows={props.rows ?? 3} />;
    return (
      <Failure
        what={error.status === 404 ? 'There is no such thing' : 'This could not be loaded'}
        why={error.message}
        retry={() => void resource.refresh()}
      />
    );
  }
  return (
    <>
      {error === null ? null : (
        <p class="stale" role="status">
          As of {duration(now.value - resource.loadedAt.value)} ago: {shown(error.message)}.{' '}
          <button type="button" class="link" onClick={() => void resource.refresh()}>
            Try again
          </button>
        </p>
      )}
      {props.children(value)}
    </>
  );
}

export function Failure(props: { readonly what: string; readonly why: string; readonly retry?: () => void }) {
  return (
    <div class="empty" role="alert">
      <p>
        <b>{props.what}.</b> {shown(props.why)}
      </p>
      {props.retry === undefined ? null : (
        <button type="button" onClick={props.retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty(props: { readonly children: ComponentChildren }) {
  return <div class="empty">{props.children}</div>;
}

const WORTH_SAYING_MS = 5000;

/** A line over the whole page while alerts do not arrive. */
export function Disconnected() {
  if (connection.value !== 'lost') return null;
  const oldMs = now.value - lastContactAt.value;
  const age = lastContactAt.value === 0 || oldMs < WORTH_SAYING_MS ? '' : `, ${duration(oldMs)} old`;
  return (
    <p class="disconnected" role="status">
      <b>Not connected.</b> The page shows the last known state{age}. It tries again by itself.
    </p>
  );
}
