/** Against rbldnsd, the server that lists themselves run, and against resolvers that lie. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlocklistResolver } from '../../src/blocklist-watch/ask.ts';
import { type BlocklistWatch, createBlocklistWatch } from '../../src/blocklist-watch/watch.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { incidentMessage, silentLog } from '../store/fixture.ts';
import { type Rbldnsd, startRbldnsd } from '../support/rbldnsd.ts';
import { missingTools } from '../support/requirements.ts';

const ZONE = 'dnsbl.example.net';
const ADDRESS = '203.0.113.5';
const V6 = '2001:db8::5';

let directory: string;
let watch: BlocklistWatch | null = null;
let told: Alert[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-blocklists-'));
  told = [];
});
afterEach(async () => {
  await watch?.stop();
  watch = null;
  rmSync(directory, { recursive: true, force: true });
});

function watching(given: {
  servers?: string[];
  resolver?: BlocklistResolver;
  addresses?: string[];
  incidents?: () => readonly Incident[];
}): BlocklistWatch {
  const { servers = [], resolver, addresses = [ADDRESS, V6], incidents = () => [] } = given;
  const config = configSchema.parse({ blocklists: { addresses, zones: [ZONE], servers }, data: directory });
  watch = createBlocklistWatch({
    config,
    incidents,
    tell: (alert) => told.push(alert),
    log: silentLog,
    now: Date.now,
    policyVersion: () => 'p1',
    pauseMs: 0,
    ...(resolver !== undefined && { resolver }),
  });
  return watch;
}

const news = () => told.map(({ finding, host }) => `${finding?.type} ${host}`);

const missing = missingTools('/usr/sbin/rbldnsd');
describe.skipIf(missing.length > 0)('a real list; skipped without rbldnsd', () => {
  let server: Rbldnsd;

  beforeEach(async () => {
    server = await startRbldnsd(ZONE, directory);
  });
  afterEach(() => server.stop());

  it('tells when an address gets on it and off it, once each, over a restart too', async () => {
    const bot = incidentMessage({
      host: '10.2.8.102',
      grade: 'bulk',
      first_seen: new Date(Date.now() - 1_500_000).toISOString(),
      last_seen: new Date(Date.now() - 60_000).toISOString(),
    });
    let looking = watching({ servers: [server.address], incidents: () => [bot] });
    await looking.look();
    expect(news()).toEqual([]);
    expect([...looking.troubles()]).toEqual([]);

    await server.list([ADDRESS, V6]);
    await looking.look();
    await looking.look();
    expect(news()).toEqual([`blocklisted ${ADDRESS}`, `blocklisted ${V6}`]);
    expect(told[0].reasons[0]).toBe(
      `${ADDRESS} is on the blocklist ${ZONE}: answer 127.0.0.4. The list says: see https://lookup.example.net/${ADDRESS}`,
    );
    expect(told[0].reasons[1]).toMatch(/^10\.2\.8\.102 may be why: bulk since /);
    expect(told[0].reasons.at(-1)).toContain(`--source ${ADDRESS}`);

    await looking.stop();
    looking = watching({ servers: [server.address] });
    await looking.start();
    await looking.look();
    expect(news()).toHaveLength(2);

    await server.list([V6]);
    await looking.look();
    expect(news().slice(2)).toEqual([`delisted ${ADDRESS}`]);
    expect(looking.listings().map(({ address }) => address)).toEqual([V6]);
  });

  it('takes a list that has gone for no news', async () => {
    await server.list([ADDRESS]);
    const looking = watching({ servers: [server.address] });
    await looking.look();
    await server.empty();
    await looking.look();
    expect(news()).toEqual([`blocklisted ${ADDRESS}`]);
    expect(looking.troubles().get(ZONE)).toMatch(/does not list the test address/);
  });
});

describe('resolvers that cannot be believed', () => {
  const notFound = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
  const resolver = (resolve4: (name: string) => Promise<string[]>): BlocklistResolver => ({
    resolve4,
    resolveTxt: notFound,
    cancel: () => undefined,
  });

  it.each([
    ['refused as a public one', () => Promise.resolve(['127.255.255.254']), /public resolver/],
    ['a page for mistyped names', () => Promise.resolve(['198.51.100.1']), /no list does/],
    ['everything is listed', () => Promise.resolve(['127.0.0.2']), /lists everything/],
    ['nothing is there', notFound, /does not list the test address/],
    ['no answer', () => Promise.reject(Object.assign(new Error('x'), { code: 'ETIMEOUT' })), /ETIMEOUT/],
  ])('%s', async (_name, answer, why) => {
    const looking = watching({ resolver: resolver(answer) });
    await looking.look();
    expect(news()).toEqual([]);
    expect(looking.troubles().get(ZONE)).toMatch(why);
  });

  it('keeps what is listed when the file is damaged, by telling it again', async () => {
    writeFileSync(join(directory, 'blocklists.json'), '{"listings": [{}');
    const looking = watching({
      addresses: [ADDRESS],
      resolver: resolver((name) =>
        /^(2\.0\.0\.127|5\.113\.0\.203)\./.test(name) ? Promise.resolve(['127.0.0.2']) : notFound(),
      ),
    });
    await looking.start();
    await looking.look();
    expect(news()).toEqual([`blocklisted ${ADDRESS}`]);
  });
});
