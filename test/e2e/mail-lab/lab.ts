/**
 * The mail lab: real servers, real clients, real exporters, in namespaces. Needs root.
 *
 * `runLab` runs cases and gives the exports, one file for each exporter, with the truth that the packets tell.
 */

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../namespaces.ts';
import type { Case } from './cases/case.ts';
import { EXPORTERS, PORT, startExporters } from './exporters.ts';
import { exporterAddress, openMailNetwork, type Place } from './network.ts';
import type { Session } from './packets.ts';
import { readSessions } from './packets.ts';
import type { Programs } from './programs.ts';
import { type CaseRun, runCases } from './run-cases.ts';
import { allServerAddresses, serverAddress, smallServers } from './topology.ts';

export interface LabResult {
  readonly runs: readonly CaseRun[];
  readonly sessions: readonly Session[];
  /** Messages whose data a server has read, by client and time in milliseconds. */
  readonly deliveries: readonly { readonly client: string; readonly timeMs: number }[];
}

/** Writes EXPORTER.pcap for each exporter, and packets.pcap, into `out`. */
export async function runLab(
  out: string,
  programs: Programs,
  chosen: readonly Case[],
  exporters: readonly string[],
  atOnce: number,
  say: (line: string) => void,
): Promise<LabResult> {
  mkdirSync(out, { recursive: true });
  const network = openMailNetwork(['198.51.100.2', ...allServerAddresses()]);
  try {
    const logs = await startServers(network, programs);
    const exports = join(out, 'exports.pcap');
    const packets = join(out, 'packets.pcap');
    const observe = (place: Place, device: string, file: string, filter: string) =>
      network.start(
        place,
        'tcpdump',
        '-Z',
        'root',
        '-i',
        device,
        '-s',
        '0',
        '-B',
        '16384',
        '-U',
        '-w',
        file,
        filter,
      );
    const observers = [
      observe('collect', 'eth0', exports, `udp dst port ${PORT}`),
      observe('router', 'wan0', packets, 'tcp port 25'),
    ];
    for (const observer of observers) await observer.printed(/listening on/);
    await startExporters(network, exporters);
    await sleep(1000);
    const runs = await runCases(network, programs, chosen, atOnce, say);
    // Every flow has ended by timeout, and its export has come.
    await sleep(20_000);
    for (const observer of observers) await observer.stop();
    split(exports, out, exporters);
    return { runs, sessions: readSessions(packets), deliveries: readDeliveries(logs) };
  } finally {
    await network.close();
  }
}

function split(exports: string, out: string, exporters: readonly string[]): void {
  for (const [n, { name }] of EXPORTERS.entries()) {
    if (!exporters.includes(name)) continue;
    const target = join(out, `${name}.pcap`);
    execFileSync(
      'tcpdump',
      ['-Z', 'root', '-n', '-r', exports, '-w', target, 'src', 'host', exporterAddress(n)],
      {
        stdio: 'ignore',
      },
    );
  }
}

interface Logs {
  readonly small: string;
  readonly postfix: string;
  readonly exim: string;
}

async function startServers(network: Namespaces<Place>, programs: Programs): Promise<Logs> {
  const here = new URL('.', import.meta.url).pathname;
  const { directory } = network;
  // Agents read and write here under users of their own.
  chmodSync(directory, 0o755);
  const certificates = join(directory, 'certificates');
  cpSync(programs.certificates, certificates, { recursive: true });
  const small = join(directory, 'deliveries');
  writeFileSync(small, '');
  const servers = network.start(
    'world',
    'python3',
    join(here, 'servers.py'),
    certificates,
    small,
    ...smallServers(),
  );
  const both = (name: string) => ([4, 6] as const).map((family) => serverAddress(name, family));
  const postfix = [
    `inet_interfaces = ${both('postfix').join(', ')}`,
    'inet_protocols = all',
    'myhostname = postfix.example.net',
    'default_transport = discard',
    'relay_transport = discard',
    'smtpd_tls_security_level = may',
    `smtpd_tls_cert_file = ${certificates}/small.pem`,
    `smtpd_tls_key_file = ${certificates}/small.key`,
    'smtpd_client_connection_count_limit = 0',
    'smtpd_peername_lookup = no',
    'default_process_limit = 60',
  ];
  const exim = join(directory, 'exim');
  const script = [
    ...programs.overlay,
    `sh ${here}/postfix.sh ${directory}/postfix ${postfix.map((each) => `'${each}'`).join(' ')} || exit 1`,
    `CERTIFICATES=${certificates} sh ${here}/exim.sh ${exim} server`,
    `echo 'local_interfaces = <; ${both('exim').join('; ')}' | cat - ${exim}/exim.conf >${exim}/server.conf`,
    `exec exim4 -C ${exim}/server.conf -bdf -oX 25`,
  ].join('\n');
  const agents = network.start('world', 'sh', '-c', script);
  await servers.printed(/listening/);
  await sleep(3000);
  agents.failure.catch(() => undefined);
  for (const name of ['postfix', 'exim', 'chain']) {
    const said = network.run(
      'world',
      'sh',
      '-c',
      `(sleep 0.5; echo QUIT) | nc -w 2 ${serverAddress(name, 4)} 25; true`,
    );
    if (!said.startsWith('220'))
      throw new Error(
        `${name} does not greet: ${said} ${agents.output()} ${readFileSync(join(directory, 'postfix/mail.log'), 'utf8')}`,
      );
  }
  return { small, postfix: join(directory, 'postfix/mail.log'), exim: join(directory, 'exim/mainlog') };
}

function readDeliveries({ small, postfix, exim }: Logs): LabResult['deliveries'] {
  const text = (file: string) => readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const list: { client: string; timeMs: number }[] = [];
  for (const line of text(small)) {
    const { client, time } = JSON.parse(line) as { client: string; time: number };
    list.push({ client, timeMs: Math.round(time * 1000) });
  }
  const clients = new Map<string, string>();
  const year = new Date().getFullYear();
  for (const line of text(postfix)) {
    const timeMs = Date.parse(`${year} ${line.slice(0, 15)}`);
    const opened = /smtpd\[\d+\]: ([0-9A-F]+): client=\S*\[([^\]]+)\]/.exec(line);
    if (opened) clients.set(opened[1], opened[2]);
    const read = /cleanup\[\d+\]: ([0-9A-F]+): message-id=/.exec(line);
    const client = read && clients.get(read[1]);
    if (client) list.push({ client, timeMs });
  }
  for (const line of text(exim)) {
    const taken = /^(\S+ \S+) .*taken \d+ from (\S+)/.exec(line);
    if (taken) list.push({ client: taken[2], timeMs: Date.parse(taken[1]) });
  }
  return list;
}
