/**
 * `npm run soak -- --minutes 5 [--rate 3000] [--kafka] [--write]`: the whole service in this process, with all roles,
 * under everything that a year brings (`load.ts`). Embedded, the engine's process is killed again and again; with
 * `--kafka` the stream is a Kafka broker and the store a ClickHouse server in processes of their own, and both are killed.
 *
 * Between these faults, when everything stands again, and after full collections, it measures what is alive,
 * descriptors, timers, listeners, threads and so on. Each must not grow: exit 1 when the slope over the second half is
 * beyond what `growth.ts` states. `--rate` is in flows a second. `--write` puts the table into
 * test/integration/README.md. Needs node --expose-gc.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.ts';
import { createLogger } from '../../../src/logger.ts';
import { createService } from '../../../src/service/run.ts';
import { writeSection } from '../../support/readme-section.ts';
import { freeTcpPort, freeUdpPort } from '../../support/service.ts';
import { type ChaosClickHouse, startChaosClickHouse } from '../chaos/clickhouse.ts';
import { type Cluster, cannotHaveKafka, startCluster } from '../kafka/broker.ts';
import { grows, growthOf, MEASURES, type Sample } from './growth.ts';
import { startLoad } from './load.ts';
import { childrenOf, listenerKinds, takeSample } from './sample.ts';

const README = fileURLToPath(new URL('../README.md', import.meta.url));
/** How long a broker or a server stays away. */
const AWAY_MS = 3000;
const START_TRIES = 3;
const LEAST_SAMPLES = 8;
const READY_WITHIN_MS = 120_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    rate: { type: 'string', default: '3000' },
    kafka: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const totalMs = Number(values.minutes) * 60_000;
if (!(totalMs > 0) || !(Number(values.rate) > 0))
  throw new Error('--minutes and --rate are positive numbers');
/**
 * Producers and consumers come back to a broker with the next message that they have, some only after half a minute.
 * What is measured before that is lower, and would look like growth afterwards.
 */
const calmMs = values.kafka ? 40_000 : 10_000;
const firstFaultMs = values.kafka ? 20_000 : 15_000;
const measureMs = Math.max(30_000, totalMs / 16 - calmMs);
const sampleMs = Math.max(4000, totalMs / 240);

let startedMs = performance.now();
const passedMs = () => performance.now() - startedMs;
const note = (what: string) => console.error(`${(passedMs() / 1000).toFixed(0).padStart(5)} s  ${what}`);
const complaints: string[] = [];
function complain(what: string): void {
  note(what);
  complaints.push(what);
}
process.on('warning', ({ name, message }) => {
  if (name !== 'ExperimentalWarning') complain(`${name}: ${message}`);
});

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-soak-'));
const udpPort = await freeUdpPort();
const httpPort = await freeTcpPort();
let cluster: Cluster | null = null;
let clickHouse: ChaosClickHouse | null = null;
if (values.kafka) {
  const without = await cannotHaveKafka();
  if (without !== null) throw new Error(without);
  cluster = await startCluster(1);
  clickHouse = await startChaosClickHouse();
}
const configOf = (senders: string) => `networks: { internal: [10.0.0.0/8] }
block: { mode: publish, unseen_senders: publish }
acl: { targets: [{ name: edge, platform: nftables, kind: offenders }] }
collector: { listen: ["127.0.0.1:${udpPort}"] }
http: { listen: "127.0.0.1:${httpPort}" }
data: ${join(directory, 'data')}
${cluster === null ? '' : `kafka: { brokers: ${JSON.stringify(cluster.brokers)} }`}
${clickHouse === null ? '' : `clickhouse: ${JSON.stringify(clickHouse.config)}`}
senders: ${senders}
`;
const configs = [
  configOf('[{ name: mail, hosts: [10.0.0.25] }]'),
  configOf('[{ name: mail, hosts: [10.0.0.25] }, { name: second, hosts: [10.0.0.26] }]'),
];
const configFile = join(directory, 'rogue-smtp.yaml');
writeFileSync(configFile, configs[0]);
const service = createService(
  loadConfig({ file: configFile, environment: {} }),
  'soak',
  createLogger('fatal'),
);
const running = await service.start();
running.failed.catch((error: unknown) => complain(`the service failed: ${String(error)}`));
note(`the service runs on ${values.kafka ? 'Kafka and a ClickHouse server' : 'embedded parts'}`);
const load = startLoad({
  udpPort,
  httpPort,
  configFile,
  configs,
  reload: service.reload,
  rate: Number(values.rate),
});
const faults = { engine: 0, stuck: 0, broker: 0, clickHouse: 0 };

/** As the kernel does it when memory is short. */
function killEngine(): void {
  for (const pid of childrenOf()) {
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('embedded/child')) continue;
    process.kill(pid, 'SIGKILL');
    faults.engine++;
  }
}

