/**
 * SIGKILL in the middle of ingest, again and again, on the same data directory: every acknowledged flow is in the store
 * exactly once, incidents go on as they were, no alert is doubled.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, sendDatagrams, startService } from '../support/service.ts';

const LIVES = 5;
const FLOWS_PER_DATAGRAM = 20;
const CONFIG = `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: [10.0.0.25] }]
block: { mode: publish, unseen_senders: publish }
log: { level: warn }
`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-kill-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** NetFlow v5: each datagram holds a mail session of a rogue host and of the mail server, the rest is web traffic. */
function v5Datagram(sequence: number): Buffer {
  const out = Buffer.alloc(24 + 48 * FLOWS_PER_DATAGRAM);
  out.writeUInt16BE(5, 0);
  out.writeUInt16BE(FLOWS_PER_DATAGRAM, 2);
  out.writeUInt32BE(1_000_000 + sequence, 4);
  out.writeUInt32BE(Math.floor(Date.now() / 1000), 8);
  out.writeUInt32BE(sequence * FLOWS_PER_DATAGRAM, 16);
  for (let i = 0; i < FLOWS_PER_DATAGRAM; i++) {
    const at = 24 + 48 * i;
    const mail = i < 2;
    const source = i === 0 ? 0x0a000037 + (sequence % 7) : i === 1 ? 0x0a000019 : 0x0a000100 + i;
    out.writeUInt32BE(source, at);
    out.writeUInt32BE(0xc6336400 + (sequence % 200), at + 4);
    out.writeUInt32BE(20, at + 16);
    out.writeUInt32BE(6000, at + 20);
    out.writeUInt32BE(999_000 + sequence, at + 24);
    out.writeUInt32BE(999_500 + sequence, at + 28);
    out.writeUInt16BE(20_000 + (sequence % 40_000), at + 32);
    out.writeUInt16BE(mail ? 25 : 443, at + 34);
    out[at + 37] = 0x1b;
    out[at + 38] = 6;
  }
  return out;
}

interface Row {
  readonly n: string | number;
}

async function count(service: RunningService, sql: string): Promise<number> {
  const line = (await service.ask(sql, 'JSONEachRow')).trim();
  const row: Row = JSON.parse(line);
  return Number(row.n);
}

/** Stored flows, once it stays the same: segments close after a second and go in within the next. */
async function drained(service: RunningService): Promise<number> {
  let before = -1;
  for (;;) {
    const stored = await count(service, 'SELECT count() AS n FROM flows');
    if (stored === before) return stored;
    before = stored;
    await sleep(4000);
  }
}

describe('SIGKILL during ingest', () => {
  it('loses no acknowledged flow, stores none twice, doubles no alert', async () => {
    let sequence = 0;
    let acknowledged = 0;
    let incidentsBefore = new Map<string, { host: string; sessions: number }>();
    for (let life = 0; life < LIVES; life++) {
      const service = await startService({ directory, config: CONFIG });
      for (const incident of await service.client.offenders()) {
        const known = incidentsBefore.get(incident.incident_id);
        if (known !== undefined) expect(Number(incident.sessions)).toBeGreaterThanOrEqual(known.sessions);
        incidentsBefore.delete(incident.incident_id);
      }
      expect([...incidentsBefore.values()]).toEqual([]);

      let sending = true;
      const sender = (async () => {
        while (sending) {
          const burst = Array.from({ length: 100 }, () => v5Datagram(sequence++));
          await sendDatagrams(service.udpPort, burst);
          await sleep(10);
        }
      })();
      // The last reading before the kill is a lower bound of what was acknowledged.
      let published = 0;
      const until = Date.now() + 2500 + 700 * life;
      while (Date.now() < until)
        published = await service.metric('rogue_smtp_flows_published_total', 'stream="flows"');
      incidentsBefore = new Map(
        (await service.client.offenders()).map((row) => [
          row.incident_id,
          { host: row.host, sessions: Number(row.sessions) },
        ]),
      );
      await service.end('SIGKILL');
      sending = false;
      await sender;
      expect(published).toBeGreaterThan(0);
      acknowledged += published;
    }

    const service = await startService({ directory, config: CONFIG });
    const stored = await drained(service);
    const identities = await count(
      service,
      'SELECT uniqExact(exporter, domain, sequence, record) AS n FROM flows',
    );
    const alerts = await count(service, 'SELECT count() AS n FROM alerts');
    const alertIds = await count(service, 'SELECT uniqExact(alert_id) AS n FROM alerts');
    const opened = await count(
      service,
      "SELECT max(n) AS n FROM (SELECT host, count() AS n FROM alerts WHERE kind = 'opened' GROUP BY host)",
    );
    const innocent = await count(service, "SELECT count() AS n FROM alerts WHERE host = '10.0.0.25'");
    const offenders = await service.client.offenders();
    console.log(
      `sent ${sequence * FLOWS_PER_DATAGRAM}, acknowledged at least ${acknowledged}, stored ${stored}, alerts ${alerts}`,
    );
    await service.end('SIGTERM');

    expect(identities).toBe(stored);
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect(stored).toBeLessThanOrEqual(sequence * FLOWS_PER_DATAGRAM);
    expect(alertIds).toBe(alerts);
    expect(opened).toBe(1);
    expect(innocent).toBe(0);
    expect(offenders.map((row) => row.host).sort()).toEqual(
      [55, 56, 57, 58, 59, 60, 61].map((n) => `10.0.0.${n}`),
    );
  });
});
