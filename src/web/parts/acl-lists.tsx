/** Each list as its router is told: text, difference, earlier revisions and the way back to them. */

import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { BlocksAnswer, ListAnswer } from '../data/answers.ts';
import { notify } from '../data/decisions.ts';
import { API, ApiError, getText, postJson, withQuery } from '../data/request.ts';
import { createResource } from '../data/resource.ts';
import { mayDecide } from '../data/session.ts';
import { refreshAll } from '../data/stores.ts';
import { useAnswer } from '../data/use-answer.ts';
import { plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { Diff, diffWords } from './diff.tsx';
import { Section, TextBox, Time } from './small.tsx';
import { Empty, Loaded } from './states.tsx';

type ListSummary = BlocksAnswer['lists'][number];

export function Lists(props: { readonly lists: readonly ListSummary[] }) {
  if (props.lists.length === 0)
    return (
      <Empty>
        <p>
          No list is configured. Name your routers in <code>acl.targets</code>, or take the text for one
          platform below.
        </p>
      </Empty>
    );
  return (
    <>
      {props.lists.map((list) => (
        <OneList key={`${list.target}/${list.family}`} list={list} />
      ))}
    </>
  );
}

function OneList(props: { readonly list: ListSummary }) {
  const { list } = props;
  const { target, family, platform, kind, entries, refused, trouble, pin, diff, left_out } = list;
  const isOpen = useSignal(false);
  return (
    <details
      class="list"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>
        <b>{shown(target)}</b> IPv{family}{' '}
        <span class="muted">
          {platform}, {kind}
        </span>{' '}
        {refused === null ? (
          plural(entries ?? 0, 'entry', 'entries')
        ) : (
          <span class="block block-passes">▲ cannot be written</span>
        )}{' '}
        <span class="muted">
          {diff.added + diff.removed > 0 ? `if all is approved: ${diffWords(diff)}` : ''}
        </span>
        {pin === null ? null : <span class="tag">held at {shown(pin.revision)}</span>}
        {trouble === null ? null : <span class="tag tag-bad">▲ {shown(trouble, 120)}</span>}
      </summary>
      {isOpen.value ? (
        <>
          {refused === null ? null : <p class="refused">{shown(refused, 400)}</p>}
          {left_out.length === 0 ? null : (
            <ul>
              {left_out.slice(0, 50).map(({ host, reason }) => (
                <li key={host}>
                  Left out: {shown(host, 64)}: {shown(reason, 300)}
                </li>
              ))}
            </ul>
          )}
          <ListText list={list} />
          {diff.lines.length === 0 ? null : (
            <>
              <h3>If everything that waits is approved</h3>
              <Diff diff={diff} label={`Change of ${shown(target)} IPv${family}`} />
            </>
          )}
          <Revisions list={list} />
        </>
      ) : null}
    </details>
  );
}

function ListText(props: { readonly list: ListSummary }) {
  const { target, family, platform } = props.list;
  const answer = useAnswer<ListAnswer>(`${API}/blocks/${encodeURIComponent(target)}/${family}`);
  return (
    <Loaded of={answer} rows={4}>
      {({ text }) => (
        <TextBox label={`ACL text for ${platform}`} text={text} file={`${target}.v${family}.txt`}>
          {null}
        </TextBox>
      )}
    </Loaded>
  );
}

function Revisions(props: { readonly list: ListSummary }) {
  const { target, family, revisions, pin } = props.list;
  const chosen = useSignal<string | null>(null);
  async function follow() {
    await act(`${API}/acl/follow`, { targets: [target], reason: '' });
  }
  return (
    <>
      <h3>Revisions</h3>
      {pin === null ? null : (
        <p>
          Held at {shown(pin.revision)} by {shown(pin.by, 64)} since <Time iso={pin.at} />
          {pin.reason === '' ? '' : `: ${shown(pin.reason)}`}. The list does not follow the incidents until
          this ends.{' '}
          <button type="button" disabled={!mayDecide.value} onClick={() => void follow()}>
            Follow the incidents again
          </button>
        </p>
      )}
      <ol class="revisions">
        {revisions.map(({ revision, written_at, current }) => (
          <li key={`${revision}${written_at}`}>
            <code>{shown(revision, 16)}</code> <Time iso={written_at} seconds />{' '}
            {current ? (
              <b>in force</b>
            ) : (
              <button
                type="button"
                aria-expanded={chosen.value === revision}
                onClick={() => {
                  chosen.value = chosen.value === revision ? null : revision;
                }}
              >
                Roll back to this
              </button>
            )}
          </li>
        ))}
      </ol>
      {chosen.value === null ? null : (
        <Rollback
          key={chosen.value}
          target={target}
          family={family}
          to={chosen.value}
          onClose={() => {
            chosen.value = null;
          }}
        />
      )}
    </>
  );
}

/** Throws nothing: says to the reader what came of it. */
async function act(path: string, body: unknown): Promise<boolean> {
  try {
    const { done } = await postJson<{ readonly done: readonly string[] }>(path, body);
    notify(done.join(' ') || 'Done.');
    refreshAll();
    return true;
  } catch (error) {
    notify(error instanceof ApiError ? error.message : String(error), true);
    return false;
  }
}

function Rollback(props: {
  readonly target: string;
  readonly family: '4' | '6';
  readonly to: string;
  readonly onClose: () => void;
}) {
  const { target, family, to, onClose } = props;
  const preview = useMemo(
    () => createResource(() => getText(withQuery(`${API}/acl/rollback`, { target, family, to }))),
    [target, family, to],
  );
  useEffect(() => void preview.refresh(), [preview]);
  async function submit(event: Event) {
    event.preventDefault();
    if (await act(`${API}/acl/rollback`, { target, family, to, reason: '' })) onClose();
  }
  return (
    <form class="decide" onSubmit={submit} aria-label={`Roll back ${shown(target)} IPv${family}`}>
      <h4>What the rollback changes</h4>
      <Loaded of={preview} rows={3}>
        {(text) => <Diff diff={diffOfText(text)} label="Change by the rollback" />}
      </Loaded>
      <div class="decide-buttons">
        <button type="submit" class="primary" disabled={!mayDecide.value || preview.value.value === null}>
          Roll back to {shown(to, 16)}
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </form>
  );
}

/** A unified diff as text, as lines with their kinds. */
function diffOfText(text: string): ListAnswer['diff'] {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): ListAnswer['diff']['lines'][number] => {
      if (/^(@@|---|\+\+\+)/.test(line)) return { kind: 'hunk', text: line };
      if (line.startsWith('+')) return { kind: 'added', text: line.slice(1) };
      if (line.startsWith('-')) return { kind: 'removed', text: line.slice(1) };
      return { kind: 'same', text: line.slice(1) };
    });
  const of = (kind: string) => lines.filter((line) => line.kind === kind).length;
  return { added: of('added'), removed: of('removed'), lines, refused: null };
}

