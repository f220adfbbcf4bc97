/** What can be seen and what cannot: each router, what it loses, and how to see more. */

import type { CoverageAnswer, ExporterLine } from '../data/answers.ts';
import { API } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { type Column, Rows } from '../parts/rows.tsx';
import { Name, Section, Time } from '../parts/small.tsx';
import { Spark } from '../parts/spark.tsx';
import { Empty, Loaded } from '../parts/states.tsx';
import { count, duration, percent, plural, rate } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { routerTrouble } from './overview.tsx';

export function Coverage() {
  const answer = useAnswer<CoverageAnswer>(`${API}/coverage`, 10_000);
  return (
    <Loaded of={answer} rows={8}>
      {(coverage) => <CoverageView answer={coverage} />}
    </Loaded>
  );
}

const SEVERITY = { critical: '▲ must be fixed', warning: '◆ worth a look', info: '○ to know' } as const;
const ORDER = ['critical', 'warning', 'info'];

function CoverageView(props: { readonly answer: CoverageAnswer }) {
  const { exporters, findings, sight, refused } = props.answer;
  const heard = exporters.filter(({ state }) => state !== 'silent').length;
  const sorted = [...findings].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
  return (
    <>
      <div class={`headline mood-${heard === exporters.length ? 'calm' : 'act'}`}>
        <h1>
          {count(heard)} of {plural(exporters.length, 'router is', 'routers are')} heard.
        </h1>
        <p class="truth">
          {findings.length === 0
            ? 'Nothing is known that hides mail from this service.'
            : `${plural(findings.length, 'thing')} may hide mail from this service.`}
        </p>
      </div>
      <Section title="What cannot be seen, and how to see it">
        {sorted.length === 0 ? (
          <Empty>
            <p>Nothing is known to be missing.</p>
          </Empty>
        ) : (
          <ul class="findings">
            {sorted.map(({ kind, severity, exporter, text, advice }) => (
              <li key={`${kind}${exporter ?? ''}${text}`} class={`finding-${severity}`}>
                <p>
                  <span class="tag">{SEVERITY[severity]}</span>{' '}
                  {exporter === null ? null : <Name text={exporter} most={46} />} {shown(text, 600)}
                </p>
                {advice === '' ? null : <p class="muted">{shown(advice, 600)}</p>}
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Section title="Routers" note={plural(exporters.length, 'exporting process', 'exporting processes')}>
        {exporters.length === 0 ? (
          <Empty>
            <p>No router is heard. The overview tells how to point one here.</p>
          </Empty>
        ) : (
          <Rows
            label="Routers"
            rows={exporters}
            keyOf={(one) => `${one.exporter}/${one.domain}/${one.version}`}
            columns={COLUMNS}
            layout="layout-routers"
          />
        )}
      </Section>
      <div class="two">
        <Section title="Mail of the newest day" note={plural(sight.flows, 'flow')}>
          <ul class="facts">
            {sight.says.map((text) => (
              <li key={text}>{shown(text, 600)}</li>
            ))}
          </ul>
          {sight.says.length === 0 ? (
            <p class="muted">Every mail flow could be judged, or none came.</p>
          ) : null}
        </Section>
        <Section title="Refused senders of flow records">
          {refused.length === 0 ? (
            <p class="muted">No datagram was refused.</p>
          ) : (
            <ul class="facts">
              {refused.map(({ exporter, datagrams }) => (
                <li key={exporter}>
                  <Name text={exporter} most={46} />: {plural(datagrams, 'datagram')}; it is not in
                  collector.exporters
                </li>
              ))}
            </ul>
          )}
        </Section>
      </div>
    </>
  );
}

const COLUMNS: readonly Column<ExporterLine>[] = [
  {
    title: 'Router',
    class: 'c-host',
    cell: ({ exporter, domain }) => (
      <span>
        <Name text={exporter} most={46} /> {domain === 0 ? '' : <span class="muted">domain {domain}</span>}
      </span>
    ),
  },
  { title: 'Format', class: 'c-flags', cell: ({ version }) => shown(version) },
  {
    title: 'State',
    class: 'c-state',
    cell: (router) => (
      <span class={`router-word-${router.state}`}>
        <span aria-hidden="true">{router.state === 'ok' ? '■' : '▲'}</span> {routerTrouble(router)}
      </span>
    ),
  },
  {
    title: 'Last hour',
    class: 'c-spark wide-only',
    tip: 'Flows a second by minute',
    cell: ({ rates }) => <Spark values={rates} label="Flows a second over the last hour" />,
  },
  {
    title: 'Rate',
    class: 'c-number',
    tip: 'Flow records a second',
    cell: ({ flows_per_s }) =>
      flows_per_s === null ? <span class="muted">not measured</span> : rate(flows_per_s),
  },
  {
    title: 'Lost',
    class: 'c-number',
    tip: 'By sequence numbers: in the last hour, and since it is known',
    cell: (one) => (
      <span title={`${count(one.lost)} since it is known; ${count(one.unknown_gaps)} gaps of unknown size`}>
        {one.counting === 'nothing'
          ? 'not counted'
          : one.loss === null
            ? count(one.lost)
            : percent(one.loss, 1)}
      </span>
    ),
  },
  {
    title: 'Sampling',
    class: 'c-number',
    cell: ({ sampling }) =>
      sampling.length === 0 ? (
        <span class="muted">not told</span>
      ) : (
        sampling.map((n) => (n === 0 ? 'unknown' : n === 1 ? 'none' : `1:${count(n)}`)).join(', ')
      ),
  },
  {
    title: 'Templates',
    class: 'c-number wide-only',
    cell: ({ templates }) => (templates === null ? <span class="muted">-</span> : count(templates)),
  },
  {
    title: 'Clock',
    class: 'c-number wide-only',
    tip: 'Its clock against this machine',
    cell: ({ clock_skew_ms: skew }) =>
      skew === null ? (
        <span class="muted">not told</span>
      ) : Math.abs(skew) < 1000 ? (
        'right'
      ) : (
        `${duration(Math.abs(skew))} ${skew > 0 ? 'ahead' : 'behind'}`
      ),
  },
  { title: 'Last heard', class: 'c-since', cell: ({ last_seen }) => <Time iso={last_seen} seconds /> },
];
