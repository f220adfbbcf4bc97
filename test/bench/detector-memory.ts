/**
 * `detector-memory.ts HOSTS INCIDENTS`: fills a detector with hosts that each have an open incident and a session or two,
 * then takes over incidents in a new one as after a restart. Prints one JSON object, see DetectorMemory.
 *
 * A process of its own, so that its memory is that of a detector. A restart is measured from the bytes of the messages
 * on: reading, checking and taking over, as the detect role does it for either kind of stream.
 */

import type { Detector } from '../../src/detect/detector.ts';
import { incidentSchema } from '../../src/messages/alert.ts';
import { incidentMessage } from '../../src/messages/encode.ts';
import { parseMessage } from '../../src/messages/parse-message.ts';
import { createBenchDetector, type DetectorMemory } from './detector.ts';
import { createMailTraffic } from './mail-traffic.ts';

const [hosts, incidents] = process.argv.slice(2).map(Number);
const FLOWS_PER_SECOND = 100_000;

const empty = process.memoryUsage().rss;
let peak = empty;

/** Every host has a session, a quarter of them an attempt. Returns the number of flows. */
function fill(detector: Detector, count: number): number {
  const traffic = createMailTraffic({
    rows: 8192,
    rogue: 1,
    rogueHosts: count,
    flowsPerSecond: FLOWS_PER_SECOND,
  });
  let flows = 0;
  for (let offset = 0; detector.counters.hosts < count; offset++) {
    const batch = traffic.next();
    flows += batch.length;
    detector.observe(batch, { partition: 0, offset });
    detector.take();
    detector.safeOffset(0);
    peak = Math.max(peak, process.memoryUsage().rss);
  }
  return flows;
}

const detector = createBenchDetector();
const flows = fill(detector, hosts);
const resident = process.memoryUsage().rss;

const before = createBenchDetector();
fill(before, incidents);
const messages = before.openIncidents().map((incident) => incidentMessage(incident).value);
const begin = performance.now();
const after = createBenchDetector();
for (const value of messages) {
  const incident = parseMessage(incidentSchema, { value });
  if (incident !== null) after.restore(incident);
}
const result: DetectorMemory = {
  hosts: detector.counters.hosts,
  sessions: detector.counters.sessions,
  flows,
  peak,
  resident,
  empty,
  restored: after.counters.restored,
  restoreSeconds: (performance.now() - begin) / 1000,
};
process.stdout.write(JSON.stringify(result));
