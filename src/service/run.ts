/**
 * The service: the roles of one process, all of them (`rogue-smtp run`) or some.
 *
 * Order matters. The stream comes first and goes last; the collector starts as soon as the stream takes messages, so
 * that the seconds an engine or a broker needs lose no datagram; it stops first, so that everything it took is stored.
 */

import { createListFetcher } from '../address-lists/fetcher.ts';
import { createNameResolver } from '../address-lists/resolve.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { SocketAddress } from '../config/values.ts';
import { messageOf } from '../errors.ts';
import { makeDirectory } from '../files/directory.ts';
import { makeInstanceId } from '../files/instance-id.ts';
import type { Logger } from '../logger.ts';
import { registerStreamMetrics } from '../stream/stream-metrics.ts';
import { registerAlertMetrics } from './alert-metrics.ts';
import { createAnswering } from './answering.ts';
import { createCanary } from './canary.ts';
import { registerCanaryMetrics } from './canary-metrics.ts';
import { createCollecting } from './collecting.ts';
import { createDetecting } from './detecting.ts';
import { allowHeapGrowth } from './heap-growth.ts';
import { createNotifying } from './notifying.ts';
import { registerPolicyMetrics } from './policy-metrics.ts';
import { createReloader } from './reloader.ts';
import { checkRoles, ROLES, type Role } from './roles.ts';
import { createServing } from './serving.ts';
import { createSharedParts } from './shared-parts.ts';
import { createStoring } from './storing.ts';
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

