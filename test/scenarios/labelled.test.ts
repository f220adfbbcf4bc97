/** Real traffic with known labels (LABELLED_DIR, else ../shared/labelled beside the project): what must be said of it. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import type { FlowBatch } from '../../src/flow/batch.ts';
import { type ReplayResult, replayFiles } from '../../src/replay/replay.ts';

const LABELLED_DIR =
  process.env.LABELLED_DIR ?? fileURLToPath(new URL('../../../shared/labelled', import.meta.url));
const missing = !existsSync(`${LABELLED_DIR}/README.md`);
if (missing && process.env.REQUIRE_ALL === '1')
  throw new Error(`REQUIRE_ALL is set, but ${LABELLED_DIR} is not there`);

/** Replays a file with one authorised sender and blocks published: the configuration that can do harm. */
async function replay(name: string, ...internal: string[]) {
  const config = configSchema.parse({
    networks: { internal },
    senders: [{ name: 'mail', hosts: ['192.0.2.25'] }],
    block: { mode: 'publish' },
  });
  let toMail = 0;
  const onFlows = async ({ length, columns }: FlowBatch) => {
    for (let row = 0; row < length; row++)
      if (columns.protocol[row] === 6 && columns.dst_port[row] === 25) toMail++;
  };
  const result = await replayFiles([`${LABELLED_DIR}/${name}`], config, { onFlows });
  return { ...result, toMail, log: result.summary.logs[0] };
}

/** Every line is a flow, or counted, and none was not understood. */
function expectWholeAccount({ summary }: ReplayResult): void {
  for (const { lines, flows, skipped, rejected } of summary.logs) {
    expect(rejected).toEqual({});
    expect(flows + Object.values(skipped).reduce((sum, n) => sum + n, 0)).toBe(lines);
  }
}

describe.skipIf(missing)('labelled traffic (needs ../shared/labelled)', () => {
  it('an Nmap run over private networks: no more than attempts, and nothing blocked', async () => {
    const scan = await replay('zeek/002-conn.log.gz', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16');
    expectWholeAccount(scan);
    expect(scan.log).toMatchObject({ format: 'Zeek conn (JSON)', lines: 4504 });
    // Two of the 38 rows have no packet of the scanner.
    expect(scan.toMail).toBe(36);
    // All internal to internal, but for the scanner's probes of 0.0.0.4.
    expect(scan.incidents).toMatchObject([
      { host: '172.16.1.11', grade: 'attempted', sessions: 0, block: { state: 'none' } },
    ]);
  });

  it('the same run with the scanner as the only internal host: attempts, and the one answer that holds data', async () => {
    const { incidents } = await replay('zeek/002-conn.log.gz', '172.16.1.11');
    // One server sent a banner, and Zeek saw no packet of the client (bad checksums).
    expect(incidents.reduce((sum, incident) => sum + incident.sessions, 0)).toBe(1);
    expect(incidents.flatMap(({ flags }) => flags)).toContain('half_seen');
    for (const { grade, block } of incidents) {
      expect(['attempted', 'connected']).toContain(grade);
      expect(block.state).toBe('none');
    }
  });

  it.each([
    ['008', 5671, 5],
    ['011', 9056, 7],
  ])('a normal host for a day (%s): inbound SYNs only, no offender', async (name, lines, rows) => {
    const day = await replay(`zeek/${name}-conn.log.labeled.gz`, '147.32.0.0/16');
    expectWholeAccount(day);
    expect(day.log).toMatchObject({ format: 'Zeek conn', lines });
    expect([day.toMail, day.summary.mail_flows]).toEqual([rows, rows]);
    expect(day.alerts).toEqual([]);
    expect(day.incidents).toEqual([]);
  });

  it('inbound probes answered by RST: the host that answers is no sender', async () => {
    const probes = await replay('suricata-eve.json.gz', '192.168.0.0/16');
    expectWholeAccount(probes);
    expect(probes.log).toMatchObject({ format: 'Suricata EVE', lines: 5000, flows: 3512 });
    expect([probes.toMail, probes.summary.mail_flows]).toEqual([3, 6]);
    expect(probes.alerts).toEqual([]);
    expect(probes.incidents).toEqual([]);
  });
});
