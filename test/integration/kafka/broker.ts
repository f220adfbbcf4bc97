/**
 * A real Kafka for tests: Apache Kafka from Maven Central as processes of this machine (KRaft, loopback ports of their
 * own, data in a temporary directory), or the one that KAFKA_BROKERS names.
 *
 * The jars are fetched once into a cache folder. Where neither can be had, tests are skipped by name; with
 * REQUIRE_KAFKA=1 that is a failure. Only processes that were started here are ever signalled.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { missingTools } from '../../support/requirements.ts';
import { freeTcpPort } from '../../support/service.ts';

const run = promisify(execFile);

const KAFKA_VERSION = '4.3.1';
const LOG4J_VERSION = '2.25.3';
const CACHE = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'rogue-smtp',
  `kafka-${KAFKA_VERSION}`,
);
const START_MS = 90_000;

export interface Cluster {
  /** `host:port` of each. */
  readonly brokers: readonly string[];
  /** False for a cluster of somebody else, whose brokers cannot be killed. */
  readonly ours: boolean;
  kill(node: number): Promise<void>;
  start(node: number): Promise<void>;
  stop(): Promise<void>;
  /** Where each keeps its data, in `node-1` and so on; empty for brokers that are not ours. */
  readonly directory: string;
  /** Of the brokers that run, if they are ours. */
  pids(): readonly number[];
  /** Where the listener with TLS and SASL is, and the certificate to trust; none unless it was asked for. */
  readonly secure?: { readonly brokers: readonly string[]; readonly authority: string };
}

/** Why there is no broker to be had, in words; null when there is. Throws instead where one is required. */
export async function cannotHaveKafka(): Promise<string | null> {
  if (process.env.KAFKA_BROKERS !== undefined) return null;
  const missing = missingTools('java', 'mvn');
  let reason = missing.length === 0 ? null : `needs KAFKA_BROKERS, or ${missing.join(' and ')}`;
  if (reason === null) {
    reason = await fetchJars().then(
      () => null,
      (error: unknown) => `Kafka ${KAFKA_VERSION} cannot be fetched: ${String(error).slice(0, 300)}`,
    );
  }
  if (reason !== null && process.env.REQUIRE_KAFKA === '1')
    throw new Error(`REQUIRE_KAFKA is set, but: ${reason}`);
  return reason;
}

const jars = join(CACHE, 'jars');

async function fetchJars(): Promise<void> {
  if (existsSync(jars) && readdirSync(jars).some((name) => name.startsWith('kafka_2.13'))) return;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'fetch-'));
  try {
    await writeFile(join(work, 'pom.xml'), POM);
    await run(
      'mvn',
      ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'jars')}`],
      {
        cwd: work,
        timeout: 300_000,
      },
    );
    await writeFile(join(work, 'jars', 'log4j2.properties'), LOGGING);
    // Another run may have been quicker.
    await rename(join(work, 'jars'), jars).catch(() => undefined);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>rogue-smtp</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOG4J_VERSION}</version></dependency>
  </dependencies>
</project>
`;

const LOGGING = `rootLogger.level = WARN
rootLogger.appenderRef.stdout.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
`;

/** A listener with TLS and SASL besides the open one. */
export interface SecureAccess {
  readonly username: string;
  readonly password: string;
  /** Users with the same password, by the mechanism PLAIN only. */
  readonly others?: readonly string[];
}

