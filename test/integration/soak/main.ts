/**
 * `npm run soak -- --minutes 5 [--rate 3000] [--kafka] [--write]`: the whole service in this process, with all roles,
 * under everything that a year brings: traffic, templates that change, exporters that come and go, queries, clients of
 * /events that come and go, reloads, an engine whose process is killed, and with `--kafka` a broker that is killed.
 *
 * Now and then, after full collections, it measures what is alive, descriptors, timers and other resources, listeners
 * and threads. Each must not grow: exit 1 when the slope over the second half is beyond what is stated below. `--rate` is
 * in flows a second. `--write` puts the table into test/integration/README.md. Needs node --expose-gc.
 */

import { createSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../../src/config/load.ts';
import { createLogger } from '../../../src/logger.ts';
import { createService } from '../../../src/service/run.ts';
import { ipfix, set, TUPLE, template, tuple, v5 } from '../../support/datagrams.ts';
import { writeSection } from '../../support/readme-section.ts';
import { freeTcpPort, freeUdpPort } from '../../support/service.ts';
import { type Cluster, cannotHaveKafka, startCluster } from '../kafka/broker.ts';
import { grows, growthOf, MEASURES, type Sample } from './growth.ts';

const README = fileURLToPath(new URL('../README.md', import.meta.url));
const RECORDS = 30;
/** Hosts, exporters and templates are of a fixed number each: what is known of them must not grow. */
const ROGUES = 40;
const EXPORTER_PORTS = 8;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    rate: { type: 'string', default: '3000' },
    kafka: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const totalMs = Number(values.minutes) * 60_000;
const rate = Number(values.rate);
if (!(totalMs > 0) || !(rate > 0)) throw new Error('--minutes and --rate are positive numbers');
const { gc } = globalThis;
if (gc === undefined) throw new Error('to be run with node --expose-gc (npm run soak does)');

const started = performance.now();
const note = (what: string) =>
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${what}`);

/** Emitters do not say how many listeners they have all together, so their `on` and `off` are counted by the emitters alive. */
const emitters = new Set<WeakRef<EventEmitter>>();
const known = new WeakSet<EventEmitter>();
const realOn = EventEmitter.prototype.on;
for (const name of ['on', 'addListener'] as const)
  EventEmitter.prototype[name] = function on(this: EventEmitter, ...args: Parameters<typeof realOn>) {
    if (!known.has(this)) {
      known.add(this);
      emitters.add(new WeakRef(this));
    }
    return realOn.apply(this, args);
  } as typeof realOn;

function listeners(): number {
  let sum = 0;
  for (const ref of emitters) {
    const emitter = ref.deref();
    if (emitter === undefined) emitters.delete(ref);
    else for (const name of emitter.eventNames()) sum += emitter.listenerCount(name);
  }
  return sum;
}

async function sample(): Promise<Sample> {
  for (let i = 0; i < 4; i++) {
    gc?.();
    await sleep(50);
  }
  const memory = process.memoryUsage();
  const status = readFileSync('/proc/self/status', 'utf8');
  return {
    minutes: (performance.now() - started) / 60_000,
    heap: memory.heapUsed / 1024,
    buffers: memory.arrayBuffers / 1024,
    descriptors: readdirSync('/proc/self/fd').length,
    timers: process.getActiveResourcesInfo().length,
    listeners: listeners(),
    threads: Number(/Threads:\s+(\d+)/.exec(status)?.[1] ?? 0),
  };
}

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-soak-'));
const udpPort = await freeUdpPort();
const httpPort = await freeTcpPort();
let cluster: Cluster | null = null;
if (values.kafka) {
  const without = await cannotHaveKafka();
  if (without !== null) throw new Error(without);
  cluster = await startCluster(1);
}
const configFile = join(directory, 'rogue-smtp.yaml');
writeFileSync(
  configFile,
  `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: [10.0.0.25] }]
block: { mode: publish }
acl: { targets: [{ name: edge, platform: nftables, kind: offenders }] }
collector: { listen: ["127.0.0.1:${udpPort}"] }
http: { listen: "127.0.0.1:${httpPort}" }
data: ${join(directory, 'data')}
${cluster === null ? '' : `kafka: { brokers: [${cluster.brokers.map((broker) => `"${broker}"`).join(', ')}] }`}
`,
);
const service = createService(
  loadConfig({ file: configFile, environment: {} }),
  'soak',
  createLogger('fatal'),
);
const running = await service.start();
running.failed.catch((error: unknown) => {
  note(`the service failed: ${String(error)}`);
  process.exitCode = 1;
});
note(`the service runs ${values.kafka ? 'on Kafka' : 'on embedded parts'}`);

const over = new AbortController();
const counts = { flows: 0, queries: 0, failedQueries: 0, events: 0, reloads: 0, engines: 0, brokers: 0 };

/** Repeats something at intervals until the end. What goes wrong meanwhile is counted by the work itself. */
async function every(ms: number, work: (round: number) => Promise<void> | void): Promise<void> {
  for (let round = 0; !over.signal.aborted; round++) {
    await work(round);
    await sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
  }
}

const base = `http://127.0.0.1:${httpPort}`;
const sockets = Array.from({ length: EXPORTER_PORTS }, () => createSocket('udp4'));
const send = (socket: number, payload: Buffer) =>
  new Promise<void>((resolve) => sockets[socket].send(payload, udpPort, '127.0.0.1', () => resolve()));

