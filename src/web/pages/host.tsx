/** One host: who it is, what is proven and what is missing, and what can be done about it. Prints as a report for a ticket. */

import { useSignal } from '@preact/signals';
import type { HostAnswer } from '../data/answers.ts';
import type { Action } from '../data/decisions.ts';
import { API } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { SessionChart } from '../parts/chart.tsx';
import { Decide } from '../parts/decide.tsx';
import { History, Records } from '../parts/host-records.tsx';
import { PathDrawing } from '../parts/path-drawing.tsx';
import { type Column, Rows } from '../parts/rows.tsx';
import { ChartKey } from '../parts/sessions-card.tsx';
import { BlockState, Flags, Grade, GradeLadder, Name, Section, TextBox, Time } from '../parts/small.tsx';
import { Loaded } from '../parts/states.tsx';
import { path } from '../router.ts';
import { bytes, count, duration, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

/** The name in the address bar; what is no proper escape is taken as it stands. */
function nameInPath(): string {
  const text = path.value.slice('/host/'.length);
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function Host() {
  const name = nameInPath();
  const answer = useAnswer<HostAnswer>(`${API}/hosts/${encodeURIComponent(name)}`, 15_000);
  return (
    <Loaded of={answer} rows={8}>
      {(host) => <HostView key={`${host.host}@${host.site}`} answer={host} />}
    </Loaded>
  );
}

function HostView(props: { readonly answer: HostAnswer }) {
  const { answer } = props;
  const { host, site, row, policy } = answer;
  const action = useSignal<Action | null>(null);
  const declaring = useSignal(false);
  const standing = row?.standing;
  const isBlocked = standing === 'blocked' || standing === 'passing';
  const offer: readonly (readonly [Action, string])[] = [
    ...(standing === 'waiting'
      ? ([
          ['approve', 'Approve'],
          ['reject', 'Reject'],
        ] as const)
      : []),
    ...(isBlocked ? [] : ([['block', 'Block by hand']] as const)),
    ['release', isBlocked ? 'Release' : 'Release for a time'],
  ];
  return (
    <>
      <div class={`host-head standing-${standing ?? 'none'}`}>
        <h1>
          <Name text={host} />
        </h1>
        {site === '' ? null : (
          <span class="muted">
            site <Name text={site} />
          </span>
        )}
        <Identity of={answer.identity} />
        {row === null ? <span class="muted">no incident</span> : <HostBlock answer={answer} />}
        {policy.sender.owner === '' ? null : <span class="muted">owner: {shown(policy.sender.owner)}</span>}
        <span class="spring" />
        <span class="buttons no-print">
          {offer.map(([name, text]) => (
            <button
              key={name}
              type="button"
              class={name === 'approve' || (name === 'block' && standing !== 'waiting') ? 'primary' : ''}
              aria-expanded={action.value === name}
              onClick={() => {
                action.value = action.value === name ? null : name;
              }}
            >
              {text}
            </button>
          ))}
          <button
            type="button"
            aria-expanded={declaring.value}
            onClick={() => {
              declaring.value = !declaring.value;
            }}
          >
            It is ours
          </button>
        </span>
      </div>
      {action.value === null ? null : (
        <Decide
          key={action.value}
          action={action.value}
          host={host}
          site={site}
          onClose={() => {
            action.value = null;
          }}
        />
      )}
      {declaring.value ? <Declare answer={answer} /> : null}
      <div class="host-grid">
        <Evidence answer={answer} />
        <Section title="Path">
          <PathDrawing host={host} routers={answer.routers} blocked={isBlocked} />
          <ul class="facts">
            {policy.says.map((text) => (
              <li key={text}>{shown(text, 400)}</li>
            ))}
          </ul>
        </Section>
      </div>
      <section class="card" aria-label="Sessions over time">
        <div class="card-head">
          <h2>Mail sessions a minute</h2>
          <span class="muted">
            <Time iso={answer.timeline.from} /> to <Time iso={answer.timeline.to} />
          </span>
          <span class="spring" />
          <ChartKey />
        </div>
        <SessionChart series={answer.timeline} height={150} />
      </section>
      <Section title="Destinations" note={plural(answer.destinations.length, 'server')}>
        <Rows
          label="Destinations"
          rows={answer.destinations}
          keyOf={({ address }) => address}
          columns={DESTINATIONS}
          layout="layout-destinations"
          most={8}
        />
      </Section>
      <Records answer={answer} />
      <History answer={answer} />
    </>
  );
}

/** Who had the address when it was last seen; an owner that the policy names for a sender stands beside it. */
function Identity(props: { readonly of: HostAnswer['identity'] }) {
  if (props.of === null) return null;
  const { name, mac, owner, since } = props.of;
  return (
    <span class="muted">
      {name === '' ? null : (
        <>
          <Name text={name} />{' '}
        </>
      )}
      {mac === '' ? null : `${shown(mac)} `}
      {since === null ? null : (
        <>
          address leased since <Time iso={since} />{' '}
        </>
      )}
      {owner === '' ? null : `belongs to ${shown(owner)}`}
    </span>
  );
}

function HostBlock(props: { readonly answer: HostAnswer }) {
  const { row, time_to_block_ms } = props.answer;
  if (row === null) return null;
  const { block } = row;
  const lasts = row.standing === 'blocked' || row.standing === 'passing';
  return (
    <>
      <Grade grade={row.grade} />
      <BlockState
        state={row.standing === 'waiting' ? 'proposed' : block.state}
        passes={row.standing === 'passing'}
        reason={block.reason}
      />
      {lasts && block.until !== null ? (
        <span class="muted">
          until <Time iso={block.until} />
        </span>
      ) : null}
      {time_to_block_ms === null ? null : (
        <span class="muted">in the lists {duration(time_to_block_ms)} after the first record</span>
      )}
    </>
  );
}

function Evidence(props: { readonly answer: HostAnswer }) {
  const { row, reasons, missing, sampling } = props.answer;
  if (row === null)
    return (
      <Section title="How sure">
        <p>Nothing speaks against this host: it has no incident. What is stored about it is below.</p>
      </Section>
    );
  return (
    <Section title="How sure">
      <p class="finding">
        {plural(row.sessions, 'session')} with {row.destinations_exact ? '' : 'at least '}
        {plural(row.destinations, 'server')}, {bytes(row.bytes)} sent in {plural(row.packets, 'packet')};{' '}
        {plural(row.attempts, 'attempt')} without an answer. Seen from <Time iso={row.first_seen} seconds />{' '}
        to <Time iso={row.last_seen} seconds />, on port {row.ports.join(', ')}.
      </p>
      <GradeLadder grade={row.grade} />
      <p>
        <Flags flags={row.flags} />
      </p>
      <h3>Why</h3>
      <ul>
        {reasons.map((text) => (
          <li key={text}>{shown(text, 600)}</li>
        ))}
        <li>Block: {shown(row.block.reason, 600)}</li>
        {row.block.effect === undefined ? null : <li>Effect: {shown(row.block.effect.reason, 600)}</li>}
      </ul>
      {missing.length === 0 ? null : (
        <>
          <h3>Missing evidence</h3>
          <ul>
            {missing.map((text) => (
              <li key={text}>{shown(text, 600)}</li>
            ))}
          </ul>
        </>
      )}
      {sampling.every((rate) => rate === 1) ? null : (
        <p class="muted">
          Sampling:{' '}
          {sampling.map((rate) => (rate === 0 ? 'not known' : `1 packet in ${count(rate)}`)).join(', ')}.
          Numbers are as exported.
        </p>
      )}
    </Section>
  );
}

/** What to add to the configuration when the host may do what it does. */
function Declare(props: { readonly answer: HostAnswer }) {
  const { declare, host } = props.answer;
  return (
    <Section title="Declare it in the configuration" class="no-print">
      <p>
        Add one of these to the configuration file, then run <code>rogue-smtp reload</code>. The host is never
        blocked from then on. Until then, rejecting or releasing its block keeps it out of the lists.
      </p>
      <div class="two">
        <TextBox
          label="It is a mail server of ours: it may send"
          text={declare.sender}
          file={`sender-${host}.yaml`}
        />
        <TextBox
          label="It only checks or verifies: expected"
          text={declare.expected}
          file={`expected-${host}.yaml`}
        />
      </div>
    </Section>
  );
}

type Destination = HostAnswer['destinations'][number];
const DESTINATIONS: readonly Column<Destination>[] = [
  { title: 'Server', class: 'c-host', cell: ({ address }) => <Name text={address} most={46} /> },
  { title: 'Sessions', class: 'c-number', cell: ({ sessions }) => count(sessions) },
  { title: 'Packets', class: 'c-number wide-only', cell: ({ packets }) => count(packets) },
  { title: 'Sent', class: 'c-number', cell: ({ bytes: sent }) => bytes(sent) },
  { title: 'First', class: 'c-since wide-only', cell: ({ first_seen }) => <Time iso={first_seen} /> },
  { title: 'Last', class: 'c-since', cell: ({ last_seen }) => <Time iso={last_seen} /> },
];
