/** Is anyone sending? Who, and how sure is it? Is it stopped? What can I not see? Without a click. */

import { useSignal } from '@preact/signals';
import type { ExporterLine, HostRow, OverviewAnswer } from '../data/answers.ts';
import type { Action } from '../data/decisions.ts';
import { hostRows, hosts, loadMoreHosts, overview } from '../data/stores.ts';
import { Decide } from '../parts/decide.tsx';
import { HostTable } from '../parts/host-table.tsx';
import { SessionsCard } from '../parts/sessions-card.tsx';
import { Ago, Grade, Name, Section } from '../parts/small.tsx';
import { Spark } from '../parts/spark.tsx';
import { Empty, Loaded } from '../parts/states.tsx';
import { hostPath } from '../router.ts';
import { bytes, count, duration, plural, rate } from '../words/format.ts';
import { stateStatement, truthStatement } from '../words/sentences.ts';
import { shown } from '../words/shown.ts';

export function Overview() {
  return (
    <>
      <Loaded of={overview} rows={2}>
        {(answer) => <Headline answer={answer} />}
      </Loaded>
      <Body />
    </>
  );
}

/** `plain`: without links, for the wall. */
export function Headline(props: { readonly answer: OverviewAnswer; readonly plain?: boolean }) {
  const { answer, plain = false } = props;
  const { text, mood } = stateStatement(answer);
  return (
    <div class={`headline mood-${mood}`}>
      <h1 aria-live="polite">{shown(text, 1000)}</h1>
      {answer.waiting > 0 && !plain ? (
        <a class="button primary" href="/blocks?show=waiting">
          Review {count(answer.waiting)}
        </a>
      ) : null}
      <p class="truth">
        {shown(truthStatement(answer), 1000)} {plain ? null : <a href="/coverage">What is not seen</a>}
      </p>
      {answer.troubles.map((trouble) => (
        <p key={trouble} class="trouble">
          <span aria-hidden="true">▲</span> {shown(trouble, 400)}
        </p>
      ))}
    </div>
  );
}

interface Chosen {
  readonly action: Action;
  readonly host: string;
  readonly site: string;
}

function Body() {
  const deciding = useSignal<Chosen | null>(null);
  const later = useSignal<ReadonlySet<string>>(new Set());
  const answer = overview.value.value;
  if (answer !== null && answer.coverage.exporters === 0 && answer.open === 0)
    return <FirstRouter answer={answer} />;
  const approve = (row: HostRow) => {
    deciding.value = { action: 'approve', host: row.host, site: row.site };
  };
  const waits = (answer?.waits ?? []).filter(({ incident_id }) => !later.value.has(incident_id));
  return (
    <div class="columns">
      <div class="main-column">
        <SessionsCard />
        <Section title="Hosts that send without permission" note={<Counted />}>
          <Loaded of={hosts} rows={6}>
            {() =>
              hostRows.value.length === 0 ? (
                <NoOffenders answer={answer} />
              ) : (
                <HostTable
                  rows={hostRows.value}
                  label="Hosts that send without permission"
                  onApprove={(row) => approve(row.standing === 'waiting' ? row : (waits[0] ?? row))}
                  onEnd={() => void loadMoreHosts()}
                />
              )
            }
          </Loaded>
        </Section>
      </div>
      <div class="side-column">
        <Section title="Waiting for a decision" class="waits">
          {waits.length === 0 ? (
            <p class="muted">Nothing waits for you.</p>
          ) : (
            waits.map((row) => (
              <Waiting
                key={row.incident_id}
                row={row}
                deciding={deciding.value}
                choose={(action) => {
                  deciding.value = action === null ? null : { action, host: row.host, site: row.site };
                }}
                later={() => {
                  later.value = new Set([...later.value, row.incident_id]);
                }}
              />
            ))
          )}
          {later.value.size === 0 ? null : (
            <button
              type="button"
              class="link"
              onClick={() => {
                later.value = new Set();
              }}
            >
              Show the {count(later.value.size)} put off
            </button>
          )}
        </Section>
        <Section title="Routers">
          <Routers routers={answer?.routers ?? []} />
        </Section>
      </div>
    </div>
  );
}

function Counted() {
  const answer = hosts.value.value;
  if (answer === null) return null;
  return (
    <>
      {plural(Math.max(answer.total, hostRows.value.length), 'host')}; <kbd>j</kbd> <kbd>k</kbd> move,{' '}
      <kbd>Enter</kbd> opens
    </>
  );
}