let sequence = 0;
function traffic(round: number): Promise<void> {
  const flows = Array.from({ length: RECORDS }, (_, i) => ({
    src: i === 0 ? `10.0.1.${1 + (round % ROGUES)}` : `10.0.${2 + (i % 8)}.${1 + (round % 250)}`,
    dst: `198.51.100.${1 + ((round + i) % 250)}`,
    srcPort: 1024 + ((round * 7 + i) % 60_000),
    dstPort: i === 0 ? 25 : 443,
    packets: 20,
    bytes: 4000,
    flags: 0x1b,
  }));
  sequence += RECORDS;
  counts.flows += RECORDS;
  return send(round % EXPORTER_PORTS, v5(flows, { sequence }));
}

/** A template that changes its layout, and one that is new each time: the table of templates stays bounded. */
async function templates(round: number): Promise<void> {
  const fields = round % 2 === 0 ? TUPLE : [...TUPLE].reverse();
  const id = 256 + (round % 64);
  await send(0, ipfix([set(2, template(id, fields)), set(id, tuple())], { domain: 1 + (round % 4) }));
}

async function query(): Promise<void> {
  const limit = AbortSignal.timeout(20_000);
  for (const path of [
    '/clickhouse?query=SELECT+count()+FROM+flows',
    '/api/v1/offenders',
    '/metrics',
    '/api/v1/exporters',
  ]) {
    const ok = await fetch(base + path, { signal: limit }).then(
      async (answer) => (await answer.text()) !== '' && answer.ok,
      () => false,
    );
    if (ok) counts.queries++;
    else counts.failedQueries++;
  }
}

/** A client of /events comes, listens for a moment, and goes without a word. */
async function follow(): Promise<void> {
  const leaving = new AbortController();
  const answer = await fetch(`${base}/events`, { signal: leaving.signal }).catch(() => null);
  if (answer?.body != null) {
    const reader = answer.body.getReader();
    await reader.read().catch(() => undefined);
    counts.events++;
  }
  leaving.abort();
}

function reload(): Promise<void> {
  utimesSync(configFile, new Date(), new Date());
  counts.reloads++;
  return service.reload();
}

/** Kills the process of the embedded engine, which is a child of this process. */
function killEngine(): void {
  for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)) {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    if (!command.includes('embedded/child')) continue;
    process.kill(Number(pid), 'SIGKILL');
    counts.engines++;
  }
}

async function restartBroker(): Promise<void> {
  if (cluster === null || !cluster.ours) return;
  await cluster.kill(0);
  await sleep(3000);
  await cluster.start(0);
  counts.brokers++;
}

const faultMs = Math.max(45_000, totalMs / 10);
const work = [
  every(Math.max(1, (1000 * RECORDS * 10) / rate), async (round) => {
    for (let i = 0; i < 10; i++) await traffic(round * 10 + i);
  }),
  every(500, templates),
  every(1000, query),
  every(300, follow),
  every(7000, reload),
  every(faultMs, (round) => (round === 0 ? undefined : killEngine())),
  every(faultMs, (round) => (round === 0 ? undefined : restartBroker())),
];

const samples: Sample[] = [];
const sampleMs = Math.max(10_000, totalMs / 40);
while (performance.now() - started < totalMs) {
  await sleep(Math.min(sampleMs, Math.max(0, totalMs - (performance.now() - started))));
  const one = await sample();
  samples.push(one);
  note(MEASURES.map(({ name }) => `${name} ${one[name].toFixed(0)}`).join(', '));
}
over.abort();
await Promise.all(work);
for (const socket of sockets) socket.close();
await service.stop();
await cluster?.stop();
rmSync(directory, { recursive: true, force: true });

const rows = growthOf(samples);
const report = [
  `\`npm run soak -- --minutes ${values.minutes} --rate ${values.rate}${values.kafka ? ' --kafka' : ''} --write\``,
  '',
  `Machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, Linux ${release()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}, load at the end ${loadavg()[0].toFixed(1)}.`,
  `${counts.flows} flows sent, ${counts.queries} requests answered (${counts.failedQueries} not, while the engine was down), ${counts.events} clients of /events, ${counts.reloads} reloads, engine killed ${counts.engines} times${values.kafka ? `, broker killed ${counts.brokers} times` : ''}.`,
  '',
  '| measured after full collections | first | middle | last | growth a minute, second half | allowed |',
  '| --- | --- | --- | --- | --- | --- |',
  ...rows.map(
    ({ name, unit, first, middle, last, slope, allowed }) =>
      `| ${name}${unit} | ${first.toFixed(0)} | ${middle.toFixed(0)} | ${last.toFixed(0)} | ${slope.toFixed(2)} | ${allowed} |`,
  ),
];
console.log(report.join('\n'));
if (values.write)
  await writeSection(README, `## Soak${values.kafka ? ', through Kafka' : ''}`, report.join('\n'));
const grown = rows.filter(grows);
for (const { name } of grown) console.error(`GROWS: ${name}`);
process.exit(grown.length > 0 || process.exitCode === 1 ? 1 : 0);
