/**
 * `rogue-smtp demo`: the whole service, seen from outside, on a shipped capture of real exports.
 *
 * It starts `rogue-smtp run` as a process of its own on a data directory of its own, sends the capture as UDP datagrams
 * to the running listener, and shows what a user would see: the alert as it fires, the offenders, the ACL. Nothing is
 * simulated. It fails when the story does not come out as it must.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import type { Alert } from '../messages/alert.ts';
import { readCapture } from '../replay/capture/read-capture.ts';
import { firstOf, nextEvent, settled } from '../waiting.ts';
import { type Client, createClient } from './client.ts';
import { describeAlert, offendersTable } from './reports.ts';

const ASSETS = new URL('../../deploy/demo/', import.meta.url);
/** What the capture holds, told in deploy/demo/README.md. */
const STORY = { rogue: '192.0.2.55', mailServer: '192.0.2.100' };
const ALERT_WAIT_MS = 30_000;
/** Datagrams go out at this pace, so that the progress can be followed. */
const SEND_MS = 4000;

export interface DemoStreams {
  readonly stdout: NodeJS.WritableStream;
}

export async function demoCommand(flags: { readonly once?: boolean }, streams: DemoStreams): Promise<number> {
  const say = (text: string) => streams.stdout.write(`${text}\n`);
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-demo-'));
  const [udpPort, httpPort] = [await freePort(), await freePort()];
  const configFile = join(directory, 'rogue-smtp.yaml');
  await writeFile(configFile, await demoConfig(directory, udpPort, httpPort));

  say(`rogue-smtp demo: everything in ${directory}\n`);
  say('1. Starting the service on embedded parts (the first start loads a 500 MB database engine)');
  const service = startService(configFile);
  try {
    const client = createClient(loadConfig({ file: configFile }));
    await client.waitUntilReady(service.exited);
    say(
      `   listening for NetFlow, IPFIX and sFlow on udp 127.0.0.1:${udpPort}, API on http://127.0.0.1:${httpPort}\n`,
    );

    say(
      '2. Sending the exports that softflowd and pmacct made of real SMTP sessions between network namespaces',
    );
    const alerts = await alertsUntil(
      client,
      (alert) => alert.host === STORY.rogue && alert.block.state === 'published',
      (alert) => say(`   ALERT ${describeAlert(alert)}`),
    );
    const sent = await sendCapture(fileURLToPath(new URL('exports.pcap', ASSETS)), udpPort);
    say(`   ${sent.datagrams} datagrams sent from ${sent.exporters} exporters`);
    const seen = await alerts.hosts;

    say('\n3. Who sends mail without being allowed to (rogue-smtp offenders)\n');
    say(offendersTable(await client.offenders()));
    const { text } = await client.renderAcl({
      platform: 'cisco-ios',
      kind: 'offenders',
      family: '4',
      interface: 'GigabitEthernet0/1',
    });
    say('4. The ACL for a Cisco IOS router (rogue-smtp acl render --platform cisco-ios --kind offenders)\n');
    say(text);
    const policy = await client.renderAcl({
      platform: 'cisco-ios',
      kind: 'policy',
      family: '4',
      interface: 'GigabitEthernet0/1',
    });
    say('5. Or, before anyone offends: only the mail server may send (--kind policy)\n');
    say(policy.text);

    say('6. Where everything is');
    say(
      `   flows, alerts and incidents: ${join(directory, 'data')}\n     node dist/cli/main.js --config ${configFile} incident ${STORY.rogue}\n     node dist/cli/main.js --config ${configFile} query "SELECT * FROM offenders"`,
    );
    say(`   the ACLs as files, rewritten when they change: ${join(directory, 'data', 'acl')}`);
    if (flags.once !== true)
      say(`   http://127.0.0.1:${httpPort}/api/v1/offenders  http://127.0.0.1:${httpPort}/metrics`);
    say(`   to be rid of it: rm -r ${directory}\n`);

    const problems = checkStory(seen, text, policy.text);
    for (const problem of problems) say(`   WRONG: ${problem}`);
    if (problems.length > 0) return 1;
    say(
      `The rogue host ${STORY.rogue} was found and is denied; the mail server ${STORY.mailServer} was left alone.`,
    );
    if (flags.once !== true) {
      say('The service stays up for a look. Ctrl-C ends it. See it all on its page:');
      say(`   http://127.0.0.1:${httpPort}/`);
      await firstOf(settled<void>(service.exited), settled(interrupted()));
    }
    return 0;
  } finally {
    await service.stop();
  }
}

