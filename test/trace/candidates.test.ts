import { describe, expect, it } from 'vitest';
import { answerOf, type Findings } from '../../src/trace/candidates.ts';
import { complaintOf } from '../../src/trace/complaint.ts';
import type { HostMatch } from '../../src/trace/search.ts';

const AT = '2026-11-28T14:05:00.000Z';
const withPort = complaintOf({
  at: AT,
  source: '203.0.113.5',
  sourcePort: 40_001,
  destination: '198.51.100.25',
  destinationPort: 25,
});
const withoutPort = complaintOf({ at: AT, source: '203.0.113.5' });

const match = (host: string, more: Partial<HostMatch> = {}): HostMatch => ({
  host,
  records: 2,
  first: '2026-11-28T14:04:00Z',
  last: '2026-11-28T14:05:30Z',
  at_the_time: 1,
  by_address: 0,
  by_port: 0,
  by_own_port: 0,
  peers: 1,
  some_peers: ['198.51.100.25'],
  peer_ports: [25],
  exporters: ['192.0.2.1'],
  packets: 20,
  bytes: 2000,
  ...more,
});

const findings = (matches: readonly HostMatch[], translated: number): Findings => ({
  matches,
  searched: { records: 10, translated, sampling: 1, oldest: '2026-11-27T00:00:00Z' },
  incidents: [],
  onlyMail: false,
});

const sure = (complaint: typeof withPort, matches: readonly HostMatch[], translated: number) =>
  answerOf(complaint, findings(matches, translated)).candidates.map(({ host, sure }) => `${host} ${sure}`);

describe('the answer to a complaint', () => {
  it('is certain where records name address and port for one host alone', () => {
    const matches = [match('10.0.0.5', { by_address: 2, by_port: 1 }), match('10.0.0.6', { by_address: 2 })];
    expect(sure(withPort, matches, 4)).toEqual(['10.0.0.5 certain', '10.0.0.6 possible']);
    expect(answerOf(withPort, findings(matches, 4)).missing).toEqual([]);
  });

  it('is not certain where a port was given out twice, and says what would settle it', () => {
    const matches = [
      match('10.0.0.5', { by_address: 2, by_port: 2 }),
      match('10.0.0.6', { by_address: 1, by_port: 1 }),
    ];
    expect(sure(withPort, matches, 3)).toEqual(['10.0.0.5 possible', '10.0.0.6 possible']);
    expect(answerOf(withPort, findings(matches, 3)).missing).toEqual([
      'Records name port 40001 for 2 hosts within ± 300 s: ask for a more exact time.',
    ]);
  });

  it('says when no record names the port of the complaint', () => {
    const matches = [match('10.0.0.5', { by_address: 2, by_own_port: 1 }), match('10.0.0.6')];
    expect(sure(withPort, matches, 2)).toEqual(['10.0.0.5 likely', '10.0.0.6 possible']);
    expect(answerOf(withPort, findings(matches, 2)).missing).toEqual([
      'Records of that time name translated addresses, and none of a matching flow names port 40001.',
    ]);
  });

  it('names nobody for sure by time and server, and says what is missing', () => {
    const matches = [match('10.0.0.5'), match('10.0.0.6')];
    expect(sure(withoutPort, matches, 0)).toEqual(['10.0.0.5 possible', '10.0.0.6 possible']);
    expect(answerOf(withoutPort, findings(matches, 0)).missing).toEqual([
      expect.stringMatching(/^No record of that time names a translated address/),
      expect.stringMatching(/^The complaint tells no source port/),
      expect.stringMatching(/^The complaint names no server/),
    ]);
  });
});
