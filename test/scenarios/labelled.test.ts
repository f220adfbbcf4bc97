/** Real traffic with known labels (LABELLED_DIR, else ../shared/labelled beside the project): what must be said of it. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { detect } from '../support/detecting.ts';
import { suricataFlows, zeekConn } from '../support/flow-logs.ts';
import { HOUR } from '../support/flows.ts';

const LABELLED_DIR =
  process.env.LABELLED_DIR ?? fileURLToPath(new URL('../../../shared/labelled', import.meta.url));
const missing = !existsSync(`${LABELLED_DIR}/README.md`);
const read = (name: string) => gunzipSync(readFileSync(`${LABELLED_DIR}/${name}`)).toString('utf8');

const strict = (...internal: string[]) => ({
  networks: { internal },
  senders: [{ name: 'mail', hosts: ['192.0.2.25'] }],
  block: { mode: 'publish' as const },
});

describe.skipIf(missing)('labelled traffic (needs ../shared/labelled)', () => {
  it('an Nmap run over private networks: no more than attempts, and nothing blocked', () => {
    const flows = zeekConn(read('zeek/002-conn.log.gz'));
    // Two of the 38 rows have no packet of the scanner.
    expect(flows.filter(({ toPort }) => toPort === 25)).toHaveLength(36);
    const config = strict('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16');
    const { incidents } = detect(flows, { config, upTo: HOUR });
    // All internal to internal, but for the scanner's probes of 0.0.0.4.
    expect(incidents).toMatchObject([
      { host: '172.16.1.11', grade: 'attempted', sessions: 0, block: { state: 'none' } },
    ]);
  });

  it('the same run with the scanner as the only internal host: attempts, and the one answer that holds data', () => {
    const flows = zeekConn(read('zeek/002-conn.log.gz'));
    const config = strict('172.16.1.11');
    const scan = detect(
      flows.filter(({ toPort }) => toPort === 25),
      { config, upTo: HOUR },
    );
    expect(scan.incidents.length).toBeGreaterThan(0);
    for (const { grade, block } of scan.incidents)
      expect([grade, block.state]).toEqual(['attempted', 'none']);
    // With the replies: one server sent a banner, and Zeek saw no packet of the client (bad checksums).
    const whole = detect(flows, { config, upTo: HOUR }).incidents;
    expect(whole.reduce((sum, incident) => sum + incident.sessions, 0)).toBe(1);
    expect(whole.flatMap(({ flags }) => flags)).toContain('half_seen');
    for (const { grade, block } of whole) {
      expect(['attempted', 'connected']).toContain(grade);
      expect(block.state).toBe('none');
    }
  });

  it.each([
    ['008', 5],
    ['011', 7],
  ])('a normal host for a day (%s): inbound SYNs only, no offender', (name, rows) => {
    const flows = zeekConn(read(`zeek/${name}-conn.log.labeled.gz`));
    expect(flows).toHaveLength(rows);
    const { incidents, detector } = detect(flows, { config: strict('147.32.0.0/16'), upTo: HOUR });
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored.inbound).toBe(rows);
  });

  it('inbound probes answered by RST: the host that answers is no sender', () => {
    const flows = suricataFlows(read('suricata-eve.json.gz'));
    expect(flows).toHaveLength(6);
    const { incidents } = detect(flows, { config: strict('192.168.0.0/16'), upTo: HOUR });
    expect(incidents).toEqual([]);
  });
});
