/**
 * `npm run chaos [-- --minutes 5] [--rate 100000] [--no-faults] [--write]`: two collectors, two detectors and two stores
 * on three brokers and a ClickHouse, under load, while each of them is killed with SIGKILL in turn and ClickHouse is
 * paused for a minute. Ends with an account of every flow and every alert; exit 1 when it does not add up.
 *
 * `--rate` is in flows a second. `--no-faults` measures instead, with one broker: throughput, latency, CPU of each role.
 * `--write` puts the report into test/integration/README.md.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createSender } from '../../bench/sender.ts';
import { createLoad, startNewcomers, steadyRogues } from '../../support/network-load.ts';
import { writeSection } from '../../support/readme-section.ts';
import { cannotHaveKafka, startCluster } from '../kafka/broker.ts';
import { createRoles, type RoleName } from './roles.ts';
import { watchAlerts } from './watch.ts';

const README = fileURLToPath(new URL('../README.md', import.meta.url));
const PAUSE_MS = 60_000;
const DOWN_MS = 3000;
const FLOWS_PER_DATAGRAM = 30;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    rate: { type: 'string', default: '100000' },
    'no-faults': { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.minutes) * 60;
const rate = Number(values.rate);
const faults = !values['no-faults'];
/** Of three one may be away. Where nothing fails one is enough: replicas on the same two cores measure only themselves. */
const brokers = faults ? 3 : 1;
if (!(seconds > 0) || !(rate > 0)) throw new Error('--minutes and --rate are positive numbers');

const lines: string[] = [];
function say(line: string): void {
  lines.push(line);
  console.log(line);
}

const started = Date.now();
const at = () => `${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s`;
const note = (what: string) => console.error(`${at()}  ${what}`);

const without = await cannotHaveKafka();
if (without !== null) throw new Error(without);
const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-chaos-'));
const cluster = await startCluster(brokers);
const roles = await createRoles(cluster, directory);
let failed = false;
try {
  await roles.startAll();
  const alerts = await watchAlerts(roles.kafka);
  const sender = await createSender(directory);
  const load = createLoad();
  note('everything runs');
  const cpuBefore = roles.cpuSeconds();
  const loadStarted = Date.now();
  const perExporter = rate / FLOWS_PER_DATAGRAM / 2;
  const newcomers = startNewcomers(roles.udpPort('collect1'), faults ? 1000 : 250);
  const sending = Promise.all([
    sender.send(roles.udpPort('collect1'), perExporter, seconds, load.v5),
    sender.send(roles.udpPort('collect2'), perExporter, seconds, load.ipfix),
  ]);
  const log = faults ? await breakThings(sending) : [];
  const datagrams = await sending;
  const sendSeconds = (Date.now() - loadStarted) / 1000;
  const busy = roles.cpuSeconds();
  const storedThen = await roles.number('SELECT count() FROM flows');
  await newcomers.stop();
  note('all sent; waiting for what is under way');
  const account = { ...(await settle()), storedThen };
  report(datagrams[0] + datagrams[1], newcomers, account, log, busy, cpuBefore, sendSeconds, alerts);
} catch (error) {
  failed = true;
  console.error(error);
  console.error(roles.logs());
} finally {
  await roles.stop();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}
if (values.write && !failed) await writeReport();
process.exit(failed ? 1 : 0);

/** One thing after the other, until all that is sent is sent; each is up again before the next. */
async function breakThings(sending: Promise<unknown>): Promise<string[]> {
  const log: string[] = [];
  let sent = false;
  void sending.then(() => {
    sent = true;
  });
  const kill = (name: RoleName) => async () => {
    await roles.kill(name);
    await sleep(DOWN_MS);
    await roles.start(name);
    return `${name} killed, started again after ${DOWN_MS / 1000} s`;
  };
  const killBroker = (node: number) => async () => {
    await cluster.kill(node);
    await sleep(DOWN_MS);
    await cluster.start(node);
    return `broker ${node + 1} killed, started again after ${DOWN_MS / 1000} s`;
  };
  const pause = async () => {
    roles.pauseClickHouse();
    await sleep(PAUSE_MS);
    roles.continueClickHouse();
    return `ClickHouse paused for ${PAUSE_MS / 1000} s`;
  };
  const steps = [
    kill('detect1'),
    killBroker(0),
    kill('collect1'),
    kill('store1'),
    killBroker(1),
    kill('collect2'),
    kill('detect2'),
    killBroker(2),
    kill('store2'),
    pause,
  ];
  await sleep(5000);
  for (let i = 0; !sent; i++) {
    const begun = at();
    const what = await steps[i % steps.length]();
    log.push(`${begun}: ${what}`);
    note(what);
    await sleep(4000);
  }
  return log;
}

interface Account {
  readonly stored: number;
  /** When the last datagram had just been sent. */
  readonly storedThen: number;
  readonly identities: number;
  readonly lost: number;
  readonly dropped: number;
}

