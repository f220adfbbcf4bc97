/** What a process answers: HTTP for people, scripts and routers, read-only SQL, whether it is ready. */

import { fileURLToPath } from 'node:url';
import type { Status } from '../api/read-model.ts';
import { createLiveModel } from '../api/stored-read-model.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createAccess } from '../http/access/access.ts';
import { createClickHouseEndpoint } from '../http/clickhouse/endpoint.ts';
import { createHttpListener, type HttpListener } from '../http/listener.ts';
import { createPageModel } from '../http/page/page-model.ts';
import { createHttpServer } from '../http/server.ts';
import { newestIncidents } from '../store/queries.ts';
import type { Canary } from './canary.ts';
import type { Collecting } from './collecting.ts';
import { createHealth } from './health.ts';
import { lossesOf, NOTHING_LOST } from './losses.ts';
import type { Notifying } from './notifying.ts';
import type { Reloader } from './reloader.ts';
import type { Serving } from './serving.ts';
import type { SharedParts } from './shared-parts.ts';
import type { Storing } from './storing.ts';
import { unreadStreams } from './stream-memory.ts';

/** How long the store may take to answer that it is there. */
const STORE_PROBE_MS = 2000;
/** Two statements of users may keep the embedded engine for half a minute each. */
const EMBEDDED_PROBE_MS = 35_000;

export interface AnsweringSources {
  readonly collecting: Collecting | null;
  readonly storing: Storing;
  readonly serving: Serving | null;
  /** Null without the role `serve`. */
  readonly notifying: Notifying | null;
  readonly reloader: Reloader;
  /** Null where this process does not both collect and serve. */
  readonly canary: Canary | null;
  /** Why the topics cannot be used, as of the newest look; null when they can. */
  readonly kafkaTrouble: () => string | null;
  /** Which data this process works on; null until it is known. */
  readonly instanceId: () => string | null;
}

export interface Answering {
  readonly http: HttpListener;
  /** Null where `clickhouse.listen` is not set. */
  readonly sql: HttpListener | null;
}

export function createAnswering(shared: SharedParts, sources: AnsweringSources): Answering {
  const { config, loaded, log, stream, engine, hasEngine, onServer, waitingFor, policy } = shared;
  const { collecting, storing, reloader, canary } = sources;
  const counters = collecting?.collector.counters ?? null;
  const serve = sources.serving?.role ?? null;

  const health = createHealth({
    parts: [
      () => [...waitingFor],
      () => stream.troubles?.() ?? [],
      shared.damage.troubles,
      storing.troubles,
      () => [sources.kafkaTrouble() ?? []].flat(),
      () => serve?.troubles() ?? [],
      () => canary?.troubles() ?? [],
    ],
    askStore: () =>
      !hasEngine || waitingFor.has('the store')
        ? null
        : () => engine.query('SELECT 1', { timeoutMs: STORE_PROBE_MS }),
    storeLimitMs: onServer ? STORE_PROBE_MS : EMBEDDED_PROBE_MS,
    dataDirectory: config.data,
  });
  const policyStatus = () => ({
    version: policy.version(),
    ...reloader.state,
    lists: reloader.listStates(),
  });
  const status = async (): Promise<Status> => ({
    version: shared.version,
    started_at: shared.startedAt,
    config_file: loaded.file,
    block_mode: reloader.config.block.mode,
    senders: reloader.config.senders.length,
    open_incidents: (serve?.incidents() ?? []).filter(({ state }) => state === 'open').length,
    datagrams: counters?.datagrams ?? 0,
    flows: counters?.flows ?? 0,
    policy: policyStatus(),
    ...(collecting !== null && { collection: collecting.view.current() }),
    notify: sources.notifying?.status() ?? [],
    lost: {
      ...(counters === null ? NOTHING_LOST : lossesOf(counters)),
      set_aside: await storing.rowsSetAside(),
    },
    ...(shared.checkTopics !== null && {
      kafka: {
        troubles: stream.troubles?.() ?? [],
        differences: [
          ...(stream.differences?.() ?? []),
          ...[(await unreadStreams(config.data)) ?? []].flat(),
        ],
      },
    }),
  });
  const model = createLiveModel(engine, () => reloader.config, {
    blocked: serve?.blocked ?? noList,
    exempt: serve?.exempt ?? noList,
    recentAlerts: () => serve?.recentAlerts() ?? [],
    blocks: async () => serve?.blocks() ?? null,
    decisionAbout: (incident) => serve?.decisionAbout(incident) ?? null,
    refreshExporters: async () => collecting?.account?.refresh(),
    // Null until all incidents are known.
    status,
  });
  const page = createPageModel({
    engine,
    model,
    config: () => reloader.config,
    incidents: async () => serve?.allIncidents() ?? newestIncidents(engine),
    desk: serve?.desk ?? null,
    review: serve?.review ?? null,
    listTroubles: () => serve?.troubles() ?? [],
    traffic: collecting?.traffic ?? null,
    troubles: health.troubles,
    spool: () => ({
      waitingBytes: stream.counters.spoolBytes,
      dropped: Object.values(stream.counters.dropped).reduce((sum, rows) => sum + rows, 0),
    }),
    store: hasEngine ? (onServer ? 'server' : 'embedded') : 'none',
    version: shared.version,
    startedAt: shared.startedAt,
    now: shared.now,
  });
  const onError = (path: string, error: unknown) =>
    log.error({ path, error: messageOf(error) }, 'an HTTP request failed');
  // One for both listeners: wrong tokens count together.
  const access = createAccess({
    http: () => reloader.config.http,
    kiosk: config.http.kiosk,
    now: Date.now,
  });
  const clickhouse = createClickHouseEndpoint(
    { token: undefined, access, database: config.clickhouse.database },
    { query: model.query, onError },
  );

  return {
    http: createHttpServer(config.http, {
      model,
      access,
      page,
      webDirectory: fileURLToPath(new URL('../../dist/web', import.meta.url)),
      clickhouse: (request, env) => clickhouse.fetch(request, env as object),
      metrics: shared.metrics.render,
      notReady: health.troubles,
      recentAlerts: () => serve?.recentAlerts() ?? [],
      notes: sources.notifying?.troubles ?? (() => []),
      acknowledge: sources.notifying?.acknowledge ?? null,
      onAlert: serve?.onAlert ?? (() => () => undefined),
      blockedHosts: serve?.hosts ?? noList,
      heldLists: serve?.heldLists ?? (() => []),
      instanceId: sources.instanceId,
      desk: serve?.desk ?? null,
      ...(canary !== null && { canary: canary.send }),
      reload: async (force) => {
        await reloader.reload({ force });
        return policyStatus();
      },
      aclTarget: serve?.targetText ?? noTarget,
      onError,
    }),
    sql:
      config.clickhouse.listen === undefined
        ? null
        : createHttpListener(
            'clickhouse.listen',
            config.clickhouse.listen,
            clickhouse.fetch,
            config.http.tls,
          ),
  };
}

/** An empty list would be taken for one by a router. */
function noList(): never {
  throw new RogueSmtpError('not_found', 'this process renders no ACLs: ask the one that runs the role serve');
}

async function noTarget(): Promise<never> {
  return noList();
}
