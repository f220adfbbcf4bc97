/** Equal addresses of two sites are two hosts in what the store tells, too. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { encodeNative } from '../../src/flow/native.ts';
import * as queries from '../../src/store/queries.ts';
import { senderHours } from '../../src/store/sender-hours.ts';
import {
  chdbInstalled,
  type FlowRow,
  flowBatch,
  incidentMessage,
  openTestStore,
  type TestStore,
  withoutChdb,
} from './fixture.ts';

const NOW = Date.UTC(2026, 2, 1, 10);
const HOST = '10.0.0.25';
const NORTH = { exporter: '192.0.2.1', vrf: 1 };
const SOUTH = { exporter: '192.0.2.2', vrf: 2 };
const BEYOND = { exporter: '192.0.2.3' };
const iso = (ms: number) => new Date(ms).toISOString();

let port = 40_000;
function session(at: Partial<FlowRow>, src: string, dst: string): FlowRow[] {
  const clientPort = port++;
  return [
    { ...at, at: NOW, src, dst, srcPort: clientPort, dstPort: 25, packets: 12, bytes: 3000 },
    { ...at, at: NOW + 5, src: dst, dst: src, srcPort: 25, dstPort: clientPort, packets: 10, bytes: 900 },
  ];
}

const flows = [
  // A mail server at north, a bot at south, and somebody outside of both.
  ...session(NORTH, '198.51.100.1', HOST),
  ...session(NORTH, '198.51.100.2', HOST),
  ...session(NORTH, HOST, '203.0.113.1'),
  ...[2, 3, 4].flatMap((i) => session(SOUTH, HOST, `203.0.113.${i}`)),
  ...session(BEYOND, HOST, '203.0.113.9'),
];

/** The same sites by what routers say of themselves, by VRF, and by both. */
const WAYS = {
  exporters: [
    { name: 'north', exporters: ['192.0.2.1/32'] },
    { name: 'south', exporters: ['192.0.2.2'] },
  ],
  VRF: [
    { name: 'north', vrf: 1 },
    { name: 'south', vrf: 2 },
  ],
  'VRF and exporters': [
    { name: 'none', vrf: 1, exporters: ['192.0.2.2'] },
    { name: 'north', vrf: 1, exporters: ['192.0.2.0/24'] },
    { name: 'south', exporters: ['192.0.2.2'] },
  ],
} as const;

describe.skipIf(!chdbInstalled)(chdbInstalled ? 'a store with sites' : withoutChdb, () => {
  let store: TestStore;
  beforeAll(async () => {
    store = await openTestStore();
    await store.engine.insertNative('flows', { bytes: [encodeNative(flowBatch(flows))] }, { token: 'flows' });
    const incident = (incident_id: string, site: string) =>
      JSON.stringify({ message: JSON.stringify(incidentMessage({ incident_id, host: HOST, site })) });
    await store.engine.insertJson(
      'incidents',
      [incident('n', 'north'), incident('s', 'south'), incident('o', '')],
      {
        token: 'incidents',
      },
    );
  });
  afterAll(() => store.close());

  test.each(Object.entries(WAYS))(
    'inventory and hours of senders by site, told apart by %s',
    async (_, given) => {
      const { networks } = configSchema.parse({ networks: { internal: ['10.0.0.0/8'], sites: given } });
      const rows = await queries.inventory(store.engine, networks);
      const told = rows.map(({ host, site, likely_mail_server, sessions_in, destinations }) => [
        host,
        site,
        likely_mail_server,
        sessions_in,
        destinations,
      ]);
      expect(told).toEqual([
        [HOST, 'north', true, 2, 1],
        [HOST, 'south', false, 0, 3],
        [HOST, '', false, 0, 1],
      ]);
      expect(await queries.inventory(store.engine, { ...networks, since: iso(NOW) })).toHaveLength(3);
      const hours = await senderHours(store.engine, {
        senders: networks.internal,
        internal: networks.internal,
        sites: networks.sites,
        sinceMs: NOW - 1,
      });
      expect(hours.map(({ site, destinations }) => `${site} ${destinations}`).sort()).toEqual([
        ' 1',
        'north 1',
        'south 3',
      ]);
      const records = async (site: string) =>
        (
          await queries.evidence(store.engine, {
            host: HOST,
            site,
            sites: networks.sites,
            from: iso(NOW),
            to: iso(NOW + 10),
            limit: 100,
          })
        ).length;
      expect([await records('north'), await records('south'), await records('')]).toEqual([6, 6, 2]);
      expect(await records('gone')).toBe(14);
    },
  );

  test('an incident is that of one site, and a host of several must be named with it', async () => {
    const id = async (text: string) => (await queries.incident(store.engine, text))?.incident_id;
    expect([
      await id(`${HOST}@north`),
      await id(`${HOST}@south`),
      await id(`${HOST}@`),
      await id('s'),
    ]).toEqual(['n', 's', 'o', 's']);
    await expect(id(HOST)).rejects.toThrow(/host of several sites: say 10\.0\.0\.25@/);
    expect(await id(`${HOST}@nowhere`)).toBeUndefined();
  });
});