const PLATFORMS = [
  ['cisco-ios', 'Cisco IOS'],
  ['cisco-iosxr', 'Cisco IOS XR'],
  ['cisco-nxos', 'Cisco NX-OS'],
  ['cisco-asa', 'Cisco ASA'],
  ['junos', 'Junos'],
  ['arista-eos', 'Arista EOS'],
  ['nokia-sros', 'Nokia SR OS'],
  ['huawei-vrp', 'Huawei VRP'],
  ['mikrotik', 'MikroTik RouterOS'],
  ['vyos', 'VyOS'],
  ['nftables', 'nftables'],
  ['iptables', 'iptables'],
  ['pf', 'pf'],
  ['fortios', 'FortiOS'],
  ['panos', 'PAN-OS'],
  ['aws-nacl', 'AWS network ACL'],
  ['openconfig', 'OpenConfig'],
  ['exabgp', 'ExaBGP'],
  ['gobgp', 'GoBGP'],
  ['bird', 'BIRD'],
] as const;

interface Rendering {
  readonly text: string;
  readonly entries: number;
  readonly left_out: readonly { readonly host: string; readonly reason: string }[];
}

/** The list of today for a router that is not in the configuration. */
export function AnyPlatform() {
  const platform = useSignal<string>('cisco-ios');
  const kind = useSignal('offenders');
  const family = useSignal('4');
  const answer = useAnswer<Rendering>(
    withQuery(`${API}/acl/render`, { platform: platform.value, kind: kind.value, family: family.value }),
  );
  const choice = (label: string, of: typeof kind, options: readonly (readonly [string, string])[]) => (
    <label>
      {label}{' '}
      <select
        value={of.value}
        onChange={(event) => {
          of.value = event.currentTarget.value;
        }}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Section title="ACL text for any platform">
      <div class="decide-fields">
        {choice('Platform', platform, PLATFORMS)}
        {choice('List', kind, [
          ['offenders', 'offenders: these hosts may not'],
          ['policy', 'policy: only senders may'],
        ])}
        {choice('Family', family, [
          ['4', 'IPv4'],
          ['6', 'IPv6'],
        ])}
      </div>
      <Loaded of={answer} rows={5}>
        {({ text, entries }) => (
          <TextBox
            label={plural(entries, 'entry', 'entries')}
            text={text}
            file={`rogue-smtp-${kind.value}.${platform.value}.v${family.value}.txt`}
          />
        )}
      </Loaded>
    </Section>
  );
}