function Waiting(props: {
  readonly row: HostRow;
  readonly deciding: Chosen | null;
  readonly choose: (action: Action | null) => void;
  readonly later: () => void;
}) {
  const { row, deciding, choose } = props;
  const isOpen = deciding?.host === row.host && deciding.site === row.site;
  return (
    <div class="waiting">
      <p>
        <a href={hostPath(row.host, row.site)}>
          <Name text={row.host} most={64} />
        </a>{' '}
        <Grade grade={row.grade} />
      </p>
      <p class="muted">
        {shown(row.block.reason)}; {plural(row.sessions, 'session')}, {bytes(row.bytes)} sent.
      </p>
      {isOpen ? (
        <Decide action={deciding.action} host={row.host} site={row.site} onClose={() => choose(null)} />
      ) : (
        <p class="buttons">
          <button type="button" class="primary" onClick={() => choose('approve')}>
            Approve
          </button>
          <button type="button" onClick={() => choose('reject')}>
            It is ours
          </button>
          <button type="button" class="link" onClick={props.later}>
            Later
          </button>
        </p>
      )}
    </div>
  );
}

const ROUTER_WORDS: Readonly<Record<ExporterLine['state'], string>> = {
  ok: 'ok',
  lossy: 'loses records',
  silent: 'silent',
  unread: 'not read in full',
};

export function routerTrouble(router: ExporterLine): string {
  if (router.state === 'silent') return `silent for ${duration(router.silent_s * 1000)}`;
  return ROUTER_WORDS[router.state];
}

function Routers(props: { readonly routers: readonly ExporterLine[] }) {
  if (props.routers.length === 0) return <p class="muted">No router is heard.</p>;
  return (
    <ul class="routers">
      {props.routers.map((router) => {
        const coarsest = Math.max(0, ...router.sampling);
        return (
          <li key={`${router.exporter}/${router.domain}/${router.version}`} class={`router-${router.state}`}>
            <a href="/coverage">
              <Name text={router.exporter} most={46} />
            </a>
            <Spark values={router.rates} label="Flows a second over the last hour" />
            <span>
              {router.flows_per_s === null ? '' : rate(router.flows_per_s)}
              {coarsest > 1 ? ` 1:${count(coarsest)}` : ''}
            </span>
            <span class="router-state">
              <span aria-hidden="true">{router.state === 'ok' ? '■' : '▲'}</span> {routerTrouble(router)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function NoOffenders(props: { readonly answer: OverviewAnswer | null }) {
  const routers = props.answer?.coverage.reporting ?? 0;
  return (
    <Empty>
      <p>
        <b>No host was seen sending mail without permission.</b>
      </p>
      <p class="muted">
        This is true for what {plural(routers, 'router')} exported. <a href="/coverage">Coverage</a> shows
        what cannot be seen, and <a href="/inventory">Inventory</a> who talks mail at all.
      </p>
    </Empty>
  );
}

/** Before anything was exported: how to point a router here, and what was heard so far. */
function FirstRouter(props: { readonly answer: OverviewAnswer }) {
  const { heard } = props.answer;
  return (
    <Section title="Point a router at this service" class="first-router">
      <p class="big-number">
        <b>{count(heard.datagrams)}</b> datagrams heard, <b>{count(heard.flows)}</b> flow records read since
        the start <Ago ms={Date.parse(heard.since)} />.
      </p>
      <p>
        It listens on UDP <b>{heard.listen.map((one) => shown(one)).join(', ') || 'no port'}</b> for NetFlow
        v1, v5, v7, v9, IPFIX and sFlow v5; any version on any port. For Cisco IOS, for example:
      </p>
      <pre>{`ip flow-export version 9
ip flow-export destination <address of this machine> ${heard.listen[0]?.split(':').at(-1) ?? '2055'}
interface GigabitEthernet0/1
 ip flow ingress`}</pre>
      <p class="muted">
        This page changes by itself when the first record arrives.{' '}
        {heard.datagrams > 0 && heard.flows === 0
          ? 'Datagrams arrive, but no record was read yet: a NetFlow v9 or IPFIX router sends its templates within some minutes.'
          : ''}
      </p>
    </Section>
  );
}
