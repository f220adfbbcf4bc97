/**
 * A receiver thread: the collector itself, with the main thread for its stream and for its files.
 *
 * Batches are moved to the main thread and their memory back, never copied. Whoever reads counters there sees those of the
 * last second, and after `stopped` the last ones.
 */

import { clearInterval, setInterval } from 'node:timers';
import { parentPort, workerData } from 'node:worker_threads';
import pino from 'pino';
import type { BatchTarget } from './batch-publisher.ts';
import { createCollector } from './collector.ts';
import { type FromThread, monotonicMs, stateOf, type ThreadInput, type ToThread } from './thread-messages.ts';

const STATE_MS = 1000;
/** Of a second; more of them say nothing new. */
const MAX_WAITS = 1000;

interface Answer {
  readonly resolve: (result: { accepted: number; memory?: Buffer }) => void;
  readonly reject: (error: Error) => void;
}

const port = parentPort;
if (port === null) throw new TypeError('this module is the beginning of a thread');
const { config, targets, mailPartitions, clock, templates, sequences }: ThreadInput = workerData;
const tell = (message: FromThread, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);

const answers = new Map<number, Answer>();
let published = 0;
let waits: number[] = [];
let lastMs = 0;

const publish: BatchTarget['publish'] = (stream, [{ value, rows, partition }]) => {
  const id = published++;
  // A batch has memory of its own, from the first byte on.
  const bytes = value.buffer as ArrayBuffer;
  return new Promise((resolve, reject) => {
    answers.set(id, { resolve, reject });
    tell({ kind: 'publish', id, stream, bytes, length: value.length, rows, partition }, [bytes]);
  });
};

const collector = createCollector(config, {
  stream: { publish, partitions: () => mailPartitions },
  log: pino({ level: config.log.level, base: null }, { write: (line) => tell({ kind: 'log', line }) }),
  now() {
    lastMs = Math.max(lastMs, Math.floor(clock[0] + monotonicMs()));
    return lastMs;
  },
  targets,
  memory: {
    templates: async () => templates,
    keepTemplates: async (snapshot) => tell({ kind: 'templates', snapshot }),
    sequences: async () => sequences,
    keepSequences: (marks) => tell({ kind: 'sequences', marks }),
    close: async () => undefined,
  },
  onSocketWait(seconds) {
    if (waits.length < MAX_WAITS) waits.push(seconds);
  },
});

function tellState(): void {
  tell({ kind: 'state', state: stateOf(collector, waits) });
  waits = [];
}

const timer = setInterval(tellState, STATE_MS);

async function stop(): Promise<void> {
  await collector.stop();
  clearInterval(timer);
  tellState();
  tell({ kind: 'stopped' });
  port?.close();
}

function takeAnswer({ id, accepted, failure, bytes }: Extract<ToThread, { kind: 'answer' }>): void {
  const answer = answers.get(id);
  answers.delete(id);
  if (accepted === null) answer?.reject(new Error(failure));
  else answer?.resolve({ accepted, ...(bytes !== null && { memory: Buffer.from(bytes) }) });
}

port.on('message', (message: ToThread) => {
  if (message.kind === 'answer') takeAnswer(message);
  else if (message.kind === 'reload') collector.reload({ networks: message.networks });
  else void stop();
});

collector.start().then(
  () => tell({ kind: 'started' }),
  (error: unknown) => tell({ kind: 'start_failed', error }),
);
