/** Is the service itself well: what stands, what waits, what is lost, and the configuration in force. */

import type { ComponentChildren } from 'preact';
import type { HealthAnswer } from '../data/answers.ts';
import { notify } from '../data/decisions.ts';
import { API, ApiError, postJson } from '../data/request.ts';
import { session } from '../data/session.ts';
import { refreshAll } from '../data/stores.ts';
import { useAnswer } from '../data/use-answer.ts';
import { Section, TextBox, Time } from '../parts/small.tsx';
import { Loaded } from '../parts/states.tsx';
import { bytes, count, percent, plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';

export function Health() {
  const answer = useAnswer<HealthAnswer>(`${API}/health`, 10_000);
  return (
    <Loaded of={answer} rows={8}>
      {(health) => <HealthView answer={health} />}
    </Loaded>
  );
}

async function reload(): Promise<void> {
  try {
    await postJson(`${API}/reload`, { force: false });
    notify('The configuration was read again.');
    refreshAll();
  } catch (error) {
    notify(error instanceof ApiError ? error.message : String(error), true);
  }
}

function HealthView(props: { readonly answer: HealthAnswer }) {
  const { answer } = props;
  const { ready, troubles, policy, walls, store, streams, disk, memory, lost } = answer;
  const isWell = ready && policy.error === null;
  return (
    <>
      <div class={`headline mood-${isWell ? 'calm' : 'alarm'}`}>
        <h1>
          {isWell
            ? 'The service is well.'
            : ready
              ? 'The newest configuration is not in force.'
              : 'The service is not ready.'}
        </h1>
        <p class="truth">
          rogue-smtp {shown(answer.version)} on Node {shown(answer.node)}, since{' '}
          <Time iso={answer.started_at} seconds />.
        </p>
        {troubles.map((text) => (
          <p key={text} class="trouble">
            <span aria-hidden="true">▲</span> {shown(text, 600)}
          </p>
        ))}
      </div>
      <div class="three">
        <Section title="Storage">
          <Facts>
            <Fact name="Engine">
              {store.kind === 'none'
                ? 'none in this process'
                : `${store.kind}, database ${shown(store.database)}`}
            </Fact>
            <Fact name="Rows set aside">{count(store.set_aside)}</Fact>
            {disk === null ? null : (
              <Fact name="Disk">
                {bytes(disk.free_bytes)} free of {bytes(disk.size_bytes)} (
                {percent(disk.free_bytes, disk.size_bytes)}) at {shown(disk.path)}
              </Fact>
            )}
            <Fact name="Memory">
              {bytes(memory.rss_bytes)}, heap {bytes(memory.heap_bytes)}
            </Fact>
          </Facts>
        </Section>
        <Section title="Streams and losses">
          <Facts>
            <Fact name="Streams">{streams.kind === 'kafka' ? 'Kafka' : 'on this machine'}</Fact>
            <Fact name="Waiting">
              {streams.waiting_bytes === null ? 'not known here' : bytes(streams.waiting_bytes)}
            </Fact>
            <Fact name="Dropped">{streams.dropped === null ? 'not known here' : count(streams.dropped)}</Fact>
            <Fact name="Dropped by the kernel">{plural(lost.kernel_drops, 'datagram')}</Fact>
            <Fact name="Not decoded">{count(lost.not_decoded)}</Fact>
            <Fact name="Not kept">{plural(lost.not_kept, 'flow')}</Fact>
          </Facts>
        </Section>
        <Section title="Walls around SQL">
          <ul class="facts">
            {walls.map(({ stands, text }) => (
              <li key={text}>
                <span aria-hidden="true">{stands ? '■' : '▲'}</span> {stands ? 'stands' : 'does not stand'}:{' '}
                {shown(text, 300)}
              </li>
            ))}
          </ul>
          {walls.length === 0 ? <p class="muted">No engine in this process.</p> : null}
        </Section>
      </div>
      <Section
        title="Configuration in force"
        note={answer.config_file === null ? 'no file' : shown(answer.config_file)}
      >
        <Facts>
          <Fact name="Policy">
            <code>{shown(policy.version, 40)}</code> since <Time iso={policy.loaded_at} seconds />
          </Fact>
          {policy.error === null ? null : (
            <Fact name="Newest file is not in force">{shown(policy.error, 600)}</Fact>
          )}
          {policy.need_restart.length === 0 ? null : (
            <Fact name="Waits for a restart">{shown(policy.need_restart.join(', '), 600)}</Fact>
          )}
        </Facts>
        {session.value?.role === 'admin' ? (
          <p class="buttons">
            <button type="button" onClick={() => void reload()}>
              Read the file again
            </button>
          </p>
        ) : null}
        <details>
          <summary>All of it; secrets are hidden</summary>
          <TextBox
            label="Configuration"
            text={JSON.stringify(answer.config, null, 2) ?? ''}
            file="configuration.json"
          />
        </details>
      </Section>
    </>
  );
}

const Facts = (props: { readonly children: ComponentChildren }) => <dl class="dl">{props.children}</dl>;

function Fact(props: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}
