/**
 * `rogue-smtp check`: what is wrong or risky with the configuration and this machine, and what to change.
 *
 * It changes nothing: ports are bound and given back, the data directory is only looked at. Exit code 1 when something
 * would keep the service from working, 0 with warnings otherwise.
 */

import { constants } from 'node:fs';
import { access, mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { resolveMissing } from '../address-lists/resolve-missing.ts';
import type { ListStatus } from '../address-lists/watch.ts';
import { createListWatch } from '../address-lists/watch.ts';
import { collectionTroubles } from '../api/collection.ts';
import type { Status } from '../api/read-model.ts';
import { bindTargets } from '../collect/listen-targets.ts';
import { createListener, whyOneByOne } from '../collect/listener.ts';
import { whyOneThread } from '../collect/shared-sockets.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { exposedSecrets } from '../config/secret-files.ts';
import { formatSocketAddress } from '../config/values.ts';
import { describeMailSight, type MailSight } from '../detect/mail-sight.ts';
import { type PolicyGap, policyGaps } from '../detect/policy-gaps.ts';
import { messageOf } from '../errors.ts';
import { isIPv4 } from '../flow/address.ts';
import { formatPrefix } from '../flow/prefix.ts';
import { createHttpListener } from '../http/listener.ts';
import { createLogger } from '../logger.ts';
import { hostBound, memoryPresent } from '../service/host-bound.ts';
import { unreadStreams } from '../service/stream-memory.ts';
import { verifyData } from '../service/verify-data.ts';
import { lettersLeft } from '../store/dead-letters.ts';
import { createEngine, storeExists } from '../store/open-engine.ts';
import { LEAST_VERSION } from '../store/server-profile.ts';
import type { Engine } from '../store/store.ts';
import { createKafkaStream } from '../stream/kafka/kafka-stream.ts';
import { type Client, createClient } from './client.ts';
import type { Finding } from './finding.ts';
import { notifyFindings } from './notify.ts';
import { printable } from './table.ts';

export async function checkCommand(
  asWritten: LoadedConfig,
  streams: { readonly stdout: NodeJS.WritableStream },
  flags: { readonly data?: boolean; readonly json?: boolean } = {},
): Promise<number> {
  if (flags.data === true) return print(await dataFindings(asWritten), streams, flags.json);
  // Before an instance has run nobody has resolved the DNS names.
  const { loaded, problems } = await resolveMissing(asWritten, Date.now());
  const { config } = loaded;
  const client = createClient(loaded);
  const stranger = await client.isUp().then(
    (isUp) => ({ isUp, text: null }),
    (error: unknown) => ({ isUp: false, text: messageOf(error) }),
  );
  const running = stranger.isUp;
  const findings: Finding[] = [
    { level: 'ok', text: `configuration ${loaded.file ?? '(defaults, no file)'}` },
    ...[...loaded.warnings, ...exposedSecrets(loaded)].map((text): Finding => ({ level: 'warn', text })),
    ...(config.senders.length === 0
      ? [
          {
            level: 'warn',
            text: 'no senders: nothing is ever blocked; add your mail servers (rogue-smtp inventory proposes them)',
          } as const,
        ]
      : []),
    ...policyGaps(config, Date.now()).map(
      ({ kind, text }): Finding => ({ level: levelOf(kind, config.block.mode), text }),
    ),
    ...expectedStates(config, Date.now()),
    ...(stranger.text === null ? [] : [{ level: 'FAIL', text: stranger.text } as const]),
    ...(running ? await instance(client, config) : listStates(loaded)),
    ...notifyFindings(config),
    ...problems.map((text): Finding => ({ level: 'warn', text: `DNS: ${text}` })),
    hosts(config),
    await receiveBuffer(config.collector.receive_buffer),
    await receiving(config.collector.receiver),
    ...(await receiverThreads(config.collector)),
    ...(running ? [] : await listening(config)),
    clock(),
    ...(await disk(config.data)),
    ...(await setAside(config.data)),
    ...(config.kafka.brokers.length === 0 ? [] : await topics(config)),
    // The embedded store belongs to the instance; a server can be asked by anyone.
    ...(running && config.clickhouse.url === '' ? [] : await store(loaded)),
  ];
  return print(findings, streams, flags.json);
}

/** What can never do what the configuration asks for is a failure; what does less is a warning. */
function levelOf(kind: PolicyGap['kind'], mode: Config['block']['mode']): Finding['level'] {
  return kind === 'blind' || (kind === 'toothless' && mode !== 'observe') ? 'FAIL' : 'warn';
}

/** Exit code: 1 when something failed. */
function print(
  findings: readonly Finding[],
  streams: { readonly stdout: NodeJS.WritableStream },
  json = false,
): number {
  for (const { level, text } of findings)
    streams.stdout.write(
      json
        ? `${JSON.stringify({ level: level.toLowerCase(), text })}\n`
        : `${printable(`${level.padEnd(4)}  ${text}`)}\n`,
    );
  return findings.some(({ level }) => level === 'FAIL') ? 1 : 0;
}

/** The files of a stopped instance; one that runs writes on. */
async function dataFindings(loaded: LoadedConfig): Promise<Finding[]> {
  if (await createClient(loaded).isUp())
    return [
      {
        level: 'FAIL',
        text: 'an instance is running: stop it first (while it runs, /readyz reports damage)',
      },
    ];
  const findings = await verifyData(loaded);
  return findings.flatMap(({ what, damages }): Finding[] =>
    damages.length === 0
      ? [{ level: 'ok', text: what }]
      : damages.map((text) => ({ level: 'FAIL', text: `${what}: ${text}` })),
  );
}

async function instance(client: Client, config: Config): Promise<Finding[]> {
  try {
    const status = await client.status();
    const { version, started_at, policy } = status;
    const notReady = await client.notReady();
    const { lines, isBlind } = describeMailSight(await client.sight().catch(() => NOTHING_SEEN));
    return [
      { level: 'ok', text: `an instance is running at http.listen: version ${version}, since ${started_at}` },
      ...(notReady === null ? [] : [{ level: 'FAIL', text: `the instance is ${notReady}` } as const]),
      ...(policy.error === null ? [] : [{ level: 'warn', text: policy.error } as const]),
      ...lines.map((text): Finding => ({ level: isBlind ? 'FAIL' : 'warn', text })),
      ...policy.lists.map(listFinding),
      ...hiddenByExporters(status, config).map((text): Finding => ({ level: 'warn', text })),
    ];
  } catch (error) {
    return [{ level: 'FAIL', text: messageOf(error) }];
  }
}

/** What the exporters of a running instance keep from being seen. */
export function hiddenByExporters(
  { collection, started_at }: Status,
  { networks }: Pick<Config, 'networks'>,
): string[] {
  if (collection === undefined) return [];
  const { exporters, at } = collection;
  const troubles = collectionTroubles(collection, Date.parse(at) - Date.parse(started_at));
  const heard = exporters.filter(({ flows }) => flows > 0);
  const unsampled = [
    ...new Set(
      heard.filter(({ sampling_rates }) => sampling_rates.length === 0).map(({ exporter }) => exporter),
    ),
  ];
  const hasIPv6 = networks.internal.some(({ bytes, length }) => length < 96 || !isIPv4(bytes));
  return [
    ...troubles,
    ...(unsampled.length === 0
      ? []
      : [
          `the sampling rate of ${unsampled.join(', ')} is not known: if they sample, hosts that send little are missed without a word (export the sampler options)`,
        ]),
    ...(hasIPv6 && heard.length > 0 && heard.every(({ version: one }) => WITHOUT_IPV6.includes(one))
      ? [
          'networks.internal has IPv6 networks, but all exporters send versions that carry IPv4 only (v1, v5, v7): use v9, IPFIX or sFlow',
        ]
      : []),
  ];
}

const WITHOUT_IPV6 = ['v1', 'v5', 'v7'];

/** An instance without a store knows nothing about it. */
const NOTHING_SEEN: MailSight = { flows: 0, ignored: {}, strangers: [] };

function listStates({ lists }: LoadedConfig): Finding[] {
  const watch = createListWatch({ log: createLogger('silent') });
  return watch.states(lists, Date.now()).map(listFinding);
}

function listFinding({ name, source, state, entries, written_at, error }: ListStatus): Finding {
  const why = error === null ? '' : `; the last attempt: ${error}`;
  if (source.startsWith('DNS'))
    return {
      level: state === 'fresh' && error === null ? 'ok' : 'warn',
      text:
        state === 'missing'
          ? `name ${name} (${source}): never resolved, so it stands for no host; nothing is blocked or published until it is${why}`
          : `name ${name} (${source}): ${entries} addresses, confirmed ${written_at}${state === 'stale' ? ', stale: they stay' : ''}${why}`,
    };
  if (state === 'missing')
    return {
      level: 'warn',
      text: `list ${name}: never fetched from ${source}; nothing is blocked or published where it is used, until the service has fetched it${why}`,
    };
  const text = `list ${name}: ${entries} entries from ${source} of ${written_at}${state === 'stale' ? ', stale' : ''}${why}`;
  return { level: state === 'fresh' && error === null ? 'ok' : 'warn', text };
}

/** What is declared of hosts that are no senders, and what of it has ended. */
function expectedStates({ expected }: Config, nowMs: number): Finding[] {
  return expected.map(({ name, hosts, does, until, sites }) => {
    const where = sites === undefined ? '' : ` at ${sites.join(' and ')}`;
    const who = `expected ${name}: ${hosts.map(formatPrefix).join(' ')}${where}, does: ${does}`;
    if (until !== undefined && nowMs >= Date.parse(until))
      return { level: 'warn', text: `${who}; ended at ${until}: it is reported like any other host` };
    return { level: 'ok', text: until === undefined ? who : `${who}, until ${until}` };
  });
}

function hosts(config: Config): Finding {
  const memory = memoryPresent();
  const bound = hostBound(config, memory);
  const fitting = hostBound({ detection: { ...config.detection, max_hosts: undefined } }, memory);
  const gib = `${(memory / 2 ** 30).toFixed(1)} GiB of memory`;
  if (bound <= fitting)
    return { level: 'ok', text: `detection.max_hosts: ${bound} hosts with incidents are kept (${gib})` };
  return {
    level: 'warn',
    text: `detection.max_hosts: ${bound} hosts may need more than a quarter of ${gib}; ${fitting} would not`,
  };
}

async function receiveBuffer(asked: number): Promise<Finding> {
  const text = await readFile('/proc/sys/net/core/rmem_max', 'utf8').catch(() => null);
  if (text === null)
    return { level: 'warn', text: 'net.core.rmem_max cannot be read: the receive buffer is not known' };
  const most = Number(text);
  if (most >= asked)
    return { level: 'ok', text: `receive buffer: the kernel gives the ${asked} bytes that are asked for` };
  const raise = `sysctl -w net.core.rmem_max=${asked}`;
  if ((await granted(asked)) >= asked)
    return {
      level: 'ok',
      text: `receive buffer: this user gets the ${asked} bytes that are asked for; one without CAP_NET_ADMIN gets ${most} (${raise})`,
    };
  return {
    level: 'warn',
    text: `receive buffer: the kernel gives ${most} bytes of ${asked}; bursts are lost. ${raise}`,
  };
}

/** Bytes of receive buffer that a socket of this process really gets; 0 when none can be opened. */
async function granted(receiveBuffer: number): Promise<number> {
  const target = { kind: 'bind', address: { host: '127.0.0.1', port: 0 }, ipv6Only: false } as const;
  const listener = createListener(
    { target, receiveBuffer, reusePort: false },
    () => undefined,
    () => undefined,
  );
  await listener.start().catch(() => undefined);
  await listener.stop();
  return listener.receiveBuffer();
}

/** How the datagrams come in, and what it costs where it is not the cheap way (measured: see test/bench/README.md). */
async function receiving(choice: Config['collector']['receiver']): Promise<Finding> {
  const reason = await whyOneByOne(choice);
  if (reason === null) return { level: 'ok', text: 'receiving: many datagrams in one call' };
  return {
    level: choice === 'node' ? 'ok' : 'warn',
    text: `receiving: one datagram in each call, which takes 2 to 3 times the CPU (${reason})`,
  };
}

async function receiverThreads(collector: Config['collector']): Promise<Finding[]> {
  if (collector.threads === 1) return [];
  const reason = await whyOneThread(collector);
  if (reason === null)
    return [{ level: 'ok', text: `collector.threads: ${collector.threads} threads receive` }];
  return [{ level: 'warn', text: `collector.threads: only one thread receives (${reason})` }];
}

/** Tries all addresses at once, as the service has them, and gives them back. */
export async function listening({ collector, http, clickhouse }: Config): Promise<Finding[]> {
  const udp = bindTargets(collector.listen).map((target, i) => ({
    name: `collector.listen: UDP ${formatSocketAddress(collector.listen[i])}`,
    listener: createListener(
      { target, receiveBuffer: 1, reusePort: collector.reuse_port },
      () => undefined,
      () => undefined,
    ),
  }));
  const tcp = (
    [
      ['http.listen', http.listen],
      ['clickhouse.listen', clickhouse.listen],
    ] as const
  ).flatMap(([key, address]) =>
    address === undefined
      ? []
      : [
          {
            name: `${key}: TCP ${formatSocketAddress(address)}`,
            listener: createHttpListener(key, address, () => new Response(null, { status: 503 })),
          },
        ],
  );
  const findings: Finding[] = [];
  const opened: { stop(): Promise<void> }[] = [];
  for (const { name, listener } of [...udp, ...tcp]) {
    try {
      await listener.start();
      opened.push(listener);
      findings.push({ level: 'ok', text: `${name} is free` });
    } catch (error) {
      findings.push({ level: 'FAIL', text: messageOf(error) });
    }
  }
  await Promise.all(opened.map((listener) => listener.stop()));
  return findings;
}

/** Receive times come from this clock; a machine that thinks it is long ago would close every incident at once. */
function clock(): Finding {
  const year = new Date().getUTCFullYear();
  if (year < 2025)
    return { level: 'FAIL', text: `the clock of this machine says ${new Date().toISOString()}` };
  return { level: 'ok', text: `clock ${new Date().toISOString()}` };
}

const LOW_DISK_BYTES = 5 * 1024 ** 3;

async function disk(data: string): Promise<Finding[]> {
  for (let directory = resolve(data); ; directory = dirname(directory)) {
    try {
      await access(directory, constants.W_OK);
      const { bavail, bsize } = await statfs(directory);
      const free = Number(bavail) * Number(bsize);
      const gib = (free / 1024 ** 3).toFixed(1);
      return [
        { level: 'ok', text: `data directory ${data} can be written` },
        free < LOW_DISK_BYTES
          ? { level: 'warn', text: `only ${gib} GiB free for ${data}` }
          : { level: 'ok', text: `${gib} GiB free for ${data}` },
      ];
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing || directory === dirname(directory)) {
        return [{ level: 'FAIL', text: `data directory ${data}: ${messageOf(error)}` }];
      }
    }
  }
}

