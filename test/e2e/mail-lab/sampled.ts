/**
 * Exporters that sample, fed by the sessions that the lab has recorded, played again as new ones many times.
 *
 *   replay-sessions.py -- Open vSwitch -- replay-sessions.py
 *                                      |
 *                              softflowd, pmacctd
 *
 * One packet in N of a few sessions tells nothing; thousands of live ones for each case would take a day.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../launch.ts';
import { ip, type Namespaces, openNamespaces, SMTP_SERVER } from '../namespaces.ts';
import { TIMEOUTS } from './exporters.ts';
import { cable, collectorAddress, exporterAddress } from './network.ts';

const PLACES = ['sampler', 'collect'] as const;
type Place = (typeof PLACES)[number];
const PORTS = { netflow: 2055, sflow: 6343 };

interface Sampler {
  readonly name: string;
  readonly program: 'softflowd' | 'pmacctd' | 'pmacctd-sflow' | 'ovs-sflow';
  readonly rate: number;
  /** It is ended when this share of the sessions has been played: enough for its rate, and the capture stays small. */
  readonly share: number;
}

/** In a fixed order: addresses follow from it, after those of the exporters that do not sample. */
export const SAMPLERS: readonly Sampler[] = [
  { name: 'softflowd-v9-1in10', program: 'softflowd', rate: 10, share: 0.12 },
  { name: 'softflowd-v9-1in100', program: 'softflowd', rate: 100, share: 0.5 },
  { name: 'softflowd-v9-1in1000', program: 'softflowd', rate: 1000, share: 1 },
  { name: 'pmacctd-ipfix-1in10', program: 'pmacctd', rate: 10, share: 0.12 },
  { name: 'pmacctd-ipfix-1in100', program: 'pmacctd', rate: 100, share: 0.5 },
  { name: 'pmacctd-ipfix-1in1000', program: 'pmacctd', rate: 1000, share: 1 },
  { name: 'ovs-sflow-1in100', program: 'ovs-sflow', rate: 100, share: 0.4 },
  { name: 'pmacctd-sflow-1in1000', program: 'pmacctd-sflow', rate: 1000, share: 1 },
];
/** For few cases and ten times as many sessions: what a rate of 1000 shows of a host that goes on for days. */
export const LONG_SAMPLERS: readonly Sampler[] = [
  { name: 'softflowd-v9-long-1in1000', program: 'softflowd', rate: 1000, share: 1 },
  { name: 'pmacctd-ipfix-long-1in1000', program: 'pmacctd', rate: 1000, share: 1 },
  { name: 'ovs-sflow-long-1in1000', program: 'ovs-sflow', rate: 1000, share: 1 },
];
const FIRST = 12;
const number = (sampler: Sampler) => FIRST + [...SAMPLERS, ...LONG_SAMPLERS].indexOf(sampler);

export interface SampledRun {
  readonly packets: string;
  readonly clients: readonly string[];
  /** Sessions of each client, and the time for all of them. */
  readonly sessions: number;
  readonly seconds: number;
  readonly out: string;
  readonly samplers: readonly Sampler[];
}

/** Writes SAMPLER.pcap for each sampler into `out`. Resolves with what the player says at its end. */
export async function runSamplers(run: SampledRun, say: (line: string) => void): Promise<string> {
  mkdirSync(run.out, { recursive: true });
  const network = openNamespaces('p', PLACES);
  try {
    wire(network, run.samplers);
    const control = await startSwitch(network);
    const ports = Object.values(PORTS);
    const sinks = run.samplers.flatMap((each) =>
      ports.map((port) => `sink/${collectorAddress(number(each))}:${port}`),
    );
    await network.start('collect', 'python3', SMTP_SERVER, ...sinks).printed(/listening/);
    const exports = join(run.out, 'sampled-exports.pcap');
    const filter = ports.map((port) => `udp dst port ${port}`).join(' or ');
    const options = ['-Z', 'root', '-i', 'eth0', '-s', '0', '-B', '32768', '-U', '-w', exports];
    const observer = network.start('collect', 'tcpdump', ...options, filter);
    await observer.printed(/listening on/);
    const ends: End[] = [];
    for (const each of run.samplers)
      ends.push({ atMs: each.share * run.seconds * 1000, end: await startSampler(network, each, control) });
    const said = await play(network, run, ends, say);
    await observer.stop();
    for (const each of run.samplers) {
      const target = join(run.out, `${each.name}.pcap`);
      const from = ['src', 'host', exporterAddress(number(each))];
      execFileSync('tcpdump', ['-Z', 'root', '-n', '-r', exports, '-w', target, ...from], {
        stdio: 'ignore',
      });
    }
    return said;
  } finally {
    await network.close();
  }
}

interface End {
  readonly atMs: number;
  readonly end: () => Promise<void> | void;
}

function wire(network: Namespaces<Place>, samplers: readonly Sampler[]): void {
  const [sampler, collect] = PLACES.map((place) => network.name(place));
  // The kernel must not take part: neither with neighbour discovery nor with answers.
  const off = ['all', 'default'].map((each) => `net.ipv6.conf.${each}.disable_ipv6=1`);
  network.run('sampler', 'sysctl', '-qw', ...off);
  cable(sampler, 'play1', sampler, 'port1');
  cable(sampler, 'port2', sampler, 'play2');
  cable(sampler, 'mgmt0', collect, 'eth0');
  for (const n of samplers.map(number)) {
    ip('-n', sampler, 'addr', 'add', `${exporterAddress(n)}/29`, 'dev', 'mgmt0');
    ip('-n', collect, 'addr', 'add', `${collectorAddress(n)}/29`, 'dev', 'eth0');
  }
}

