/** Stored flows and mail sessions by filters. The filters are the address of the view, so it can be sent to a colleague. */

import { useSignal } from '@preact/signals';
import type { ExploreAnswer, SeriesAnswer } from '../data/answers.ts';
import { API, withQuery } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { SessionChart } from '../parts/chart.tsx';
import { type Column, Rows } from '../parts/rows.tsx';
import { ChartKey, RangeChoice, timeQuery, zoomTo } from '../parts/sessions-card.tsx';
import { Name, Section, TextBox, Time } from '../parts/small.tsx';
import { Empty, Loaded } from '../parts/states.tsx';
import { hostPath, query, setQuery } from '../router.ts';
import { count, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

const USUAL = '1h';
const HOUR_MS = 3_600_000;
const SPANS: Readonly<Record<string, number>> = {
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '24h': 24 * HOUR_MS,
  '7d': 168 * HOUR_MS,
};
const FILTERS = [
  ['host', 'Host or prefix', '192.0.2.0/24'],
  ['client', 'Client', 'who opened it'],
  ['server', 'Server', 'whom it asked'],
  ['port', 'Port', '25'],
  ['exporter', 'Router', 'address'],
] as const;
const SECOND_MS = 1000;

/** Whole seconds, so that a view that is not zoomed asks for the same address within one. */
function timeRange(): { from: string; to: string } {
  const { range, from, to } = timeQuery(USUAL);
  if (from !== undefined && to !== undefined) return { from, to };
  const nowMs = Math.ceil(Date.now() / SECOND_MS) * SECOND_MS;
  const iso = (ms: number) => new Date(ms).toISOString();
  return { from: iso(nowMs - (SPANS[range ?? USUAL] ?? HOUR_MS)), to: iso(nowMs) };
}

export function Explore() {
  const asked = query.value;
  // A new address is a new question; the time of "last hour" stands still until then.
  return <ExploreView key={asked.toString()} />;
}

function ExploreView() {
  const asked = query.value;
  const table = asked.get('table') === 'flows' ? 'flows' : 'sessions';
  const time = useSignal(timeRange());
  const filters = Object.fromEntries(FILTERS.map(([name]) => [name, asked.get(name) ?? undefined]));
  const path = withQuery(`${API}/explore`, { table, ...time.value, ...filters, limit: 1000 });
  const host = asked.get('host') ?? asked.get('client') ?? undefined;
  const series = useAnswer<SeriesAnswer>(withQuery(`${API}/timeseries`, { ...time.value, host }), HOUR_MS);
  const answer = useAnswer<ExploreAnswer>(path, HOUR_MS);
  return (
    <>
      <section class="card" aria-label="Filters">
        <div class="card-head">
          <h1>Explore</h1>
          <span class="muted">This view has a link of its own: copy it from the address bar.</span>
        </div>
        <Filters table={table} />
      </section>
      <section class="card" aria-label="Mail sessions over time">
        <div class="card-head">
          <h2>Mail sessions a minute</h2>
          <RangeChoice usual={USUAL} />
          <span class="spring" />
          <ChartKey />
        </div>
        <div class="chart-space chart-low">
          <Loaded of={series} rows={4}>
            {(value) => <SessionChart series={value} height={140} onZoom={zoomTo} />}
          </Loaded>
        </div>
      </section>
      <Loaded of={answer} rows={10}>
        {(value) => <Result answer={value} path={path} />}
      </Loaded>
    </>
  );
}

function Filters(props: { readonly table: 'flows' | 'sessions' }) {
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        const text = (name: string) => String(form.get(name) ?? '').trim();
        setQuery(
          { table: text('table'), ...Object.fromEntries(FILTERS.map(([name]) => [name, text(name)])) },
          false,
        );
      }}
    >
      <label>
        Show{' '}
        <select name="table" defaultValue={props.table}>
          <option value="sessions" selected={props.table === 'sessions'}>
            mail sessions
          </option>
          <option value="flows" selected={props.table === 'flows'}>
            flow records
          </option>
        </select>
      </label>
      {FILTERS.map(([name, label, hint]) => (
        <label key={name}>
          {label}{' '}
          <input
            type="text"
            name={name}
            maxLength={64}
            placeholder={hint}
            defaultValue={query.value.get(name) ?? ''}
            inputMode={name === 'port' ? 'numeric' : 'text'}
          />
        </label>
      ))}
      <button type="submit" class="primary">
        Show
      </button>
    </form>
  );
}

type Cell = ExploreAnswer['rows'][number][number];
type Kind = ExploreAnswer['columns'][number]['type'];

/** Numbers that count something; ports, interfaces and the like are names and have no thousands. */
const COUNTS = /packets|bytes|records|sessions/;

function cellOf(value: Cell | undefined, kind: Kind, name: string) {
  if (value === null || value === undefined || value === '') return <span class="muted">-</span>;
  if (Array.isArray(value)) return shown(value.join(', '));
  if (kind === 'time') return <Time iso={String(value)} seconds />;
  if (kind === 'address')
    return (
      <a href={hostPath(String(value))}>
        <Name text={String(value)} most={64} />
      </a>
    );
  if (kind === 'number') return COUNTS.test(name) ? count(value) : String(value);
  return <Name text={String(value)} />;
}

const CLASSES: Readonly<Record<Kind, string>> = {
  time: 'x-time',
  address: 'x-address',
  number: 'x-number',
  text: 'x-text',
  list: 'x-text',
};

function Result(props: { readonly answer: ExploreAnswer; readonly path: string }) {
  const { columns, rows, sql, next_cursor, table } = props.answer;
  const numbered = rows.map((cells, i) => ({ cells, i }));
  const shownColumns: Column<(typeof numbered)[number]>[] = columns.map(({ name, type }, at) => ({
    title: name.replaceAll('_', ' '),
    class: CLASSES[type],
    cell: ({ cells }) => cellOf(cells[at], type, name),
  }));
  const base = props.path.replace(/&limit=\d+/, '');
  return (
    <Section
      title={table === 'flows' ? 'Flow records' : 'Mail sessions'}
      note={
        <>
          {next_cursor === null ? plural(rows.length, 'row') : `the newest ${count(rows.length)} rows`};{' '}
          <a href={`${base}&limit=10000&format=csv`} download={`${table}.csv`}>
            CSV
          </a>{' '}
          <a href={`${base}&limit=10000`} target="_blank" rel="noreferrer">
            JSON
          </a>
        </>
      }
    >
      {rows.length === 0 ? (
        <Empty>
          <p>Nothing stored matches these filters in this time.</p>
        </Empty>
      ) : (
        <div class="wide-scroll">
          <Rows
            label="Result"
            rows={numbered}
            keyOf={({ i }) => String(i)}
            columns={shownColumns}
            layout="layout-explore"
            most={18}
          />
        </div>
      )}
      <details>
        <summary>The SQL behind it</summary>
        <TextBox label="SQL" text={sql} file="query.sql" />
      </details>
    </Section>
  );
}
