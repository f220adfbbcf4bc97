/**
 * The detector alone, on one core: flows a CPU-second by the part of rogue records, then memory with many hosts and the
 * time of a restart, each of these in a process of its own (detector-memory.ts).
 *
 * The records are made between the measured spans and are new each time. What comes out is taken as the detect role
 * takes it, and thrown away: publishing is not measured here.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { configSchema } from '../../src/config/schema.ts';
import { createDetector, type Detector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { createMailTraffic, MAIL_SERVERS } from './mail-traffic.ts';

export interface DetectorMix {
  readonly name: string;
  /** 0 to 1: records of rogue hosts. */
  readonly rogue: number;
  readonly hosts: number;
}

export interface DetectorRate extends DetectorMix {
  readonly flowsPerCpuSecond: number;
  readonly alerts: number;
  readonly flows: number;
}

export interface DetectorMemory {
  readonly hosts: number;
  readonly sessions: number;
  readonly flows: number;
  /** Bytes: at most, in the end, and before the first flow. */
  readonly peak: number;
  readonly resident: number;
  readonly empty: number;
  readonly restored: number;
  /** Seconds to read and take over the incidents, of them as many as `restored`. */
  readonly restoreSeconds: number;
}

/** Of mailing hosts each session is new; in the last mix each record opens an incident, until all have one. */
export const DETECTOR_MIXES: readonly DetectorMix[] = [
  { name: 'authorised senders and inbound mail only', rogue: 0, hosts: 1 },
  { name: '1 % of records rogue, 2,000 hosts', rogue: 0.01, hosts: 2000 },
  { name: '10 % rogue, 2,000 hosts', rogue: 0.1, hosts: 2000 },
  { name: '100 % rogue, 2,000 hosts', rogue: 1, hosts: 2000 },
  { name: '100 % rogue, each session of a host not seen before', rogue: 1, hosts: 4_000_000 },
];

const ROWS = 8192;
/** By the receive times: so that the memory of sessions fills as it would at full load. */
const FLOWS_PER_SECOND = 500_000;

export function createBenchDetector(): Detector {
  const config = configSchema.parse({
    networks: { internal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'] },
    senders: [{ name: 'mail', hosts: MAIL_SERVERS }],
  });
  return createDetector({ policy: compilePolicy(config), detection: config.detection, block: config.block });
}

export function benchDetector(mix: DetectorMix, seconds: number): DetectorRate {
  const detector = createBenchDetector();
  const traffic = createMailTraffic({
    rows: ROWS,
    rogue: mix.rogue,
    rogueHosts: mix.hosts,
    flowsPerSecond: FLOWS_PER_SECOND,
  });
  let offset = 0;
  const observeFor = (cpuSeconds: number) => {
    let flows = 0;
    let alerts = 0;
    let spent = 0;
    while (spent < cpuSeconds) {
      const batch = traffic.next();
      const begin = process.cpuUsage();
      detector.observe(batch, { partition: 0, offset: offset++ });
      alerts += detector.take().alerts.length;
      detector.safeOffset(0);
      const { user, system } = process.cpuUsage(begin);
      spent += (user + system) / 1e6;
      flows += batch.length;
    }
    return { flows, alerts, flowsPerCpuSecond: flows / spent };
  };
  observeFor(seconds / 2);
  return { ...mix, ...observeFor(seconds) };
}

/** Runs detector-memory.ts: that many hosts, then a restart with so many open incidents. */
export async function benchDetectorMemory(hosts: number, incidents: number): Promise<DetectorMemory> {
  const script = fileURLToPath(new URL('./detector-memory.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...process.execArgv,
    script,
    String(hosts),
    String(incidents),
  ]);
  return JSON.parse(stdout) as DetectorMemory;
}