/** Rows that the store did not take for what they are, which no list has. */
async function setAside(data: string): Promise<Finding[]> {
  try {
    const { letters, rows } = await lettersLeft(data);
    if (letters === 0) return [];
    return [
      {
        level: 'warn',
        text: `${rows} damaged rows lie in dead-letters and are in no list: rogue-smtp store replay-dead-letters puts back what can be`,
      },
    ];
  } catch (error) {
    return [{ level: 'warn', text: messageOf(error) }];
  }
}

async function topics({ kafka: config, data }: Config): Promise<Finding[]> {
  const unread = await unreadStreams(data);
  const left: Finding[] = unread === null ? [] : [{ level: 'warn', text: unread }];
  try {
    const kafka = createKafkaStream({ config, log: createLogger('silent') });
    await kafka.start();
    try {
      const { checked, unchecked } = await kafka.checkTopics(false);
      await kafka.look();
      const troubles = kafka.troubles?.() ?? [];
      const differences = (kafka.differences?.() ?? []).filter((text) => !troubles.includes(text));
      return [
        { level: 'ok', text: `Kafka: topics ${checked.join(' ')}` },
        ...unchecked.map((text): Finding => ({ level: 'warn', text: `Kafka: not looked at: ${text}` })),
        ...troubles.map((text): Finding => ({ level: 'FAIL', text: `Kafka: ${text}` })),
        ...differences.map((text): Finding => ({ level: 'warn', text: `Kafka: ${text}` })),
        ...left,
      ];
    } finally {
      await kafka.stop();
    }
  } catch (error) {
    return [{ level: 'FAIL', text: `Kafka: ${messageOf(error)}` }, ...left];
  }
}

