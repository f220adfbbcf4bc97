/**
 * `host-memory.ts HOSTS 4|6 syn|mail`: what a host costs, from which `detection.max_hosts` derives its default.
 *
 * Fills a detector with hosts of which each has sent one SYN, or one answered session that may be mail, and keeps of
 * each incident what the other roles of one process keep: the read model of `serve`, and the place of its key in the
 * stream. Prints one JSON object: hosts and bytes, before and after full collections (run with --expose-gc).
 */

import { parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch, writeWide } from '../../src/flow/batch.ts';
import { FLOW_VERSION, PRESENT } from '../../src/flow/columns.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { incidentSchema } from '../../src/messages/alert.ts';
import { hostStreamKey } from '../../src/messages/decision.ts';
import { incidentMessage } from '../../src/messages/encode.ts';
import { parseMessage } from '../../src/messages/parse-message.ts';
import { createBenchDetector } from './detector.ts';

const [count, family, kind] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const ROWS = 4096;
const T0 = Date.UTC(2026, 0, 1);
const FLOWS_PER_MS = 5;
const SYN = 2;
const MAIL = 0x1b;

const collect = () => {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
};
const address = (text: string): Uint8Array => parseAddress(text) ?? new Uint8Array(16);

const detector = createBenchDetector();
const incidents = new Map<string, Incident>();
const places = new Map<string, { offset: number; bytes: number }>();
const batch = createFlowBatch(ROWS);
collect();
const empty = process.memoryUsage();
const exporter = address('192.0.2.1');
const server = address(family === '6' ? '2001:db8:9::1' : '198.51.100.1');
const base = address(family === '6' ? 'fd00:1:2::' : '10.64.0.0');
let messages = 0;

/** A /64 has at most 256 of them: its share is never used up. */
function writeHost(at: number, host: number): void {
  const { src_addr } = batch.columns;
  src_addr.set(base, at);
  const last = family === '6' ? 7 : 15;
  src_addr[at + last] = (host >>> 8) & 0xff;
  src_addr[at + last - 1] = (host >>> 16) & 0xff;
  src_addr[at + 15] = host & 0xff;
  if (family === '4') {
    src_addr[at + 14] = (host >>> 8) & 0xff;
    src_addr[at + 13] = 0x40 | ((host >>> 16) & 0x3f);
  }
}

const begin = process.cpuUsage();
let offset = 0;
for (let made = 0; made < count; ) {
  const c = batch.columns;
  const rows = Math.min(ROWS, count - made);
  batch.length = rows;
  for (let row = 0; row < rows; row++) {
    const host = made + row;
    c.exporter.set(exporter, 16 * row);
    writeHost(16 * row, host);
    c.dst_addr.set(server, 16 * row);
    c.version[row] = FLOW_VERSION.v9;
    c.protocol[row] = 6;
    c.src_port[row] = 1024 + (host % 60_000);
    c.dst_port[row] = 25;
    c.tcp_flags[row] = kind === 'syn' ? SYN : MAIL;
    writeWide(c.packets, row, kind === 'syn' ? 1 : 20);
    writeWide(c.bytes, row, kind === 'syn' ? 60 : 4000);
    c.sequence[row] = host >>> 5;
    c.record[row] = host & 31;
    writeWide(c.received_at, row, T0 + host / FLOWS_PER_MS);
    c.present[row] =
      PRESENT.SRC_ADDR |
      PRESENT.DST_ADDR |
      PRESENT.SRC_PORT |
      PRESENT.DST_PORT |
      PRESENT.PROTOCOL |
      PRESENT.PACKETS |
      PRESENT.BYTES |
      PRESENT.TCP_FLAGS;
  }
  detector.observe(batch, { partition: 0, offset: offset++ });
  for (const made of detector.take().incidents) {
    const message = incidentMessage(made);
    messages++;
    places.set(message.key, { offset: messages, bytes: message.value.length });
    const incident = parseMessage(incidentSchema, message);
    if (incident !== null) incidents.set(hostStreamKey(incident), incident);
  }
  detector.safeOffset(0);
  made += rows;
}
const spent = process.cpuUsage(begin);
const filled = process.memoryUsage();
collect();
const settled = process.memoryUsage();
const { counters } = detector;
incidents.clear();
places.clear();
collect();
const alone = process.memoryUsage();
process.stdout.write(
  `${JSON.stringify({
    node: process.version,
    kind,
    family,
    hosts: counters.hosts,
    sessions: counters.sessions,
    waiting: Reflect.get(counters, 'waitingAttempts') ?? 0,
    cpuSeconds: (spent.user + spent.system) / 1e6,
    rssPerHost: Math.round((settled.rss - empty.rss) / count),
    rssBeforeCollection: Math.round((filled.rss - empty.rss) / count),
    heapAndArraysPerHost: Math.round(
      (settled.heapUsed + settled.arrayBuffers - empty.heapUsed - empty.arrayBuffers) / count,
    ),
    detectorAlonePerHost: Math.round(
      (alone.heapUsed + alone.arrayBuffers - empty.heapUsed - empty.arrayBuffers) / count,
    ),
  })}\n`,
);
