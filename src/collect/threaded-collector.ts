/**
 * A collector in several threads (`collector.threads`): each has the whole way from its own sockets to encoded batches, for
 * the exporters that the kernel steers to it. This thread publishes the batches and keeps the files.
 *
 * Where there can be only one thread, it is an ordinary collector, and the log says why.
 */

import { createRequire } from 'node:module';
import { clearInterval, setImmediate, setInterval } from 'node:timers';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import pino from 'pino';
import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { messageOf } from '../errors.ts';
import { parseAddress } from '../flow/address.ts';
import { type Collector, type CollectorDependencies, createCollector } from './collector.ts';
import type { CollectorCounters } from './collector-counters.ts';
import { type CollectorMemory, createCollectorMemory } from './collector-memory.ts';
import { openSharedSockets, type SharedSockets } from './shared-sockets.ts';
import { socketOfSource } from './source-steering.ts';
import {
  type CollectorState,
  type FromThread,
  monotonicMs,
  stateOf,
  sumOfCounters,
  type ThreadInput,
  type ToThread,
} from './thread-messages.ts';

/** How often threads are told how the time in use and the monotonic clock differ: it is slewed by 1 % at most. */
const CLOCK_MS = 1000;

const snapshotSchema = z.looseObject({ domains: z.array(z.looseObject({ exporter: z.string() })) });
type Snapshot = z.infer<typeof snapshotSchema>;

/** Inert until `start`. */
export function createThreadedCollector(config: Config, dependencies: CollectorDependencies): Collector {
  const { stream, log, now } = dependencies;
  const { threads: size } = config.collector;
  const memory = dependencies.memory ?? createCollectorMemory(config.data, log, dependencies.onDamage);
  /** Collects where there are no threads; where there are, it counts nothing. */
  const single = createCollector(config, { ...dependencies, memory });
  const clock = new Float64Array(new SharedArrayBuffer(8));
  const states: CollectorState[] = [];
  let sum: CollectorCounters | null = null;
  let threads: readonly Thread[] = [];
  let sockets: SharedSockets | null = null;
  let timer: NodeJS.Timeout | null = null;
  let networks: Pick<Config, 'networks'> = config;

  function noteState(thread: number, state: CollectorState): void {
    states[thread] = state;
    sum = null;
    for (const seconds of state.waits) dependencies.onSocketWait?.(seconds);
  }

  function all(): CollectorCounters {
    if (threads.length === 0) return single.counters;
    sum ??= sumOfCounters(states.map(({ counters }) => counters));
    return sum;
  }

  const counters: CollectorCounters = {
    get datagrams() {
      return all().datagrams;
    },
    get bytes() {
      return all().bytes;
    },
    get flows() {
      return all().flows;
    },
    get decoder() {
      return all().decoder;
    },
    get recordsDropped() {
      return all().recordsDropped;
    },
    get mailFlows() {
      return all().mailFlows;
    },
    get published() {
      return all().published;
    },
    get dropped() {
      return all().dropped;
    },
    get pending() {
      return all().pending;
    },
    get canaries() {
      return all().canaries;
    },
    get listeners() {
      return all().listeners;
    },
  };

  function setClock(): void {
    clock[0] = now() - monotonicMs();
  }

  async function startThreads({ targets }: SharedSockets): Promise<void> {
    const nowMs = now();
    const kept = await divide(memory, nowMs, size);
    setClock();
    timer = setInterval(setClock, CLOCK_MS).unref();
    const snapshots = kept.map(({ templates }) => templates);
    threads = kept.map((own, thread) => {
      states[thread] = stateOf(single, []);
      return startThread(
        { config, targets: targets[thread], mailPartitions: stream.partitions('mail'), clock, ...own },
        dependencies,
        {
          noteState: (state) => noteState(thread, state),
          keepTemplates(snapshot) {
            snapshots[thread] = snapshot;
            void memory.keepTemplates(joined(snapshots));
          },
          keepSequences: memory.keepSequences,
        },
      );
    });
    await Promise.all(threads.map(({ started }) => started));
    for (const thread of threads) thread.tell({ kind: 'reload', networks: networks.networks });
  }

  async function stopThreads(): Promise<void> {
    for (const thread of threads) thread.tell({ kind: 'stop' });
    await Promise.all(threads.map(({ ended }) => ended));
    if (timer !== null) clearInterval(timer);
    timer = null;
    await memory.close();
  }

  return {
    counters,
    reload(next) {
      networks = next;
      single.reload(next);
      for (const thread of threads) thread.tell({ kind: 'reload', networks: next.networks });
    },
    *exporters() {
      if (threads.length === 0) yield* single.exporters();
      else for (const { exporters } of states) yield* exporters;
    },
    refusedExporters: () =>
      threads.length === 0 ? single.refusedExporters() : states.flatMap(({ refused }) => refused),
    async start(): Promise<readonly SocketAddress[]> {
      const opened = await openSharedSockets(config.collector, dependencies.environment ?? process.env, log);
      if (typeof opened === 'string') {
        log.warn({ threads: size, reason: opened }, 'collector.threads: only one thread receives');
        return single.start();
      }
      sockets = opened;
      try {
        await startThreads(opened);
      } catch (error) {
        await stopThreads();
        throw error;
      }
      opened.admit();
      log.info(
        { listen: opened.addresses.map(formatSocketAddress), threads: size },
        'receiving flow exports in threads',
      );
      return opened.addresses;
    },
    async stop() {
      if (sockets === null) return single.stop();
      const open = sockets;
      sockets = null;
      open.refuse();
      await stopThreads();
    },
  };
}