/** Inert until `start`. Throws RogueSmtpError `config` for roles that the configuration does not allow. */
export function createService(
  loaded: LoadedConfig,
  version: string,
  log: Logger,
  roles: ReadonlySet<Role> = new Set(ROLES),
): Service {
  const { config } = loaded;
  checkRoles(config, roles);
  const shared = createSharedParts(loaded, version, log, roles);
  const { stream, checkTopics, clock, metrics, policy, teller, damage, waitingFor } = shared;

  const collecting = roles.has('collect') ? createCollecting(shared) : null;
  const detecting = createDetecting(shared);
  const detectRole = detecting.role;
  const storing = createStoring(shared, () => collecting?.account?.start());
  const serving = roles.has('serve') ? createServing(shared, detecting.detectors) : null;
  const notifying = roles.has('serve') ? createNotifying(shared) : null;
  const reloader = createReloader(loaded, {
    log,
    // The times of files are the machine's.
    now: Date.now,
    policyVersion: policy.version,
    tell: teller.tell,
    problem: (file) => listFetcher.problem(file),
    apply: async (next) => {
      // Everything that can fail is done before anything changes.
      policy.put(next);
      collecting?.collector.reload(next);
      serving?.push.reload(next);
      serving?.role.reload(next);
      await detectRole?.reload(policy.detection);
    },
  });
  const listFetcher = createListFetcher({
    lists: () => reloader.lists,
    resolver: createNameResolver,
    onChange: () => void reloader.reload(),
    log,
    now: Date.now,
  });
  const canary =
    collecting === null || serving === null
      ? null
      : createCanary({
          config: config.canary,
          onCanary: serving.role.onCanary,
          tell: teller.tell,
          policyVersion: policy.version,
          log,
          now: shared.now,
        });
  if (canary !== null) registerCanaryMetrics(metrics, canary);
  const { http, sql } = createAnswering(shared, {
    canary,
    collecting,
    storing,
    serving,
    notifying,
    reloader,
    kafkaTrouble: () => kafkaTrouble,
    instanceId: () => instanceId,
  });
  registerStreamMetrics(metrics, stream);
  registerPolicyMetrics(metrics, {
    version: policy.version,
    error: () => reloader.state.error,
    listAges: reloader.listAges,
    listFetches: listFetcher.counters,
    counters: reloader.counters,
  });
  registerAlertMetrics(metrics, () => [
    detectRole === null ? {} : detecting.detectors.counters.alerts,
    teller.counters,
    { coverage: (collecting?.coverage.counters.alerts ?? 0) + (serving?.role.counters.coverage ?? 0) },
  ]);
  for (const [part, what] of [
    [collecting, 'the collector'],
    [checkTopics, 'Kafka'],
    [detectRole, 'the mail stream'],
    [serving, 'the incidents'],
    [shared.hasEngine || null, 'the store'],
  ] as const)
    if (part !== null) waitingFor.add(what);

  /** False when stopped before. */
  async function openTopics(check: NonNullable<typeof checkTopics>): Promise<boolean> {
    // Who runs everything in one process has no use for a command of its own to make topics.
    const create = roles.size === ROLES.length;
    const look = async () => {
      try {
        const { created, unchecked } = await check(create);
        if (created.length > 0) log.info({ topics: created }, 'topics created');
        for (const text of unchecked) log.warn({ text }, 'not everything could be looked at');
        kafkaTrouble = null;
      } catch (error) {
        kafkaTrouble = messageOf(error);
        throw error;
      }
    };
    const waits =
      collecting === null ? 'Kafka cannot be used yet' : 'Kafka cannot be used yet; flows wait in the spool';
    if (!(await shared.untilThere(look, waits))) return false;
    waitingFor.delete('Kafka');
    return true;
  }

  /** Everything that reads the stream. */
  async function openStream(): Promise<void> {
    if (checkTopics !== null && !(await openTopics(checkTopics))) return;
    await compareStreams({ directory: config.data, stream, log, note: damage.note });
    // Before the detector: alerts from before its first start are not sent.
    await notifying?.start();
    if (detectRole !== null) {
      await detecting.mailServers.open();
      await detectRole.start();
      detecting.mailServers.start();
    }
    void detectRole?.assigned.then(() => waitingFor.delete('the mail stream'));
    await serving?.push.start();
    await serving?.role.start();
    void serving?.role.assigned.then(() => {
      waitingFor.delete('the incidents');
      return serving.blocklists.start();
    });
  }

  let instanceId: string | null = null;
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
      const udpAddresses = (await collecting?.collector.start()) ?? [];
      if (sql !== null) log.info(await sql.start(), 'read-only SQL over HTTP');
      canary?.start(udpAddresses);
      collecting?.coverage.start();
      collecting?.traffic.start();
      collecting?.view.start();
      storing.start();
      reloader.start();
      listFetcher.start();
      waitingFor.delete('the collector');
      if (config.senders.length === 0 && detectRole !== null) {
        log.warn(
          'no senders are configured: every host that sends mail is reported, nothing is ever blocked; see rogue-smtp inventory',
        );
      }
      const storeOpen = checkTopics === null ? storing.open() : streamOpen.then(storing.open);
      opened = Promise.all([streamOpen, storeOpen]);
      return {
        http: httpAddress,
        udp: udpAddresses,
        failed: opened.then(() => new Promise<never>(() => undefined)),
      };
    },
    reload: () => reloader.reload(),
    async stop() {
      shared.stopping.abort();
      await listFetcher.stop();
      await reloader.stop();
      await collecting?.collector.stop();
      canary?.stop();
      collecting?.view.stop();
      await collecting?.coverage.stop();
      collecting?.traffic.stop();
      await opened.catch(() => undefined);
      await storing.stopFindings();
      await detecting.mailServers.stop();
      await detectRole?.stop();
      await damage.stop();
      await serving?.blocklists.stop();
      await serving?.role.stop();
      await serving?.push.stop();
      await notifying?.stop();
      storing.stopReport();
      await teller.settled();
      await storing.stopWriter();
      await collecting?.account?.stop();
      await Promise.all([http.stop(), sql?.stop()]);
      await shared.engine.stop();
      await stream.stop();
      await clock.stop();
      leaveHeapToV8();
    },
  };
}
