/** Who talks mail at all, and which of them are probably mail servers that nobody has declared. */

import { useSignal } from '@preact/signals';
import type { InventoryLine } from '../data/answers.ts';
import { API } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { type Column, Rows } from '../parts/rows.tsx';
import { Name, Section, TextBox, Time } from '../parts/small.tsx';
import { Empty, Loaded } from '../parts/states.tsx';
import { go, hostPath } from '../router.ts';
import { count, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

export function Inventory() {
  const answer = useAnswer<readonly InventoryLine[]>(`${API}/inventory`, 60_000);
  return (
    <Loaded of={answer} rows={10}>
      {(rows) => <InventoryView rows={rows} />}
    </Loaded>
  );
}

const isUndeclared = (row: InventoryLine): boolean => row.likely_mail_server && (row.sender ?? '') === '';
const atSite = (site: string): string => (site === '' ? '' : `, sites: [${JSON.stringify(site)}]`);

function InventoryView(props: { readonly rows: readonly InventoryLine[] }) {
  const only = useSignal(false);
  const undeclared = props.rows.filter(isUndeclared);
  const rows = only.value ? undeclared : props.rows;
  const yaml = `senders:\n${undeclared
    .slice(0, 100)
    .map(
      ({ host, site }, i) =>
        `  - { name: mail-${i + 1}, hosts: [${JSON.stringify(host)}]${atSite(site)}, owner: "", reason: "" }\n`,
    )
    .join('')}`;
  return (
    <>
      <div class={`headline mood-${undeclared.length > 0 ? 'act' : 'calm'}`}>
        <h1>
          {plural(props.rows.length, 'host')} {props.rows.length === 1 ? 'talks' : 'talk'} mail.{' '}
          {undeclared.length === 0
            ? 'Every probable mail server is declared.'
            : `${plural(undeclared.length, 'probable mail server is', 'probable mail servers are')} not declared.`}
        </h1>
        <p class="truth">A proposal for a person, never a permission: sending alone proves nothing.</p>
      </div>
      {undeclared.length === 0 ? null : (
        <Section title="If these are your mail servers, declare them">
          <TextBox label="To add to the configuration" text={yaml} file="senders.yaml" />
        </Section>
      )}
      <section class="card" aria-label="Hosts that talk mail">
        <div class="card-head">
          <h2>Hosts that talk mail</h2>
          <span class="ranges">
            <button
              type="button"
              aria-pressed={!only.value}
              onClick={() => {
                only.value = false;
              }}
            >
              all ({count(props.rows.length)})
            </button>
            <button
              type="button"
              aria-pressed={only.value}
              onClick={() => {
                only.value = true;
              }}
            >
              probable servers, not declared ({count(undeclared.length)})
            </button>
          </span>
        </div>
        {rows.length === 0 ? (
          <Empty>
            <p>No host inside the network was seen talking mail.</p>
          </Empty>
        ) : (
          <Rows
            label="Hosts that talk mail"
            rows={rows}
            keyOf={({ host, site }) => `${host}@${site}`}
            columns={COLUMNS}
            layout="layout-inventory"
            onOpen={({ host, site }) => go(hostPath(host, site))}
            most={20}
          />
        )}
      </section>
    </>
  );
}

const NEWS: Readonly<Record<string, string>> = {
  new: 'new this week',
  quiet: 'quiet for a week',
  never_seen: 'never seen',
};

const COLUMNS: readonly Column<InventoryLine>[] = [
  {
    title: 'Host',
    class: 'c-host',
    cell: ({ host, site }) => (
      <a href={hostPath(host, site)}>
        <Name text={site === '' ? host : `${host}@${site}`} most={80} />
      </a>
    ),
  },
  {
    title: 'Is it one?',
    class: 'c-state',
    tip: 'A mail server, by what others do with it',
    cell: (row) => (row.likely_mail_server ? <b>probably a server</b> : <span class="muted">no sign</span>),
  },
  {
    title: 'Declared as',
    class: 'c-why',
    cell: ({ sender }) => (sender ? shown(sender, 64) : <span class="muted">not declared</span>),
  },
  { title: 'Change', class: 'c-since wide-only', cell: ({ news }) => NEWS[news ?? ''] ?? '' },
  {
    title: 'Out',
    class: 'c-number',
    tip: 'Connections to port 25 outside',
    cell: (row) => count(row.sessions_out),
  },
  {
    title: 'Dests',
    class: 'c-number wide-only',
    tip: 'Servers outside',
    cell: (row) => count(row.destinations),
  },
  {
    title: 'In',
    class: 'c-number wide-only',
    tip: 'Connections from outside that it answered',
    cell: (row) => count(row.sessions_in),
  },
  { title: 'Last', class: 'c-since wide-only', cell: (row) => <Time iso={row.last_seen} /> },
  {
    title: 'Why',
    class: 'c-why wide-only',
    cell: (row) => (
      <span title={shown(row.reasons.join('; '), 800)}>{shown(row.reasons.join('; '), 400)}</span>
    ),
  },
];
