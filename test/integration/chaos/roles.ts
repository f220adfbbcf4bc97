/**
 * The processes of the chaos run, by name: started, killed, started again on the same ports and directories, and asked
 * for their account. What a process has counted dies with it, so that it is asked just before it is killed; only the
 * losses by sequence numbers go on over a restart, by the collector's own doing.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { migrateCommand } from '../../../src/cli/migrate.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { KafkaConfig } from '../../../src/config/schema.ts';
import { MAIL_SERVER } from '../../support/network-load.ts';
import { cpuSecondsOf } from '../../support/processes.ts';
import { metricOf, type RunningService, startService } from '../../support/service.ts';
import type { Cluster } from '../kafka/broker.ts';
import { startChaosClickHouse } from './clickhouse.ts';

const COLLECTORS = ['collect1', 'collect2'] as const;
const ROLE_NAMES = [...COLLECTORS, 'detect1', 'detect2', 'store1', 'store2', 'serve'] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

export interface Roles {
  readonly kafka: KafkaConfig;
  readonly clickHouseName: string;
  startAll(): Promise<void>;
  start(name: RoleName): Promise<void>;
  kill(name: RoleName): Promise<void>;
  pauseClickHouse(): void;
  continueClickHouse(): void;
  udpPort(name: RoleName): number;
  /** The number that a statement on the store gives. */
  number(sql: string): Promise<number>;
  /** Flows or messages that wait anywhere between the collectors and the store. */
  waiting(): Promise<number>;
  losses(): Promise<{ readonly lost: number; readonly dropped: number }>;
  /** Seconds of CPU of each process, those before it of the same name, the brokers and ClickHouse. */
  cpuSeconds(): ReadonlyMap<string, number>;
  /** Ends of what each has logged. */
  logs(): string;
  stop(): Promise<void>;
}

export async function createRoles(cluster: Cluster, directory: string): Promise<Roles> {
  const clickHouse = await startChaosClickHouse();
  const text = `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: ["${MAIL_SERVER}"] }]
kafka: { brokers: ${JSON.stringify(cluster.brokers)}, topics: { flows: { partitions: 4 }, mail: { partitions: 4 } } }
clickhouse: ${JSON.stringify(clickHouse.config)}
log: { level: warn }
`;
  const file = join(directory, 'migrate.yaml');
  writeFileSync(file, text);
  const loaded = loadConfig({ file, environment: {} });
  await migrateCommand(loaded, { stdout: process.stderr });

  const running = new Map<RoleName, RunningService>();
  const spentBefore = new Map<string, number>();
  let dropped = 0;

  const service = (name: RoleName) => {
    const found = running.get(name);
    if (found === undefined) throw new Error(`${name} does not run`);
    return found;
  };

  async function start(name: RoleName): Promise<void> {
    const before = running.get(name);
    const started = await startService({
      directory,
      name,
      command: name.replace(/\d$/, ''),
      config: text,
      ...(before !== undefined && { udpPort: before.udpPort }),
    });
    running.set(name, started);
  }

  async function droppedBy(name: RoleName): Promise<number> {
    // All of one moment: a batch that is answered for in between would look dropped.
    const told = await service(name).metrics();
    const decoded = metricOf(told, 'rogue_smtp_flows_decoded_total');
    const published = metricOf(told, 'rogue_smtp_flows_published_total', 'stream="flows"');
    const pending = metricOf(told, 'rogue_smtp_flows_pending', 'stream="flows"');
    // Of a process that goes on: what is pending may still be published.
    return Math.max(0, decoded - published - pending);
  }

  return {
    kafka: loaded.config.kafka,
    clickHouseName: clickHouse.name,
    start,
    async startAll() {
      await Promise.all(ROLE_NAMES.map(start));
    },
    async kill(name) {
      const one = service(name);
      spentBefore.set(name, (spentBefore.get(name) ?? 0) + cpuSecondsOf(one.process.pid ?? 0));
      if (name.startsWith('collect')) dropped += await droppedBy(name);
      await one.end('SIGKILL');
    },
    pauseClickHouse: () => clickHouse.pause(),
    continueClickHouse: () => clickHouse.continue(),
    udpPort: (name) => service(name).udpPort,
    number: async (sql) => Number((await clickHouse.query(sql)).trim()),
    async waiting() {
      const waits = await Promise.all([
        ...COLLECTORS.map((name) => service(name).metric('rogue_smtp_spool_bytes')),
        ...COLLECTORS.map((name) => service(name).metric('rogue_smtp_flows_pending')),
        service('store1').metric('rogue_smtp_store_lag_messages'),
        service('store2').metric('rogue_smtp_store_lag_messages'),
      ]);
      return waits.reduce((sum, n) => sum + n, 0);
    },
    async losses() {
      let lost = 0;
      let droppedInAll = dropped;
      for (const name of COLLECTORS) {
        lost += await service(name).metric('rogue_smtp_sequence_lost_total');
        droppedInAll += await droppedBy(name);
      }
      return { lost, dropped: droppedInAll };
    },
    cpuSeconds() {
      const spent = new Map<string, number>();
      for (const name of ROLE_NAMES)
        spent.set(name, (spentBefore.get(name) ?? 0) + cpuSecondsOf(service(name).process.pid ?? 0));
      for (const [i, pid] of cluster.pids().entries()) spent.set(`broker ${i + 1}`, cpuSecondsOf(pid));
      spent.set('ClickHouse', clickHouse.cpuSeconds());
      return spent;
    },
    logs: () =>
      ROLE_NAMES.map((name) => `--- ${name}\n${running.get(name)?.log().slice(-3000) ?? ''}\n`).join(''),
    async stop() {
      await Promise.all([...running.values()].map((one) => one.end('SIGKILL')));
      await clickHouse.stop();
    },
  };
}
