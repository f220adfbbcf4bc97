/** What a person decides, sent to the service; and what came of it, said to the reader with a way back. */

import { signal } from '@preact/signals';
import { API, ApiError, postJson } from './request.ts';
import { refreshAll } from './stores.ts';

export type Action = 'approve' | 'reject' | 'release' | 'block';

export interface Order {
  readonly action: Action;
  /** `HOST` or `HOST@SITE`. */
  readonly hosts: readonly string[];
  /** Of `release` and `block`: such as 24h. */
  readonly for?: string | undefined;
  readonly reason: string;
}

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly isError: boolean;
  readonly undo?: { readonly label: string; readonly run: () => void } | undefined;
}

export const notices = signal<readonly Notice[]>([]);

const NOTICE_MS = 15_000;
let lastId = 0;

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

export function notify(text: string, isError = false, undo?: Notice['undo']): void {
  const id = ++lastId;
  notices.value = [...notices.value.slice(-3), { id, text, isError, undo }];
  if (!isError) setTimeout(() => dismiss(id), NOTICE_MS);
}

/** What takes a decision back; a release ends a block at once and is over a minute later. */
const OPPOSITE: Readonly<Record<Action, { readonly action: Action; readonly for?: string } | null>> = {
  approve: { action: 'reject' },
  reject: { action: 'approve' },
  block: { action: 'release', for: '1m' },
  release: null,
};

/** The body that the service expects of each decision. */
const bodyOf = ({ action, hosts, reason, for: time }: Order) =>
  action === 'release' || action === 'block' ? { hosts, for: time, reason } : { hosts, reason };

/** Resolves with null, or with why the service refused. */
export async function decide(order: Order): Promise<string | null> {
  try {
    const { done } = await postJson<{ readonly done: readonly string[] }>(
      `${API}/acl/${order.action}`,
      bodyOf(order),
    );
    const back = OPPOSITE[order.action];
    notify(
      done.join(' ') || 'Done.',
      false,
      back === null
        ? undefined
        : {
            label: 'Undo',
            run: () =>
              void decide({ ...back, hosts: order.hosts, reason: `undoes: ${order.reason}`.slice(0, 200) }),
          },
    );
    refreshAll();
    return null;
  } catch (error) {
    const why = error instanceof ApiError ? error.message : String(error);
    notify(why, true);
    return why;
  }
}