interface Thread {
  tell(message: ToThread): void;
  /** Rejects when it cannot begin. */
  readonly started: Promise<void>;
  readonly ended: Promise<void>;
}

interface ThreadEvents {
  readonly noteState: (state: CollectorState) => void;
  readonly keepTemplates: (snapshot: Snapshot) => void;
  readonly keepSequences: CollectorMemory['keepSequences'];
}

function startThread(
  input: ThreadInput,
  { stream, log }: CollectorDependencies,
  { noteState, keepTemplates, keepSequences }: ThreadEvents,
): Thread {
  const worker = openWorker(input);
  let isRunning = false;
  let begun: () => void = () => undefined;
  let failed: (error: unknown) => void = () => undefined;
  const started = new Promise<void>((resolve, reject) => {
    begun = resolve;
    failed = reject;
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const tell = (message: ToThread, moved: ArrayBuffer[] = []) => worker.postMessage(message, moved);

  async function publish(message: Extract<FromThread, { kind: 'publish' }>): Promise<void> {
    const { id, bytes, length, rows, partition } = message;
    const value = Buffer.from(bytes, 0, length);
    try {
      const { accepted } = await stream.publish(message.stream, [
        { key: '', id: '', value, rows, partition },
      ]);
      tell({ kind: 'answer', id, accepted, failure: '', bytes }, [bytes]);
    } catch (error) {
      tell({ kind: 'answer', id, accepted: null, failure: messageOf(error), bytes: null });
    }
  }

  worker.on('message', (message: FromThread) => {
    if (message.kind === 'publish') void publish(message);
    else if (message.kind === 'state') noteState(message.state);
    else if (message.kind === 'templates') keepTemplates(snapshotSchema.parse(message.snapshot));
    else if (message.kind === 'sequences') keepSequences(message.marks);
    else if (message.kind === 'log') passOn(message.line);
    else if (message.kind === 'started') {
      isRunning = true;
      begun();
    } else if (message.kind === 'start_failed') failed(message.error);
    else isRunning = false;
  });

  function passOn(line: string): void {
    const {
      level,
      time: _its,
      msg,
      ...rest
    } = z.looseObject({ level: z.number(), msg: z.string() }).parse(JSON.parse(line));
    const name = pino.levels.labels[level];
    if (name === 'error' || name === 'warn' || name === 'info' || name === 'debug') log[name](rest, msg);
  }

  /** What such a thread had is lost without an account: the process must end, as it does when its one thread fails. */
  worker.once('error', (error) => {
    failed(error);
    setImmediate(() => {
      if (isRunning) throw error;
    });
  });
  return { tell, started, ended };
}

/** The compiled thread beside the compiled parent; the source one (tests, tsx) needs the loader that reads TypeScript. */
function openWorker(workerData: ThreadInput): Worker {
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(new URL('./receiver-thread.js', import.meta.url), { workerData });
  const thread = new URL('./receiver-thread.ts', import.meta.url).href;
  const api = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api'));
  const loader = new URL('./index.mjs', api).href;
  // `--import tsx` does nothing in a thread of Node 20.
  const code = `import(${JSON.stringify(loader)}).then(({ register }) => { register(); return import(${JSON.stringify(thread)}); })`;
  return new Worker(code, { eval: true, execArgv: [], workerData });
}

/** What was kept, for each thread what belongs to the exporters that it gets. */
async function divide(
  memory: CollectorMemory,
  nowMs: number,
  threads: number,
): Promise<(Pick<ThreadInput, 'sequences'> & { readonly templates: Snapshot | null })[]> {
  const parsed = snapshotSchema.safeParse(await memory.templates());
  const sequences = await memory.sequences(nowMs);
  return Array.from({ length: threads }, (_, thread) => ({
    templates: parsed.success
      ? {
          ...parsed.data,
          domains: parsed.data.domains.filter(({ exporter }) => {
            const address = parseAddress(exporter);
            return address !== null && socketOfSource(address, threads) === thread;
          }),
        }
      : null,
    sequences: sequences.filter(({ address }) => socketOfSource(address, threads) === thread),
  }));
}

function joined(snapshots: readonly (Snapshot | null)[]): Snapshot {
  const known = snapshots.filter((snapshot) => snapshot !== null);
  return { ...known[0], domains: known.flatMap(({ domains }) => domains) };
}
