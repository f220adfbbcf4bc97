/** The lists: who is blocked, who waits, what would change, what each router is told, and the way back. */

import { useSignal } from '@preact/signals';
import type { BlockRow, BlocksAnswer } from '../data/answers.ts';
import { type Action, decide } from '../data/decisions.ts';
import { API } from '../data/request.ts';
import { mayDecide } from '../data/session.ts';
import { useAnswer } from '../data/use-answer.ts';
import { AnyPlatform, Lists } from '../parts/acl-lists.tsx';
import { AuditLog } from '../parts/audit-log.tsx';
import { Decide, named } from '../parts/decide.tsx';
import { Diff, diffWords } from '../parts/diff.tsx';
import { type Column, Rows } from '../parts/rows.tsx';
import { BlockState, Grade, Name, ReasonField, Section, Time } from '../parts/small.tsx';
import { Empty, Loaded } from '../parts/states.tsx';
import { go, hostPath, query, setQuery } from '../router.ts';
import { count, duration, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

const MODES = {
  observe: 'block.mode is observe: nothing reaches a list by itself.',
  propose: 'block.mode is propose: a host is listed once you approve it.',
  publish: 'block.mode is publish: proven offenders are listed by themselves.',
} as const;

const SHOWS = [
  ['waiting', 'waiting'],
  ['blocked', 'blocked'],
  ['all', 'all'],
] as const;
type Show = (typeof SHOWS)[number][0];

const isBlocked = (row: BlockRow): boolean => row.listed || row.block.state === 'published';
const CHOOSES: Readonly<Record<Show, (row: BlockRow) => boolean>> = {
  waiting: (row) => row.waiting,
  blocked: isBlocked,
  all: () => true,
};

export function Blocks() {
  const answer = useAnswer<BlocksAnswer>(`${API}/blocks`, 10_000);
  return (
    <Loaded of={answer} rows={8}>
      {(blocks) => <BlocksView answer={blocks} />}
    </Loaded>
  );
}

function BlocksView(props: { readonly answer: BlocksAnswer }) {
  const { answer } = props;
  const { mode, waiting, blocked, troubles, effect } = answer;
  return (
    <>
      <div class={`headline mood-${waiting > 0 ? 'act' : 'calm'}`}>
        <h1>
          {plural(blocked, 'host is', 'hosts are')} blocked, {count(waiting)}{' '}
          {waiting === 1 ? 'waits' : 'wait'} for you.
        </h1>
        <p class="truth">{MODES[mode]}</p>
        {troubles.map((text) => (
          <p key={text} class="trouble">
            <span aria-hidden="true">▲</span> {shown(text, 400)}
          </p>
        ))}
      </div>
      <HostsCard answer={answer} />
      <Section title="Lists for the routers" note={plural(answer.lists.length, 'list')}>
        <Lists lists={answer.lists} />
      </Section>
      <div class="two">
        <Section title="Effect on each router">
          {effect.length === 0 ? (
            <p class="muted">No packet of a blocked host was seen to pass a router.</p>
          ) : (
            <ul class="effects">
              {effect.map(({ exporter, domain, interface: port, hosts }) => (
                <li key={`${exporter}/${domain}/${port}`}>
                  <span class="block block-passes">
                    <span aria-hidden="true">▲</span> <Name text={exporter} most={46} /> interface {port}
                  </span>{' '}
                  still lets {plural(hosts.length, 'host')} through:{' '}
                  {hosts.slice(0, 20).map((host) => (
                    <a key={host} href={hostPath(host)}>
                      <Name text={host} most={64} />{' '}
                    </a>
                  ))}
                </li>
              ))}
            </ul>
          )}
        </Section>
        <AnyPlatform />
      </div>
      <AuditLog />
    </>
  );
}

function HostsCard(props: { readonly answer: BlocksAnswer }) {
  const { answer } = props;
  const asked = query.value.get('show');
  const show: Show = SHOWS.find(([name]) => name === asked)?.[0] ?? (answer.waiting > 0 ? 'waiting' : 'all');
  const rows = answer.hosts.filter(CHOOSES[show]);
  const waiting = rows.filter(CHOOSES.waiting);
  const deciding = useSignal<{ action: Action; row: BlockRow } | null>(null);
  const all = useSignal(false);
  const choose = (action: Action, row: BlockRow) => {
    all.value = false;
    deciding.value = { action, row };
  };
  return (
    <section class="card" aria-label="Hosts">
      <div class="card-head">
        <h2>Hosts</h2>
        <span class="ranges">
          {SHOWS.map(([name, text]) => (
            <button
              key={name}
              type="button"
              aria-pressed={show === name}
              onClick={() => setQuery({ show: name })}
            >
              {text} ({count(answer.hosts.filter(CHOOSES[name]).length)})
            </button>
          ))}
        </span>
        <span class="spring" />
        {waiting.length === 0 ? null : (
          <button
            type="button"
            class="primary"
            aria-expanded={all.value}
            onClick={() => {
              deciding.value = null;
              all.value = !all.value;
            }}
          >
            Approve all {count(waiting.length)} shown
          </button>
        )}
      </div>
      {deciding.value === null ? null : (
        <Decide
          key={`${deciding.value.action}${deciding.value.row.host}`}
          action={deciding.value.action}
          host={deciding.value.row.host}
          site={deciding.value.row.site}
          onClose={() => {
            deciding.value = null;
          }}
        />
      )}
      {all.value ? (
        <ApproveAll
          hosts={waiting}
          answer={answer}
          onClose={() => {
            all.value = false;
          }}
        />
      ) : null}
      {rows.length === 0 ? (
        <Empty>
          <p>
            {show === 'waiting'
              ? 'Nothing waits for a decision.'
              : show === 'blocked'
                ? 'No host is blocked.'
                : 'No host has a block or was to have one.'}
          </p>
        </Empty>
      ) : (
        <Rows
          label="Hosts with blocks"
          rows={rows}
          keyOf={({ host, site }) => named(host, site)}
          columns={columnsFor(choose)}
          layout="layout-blocks"
          onOpen={(row) => go(hostPath(row.host, row.site))}
          onApprove={(row) => choose('approve', row.waiting ? row : (waiting[0] ?? row))}
        />
      )}
    </section>
  );
}

const columnsFor = (choose: (action: Action, row: BlockRow) => void): readonly Column<BlockRow>[] => [
  {
    title: 'Host',
    class: 'c-host',
    cell: ({ host, site }) => (
      <a href={hostPath(host, site)}>
        <Name text={named(host, site)} most={80} />
      </a>
    ),
  },
  { title: 'How sure', class: 'c-grade', cell: ({ grade }) => <Grade grade={grade} /> },
  {
    title: 'State',
    class: 'c-state',
    cell: (row) => (
      <BlockState
        state={row.waiting ? 'proposed' : row.block.state}
        passes={row.block.state === 'published' && row.block.effect?.state === 'not_effective'}
        reason={row.block.reason}
      />
    ),
  },
  {
    title: 'Why',
    class: 'c-why wide-only',
    cell: (row) => (
      <span title={shown(row.block.reason, 600)}>
        {shown(
          row.pending === null
            ? row.block.reason
            : `${row.pending.action} by ${row.pending.by}, not carried out yet`,
        )}
      </span>
    ),
  },
  {
    title: 'In the lists',
    class: 'c-since wide-only',
    cell: (row) =>
      row.listed_at === null ? (
        <span class="muted">no</span>
      ) : (
        <span
          title={
            row.time_to_block_ms === null
              ? undefined
              : `${duration(row.time_to_block_ms)} after the first record`
          }
        >
          <Time iso={row.listed_at} />
        </span>
      ),
  },
  {
    title: 'Until',
    class: 'c-since wide-only',
    cell: (row) => (row.block.until === null ? '' : <Time iso={row.block.until} />),
  },
  {
    title: 'Decide',
    class: 'c-actions',
    cell: (row) => (
      <span class="buttons">
        {row.waiting ? (
          <>
            <button
              type="button"
              onClick={() => choose('approve', row)}
              aria-label={`Approve ${shown(row.host, 64)}`}
            >
              Approve
            </button>
            <button
              type="button"
              onClick={() => choose('reject', row)}
              aria-label={`Reject ${shown(row.host, 64)}`}
            >
              Reject
            </button>
          </>
        ) : isBlocked(row) ? (
          <button
            type="button"
            onClick={() => choose('release', row)}
            aria-label={`Release ${shown(row.host, 64)}`}
          >
            Release
          </button>
        ) : null}
      </span>
    ),
  },
];

/** All that are shown, with the whole change beside the button. */
function ApproveAll(props: {
  readonly hosts: readonly BlockRow[];
  readonly answer: BlocksAnswer;
  readonly onClose: () => void;
}) {
  const { hosts, answer, onClose } = props;
  const reason = useSignal('');
  const busy = useSignal(false);
  const changed = answer.lists.filter(({ diff }) => diff.added + diff.removed > 0);
  async function submit(event: Event) {
    event.preventDefault();
    busy.value = true;
    const refused = await decide({
      action: 'approve',
      hosts: hosts.map(({ host, site }) => named(host, site)),
      reason: reason.value.trim(),
    });
    busy.value = false;
    if (refused === null) onClose();
  }
  return (
    <form class="decide" onSubmit={submit} aria-label="Approve all shown">
      <h3>Approve {plural(hosts.length, 'block')}</h3>
      <div class="decide-fields">
        <ReasonField reason={reason} />
      </div>
      <div class="effect">
        <h4>What this changes, when everything that waits is approved</h4>
        {changed.length === 0 ? <p class="muted">No list changes.</p> : null}
        {changed.map(({ target, family, platform, diff }) => (
          <details key={`${target}/${family}`} open={changed.length <= 2}>
            <summary>
              {shown(target)} IPv{family} ({platform}): {diffWords(diff)}
            </summary>
            <Diff diff={diff} label={`Change of ${shown(target)} IPv${family}`} />
          </details>
        ))}
      </div>
      <div class="decide-buttons">
        <button type="submit" class="primary" disabled={busy.value || !mayDecide.value}>
          {busy.value ? 'Sending…' : `Approve ${count(hosts.length)}`}
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
        {mayDecide.value ? null : <span class="muted">Your token may only read.</span>}
      </div>
    </form>
  );
}
