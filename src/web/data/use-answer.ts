/** An answer of the API for as long as a component shows it. */

import { useEffect, useMemo } from 'preact/hooks';
import { getJson } from './request.ts';
import { createResource, type Resource } from './resource.ts';
import { changes } from './stores.ts';

const USUAL_MS = 30_000;

/** Asked again every `everyMs`, and when an alert or a decision has changed something. A new path is a new answer. */
export function useAnswer<Answer>(path: string, everyMs = USUAL_MS): Resource<Answer> {
  const resource = useMemo(() => createResource(() => getJson<Answer>(path)), [path]);
  useEffect(() => resource.follow(everyMs), [resource, everyMs]);
  useEffect(() => {
    const first = changes.peek();
    return changes.subscribe((value) => {
      if (value !== first) void resource.refresh();
    });
  }, [resource]);
  return resource;
}
