/**
 * Mail sessions over time: authorised and rogue, with alert marks on the axis.
 *
 * Zero-based; where no router was heard there is a gap, never a zero; where a router samples, the areas are hatched. Dragging chooses a
 * time to zoom into. The canvas says nothing to a screen reader, so the same is there as a sentence.
 */

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Mark, SeriesAnswer } from '../data/answers.ts';
import { now } from '../data/stores.ts';
import { clockTime, count, moment, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { scheme } from './theme.ts';

export interface ChartProps {
  readonly series: SeriesAnswer;
  /** CSS pixels. */
  readonly height: number;
  readonly onZoom?: (fromMs: number, toMs: number) => void;
}

/** CSS pixels from which on the letters are larger. */
const LARGE = 300;

type Values = readonly (number | null)[];

const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Per minute, whatever the width of a bucket. */
const perMinute = (values: Values, stepS: number): (number | null)[] =>
  values.map((value) => (value === null ? null : (value * 60) / stepS));

const sum = (values: Values): number => values.reduce<number>((total, value) => total + (value ?? 0), 0);

function dataOf({ times, authorised, other, rogue, step_s }: SeriesAnswer): uPlot.AlignedData {
  return [
    times as number[],
    perMinute(authorised, step_s),
    perMinute(other, step_s),
    perMinute(rogue, step_s),
  ];
}

/** Lines across an area: what it shows is a sample. */
function hatched(context: CanvasRenderingContext2D, stroke: string): CanvasPattern | string {
  const tile = document.createElement('canvas');
  const size = 8 * devicePixelRatio;
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext('2d');
  if (pen === null) return stroke;
  pen.strokeStyle = stroke;
  pen.lineWidth = 1.5 * devicePixelRatio;
  pen.beginPath();
  pen.moveTo(0, size);
  pen.lineTo(size, 0);
  pen.stroke();
  return context.createPattern(tile, 'repeat') ?? stroke;
}

function drawMarks(plot: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  const size = 5 * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = colour('--rogue');
  for (const { at, kind } of marks) {
    if (kind !== 'opened' && kind !== 'escalated') continue;
    const x = plot.valToPos((moment(at) ?? 0) / 1000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const y = bbox.top + bbox.height;
    ctx.beginPath();
    ctx.moveTo(x, y - size * 1.6);
    ctx.lineTo(x - size, y);
    ctx.lineTo(x + size, y);
    ctx.fill();
  }
  ctx.restore();
}

export function SessionChart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const at = useSignal<number | null>(null);
  const { series, height } = props;
  const currentScheme = scheme.value;

  // The plot is made anew where its colours change; new numbers only go into it.
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const isSampled = series.sampled.length > 0;
    const area = (name: string, label: string): uPlot.Series => ({
      label,
      stroke: colour(`--${name}`),
      width: 1.5,
      fill: (u) => (isSampled ? hatched(u.ctx, colour(`--${name}`)) : colour(`--${name}-area`)),
      points: { show: false },
      spanGaps: false,
    });
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    // Read from three metres where the chart is large.
    const size = height >= LARGE ? 16 : 12;
    const font = `${size}px system-ui, sans-serif`;
    const made = new uPlot(
      {
        width: host.clientWidth,
        height,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { size: 6 } },
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
        axes: [
          {
            ...axis,
            font,
            size: size * 2 + 2,
            values: (_, splits, __, ___, step) => splits.map((t) => axisTime(t, step)),
          },
          {
            ...axis,
            font,
            size: size * 3.7,
            values: (_, splits) => splits.map((n) => (Number.isInteger(n) ? count(n) : String(n))),
          },
        ],
        series: [
          {},
          area('authorised', 'authorised'),
          { label: 'other', stroke: colour('--muted'), width: 1, points: { show: false }, spanGaps: false },
          area('rogue', 'rogue'),
        ],
        hooks: {
          draw: [(u) => drawMarks(u, latest.current.series.marks)],
          setCursor: [
            (u) => {
              at.value = u.cursor.idx ?? null;
            },
          ],
          setSelect: [
            (u) => {
              const { left, width } = u.select;
              if (width < 4) return;
              latest.current.onZoom?.(u.posToVal(left, 'x') * 1000, u.posToVal(left + width, 'x') * 1000);
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      dataOf(latest.current.series),
      host,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: host.clientWidth, height }));
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [currentScheme, height, series.sampled.length > 0]);

  useEffect(() => plot.current?.setData(dataOf(series)), [series]);

  return (
    <figure class="chart">
      <div ref={box} class="plot" aria-hidden="true" />
      <figcaption>
        <span class="readout" aria-hidden="true">
          {at.value === null ? '' : readout(series, at.value)}
        </span>
        <span class="visually-hidden">{summary(series)}</span>
        {series.sampled.length === 0 ? null : (
          <span class="muted">
            Hatched:{' '}
            {series.sampled
              .map(({ exporter, rate }) => `${shown(exporter)} looks at 1 packet in ${count(rate)}`)
              .join(', ')}
            .
          </span>
        )}
      </figcaption>
    </figure>
  );
}

const SECOND = 1;
const DAY_S = 86_400;

function axisTime(seconds: number, stepS: number): string {
  const time = new Date(seconds * 1000);
  if (stepS >= DAY_S) return time.toLocaleDateString('en', { day: 'numeric', month: 'short' });
  const clock = clockTime(seconds * 1000, seconds * 1000, stepS < 60 * SECOND);
  return time.getHours() === 0 && time.getMinutes() === 0
    ? time.toLocaleDateString('en', { day: 'numeric', month: 'short' })
    : clock;
}

function readout({ times, authorised, rogue, other, step_s }: SeriesAnswer, at: number): string {
  const ms = (times[at] ?? 0) * 1000;
  const one = (values: Values, what: string) => {
    const value = values[at] ?? null;
    return value === null ? null : `${((value * 60) / step_s).toFixed(1).replace(/\.0$/, '')} ${what}`;
  };
  const parts = [one(authorised, 'authorised'), one(rogue, 'rogue'), one(other, 'other')].filter(
    (x) => x !== null,
  );
  const when = clockTime(ms, now.value);
  return parts.length === 0 ? `${when}: no router was heard` : `${when}: ${parts.join(', ')} a minute`;
}

function summary({ authorised, rogue, other, times, marks }: SeriesAnswer): string {
  const gaps = authorised.filter((value) => value === null).length;
  return (
    `${plural(sum(authorised), 'authorised mail session')}, ${count(sum(rogue))} of hosts without permission, ` +
    `${count(sum(other))} others; ${plural(marks.length, 'alert')}; ` +
    `${gaps === 0 ? 'routers were heard all the time' : `no router was heard in ${gaps} of ${times.length} intervals`}.`
  );
}