/** The store, and the walls around SQL that people type. */
async function store(loaded: LoadedConfig): Promise<Finding[]> {
  const scratch = storeExists(loaded.config) ? null : await mkdtemp(join(tmpdir(), 'rogue-smtp-check-'));
  const config = scratch === null ? loaded.config : { ...loaded.config, data: scratch };
  const name =
    config.clickhouse.url === '' ? 'embedded store' : `ClickHouse ${new URL(config.clickhouse.url).host}`;
  const needed = config.clickhouse.url === '' ? '' : ` (${LEAST_VERSION} or later is needed)`;
  let engine: Engine | null = null;
  try {
    engine = createEngine(config, createLogger('silent'));
    await engine.start();
    const [row] = await engine.query<{ version: string }>('SELECT version() AS version');
    const walls = await engine.walls();
    return [
      { level: 'ok', text: `${name}: version ${row?.version ?? 'unknown'}${needed}` },
      ...walls.map(({ stands, text }): Finding => ({ level: stands ? 'ok' : 'warn', text })),
    ];
  } catch (error) {
    return [{ level: 'FAIL', text: `${name}: ${messageOf(error)}` }];
  } finally {
    await engine?.stop().catch(() => undefined);
    if (scratch !== null) await rm(scratch, { recursive: true, force: true });
  }
}
