/** Mail sessions over time with the choice of the range; the range is in the address bar. */

import type { SeriesAnswer } from '../data/answers.ts';
import { API, withQuery } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { query, setQuery } from '../router.ts';
import { SessionChart } from './chart.tsx';
import { Loaded } from './states.tsx';

const RANGES = ['1h', '6h', '24h', '7d'] as const;
const USUAL = '24h';
/** Below that there is one bucket. */
const LEAST_ZOOM_MS = 60_000;

/** What of the query chooses the time: a range, or from and to. */
export function timeQuery(usual: string = USUAL): { range?: string; from?: string; to?: string } {
  const from = query.value.get('from') ?? undefined;
  const to = query.value.get('to') ?? undefined;
  if (from !== undefined && to !== undefined) return { from, to };
  const range = query.value.get('range') ?? usual;
  return { range: RANGES.some((one) => one === range) ? range : usual };
}

export function zoomTo(fromMs: number, toMs: number): void {
  const middle = (fromMs + toMs) / 2;
  const half = Math.max(LEAST_ZOOM_MS, toMs - fromMs) / 2;
  const iso = (ms: number) => new Date(Math.round(ms)).toISOString();
  setQuery(
    { from: iso(middle - half), to: iso(Math.min(Date.now(), middle + half)), range: undefined },
    false,
  );
}

export function RangeChoice(props: { readonly usual?: string }) {
  const { range, from } = timeQuery(props.usual);
  return (
    <span class="ranges">
      {RANGES.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={from === undefined && range === one}
          onClick={() => setQuery({ range: one, from: undefined, to: undefined })}
        >
          {one}
        </button>
      ))}
      {from === undefined ? null : (
        <button
          type="button"
          aria-pressed="true"
          onClick={() => setQuery({ from: undefined, to: undefined })}
        >
          zoomed ×
        </button>
      )}
    </span>
  );
}

export function SessionsCard(props: { readonly host?: string; readonly height?: number }) {
  const path = withQuery(`${API}/timeseries`, { ...timeQuery(), host: props.host });
  const series = useAnswer<SeriesAnswer>(path, 15_000);
  return (
    <section class="card" aria-label="Mail sessions over time">
      <div class="card-head">
        <h2>Mail sessions a minute</h2>
        <RangeChoice />
        <span class="spring" />
        <ChartKey />
      </div>
      <div class={props.height === undefined ? 'chart-space' : 'chart-space chart-tall'}>
        <Loaded of={series} rows={5}>
          {(answer) => <SessionChart series={answer} height={props.height ?? 180} onZoom={zoomTo} />}
        </Loaded>
      </div>
    </section>
  );
}

export function ChartKey() {
  return (
    <span class="chart-key">
      <span class="key-authorised">authorised</span> <span class="key-rogue">rogue</span>{' '}
      <span class="key-other">other</span> <span class="key-mark">alert</span>
    </span>
  );
}