async function restart(part: { kill(): Promise<void>; start(): Promise<void> }): Promise<void> {
  for (let tries = 1; ; tries++) {
    await part.kill();
    await sleep(AWAY_MS);
    try {
      return await part.start();
    } catch (error) {
      // On a machine with a load of 30, Kafka needed more than the minute and a half that it is given.
      note(`did not start: ${String(error).slice(0, 200)}`);
      if (tries >= START_TRIES) throw error;
    }
  }
}

/** Returns when what was killed has been started again. */
async function fault(round: number): Promise<void> {
  const broker = cluster;
  if (broker === null || clickHouse === null) {
    if (round % 3 === 2) {
      faults.stuck++;
      await load.stuckQuery();
    } else killEngine();
    return;
  }
  // Each by itself, then both.
  if (round % 3 !== 1 && broker.ours) {
    await restart({ kill: () => broker.kill(0), start: () => broker.start(0) });
    faults.broker++;
  }
  if (round % 3 !== 0) {
    await restart(clickHouse);
    faults.clickHouse++;
  }
}

async function untilReady(): Promise<void> {
  const from = performance.now();
  const ready = () =>
    fetch(`http://127.0.0.1:${httpPort}/readyz`).then(
      async (answer) => (await answer.text()) !== '' && answer.ok,
      () => false,
    );
  while (!(await ready())) {
    if (performance.now() - from > READY_WITHIN_MS) return complain('not ready again after two minutes');
    await sleep(500);
  }
}

const samples: Sample[] = [];
/** Once at least. */
async function measureUntil(endMs: number): Promise<void> {
  do {
    await sleep(sampleMs);
    const one = await load.quietly(() => takeSample(startedMs));
    samples.push(one);
    note(MEASURES.map(({ name }) => `${name} ${one[name].toFixed(0)}`).join(', '));
  } while (passedMs() + sampleMs <= endMs);
}

await untilReady();
startedMs = performance.now();
note('ready; the minutes count from here');
await measureUntil(firstFaultMs);
/** On a busy machine faults take most of the time, and the run goes on until there is enough to judge by. */
const goesOn = () =>
  passedMs() + calmMs < totalMs || (samples.length < LEAST_SAMPLES && passedMs() < 1.5 * totalMs);
for (let round = 0; goesOn(); round++) {
  note('fault');
  await fault(round);
  await untilReady();
  await sleep(calmMs);
  await measureUntil(Math.min(totalMs, passedMs() + measureMs));
}
const kinds = [...listenerKinds()].sort(([, a], [, b]) => b - a).slice(0, 12);
note(`most listeners: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
await load.stop();
await service.stop();
await clickHouse?.stop();
await cluster?.stop();
rmSync(directory, { recursive: true, force: true });

const rows = growthOf(samples);
const { counts } = load;
const killed = values.kafka
  ? `broker killed ${faults.broker} times, ClickHouse ${faults.clickHouse} times`
  : `engine killed ${faults.engine} times, and for ${faults.stuck} statements that ignored their limit`;
const report = [
  `\`npm run soak -- --minutes ${values.minutes} --rate ${values.rate}${values.kafka ? ' --kafka' : ''} --write\``,
  '',
  `Machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, Linux ${release()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}, load at the end ${loadavg()[0].toFixed(1)}.`,
  `${(passedMs() / 60_000).toFixed(0)} minutes, ${samples.length} samples; ${counts.flows} flows sent, ${counts.answered} requests answered (${counts.refused} not, while the store was down), ${counts.cut} statements cut off, ${counts.events} clients of /events, ${counts.reloads} reloads; ${killed}.`,
  '',
  '| measured after full collections | first | middle | last | growth a minute, second half | allowed |',
  '| --- | --- | --- | --- | --- | --- |',
  ...rows.map(
    ({ name, unit, first, middle, last, slope, bound, free }) =>
      `| ${name}${unit} | ${first.toFixed(0)} | ${middle.toFixed(0)} | ${last.toFixed(0)} | ${slope.toFixed(2)} | ${bound.toFixed(2)}${free === undefined ? '' : `, once over ${free / 1024} MiB`} |`,
  ),
];
console.log(report.join('\n'));
if (values.write)
  await writeSection(README, `## Soak${values.kafka ? ', through Kafka' : ''}`, report.join('\n'));
for (const row of rows.filter(grows)) complaints.push(`grows: ${row.name}`);
if (samples.length < LEAST_SAMPLES) complaints.push(`only ${samples.length} samples`);
for (const what of complaints) console.error(`FAILED: ${what}`);
process.exit(complaints.length > 0 ? 1 : 0);
