/**
 * What a year brings, at once: traffic, templates that change, queries that are answered and queries that are not,
 * clients of /events that come and go, reloads of changed and of broken configurations.
 *
 * Hosts, exporters and templates are of a fixed number each: what is known of them must not grow.
 */

import { createSocket } from 'node:dgram';
import { renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ipfix, set, TUPLE, template, tuple, v5 } from '../../support/datagrams.ts';

const RECORDS = 30;
const ROGUES = 40;
const EXPORTER_PORTS = 8;
/** So many datagrams in one turn: timers are too coarse for each by itself. */
const BURST = 10;
/** One row of it takes seconds, and the engine looks at the limit between rows: its process is killed for it. */
const IGNORES_LIMIT =
  "SELECT max(editDistance(repeat('ab', 30000), concat(repeat('ba', 29990), toString(number)))) FROM numbers(100)";
const ENDLESS = 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000) SETTINGS max_threads = 1';

export interface LoadOptions {
  readonly udpPort: number;
  readonly httpPort: number;
  readonly configFile: string;
  /** Texts of the file that are all valid. */
  readonly configs: readonly string[];
  reload(): Promise<void>;
  /** Flows a second. */
  readonly rate: number;
}

export interface Load {
  readonly counts: Readonly<Record<'flows' | 'answered' | 'refused' | 'cut' | 'events' | 'reloads', number>>;
  /** Sends a statement that ignores its limit, and resolves when it was answered with an error. */
  stuckQuery(): Promise<void>;
  /** Stops all of it for the measurement: what is under way is no growth, and on a busy machine there is much of it. */
  quietly<Result>(measure: () => Promise<Result>): Promise<Result>;
  stop(): Promise<void>;
}

/** What is under way ends within this, unless the store is away; then what it holds goes on. */
const QUIET_WITHIN_MS = 10_000;
const SETTLE_MS = 500;

export function startLoad(options: LoadOptions): Load {
  const { udpPort, httpPort, configFile, configs, rate } = options;
  const over = new AbortController();
  const counts = { flows: 0, answered: 0, refused: 0, cut: 0, events: 0, reloads: 0 };
  const base = `http://127.0.0.1:${httpPort}`;
  const sockets = Array.from({ length: EXPORTER_PORTS }, () => createSocket('udp4'));
  const send = (socket: number, payload: Buffer) =>
    new Promise<void>((resolve) => sockets[socket].send(payload, udpPort, '127.0.0.1', () => resolve()));

  let gate: Promise<void> | null = null;
  let underWay = 0;

  async function every(ms: number, work: (round: number) => Promise<void> | void): Promise<void> {
    for (let round = 0; !over.signal.aborted; round++) {
      await gate;
      underWay++;
      await work(round);
      underWay--;
      await sleep(ms, undefined, { signal: over.signal }).catch(() => undefined);
    }
  }

  /** True when it was answered with a result. */
  const get = (path: string, ms: number) =>
    fetch(base + path, { signal: AbortSignal.timeout(ms) }).then(
      async (answer) => (await answer.text()) !== '' && answer.ok,
      () => false,
    );
  const sql = (statement: string, seconds: number) =>
    `/clickhouse?query=${encodeURIComponent(statement)}&max_execution_time=${seconds}`;

  let sequence = 0;
  function traffic(round: number): Promise<void> {
    const flows = Array.from({ length: RECORDS }, (_, i) => ({
      src: i === 0 ? `10.0.1.${1 + (round % ROGUES)}` : `10.0.${2 + (i % 8)}.${1 + (round % 250)}`,
      dst: `198.51.100.${1 + ((round + i) % 250)}`,
      srcPort: 1024 + ((round * 7 + i) % 60_000),
      dstPort: i === 0 ? 25 : 443,
      packets: 20,
      bytes: 4000,
      flags: 0x1b,
    }));
    sequence += RECORDS;
    counts.flows += RECORDS;
    return send(round % EXPORTER_PORTS, v5(flows, { sequence }));
  }

  /** A template that changes its layout, and one that is new each time: the table of templates stays bounded. */
  async function templates(round: number): Promise<void> {
    const fields = round % 2 === 0 ? TUPLE : [...TUPLE].reverse();
    const id = 256 + (round % 64);
    await send(0, ipfix([set(2, template(id, fields)), set(id, tuple())], { domain: 1 + (round % 4) }));
  }

  async function query(): Promise<void> {
    for (const path of [
      sql('SELECT count() FROM flows', 20),
      '/api/v1/offenders',
      '/metrics',
      '/api/v1/exporters',
    ]) {
      if (await get(path, 20_000)) counts.answered++;
      else counts.refused++;
    }
  }

  /** One that its limit ends, then one whose client goes away. */
  async function endlessQuery(): Promise<void> {
    if (!(await get(sql(ENDLESS, 1), 20_000))) counts.cut++;
    if (!(await get(sql(ENDLESS, 2), 300))) counts.cut++;
  }

  /** A client of /events comes, listens for a moment, and goes without a word; or it sends HEAD. */
  async function follow(round: number): Promise<void> {
    const leaving = new AbortController();
    const method = round % 10 === 9 ? 'HEAD' : 'GET';
    const answer = await fetch(`${base}/events`, { method, signal: leaving.signal }).catch(() => null);
    await answer?.body
      ?.getReader()
      .read()
      .catch(() => undefined);
    if (answer !== null) counts.events++;
    leaving.abort();
  }

  /** Each in turn, and after them one that is cut off in the middle, which must be refused. */
  function reload(round: number): Promise<void> {
    const turn = round % (configs.length + 1);
    const text = configs[turn] ?? configs[0].slice(0, configs[0].length / 2);
    writeFileSync(`${configFile}.new`, text);
    renameSync(`${configFile}.new`, configFile);
    counts.reloads++;
    return options.reload();
  }

  const work = [
    every(Math.max(1, (1000 * RECORDS * BURST) / rate), async (round) => {
      for (let i = 0; i < BURST; i++) await traffic(round * BURST + i);
    }),
    every(500, templates),
    every(1000, query),
    every(15_000, endlessQuery),
    every(300, follow),
    every(7000, reload),
  ];
  return {
    counts,
    async stuckQuery() {
      await get(sql(IGNORES_LIMIT, 1), 60_000);
    },
    async quietly(measure) {
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const from = performance.now();
      while (underWay > 0 && performance.now() - from < QUIET_WITHIN_MS) await sleep(50);
      await sleep(SETTLE_MS);
      try {
        return await measure();
      } finally {
        gate = null;
        open();
      }
    },
    async stop() {
      over.abort();
      await Promise.all(work);
      for (const socket of sockets) socket.close();
    },
  };
}
