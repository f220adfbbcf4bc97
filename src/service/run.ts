/**
 * The service: the roles of one process, all of them (`rogue-smtp run`) or some, and what they share.
 *
 * Order matters. The stream comes first and goes last; the collector starts as soon as the stream takes messages, so
 * that the seconds an engine or a broker needs lose no datagram; it stops first, so that everything it took is stored.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { createListFetcher } from '../address-lists/fetcher.ts';
import { createNameResolver } from '../address-lists/resolve.ts';
import { createLiveModel } from '../api/stored-read-model.ts';
import { createCollector } from '../collect/collector.ts';
import { registerCollectorMetrics } from '../collect/collector-metrics.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { SocketAddress } from '../config/values.ts';
import { createDetector } from '../detect/detector.ts';
import { createDetectorPartitions, type DetectorPartitions } from '../detect/detector-partitions.ts';
import { type NetworkSight, sightOfOne } from '../detect/detector-state.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import { makeInstanceId } from '../files/instance-id.ts';
import { createClickHouseEndpoint } from '../http/clickhouse/endpoint.ts';
import { createHttpListener } from '../http/listener.ts';
import { createHttpServer } from '../http/server.ts';
import type { Logger } from '../logger.ts';
import { createMetrics } from '../metrics.ts';
import { createListPush } from '../publish/list-push.ts';
import { registerPushMetrics } from '../publish/push-metrics.ts';
import { createSteadyClock } from '../steady-clock.ts';
import { createAbsentEngine, createEngine } from '../store/open-engine.ts';
import { createStoreWriter } from '../store/writer.ts';
import { registerWriterMetrics } from '../store/writer-metrics.ts';
import { createStream } from '../stream/open-stream.ts';
import { createSparingLog } from '../stream/sparing-log.ts';
import { registerStreamMetrics } from '../stream/stream-metrics.ts';
import { registerAlertMetrics } from './alert-metrics.ts';
import { createAlertTeller } from './alert-teller.ts';
import { createBadMessages } from './bad-messages.ts';
import { collectorClockAlert, machineClockAlert } from './clock-alerts.ts';
import { createCollectorClocks } from './collector-clocks.ts';
import { createCoverageRole } from './coverage-role.ts';
import { createDamageReport } from './damage-report.ts';
import { createDetectRole } from './detect-role.ts';
import { registerDetectorMetrics } from './detector-metrics.ts';
import { detectorOptions } from './detectors.ts';
import { createExporterAccount } from './exporter-account.ts';
import { createFindingsRole } from './findings-role.ts';
import { createHealth } from './health.ts';
import { allowHeapGrowth } from './heap-growth.ts';
import { lossesOf, NOTHING_LOST } from './losses.ts';
import { createMailServerFile } from './mail-server-file.ts';
import { registerPolicyMetrics } from './policy-metrics.ts';
import { createProbableServer } from './probable-server.ts';
import { createReloader } from './reloader.ts';
import { checkRoles, ROLES, type Role } from './roles.ts';
import { createServeRole } from './serve-role.ts';
import { createSetAsideReport } from './set-aside-report.ts';
import { createStoreOpening } from './store-opening.ts';
import { compareStreams } from './stream-memory.ts';

export interface Service {
  start(): Promise<RunningService>;
  /** Reads the configuration file again and puts in force what can be; a mistake in it is logged, never thrown. */
  reload(): Promise<void>;
  /** Takes no more datagrams, stores what was taken, closes everything. */
  stop(): Promise<void>;
}

interface RunningService {
  /** None without the role `collect`. */
  readonly udp: readonly SocketAddress[];
  readonly http: SocketAddress;
  /** Rejects when a part broke for good and the process should end; never resolves. */
  readonly failed: Promise<never>;
}

/** How long stopping waits for the store to take what is spooled; the rest is stored at the next start. */
const DRAIN_MS = 10_000;
const RETRY_MS = 2000;
/** How long the store may take to answer that it is there. */
const STORE_PROBE_MS = 2000;
const EMBEDDED_PROBE_MS = 35_000;
/** After so many the embedded store is reported as damaged. */
const STORE_ATTEMPTS = 3;

