/** The flow records of a host with the SQL behind them, and its history of incidents, blocks and decisions. */

import type { HostAnswer } from '../data/answers.ts';
import { API, withQuery } from '../data/request.ts';
import { bytes, count, moment, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { type Column, Rows } from './rows.tsx';
import { BlockState, Grade, Name, Section, TextBox, Time } from './small.tsx';
import { Empty } from './states.tsx';

type FlowRecord = HostAnswer['evidence'][number];

const FLAG_LETTERS = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'];
const FLAG_NAMES = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];

function TcpFlags(props: { readonly flags: number | null }) {
  const { flags } = props;
  if (flags === null) return <span class="muted">not told</span>;
  const set = (names: readonly string[], between: string) =>
    names.filter((_, bit) => (flags & (1 << bit)) !== 0).join(between);
  return <span title={set(FLAG_NAMES, ' ')}>{set(FLAG_LETTERS, '') || 'none'}</span>;
}

const end = (address: string, port: number) => (
  <span>
    <Name text={address} most={46} /> <span class="muted">{port}</span>
  </span>
);

const COLUMNS: readonly Column<FlowRecord>[] = [
  { title: 'Received', class: 'c-since', cell: (row) => <Time iso={row.received_at} seconds /> },
  { title: 'Router', class: 'c-host wide-only', cell: (row) => <Name text={row.exporter} most={46} /> },
  { title: 'In', class: 'c-number wide-only', tip: 'Interface', cell: (row) => row.in_if },
  { title: 'From', class: 'c-host', cell: (row) => end(row.src_addr, row.src_port) },
  { title: 'To', class: 'c-host', cell: (row) => end(row.dst_addr, row.dst_port) },
  { title: 'Packets', class: 'c-number wide-only', cell: (row) => count(row.packets) },
  { title: 'Bytes', class: 'c-number', cell: (row) => bytes(row.bytes) },
  { title: 'TCP', class: 'c-flags', tip: 'TCP flags', cell: (row) => <TcpFlags flags={row.tcp_flags} /> },
  { title: 'Version', class: 'c-flags wide-only', cell: (row) => shown(row.version) },
];

export function Records(props: { readonly answer: HostAnswer }) {
  const { evidence, sql, host, row } = props.answer;
  const time = row === null ? {} : { from: row.first_seen, to: row.last_seen };
  const explore = { table: 'flows', host, ...time };
  return (
    <Section
      title="Flow records"
      note={
        <>
          {plural(evidence.length, 'record')}; <a href={withQuery('/explore', explore)}>Explore</a>{' '}
          <a href={withQuery(`${API}/explore`, { ...explore, format: 'csv', limit: 10_000 })} download>
            CSV
          </a>
        </>
      }
    >
      {evidence.length === 0 ? (
        <Empty>
          <p>No record of this host on a mail port is stored.</p>
        </Empty>
      ) : (
        <Rows
          label="Flow records"
          rows={evidence}
          keyOf={(one) => `${one.exporter}/${one.domain}/${one.sequence}/${one.record}/${one.received_at}`}
          columns={COLUMNS}
          layout="layout-records"
          most={10}
        />
      )}
      <details class="no-print">
        <summary>The SQL behind it</summary>
        <TextBox label="SQL" text={sql} />
      </details>
    </Section>
  );
}

interface Event {
  readonly at: string;
  readonly by: string;
  readonly text: string;
}

const DECISION_WORDS: Readonly<Record<string, string>> = {
  approve: 'approved the block',
  reject: 'rejected the block',
  release: 'released it',
  block: 'blocked it by hand',
  publish: 'put it into the lists',
  hold_back: 'held it back',
};

export const decisionWords = (what: string): string => DECISION_WORDS[what] ?? what.replaceAll('_', ' ');

export function History(props: { readonly answer: HostAnswer }) {
  const { incidents, decisions, alerts } = props.answer;
  const events: Event[] = [
    ...decisions.map(({ at, by, what, why }) => ({
      at,
      by,
      text: `${decisionWords(what)}${why === '' ? '' : `: ${why}`}`,
    })),
    ...alerts.map(({ at, text }) => ({ at, by: 'detector', text })),
  ].sort((a, b) => (moment(b.at) ?? 0) - (moment(a.at) ?? 0));
  return (
    <Section title="History" note={plural(incidents.length, 'incident')}>
      <div class="two">
        <ol class="incidents">
          {incidents.map((one) => (
            <li key={one.incident_id}>
              <Time iso={one.opened_at} /> to {one.closed_at === null ? 'now' : <Time iso={one.closed_at} />}{' '}
              <Grade grade={one.grade} /> <BlockState state={one.block_state} reason={one.block_reason} />
              <span class="muted">
                {' '}
                {plural(one.sessions, 'session')}, {plural(one.destinations, 'server')}, {bytes(one.bytes)}
              </span>
            </li>
          ))}
        </ol>
        <ol class="events">
          {events.map(({ at, by, text }) => (
            <li key={`${at}${by}${text}`}>
              <Time iso={at} seconds /> <b>{shown(by, 64)}</b> {shown(text, 500)}
            </li>
          ))}
        </ol>
      </div>
    </Section>
  );
}
