/**
 * A decision about one host: what it would change stands beside the button before it is pressed.
 *
 * No dialog lies over what is being decided: the form opens in the page, below the host.
 */

import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { WhatIfAnswer } from '../data/answers.ts';
import { type Action, decide } from '../data/decisions.ts';
import { API, getJson, withQuery } from '../data/request.ts';
import { createResource } from '../data/resource.ts';
import { mayDecide } from '../data/session.ts';
import { onEscape } from '../keys.ts';
import { plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { Diff, diffWords } from './diff.tsx';
import { ReasonField } from './small.tsx';
import { Loaded } from './states.tsx';

interface ActionWords {
  readonly title: string;
  readonly button: string;
  /** It lasts for a time that the reader chooses. */
  readonly timed: boolean;
  /** A reason must be given. */
  readonly needsReason: boolean;
}

const WORDS: Readonly<Record<Action, ActionWords>> = {
  approve: { title: 'Approve the block of', button: 'Approve the block', timed: false, needsReason: false },
  reject: { title: 'Reject the block of', button: 'Reject the block', timed: false, needsReason: false },
  release: { title: 'Release', button: 'Release', timed: true, needsReason: false },
  block: { title: 'Block by hand', button: 'Block', timed: true, needsReason: true },
};

const TIMES: readonly (readonly [string, string])[] = [
  ['1h', '1 hour'],
  ['24h', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
];

/** As the API names a host. */
export const named = (host: string, site: string): string => (site === '' ? host : `${host}@${site}`);

export function Decide(props: {
  readonly action: Action;
  readonly host: string;
  readonly site: string;
  readonly onClose: () => void;
}) {
  const { action, host, site, onClose } = props;
  const words = WORDS[action];
  const time = useSignal('24h');
  const reason = useSignal('');
  const busy = useSignal(false);
  const refused = useSignal<string | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const name = named(host, site);
  const effect = useMemo(
    () =>
      createResource(() =>
        getJson<WhatIfAnswer>(
          withQuery(`${API}/hosts/${encodeURIComponent(name)}/what-if`, {
            action,
            for: words.timed ? time.value : undefined,
          }),
        ),
      ),
    [action, name, time.value],
  );
  useEffect(() => void effect.refresh(), [effect]);
  useEffect(() => onEscape(onClose), [onClose]);
  useEffect(() => form.current?.querySelector<HTMLElement>('input, select, button')?.focus(), [action, name]);

  async function submit(event: Event) {
    event.preventDefault();
    busy.value = true;
    refused.value = await decide({ action, hosts: [name], reason: reason.value.trim(), for: time.value });
    busy.value = false;
    if (refused.value === null) onClose();
  }

  const allowed = effect.value.value?.allowed ?? false;
  const lacksReason = words.needsReason && reason.value.trim() === '';
  return (
    <form class="decide" ref={form} onSubmit={submit} aria-label={`${words.title} ${shown(host)}`}>
      <h3>
        {words.title} <bdi>{shown(host)}</bdi>
      </h3>
      <div class="decide-fields">
        {words.timed ? (
          <label>
            For{' '}
            <select
              value={time.value}
              onChange={(event) => {
                time.value = event.currentTarget.value;
              }}
            >
              {TIMES.map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          </label>
        ) : null}
        <ReasonField reason={reason} needed={words.needsReason} />
      </div>
      <div class="effect" aria-live="polite">
        <h4>What this changes</h4>
        <Loaded of={effect} rows={2}>
          {(answer) => <Effect answer={answer} />}
        </Loaded>
      </div>
      {refused.value === null ? null : (
        <p class="refused" role="alert">
          {shown(refused.value)}
        </p>
      )}
      <div class="decide-buttons">
        <button
          type="submit"
          class="primary"
          disabled={busy.value || !allowed || lacksReason || !mayDecide.value}
        >
          {busy.value ? 'Sending…' : words.button}
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
        {mayDecide.value ? null : <span class="muted">Your token may only read.</span>}
        {lacksReason ? <span class="muted">A block by hand needs a reason.</span> : null}
      </div>
    </form>
  );
}

function Effect(props: { readonly answer: WhatIfAnswer }) {
  const { allowed, refused, says, lists, cuts, action } = props.answer;
  const cutsOff = action === 'approve' || action === 'block';
  return (
    <>
      {allowed ? null : <p class="refused">This would be refused: {shown(refused ?? 'no reason given')}</p>}
      <ul>
        {says.map((text) => (
          <li key={text}>{shown(text, 600)}</li>
        ))}
        {cutsOff && cuts.sessions > 0 ? (
          <li>
            In the last 24 hours it had {plural(cuts.sessions, 'session')} with{' '}
            {plural(cuts.destinations, 'server')} on port 25. These would be cut off.
          </li>
        ) : null}
      </ul>
      {lists.map(({ target, family, platform, diff }) => (
        <details key={`${target}/${family}`} open={lists.length <= 2}>
          <summary>
            {shown(target)} IPv{family} ({platform}): {diffWords(diff)}
          </summary>
          <Diff diff={diff} label={`Change of ${shown(target)} IPv${family}`} />
        </details>
      ))}
    </>
  );
}