/**
 * Follows alerts until `last` accepts one or some time has passed. Resolves when the service sends them; `hosts` then
 * with the hosts that alerts were about.
 */
async function alertsUntil(
  client: Client,
  last: (alert: Alert) => boolean,
  onAlert: (alert: Alert) => void,
): Promise<{ readonly hosts: Promise<ReadonlySet<string>> }> {
  const stop = AbortSignal.timeout(ALERT_WAIT_MS);
  const alerts = await client.follow(stop);
  async function collect(): Promise<ReadonlySet<string>> {
    const hosts = new Set<string>();
    try {
      for await (const alert of alerts) {
        onAlert(alert);
        hosts.add(alert.host);
        if (last(alert)) break;
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    return hosts;
  }
  return { hosts: collect() };
}

function checkStory(alertedHosts: ReadonlySet<string>, offendersAcl: string, policyAcl: string): string[] {
  const problems: string[] = [];
  if (!alertedHosts.has(STORY.rogue))
    problems.push(`no alert with a published block for the rogue host ${STORY.rogue}`);
  if (alertedHosts.has(STORY.mailServer)) problems.push(`an alert for the mail server ${STORY.mailServer}`);
  if (!offendersAcl.includes(`deny tcp host ${STORY.rogue} any eq 25`))
    problems.push('the ACL does not deny the rogue host');
  if (offendersAcl.includes(`deny tcp host ${STORY.mailServer} `))
    problems.push('the ACL denies the mail server');
  if (!policyAcl.includes(`permit tcp host ${STORY.mailServer} any eq 25`))
    problems.push('the policy does not permit the mail server');
  return problems;
}

async function demoConfig(directory: string, udpPort: number, httpPort: number): Promise<string> {
  const template = await readFile(new URL('rogue-smtp.yaml', ASSETS), 'utf8');
  return `${template}
collector: { listen: ["127.0.0.1:${udpPort}"], template_scope: address_port, receive_buffer: 128KiB }
http: { listen: "127.0.0.1:${httpPort}" }
log: { level: warn }
data: ${JSON.stringify(join(directory, 'data'))}
`;
}

interface Service {
  readonly exited: Promise<never>;
  stop(): Promise<void>;
}

function startService(configFile: string): Service {
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [main, 'run', '--config', configFile], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // However this process ends, such as by a closed stdout, the service must not stay behind.
  process.once('exit', () => child.kill('SIGTERM'));
  const exited = ended.then((): never => {
    throw new RogueSmtpError(
      'unavailable',
      `the service ended by itself (exit code ${child.exitCode ?? child.signalCode})`,
    );
  });
  exited.catch(() => undefined);
  return {
    exited,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Sends the payloads in order, each exporter of the capture from a socket of its own. */
async function sendCapture(file: string, port: number): Promise<{ datagrams: number; exporters: number }> {
  const datagrams: { source: string; payload: Buffer }[] = [];
  for await (const datagram of readCapture(file)) {
    datagrams.push({ source: formatAddress(datagram.source), payload: datagram.payload });
  }
  const sockets = new Map<string, Socket>();
  try {
    for (const { source, payload } of datagrams) {
      let socket = sockets.get(source);
      if (socket === undefined) {
        socket = await loopbackSocket(sockets.size + 2);
        sockets.set(source, socket);
      }
      const out = socket;
      await new Promise<void>((resolve, reject) =>
        out.send(payload, port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
      );
      await sleep(SEND_MS / datagrams.length);
    }
  } finally {
    for (const socket of sockets.values()) socket.close();
  }
  return { datagrams: datagrams.length, exporters: sockets.size };
}

/** 127.0.0.n where the system has the whole loopback network (Linux), so that exporters differ; else 127.0.0.1. */
async function loopbackSocket(n: number): Promise<Socket> {
  for (const address of [`127.0.0.${n}`, '127.0.0.1']) {
    const socket = createSocket('udp4');
    const bound = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false));
      socket.bind(0, address, () => resolve(true));
    });
    if (bound) return socket;
    socket.close();
  }
  throw new RogueSmtpError('io', 'cannot open a UDP socket on loopback');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function interrupted(): Promise<void> {
  const end = () => undefined;
  return firstOf(nextEvent(process, 'SIGINT', end), nextEvent(process, 'SIGTERM', end));
}