/** Stored flows once nothing changes any more. */
async function settle(): Promise<Omit<Account, 'storedThen'>> {
  let before = -1;
  for (let quiet = 0; quiet < 3; ) {
    await sleep(3000);
    const stored = await roles.number('SELECT count() FROM flows');
    quiet = stored === before && (await roles.waiting()) === 0 ? quiet + 1 : 0;
    if (stored !== before) note(`${stored} flows are stored`);
    before = stored;
    if (Date.now() - started > (seconds + 600) * 1000) throw new Error('what is under way never arrives');
  }
  const { lost, dropped } = await roles.losses();
  return {
    stored: before,
    identities: await countIdentities(),
    lost,
    dropped,
  };
}

/** In parts, since all of them at once are too many for the memory that a query may have. */
async function countIdentities(): Promise<number> {
  const PARTS = 64;
  let count = 0;
  for (let part = 0; part < PARTS; part++)
    count += await roles.number(
      `SELECT uniqExact(exporter, version, domain, sequence, record) FROM flows WHERE cityHash64(sequence) % ${PARTS} = ${part}`,
    );
  return count;
}

function report(
  datagrams: number,
  newcomers: { readonly begun: ReadonlyMap<string, number>; readonly flows: () => number },
  { stored, storedThen, identities, lost, dropped }: Account,
  log: readonly string[],
  busy: ReadonlyMap<string, number>,
  cpuBefore: ReadonlyMap<string, number>,
  sendSeconds: number,
  alerts: Awaited<ReturnType<typeof watchAlerts>>,
): void {
  const sent = datagrams * FLOWS_PER_DATAGRAM + newcomers.flows();
  const expected = new Set([...steadyRogues(), ...newcomers.begun.keys()]);
  const opened = alerts.byId().filter(({ kind }) => kind === 'opened');
  const hosts = opened.map(({ host }) => host ?? '');
  const missed = [...expected].filter((host) => !hosts.includes(host));
  const innocent = hosts.filter((host) => !expected.has(host));
  const events = alerts
    .byId()
    .map(({ host, kind, grade, incident_id: id }) => `${host} ${kind} ${grade} ${id}`);
  const doubled = events.length - new Set(events).size + hosts.length - new Set(hosts).size;
  say(
    `Machine: ${cpus().length} x ${cpus()[0].model.trim()}, Linux ${release()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}.`,
  );
  say(
    `Load at the end: ${loadavg()[0].toFixed(1)}. ClickHouse: ${roles.clickHouseName}. Kafka 4.3.1, brokers: ${brokers}, replication ${brokers}, acks all.`,
  );
  say('');
  say('| | flows |');
  say('| --- | --- |');
  say(`| sent in ${sendSeconds.toFixed(0)} s (${Math.round(sent / sendSeconds)} a second) | ${sent} |`);
  say(`| stored | ${stored} |`);
  say(`| of these stored when the last was sent | ${storedThen} |`);
  say(`| stored twice | ${stored - identities} |`);
  say(
    `| lost by sequence numbers: while a collector was dead, or taken and not yet safe when it was killed | ${lost} |`,
  );
  say(`| dropped under a reason by the collectors | ${dropped} |`);
  say(`| sent, and neither stored nor counted | ${sent - identities - lost - dropped} |`);
  say('');
  say('| | hosts |');
  say('| --- | --- |');
  say(`| rogue | ${expected.size} |`);
  say(`| alerted | ${new Set(hosts).size} |`);
  say(
    `| rogue and not alerted | ${missed.length}${missed.length > 0 ? `: ${missed.slice(0, 5).join(', ')}` : ''} |`,
  );
  say(`| alerted and not rogue | ${innocent.length} |`);
  say(`| events alerted under two ids | ${doubled} |`);
  say(
    `| alerts read from the topic, of these repeated under the same id | ${alerts.read()}, ${alerts.read() - alerts.byId().length} |`,
  );
  say('');
  if (!faults) {
    const waits = alerts.latencies(newcomers.begun).sort((a, b) => a - b);
    const quantile = (q: number) => waits[Math.min(waits.length - 1, Math.floor(q * waits.length))];
    say(
      `From sending the first datagram of a host to its alert read from the topic, ${waits.length} hosts: median ${quantile(0.5)} ms, p95 ${quantile(0.95)} ms, p99 ${quantile(0.99)} ms, at most ${quantile(1)} ms.`,
    );
    say('');
  }
  say('| process | CPU, share of a core |');
  say('| --- | --- |');
  for (const [name, spent] of busy)
    say(`| ${name} | ${(((spent - (cpuBefore.get(name) ?? 0)) / sendSeconds) * 100).toFixed(0)} % |`);
  if (log.length > 0) {
    say('');
    say('What was done, in order:');
    say('');
    for (const line of log) say(`- ${line.trim()}`);
  }
  const unaccounted = sent - identities - lost - dropped;
  failed =
    stored !== identities || unaccounted !== 0 || missed.length > 0 || innocent.length > 0 || doubled > 0;
  say('');
  say(failed ? 'It does not add up.' : 'It adds up.');
}

async function writeReport(): Promise<void> {
  const heading = faults ? '## Chaos' : `## Throughput and latency on Kafka, ${rate} flows/s offered`;
  const command = `npm run chaos -- --minutes ${values.minutes} --rate ${rate}${faults ? '' : ' --no-faults'} --write`;
  await writeSection(README, heading, `\`${command}\`\n\n${lines.join('\n')}`);
}
