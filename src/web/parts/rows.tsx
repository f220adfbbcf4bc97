/**
 * A table of any length: only the rows in view are in the document, so that ten thousand scroll smoothly.
 *
 * Rows have one height. Arrow keys and `j`/`k` move the marked row; Enter opens it. Assistive technology gets the roles of a table
 * and the number of all rows.
 */

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { onRowKeys } from '../keys.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** A class of pages.css that gives the width, and hides the column where there is no room. */
  readonly class?: string;
  readonly tip?: string;
}

export interface RowsProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly columns: readonly Column<Row>[];
  /** A class with `grid-template-columns`. */
  readonly layout: string;
  readonly onOpen?: (row: Row) => void;
  readonly onApprove?: (row: Row) => void;
  readonly rowClass?: (row: Row) => string;
  /** The reader nears the end. */
  readonly onEnd?: () => void;
  /** Rows in view at once; the rest scrolls. */
  readonly most?: number;
}

const noop = () => undefined;
const OVERSCAN = 8;
const DEFAULT_MOST = 16;

export function Rows<Row>(props: RowsProps<Row>) {
  const { rows, keyOf, columns } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const spacer = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(32);
  const marked = useSignal<string | null>(null);

  useLayoutEffect(() => {
    const measure = () => {
      const row = scroller.current?.querySelector<HTMLElement>('.row');
      if (row && row.offsetHeight > 0) height.value = row.offsetHeight;
    };
    measure();
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, [rows.length > 0]);

  const most = props.most ?? DEFAULT_MOST;
  const inView = Math.min(rows.length, most);
  const first = Math.max(0, Math.min(top.value - OVERSCAN, rows.length - inView - 2 * OVERSCAN));
  const shownRows = rows.slice(first, first + inView + 2 * OVERSCAN);

  // By CSSOM: the page's policy allows no style attributes.
  useLayoutEffect(() => {
    if (spacer.current) {
      spacer.current.style.height = `${rows.length * height.value}px`;
      spacer.current.style.setProperty('--offset', `${first * height.value}px`);
    }
    if (scroller.current) scroller.current.style.maxHeight = `${(most + 0.5) * height.value}px`;
  });

  const move = (step: number) => {
    const at = rows.findIndex((row) => keyOf(row) === marked.value);
    const next =
      at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
    const row = rows[next];
    const box = scroller.current;
    if (row === undefined || box === null) return;
    marked.value = keyOf(row);
    const y = next * height.value;
    if (y < box.scrollTop) box.scrollTop = y;
    else if (y + height.value > box.scrollTop + box.clientHeight)
      box.scrollTop = y + height.value - box.clientHeight;
    scroller.current?.focus({ preventScroll: true });
  };
  const current = () => rows.find((row) => keyOf(row) === marked.value);

  // Registered once, so that the order of the tables of a page stays; always with the newest rows.
  const keys = useRef({ move, open: noop, approve: noop });
  keys.current = {
    move,
    open: () => {
      const row = current();
      if (row !== undefined) props.onOpen?.(row);
    },
    approve: () => {
      const row = current();
      if (row !== undefined) props.onApprove?.(row);
    },
  };
  useEffect(() => onRowKeys(keys), []);

  return (
    <div
      class={`rows ${props.layout}${rows.length > most ? ' scrolls' : ''}`}
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
    >
      <div class="row row-head" role="row" aria-rowindex={1}>
        {columns.map(({ title, tip, class: name }) => (
          <span key={title} role="columnheader" class={name} title={tip}>
            {title}
          </span>
        ))}
      </div>
      <div
        class="rows-body"
        role="rowgroup"
        tabIndex={0}
        ref={scroller}
        aria-label={props.label}
        onScroll={(event) => {
          top.value = Math.floor(event.currentTarget.scrollTop / height.value);
          if (top.value + 2 * inView > rows.length) props.onEnd?.();
        }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') move(1);
          else if (event.key === 'ArrowUp') move(-1);
          else return;
          event.preventDefault();
        }}
      >
        <div class="rows-spacer" role="presentation" ref={spacer}>
          <div class="rows-window" role="presentation">
            {shownRows.map((row, i) => {
              const key = keyOf(row);
              const mark = key === marked.value ? ' marked' : '';
              return (
                <div
                  key={key}
                  class={`row${mark} ${props.rowClass?.(row) ?? ''}`}
                  role="row"
                  aria-rowindex={first + i + 2}
                >
                  {columns.map(({ title, cell, class: name }) => (
                    <span key={title} role="cell" class={name}>
                      {cell(row)}
                    </span>
                  ))}
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}