/** Plays the sessions, and ends each sampler at its time. */
async function play(
  network: Namespaces<Place>,
  run: SampledRun,
  ends: readonly End[],
  say: (line: string) => void,
): Promise<string> {
  const player = new URL('replay-sessions.py', import.meta.url).pathname;
  const amount = [String(run.sessions), String(run.seconds), '1'];
  const playing = network.start(
    'sampler',
    'python3',
    player,
    run.packets,
    'play1',
    'play2',
    ...amount,
    ...run.clients,
  );
  await playing.printed(/ready/);
  const begin = Date.now();
  const over = playing.failure.catch(() => undefined);
  for (const { atMs, end } of [...ends].sort((a, b) => a.atMs - b.atMs)) {
    if (atMs < run.seconds * 1000) await sleep(Math.max(0, begin + atMs - Date.now()));
    else {
      await over;
      await sleep(3000);
    }
    await end();
    say(`${Math.round((Date.now() - begin) / 1000)} s: a sampler has ended`);
  }
  await sleep(1000);
  return playing.output();
}

/** A bridge of Open vSwitch in user space; gives what runs its command. */
async function startSwitch(network: Namespaces<Place>): Promise<(...args: string[]) => string> {
  const { directory } = network;
  const env = ['env', `OVS_RUNDIR=${directory}`, `OVS_LOGDIR=${directory}`, `OVS_DBDIR=${directory}`];
  const run = (...args: string[]) => network.run('sampler', env[0], ...env.slice(1), ...args);
  run('ovsdb-tool', 'create', `${directory}/conf.db`, '/usr/share/openvswitch/vswitch.ovsschema');
  const start = (...args: string[]): Running => network.start('sampler', env[0], ...env.slice(1), ...args);
  start(
    'ovsdb-server',
    `${directory}/conf.db`,
    `--remote=punix:${directory}/db.sock`,
    '--pidfile',
    `--unixctl=${directory}/ovsdb.ctl`,
  );
  await sleep(1000);
  const control = (...args: string[]) =>
    run('ovs-vsctl', '--timeout=10', `--db=unix:${directory}/db.sock`, ...args);
  control('--no-wait', 'init');
  start('ovs-vswitchd', `unix:${directory}/db.sock`, '--pidfile', `--unixctl=${directory}/vswitchd.ctl`);
  control(
    'add-br',
    'br0',
    '--',
    'set',
    'bridge',
    'br0',
    'datapath_type=netdev',
    '--',
    'add-port',
    'br0',
    'port1',
    '--',
    'add-port',
    'br0',
    'port2',
  );
  return control;
}

/** Resolves, when it runs, with what ends it. */
async function startSampler(
  network: Namespaces<Place>,
  sampler: Sampler,
  control: (...args: string[]) => string,
): Promise<() => Promise<void> | void> {
  const { name, program, rate } = sampler;
  const n = number(sampler);
  const file = join(network.directory, name);
  const netflow = `${collectorAddress(n)}:${PORTS.netflow}`;
  const sflow = `${collectorAddress(n)}:${PORTS.sflow}`;
  const address = exporterAddress(n);
  if (program === 'ovs-sflow') {
    control(
      '--',
      'set',
      'bridge',
      'br0',
      'sflow=@s',
      '--',
      '--id=@s',
      'create',
      'sFlow',
      'agent=mgmt0',
      `targets="${sflow}"`,
      'header=128',
      `sampling=${rate}`,
      'polling=30',
    );
    return () => {
      control('clear', 'bridge', 'br0', 'sflow');
    };
  }
  if (program === 'softflowd') {
    const limits = TIMEOUTS.flatMap((timeout) => ['-t', timeout]);
    const files = ['-p', `${file}.pid`, '-c', `${file}.ctl`];
    const args = [
      '-i',
      'play2',
      '-n',
      netflow,
      '-v',
      '9',
      '-d',
      '-s',
      String(rate),
      ...limits,
      ...files,
      'tcp',
    ];
    const running = network.start('sampler', 'softflowd', ...args);
    await running.printed(/Exporting flows/);
    return () => running.stop();
  }
  const probe =
    program === 'pmacctd'
      ? {
          plugins: 'nfprobe',
          nfprobe_receiver: netflow,
          nfprobe_source_ip: address,
          nfprobe_version: '10',
          nfprobe_timeouts: TIMEOUTS.join(':'),
        }
      : { plugins: 'sfprobe', sfprobe_receiver: sflow, sfprobe_agentip: address, sfprobe_source_ip: address };
  const settings = {
    daemonize: 'false',
    pcap_interface: 'play2',
    pcap_filter: 'tcp',
    ...(program === 'pmacctd' ? { aggregate: 'src_host,dst_host,src_port,dst_port,proto,tos,tcpflags' } : {}),
    sampling_rate: String(rate),
    ...probe,
  };
  writeFileSync(
    `${file}.conf`,
    Object.entries(settings)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
  );
  const running = network.start('sampler', 'pmacctd', '-f', `${file}.conf`);
  await sleep(1500);
  return () => running.stop();
}