/** Starts so many brokers and waits until they answer. `more`: settings of theirs. */
export async function startCluster(
  nodes: number,
  secure?: SecureAccess,
  more: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const given = process.env.KAFKA_BROKERS;
  if (given !== undefined) {
    const refuse = () => Promise.reject(new Error('these brokers are not ours'));
    return {
      brokers: given.split(','),
      ours: false,
      kill: refuse,
      start: refuse,
      stop: async () => undefined,
      directory: '',
      pids: () => [],
    };
  }
  const directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-kafka-'));
  const clusterId = randomClusterId();
  const ports: { client: number; controller: number; secure: number }[] = [];
  for (let i = 0; i < nodes; i++)
    ports.push({
      client: await freeTcpPort(),
      controller: await freeTcpPort(),
      secure: await freeTcpPort(),
    });
  const authority = join(directory, 'broker.pem');
  const voters = ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`).join(',');
  const processes: (ChildProcess | null)[] = ports.map(() => null);

  async function prepare(node: number): Promise<void> {
    const { client, controller } = ports[node];
    const properties: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': String(node + 1),
      'controller.quorum.voters': voters,
      listeners: `PLAINTEXT://127.0.0.1:${client},CONTROLLER://127.0.0.1:${controller}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${client}`,
      'controller.listener.names': 'CONTROLLER',
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      'log.dirs': join(directory, `node-${node + 1}`),
      'offsets.topic.replication.factor': String(Math.min(3, nodes)),
      'offsets.topic.num.partitions': '5',
      'transaction.state.log.replication.factor': String(Math.min(3, nodes)),
      'transaction.state.log.min.isr': '1',
      'share.coordinator.state.topic.replication.factor': String(Math.min(3, nodes)),
      'group.initial.rebalance.delay.ms': '0',
      'auto.create.topics.enable': 'false',
      ...more,
    };
    const users: string[] = [];
    if (secure !== undefined) {
      const { username, password, others = [] } = secure;
      const plain = [username, ...others].map((user) => `user_${user}="${password}"`).join(' ');
      await makeKeystore(directory, authority);
      properties.listeners += `,SECURE://127.0.0.1:${ports[node].secure}`;
      properties['advertised.listeners'] += `,SECURE://127.0.0.1:${ports[node].secure}`;
      properties['listener.security.protocol.map'] += ',SECURE:SASL_SSL';
      properties['sasl.enabled.mechanisms'] = 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512';
      properties['ssl.keystore.type'] = 'PKCS12';
      properties['ssl.keystore.location'] = join(directory, KEYSTORE);
      properties['ssl.keystore.password'] = KEYSTORE_PASSWORD;
      const login = 'org.apache.kafka.common.security';
      properties['listener.name.secure.plain.sasl.jaas.config'] =
        `${login}.plain.PlainLoginModule required ${plain};`;
      for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
        properties[`listener.name.secure.${mechanism.toLowerCase()}.sasl.jaas.config`] =
          `${login}.scram.ScramLoginModule required;`;
        users.push('--add-scram', `${mechanism}=[name="${username}",password="${password}"]`);
      }
    }
    const file = join(directory, `node-${node + 1}.properties`);
    await writeFile(
      file,
      Object.entries(properties)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    await run('java', [
      ...javaOptions(),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      file,
      ...users,
    ]);
  }

  async function start(node: number): Promise<void> {
    const file = join(directory, `node-${node + 1}.properties`);
    const child = spawn('java', [...javaOptions(), 'kafka.Kafka', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    processes[node] = child;
    const deadline = Date.now() + START_MS;
    while (!(await answers(ports[node].client))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the broker did not start:\n${output}`);
      await sleep(200);
    }
  }

  async function kill(node: number): Promise<void> {
    const child = processes[node];
    processes[node] = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  const cluster: Cluster = {
    brokers: ports.map(({ client }) => `127.0.0.1:${client}`),
    ours: true,
    kill,
    start,
    async stop() {
      await Promise.all(ports.map((_, node) => kill(node)));
      await rm(directory, { recursive: true, force: true });
    },
    directory,
    pids: () => processes.flatMap((child) => child?.pid ?? []),
    ...(secure !== undefined && {
      secure: { brokers: ports.map((port) => `127.0.0.1:${port.secure}`), authority },
    }),
  };
  try {
    for (let node = 0; node < nodes; node++) await prepare(node);
    // All at once: none answers before there is a quorum.
    await Promise.all(ports.map((_, node) => start(node)));
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** One that does not look like an option to the tool that is given it. */
function randomClusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? randomClusterId() : id;
}

const KEYSTORE = 'broker.p12';
const KEYSTORE_PASSWORD = 'of-the-test';

/** A key with a certificate that it signed itself, for 127.0.0.1; the certificate also by itself in PEM. */
async function makeKeystore(directory: string, authority: string): Promise<void> {
  const store = ['-keystore', join(directory, KEYSTORE), '-storepass', KEYSTORE_PASSWORD, '-alias', 'broker'];
  if (existsSync(authority)) return;
  const subject = ['-dname', 'CN=broker', '-ext', 'san=ip:127.0.0.1'];
  await run('keytool', ['-genkeypair', '-keyalg', 'EC', '-storetype', 'PKCS12', ...subject, ...store]);
  await run('keytool', ['-exportcert', '-rfc', '-file', authority, ...store]);
}

const javaOptions = () => [
  '-Xmx384m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-cp',
  `${join(jars, '*')}:${jars}`,
];

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
