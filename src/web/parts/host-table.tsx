/** The offenders, worst first: who, how sure, since when, to how many, how much, and whether it is stopped. */

import type { HostRow } from '../data/answers.ts';
import { go, hostPath } from '../router.ts';
import { bytes, count } from '../words/format.ts';
import { type Column, Rows } from './rows.tsx';
import { BlockState, Grade, Name, Time } from './small.tsx';
import { Spark } from './spark.tsx';

const isSpace = (text: string) => text !== '';

const COLUMNS: readonly Column<HostRow>[] = [
  {
    title: 'Host',
    class: 'c-host',
    cell: (row) => (
      <a href={hostPath(row.host, row.site)}>
        <Name text={row.host} most={64} />
        {isSpace(row.site) ? (
          <span class="muted">
            {' '}
            <Name text={row.site} most={32} />
          </span>
        ) : null}
        <Holder of={row.identity} />
      </a>
    ),
  },
  {
    title: 'How sure',
    class: 'c-grade',
    tip: 'What the flow records prove: tried, connected, mail, bulk mail',
    cell: (row) => <Grade grade={row.grade} />,
  },
  {
    title: 'Last 24 h',
    class: 'c-spark wide-only',
    tip: 'Mail sessions by hour in the last 24 hours',
    cell: (row) => (
      <Spark values={row.spark} label="Mail sessions by hour in the last 24 hours" class="spark-rogue" />
    ),
  },
  { title: 'Since', class: 'c-since', cell: (row) => <Time iso={row.first_seen} /> },
  {
    title: 'Dests',
    class: 'c-number wide-only',
    tip: 'Servers that it spoke with',
    cell: (row) => `${row.destinations_exact ? '' : 'over '}${count(row.destinations)}`,
  },
  { title: 'Sent', class: 'c-number wide-only', tip: 'As exported', cell: (row) => bytes(row.bytes) },
  {
    title: 'State',
    class: 'c-state',
    cell: (row) =>
      row.state === 'closed' ? (
        <span class="block block-over" title="It has been quiet since; the incident is closed.">
          <span aria-hidden="true">□</span> closed
        </span>
      ) : (
        <BlockState
          state={row.standing === 'waiting' ? 'proposed' : row.block.state}
          passes={row.standing === 'passing'}
          reason={row.block.reason}
        />
      ),
  },
];

/** Whose machine it is, in short: its page has all. */
function Holder(props: { readonly of: HostRow['identity'] }) {
  const text = props.of === null ? '' : props.of.name || props.of.owner || props.of.mac;
  if (text === '') return null;
  return (
    <span class="muted">
      {' '}
      <Name text={text} most={40} />
    </span>
  );
}

export function HostTable(props: {
  readonly rows: readonly HostRow[];
  readonly label: string;
  readonly onApprove?: (row: HostRow) => void;
  readonly onEnd?: () => void;
  readonly most?: number;
}) {
  return (
    <Rows
      label={props.label}
      rows={props.rows}
      keyOf={(row) => row.incident_id}
      columns={COLUMNS}
      layout="layout-hosts"
      onOpen={(row) => go(hostPath(row.host, row.site))}
      rowClass={(row) => `standing-${row.standing}`}
      {...(props.onApprove && { onApprove: props.onApprove })}
      {...(props.onEnd && { onEnd: props.onEnd })}
      {...(props.most !== undefined && { most: props.most })}
    />
  );
}