/** Inert until `start`. Throws RogueSmtpError `config` for roles that the configuration does not allow. */
export function createService(
  loaded: LoadedConfig,
  version: string,
  log: Logger,
  roles: ReadonlySet<Role> = new Set(ROLES),
): Service {
  const { config } = loaded;
  checkRoles(config, roles);
  const clock = createSteadyClock({
    directory: config.data,
    log,
    onStep: (ms) => teller.tell(machineClockAlert(ms, now(), policyVersion())),
  });
  const { now } = clock;
  const startedAt = new Date(now()).toISOString();
  const metrics = createMetrics();
  const alertLatency = metrics.latency(
    'alert_latency_seconds',
    'Time from the datagram received to the alert emitted',
  );
  const timeToBlock = metrics.latency(
    'time_to_block_seconds',
    'Time from the first record of a host to the lists that deny it, where no person had to approve',
  );
  const { stream, checkTopics } = createStream(config, roles.has('collect'), log);
  const teller = createAlertTeller(stream, log);
  const onServer = config.clickhouse.url !== '';
  const hasEngine = roles.has('store') || (onServer && (roles.has('serve') || roles.has('collect')));
  const engine = hasEngine ? createEngine(config, log) : createAbsentEngine();

  const collector = roles.has('collect')
    ? createCollector(config, { stream, log, now, onDamage: (text) => damage.note(text) })
    : null;
  const badMessages = createBadMessages({ now: () => performance.now(), note: (text) => damage.note(text) });
  const exporterAccount =
    collector === null || !hasEngine ? null : createExporterAccount(collector, engine, log, now);
  const partitions = stream.partitions('mail');
  let detection = detectorOptions(config, partitions);
  const policyVersion = () => detection.policy.version;
  const sight: NetworkSight = {
    ...sightOfOne(),
    // A process that reads a part of the mail may never see the mail of a sender that another one reads.
    mustSeeSender: () =>
      detection.block.unseen_senders === 'hold' && [...detectors.assigned].length === partitions,
  };
  const detectors: DetectorPartitions = createDetectorPartitions(() => {
    const detector = createDetector(detection, sight);
    detector.restoreMailServers(mailServers.servers());
    return detector;
  });
  const mailServers = createMailServerFile(config.data, sight, detectors, log);
  const detectRole = roles.has('detect')
    ? createDetectRole({
        stream,
        detectors,
        log,
        now,
        tell: teller.tell,
        policyVersion,
        badMessages,
        // Without a broker nobody else stamps.
        ...(config.kafka.brokers.length > 0 && {
          collectorClocks: createCollectorClocks({
            directory: config.data,
            now,
            log,
            onStep: (producer, ms) => collectorClockStepped(producer, ms),
          }),
        }),
        onAlertLatency: alertLatency,
      })
    : null;
  const stopping = new AbortController();
  const storeOpening = createStoreOpening({
    engine,
    tables: roles.has('store') ? config.clickhouse : null,
    log,
    stopping: stopping.signal,
    untilThere,
    // A server may be away for a while; files of our own that cannot be opened are damage.
    onFailure: (failures, trouble) => {
      if (failures === STORE_ATTEMPTS && !onServer) damage.note(trouble);
    },
    onOpen: () => {
      exporterAccount?.start();
      findingsRole?.start();
      waitingFor.delete('the store');
    },
  });
  const writer = roles.has('store')
    ? createStoreWriter({
        stream,
        engine,
        log,
        archive: config.collector.archive,
        directory: config.data,
        database: config.clickhouse.database,
        heldFor: storeOpening.heldFor,
      })
    : null;
  const setAsideReport =
    writer === null
      ? null
      : createSetAsideReport({
          counters: writer.counters,
          now,
          tell: teller.tell,
          policyVersion,
        });
  const listPush = roles.has('serve')
    ? createListPush(config, { tell: teller.tell, policyVersion, log, now })
    : null;
  const serveRole = roles.has('serve')
    ? createServeRole(config, {
        stream,
        log,
        now,
        policyVersion,
        badMessages,
        ...(listPush !== null && { onText: listPush.offer }),
        onBlocked: timeToBlock,
        probableServer: createProbableServer(() => reloader.config, detectors, now),
      })
    : null;
  const coverageRole =
    collector === null
      ? null
      : createCoverageRole(config, {
          collector,
          stream,
          get policyVersion() {
            return detection.policy.version;
          },
          log,
          now,
        });
  const collectorClockStepped = (producer: string, ms: number) => {
    log.warn({ producer, by_seconds: Math.round(ms / 1000) }, 'the clock of a collector is wrong');
    teller.tell(collectorClockAlert(producer, ms, now(), policyVersion()));
  };
  const damage = createDamageReport({
    directory: config.data,
    parts: [
      ...(config.kafka.brokers.length === 0 ? ['stream'] : roles.has('collect') ? ['spool'] : []),
      ...(hasEngine && !onServer ? ['store'] : []),
    ],
    damages: () => stream.damages?.() ?? [],
    gaps: () => stream.gaps?.() ?? [],
    log,
    now,
    tell: teller.tell,
    policyVersion,
  });
  const reloader = createReloader(loaded, {
    log,
    // The times of files are the machine's.
    now: Date.now,
    policyVersion,
    tell: teller.tell,
    problem: (file) => listFetcher.problem(file),
    apply: async (next) => {
      // Everything that can fail is done before anything changes.
      detection = detectorOptions(next, partitions);
      collector?.reload(next);
      listPush?.reload(next);
      serveRole?.reload(next);
      await detectRole?.reload(detection);
    },
  });
  const listFetcher = createListFetcher({
    lists: () => reloader.lists,
    resolver: createNameResolver,
    onChange: () => void reloader.reload(),
    log,
    now: Date.now,
  });
  const findingsRole = roles.has('store')
    ? createFindingsRole({
        engine,
        tell: teller.tell,
        config: () => reloader.config,
        policy: () => detection.policy,
        log,
        now,
      })
    : null;
  registerStreamMetrics(metrics, stream);
  registerPolicyMetrics(metrics, {
    version: policyVersion,
    error: () => reloader.state.error,
    listAges: reloader.listAges,
    listFetches: listFetcher.counters,
    counters: reloader.counters,
  });
  if (collector !== null) registerCollectorMetrics(metrics, collector);
  if (detectRole !== null) registerDetectorMetrics(metrics, detectors, detectRole.lag);
  if (writer !== null) registerWriterMetrics(metrics, writer);
  if (listPush !== null) registerPushMetrics(metrics, listPush);
  registerAlertMetrics(metrics, () => [
    detectRole === null ? {} : detectors.counters.alerts,
    teller.counters,
    { coverage: (coverageRole?.counters.alerts ?? 0) + (serveRole?.counters.coverage ?? 0) },
  ]);

  const incidents = () => serveRole?.incidents() ?? [];
  const waitingFor = new Set([
    ...(collector === null ? [] : ['the collector']),
    ...(checkTopics === null ? [] : ['Kafka']),
    ...(detectRole === null ? [] : ['the mail stream']),
    ...(serveRole === null ? [] : ['the incidents']),
    ...(hasEngine ? ['the store'] : []),
  ]);
  const sparing = createSparingLog(log);
  const health = createHealth({
    parts: [
      () => [...waitingFor],
      () => stream.troubles?.() ?? [],
      damage.troubles,
      storeOpening.troubles,
      () => (kafkaTrouble === null ? [] : [kafkaTrouble]),
      () => serveRole?.troubles() ?? [],
      () =>
        writer === null || writer.counters.waitsFor === ''
          ? []
          : [`the store takes no rows: ${writer.counters.waitsFor}`],
    ],
    askStore: () =>
      !hasEngine || waitingFor.has('the store')
        ? null
        : () => engine.query('SELECT 1', { timeoutMs: STORE_PROBE_MS }),
    // Two statements of users may keep the embedded engine for half a minute each.
    storeLimitMs: onServer ? STORE_PROBE_MS : EMBEDDED_PROBE_MS,
    dataDirectory: config.data,
  });
  const model = createLiveModel(engine, () => reloader.config, {
    blocked: serveRole?.blocked ?? noList,
    exempt: serveRole?.exempt ?? noList,
    recentAlerts: () => serveRole?.recentAlerts() ?? [],
    listed: async (incident) => serveRole?.listedSince(incident),
    refreshExporters: async () => exporterAccount?.refresh(),
    status: async () => ({
      version,
      started_at: startedAt,
      config_file: loaded.file,
      block_mode: reloader.config.block.mode,
      senders: reloader.config.senders.length,
      open_incidents: incidents().filter((incident) => incident.state === 'open').length,
      datagrams: collector?.counters.datagrams ?? 0,
      flows: collector?.counters.flows ?? 0,
      policy: policyStatus(),
      lost: {
        ...(collector === null ? NOTHING_LOST : lossesOf(collector.counters)),
        set_aside: writer === null ? 0 : (await writer.deadLetters()).rows + writer.counters.rowsDropped,
      },
    }),
  });
  const policyStatus = () => ({
    version: policyVersion(),
    ...reloader.state,
    lists: reloader.listStates(),
  });
  const onError = (path: string, error: unknown) =>
    log.error({ path, error: messageOf(error) }, 'an HTTP request failed');
  const clickhouse = createClickHouseEndpoint(
    { token: config.http.token, database: config.clickhouse.database },
    { query: model.query, onError },
  );
  const sqlListener =
    config.clickhouse.listen === undefined
      ? null
      : createHttpListener('clickhouse.listen', config.clickhouse.listen, clickhouse.fetch);
  const http = createHttpServer(config.http, {
    model,
    clickhouse: clickhouse.fetch,
    metrics: metrics.render,
    notReady: health.troubles,
    onAlert: serveRole?.onAlert ?? (() => () => undefined),
    blockedHosts: serveRole?.hosts ?? noList,
    heldLists: serveRole?.heldLists ?? (() => []),
    instanceId: () => instanceId,
    desk: serveRole?.desk ?? null,
    reload: async (force) => {
      await reloader.reload({ force });
      return policyStatus();
    },
    aclTarget: serveRole?.targetText ?? noTarget,
    onError,
  });

  /**
   * What is merely away is tried again; what can never work ends the process. Brokers that refuse what they are asked may
   * be put right while this process runs, and flows that come meanwhile must not be lost.
   */
  async function untilThere(attempt: () => Promise<unknown>, complaint: string): Promise<boolean> {
    while (!stopping.signal.aborted) {
      try {
        await attempt();
        return true;
      } catch (error) {
        if (!(error instanceof RogueSmtpError) || !(error.transient || error.code === 'stream')) throw error;
        // The newest reason is in /readyz as long as it lasts.
        sparing.error({ error: error.message }, complaint);
        await sleep(RETRY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
    return false;
  }

  /** Everything that reads the stream. */
  async function openStream(): Promise<void> {
    if (checkTopics !== null) {
      // Who runs everything in one process has no use for a command of its own to make topics.
      const create = roles.size === ROLES.length;
      const look = async () => {
        try {
          const { created, unchecked } = await checkTopics(create);
          if (created.length > 0) log.info({ topics: created }, 'topics created');
          for (const text of unchecked) log.warn({ text }, 'not everything could be looked at');
          kafkaTrouble = null;
        } catch (error) {
          kafkaTrouble = messageOf(error);
          throw error;
        }
      };
      const waits =
        collector === null ? 'Kafka cannot be used yet' : 'Kafka cannot be used yet; flows wait in the spool';
      if (!(await untilThere(look, waits))) return;
      waitingFor.delete('Kafka');
    }
    await compareStreams({ directory: config.data, stream, log, note: damage.note });
    if (detectRole !== null) {
      await mailServers.open();
      await detectRole.start();
      mailServers.start();
    }
    void detectRole?.assigned.then(() => waitingFor.delete('the mail stream'));
    await listPush?.start();
    await serveRole?.start();
    void serveRole?.assigned.then(() => waitingFor.delete('the incidents'));
  }

  async function openStore(): Promise<void> {
    if (!hasEngine) return;
    // What comes before the store is open waits, and is counted as waiting.
    await Promise.all([writer?.start(), storeOpening.open()]);
  }

  let instanceId: string | null = null;
  /** Why the topics cannot be used, as of the newest look. */
  let kafkaTrouble: string | null = null;
  let opened: Promise<unknown> = Promise.resolve();
  let leaveHeapToV8 = () => {};

  return {
    async start() {
      leaveHeapToV8 = allowHeapGrowth();
      await makeDirectory(config.data, 'data directory');
      instanceId = await makeInstanceId(config.data);
      clock.start();
      damage.start();
      await stream.start();
      const streamOpen = openStream();
      // The stream of a single process is there at once; a broker may take its time.
      if (checkTopics === null) await streamOpen;
      streamOpen.catch(() => undefined);
      const httpAddress = await http.start();
      const udpAddresses = (await collector?.start()) ?? [];
      if (sqlListener !== null) log.info(await sqlListener.start(), 'read-only SQL over HTTP');
      coverageRole?.start();
      setAsideReport?.start();
      reloader.start();
      listFetcher.start();
      waitingFor.delete('the collector');
      if (config.senders.length === 0 && detectRole !== null) {
        log.warn(
          'no senders are configured: every host that sends mail is reported, nothing is ever blocked; see rogue-smtp inventory',
        );
      }
      const storeOpen = checkTopics === null ? openStore() : streamOpen.then(openStore);
      opened = Promise.all([streamOpen, storeOpen]);
      return {
        http: httpAddress,
        udp: udpAddresses,
        failed: opened.then(() => new Promise<never>(() => undefined)),
      };
    },
    reload: () => reloader.reload(),
    async stop() {
      stopping.abort();
      await listFetcher.stop();
      await reloader.stop();
      await collector?.stop();
      await coverageRole?.stop();
      await opened.catch(() => undefined);
      await findingsRole?.stop();
      await mailServers.stop();
      await detectRole?.stop();
      await damage.stop();
      await serveRole?.stop();
      await listPush?.stop();
      setAsideReport?.stop();
      await teller.settled();
      // What is with the brokers is safe there.
      await writer?.stop(checkTopics === null ? DRAIN_MS : 0);
      await exporterAccount?.stop();
      await Promise.all([http.stop(), sqlListener?.stop()]);
      await engine.stop();
      await stream.stop();
      await clock.stop();
      leaveHeapToV8();
    },
  };
}

/** An empty list would be taken for one by a router. */
function noList(): never {
  throw new RogueSmtpError('not_found', 'this process renders no ACLs: ask the one that runs the role serve');
}

async function noTarget(): Promise<never> {
  return noList();
}
