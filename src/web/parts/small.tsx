/** Small things that every page uses: times, grades, block states, copied text, notes. */

import { type Signal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { now } from '../data/stores.ts';
import { clockTime, fullTime, moment, relative } from '../words/format.ts';
import { type BlockShape, blockWording, flagWording, gradeWording, LADDER } from '../words/grades.ts';
import { shown, shownLines } from '../words/shown.ts';

/** Local time; in full and relative on hover. */
export function Time(props: { readonly iso: string | null | undefined; readonly seconds?: boolean }) {
  const ms = moment(props.iso);
  if (ms === null) return <span class="muted">not known</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={`${fullTime(ms)} (${relative(ms, now.value)})`}>
      {clockTime(ms, now.value, props.seconds)}
    </time>
  );
}

/** How long ago, with the time in full on hover. */
export function Ago(props: { readonly ms: number }) {
  if (props.ms === 0) return <span class="muted">never</span>;
  return (
    <time dateTime={new Date(props.ms).toISOString()} title={fullTime(props.ms)}>
      {relative(props.ms, now.value)}
    </time>
  );
}

const FULL = '●';
const EMPTY = '○';

/** `●●●○ mail`, with what that means on hover. */
export function Grade(props: { readonly grade: string | null | undefined }) {
  const { word, dots, meaning } = gradeWording(props.grade);
  return (
    <span class="grade" title={meaning}>
      <span class="dots" aria-hidden="true">
        {FULL.repeat(dots)}
        {EMPTY.repeat(LADDER.length - dots)}
      </span>{' '}
      <span>{word}</span>
    </span>
  );
}

/** All grades one above the other, with the one that was reached. */
export function GradeLadder(props: { readonly grade: string }) {
  const reached = gradeWording(props.grade);
  return (
    <ol class="ladder" aria-label={`How sure: ${reached.word}, ${reached.dots} of ${LADDER.length}`}>
      {[...LADDER].reverse().map(({ word, dots, meaning }) => (
        <li key={word} class={dots === reached.dots ? 'here' : dots < reached.dots ? 'below' : 'above'}>
          <span class="dots" aria-hidden="true">
            {FULL.repeat(dots)}
            {EMPTY.repeat(LADDER.length - dots)}
          </span>
          <b>{word}</b>
          <span class="meaning">{meaning}</span>
        </li>
      ))}
    </ol>
  );
}

const SHAPES: Readonly<Record<BlockShape, string>> = {
  blocked: '■',
  passes: '▲',
  waits: '◆',
  watching: '○',
  released: '◇',
  over: '□',
};

export function BlockState(props: {
  readonly state: string;
  readonly passes?: boolean;
  readonly reason?: string;
}) {
  const { word, shape, meaning } = blockWording(props.state, props.passes);
  const title = props.reason ? `${meaning} ${shown(props.reason)}` : meaning;
  return (
    <span class={`block block-${shape}`} title={title}>
      <span aria-hidden="true">{SHAPES[shape]}</span> {word}
    </span>
  );
}

export function Flags(props: { readonly flags: readonly string[] }) {
  return (
    <>
      {props.flags.map((flag) => {
        const { word, meaning } = flagWording(flag);
        return (
          <span key={flag} class="tag" title={shown(meaning)}>
            {shown(word)}
          </span>
        );
      })}
    </>
  );
}

/** A host name, address or the like, which may be long and come from anywhere. */
export function Name(props: { readonly text: string; readonly most?: number }) {
  return <bdi class="name">{shown(props.text, props.most)}</bdi>;
}

/** Text in a box of its own, to copy and, with a file name, to download. */
export function TextBox(props: {
  readonly label: string;
  readonly text: string;
  readonly file?: string;
  readonly children?: ComponentChildren;
}) {
  const copied = useSignal<'no' | 'yes' | 'failed'>('no');
  async function copy() {
    try {
      await navigator.clipboard.writeText(props.text);
      copied.value = 'yes';
    } catch {
      copied.value = 'failed';
    }
    setTimeout(() => {
      copied.value = 'no';
    }, COPIED_MS);
  }
  function download() {
    const url = URL.createObjectURL(new Blob([props.text], { type: 'text/plain' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = props.file ?? 'text.txt';
    link.click();
    URL.revokeObjectURL(url);
  }
  return (
    <div class="textbox">
      <div class="textbox-bar">
        <span>{props.label}</span>
        <span class="spring" />
        {props.children}
        <button type="button" onClick={copy}>
          {copied.value === 'yes'
            ? 'Copied'
            : copied.value === 'failed'
              ? 'Select it and copy by hand'
              : 'Copy'}
        </button>
        {props.file === undefined ? null : (
          <button type="button" onClick={download}>
            Download
          </button>
        )}
      </div>
      <pre role="group" tabIndex={0} aria-label={props.label}>
        {shownLines(props.text)}
      </pre>
    </div>
  );
}

const COPIED_MS = 2000;

export function Section(props: {
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly class?: string;
}) {
  return (
    <section class={`card ${props.class ?? ''}`} aria-label={props.title}>
      <div class="card-head">
        <h2>{props.title}</h2>
        {props.note === undefined ? null : <span class="muted">{props.note}</span>}
      </div>
      {props.children}
    </section>
  );
}

/** Where a decision gets its reason; `needed`: it cannot be left empty. */
export function ReasonField({
  reason,
  needed = false,
}: {
  readonly reason: Signal<string>;
  readonly needed?: boolean;
}) {
  return (
    <label class="grow">
      Reason{needed ? '' : ' (optional)'}{' '}
      <input
        type="text"
        maxLength={200}
        value={reason.value}
        placeholder="for the audit log"
        onInput={(event) => {
          reason.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}
