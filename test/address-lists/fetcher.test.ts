import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { renderFor } from '../../src/publish/acl-request.ts';
import type { Reloader } from '../../src/service/reloader.ts';
import { type FollowedLists, followLists } from '../support/following-lists.ts';

let directory: string;
let server: Server;
let port: number;
let respond: (request: IncomingMessage, response: ServerResponse) => void;
let requests: IncomingMessage[];
const running: FollowedLists[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-fetch-'));
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    respond(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  ({ port } = address);
});
afterEach(async () => {
  for (const lists of running.splice(0)) await lists.stop();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
  rmSync(directory, { recursive: true });
});

const text = (body: string, headers: Record<string, string> = {}, status = 200) => {
  respond = (_, response) => response.writeHead(status, headers).end(body);
};
const configText = (extra = '') => `data: ${directory}/data
lists: [{ name: provider, url: "http://127.0.0.1:${port}/list.txt?token=s3cret", interval: 1s${extra} }]
senders: [{ name: app, hosts: [10.0.0.9], to: [192.0.2.1], to_lists: [provider] }]
block: { mode: publish, never_lists: [provider] }
`;

function start({ config = configText(), timeoutMs = 10_000 } = {}) {
  const lists = followLists(directory, config, { timeoutMs });
  running.push(lists);
  return lists;
}
const soon = { timeout: 15_000 };
const render = (reloader: Reloader) =>
  renderFor(reloader.config, [], { platform: 'cisco-ios', kind: 'offenders', family: '4' }, Date.now());

describe('a list of prefixes from a URL', () => {
  it('is fetched, kept and put in force; then asked for conditionally, and an unchanged one stays', async () => {
    respond = (request, response) => {
      if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end();
      else
        response
          .writeHead(200, { etag: '"one"', 'last-modified': 'Tue, 03 Nov 2026 10:00:00 GMT' })
          .end('# hi\r\n198.51.100.0/24\n2001:db8:5::/48\n');
    };
    const { never, begin, fetcher, reloader, logged } = start();
    begin();
    await expect.poll(never, soon).toEqual(['198.51.100.0/24', '2001:db8:5::/48']);
    await expect.poll(() => fetcher.counters.unchanged, soon).toBeGreaterThan(0);
    expect(requests[1].headers['if-modified-since']).toBe('Tue, 03 Nov 2026 10:00:00 GMT');
    expect(fetcher.counters).toMatchObject({ fresh: 1, refused: 0, failed: 0 });
    expect(reloader.listStates()).toMatchObject([
      {
        name: 'provider',
        source: `http://127.0.0.1:${port}/list.txt`,
        state: 'fresh',
        entries: 2,
        error: null,
      },
    ]);
    expect(readdirSync(join(directory, 'data/lists'))).toHaveLength(1);
    expect(logged.join('\n')).not.toContain('s3cret');
  });

  it('follows a change and a gzipped answer', async () => {
    text('198.51.100.0/24\n');
    const { never, begin } = start();
    begin();
    await expect.poll(never, soon).toEqual(['198.51.100.0/24']);
    respond = (_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('203.0.113.0/24\n'));
    await expect.poll(never, soon).toEqual(['203.0.113.0/24']);
  });

  const broken: [string, (request: IncomingMessage, response: ServerResponse) => void, RegExp][] = [
    ['an error', (_, response) => response.writeHead(500).end('198.51.100.0/24'), /HTTP 500/],
    ['a page', (_, response) => response.end('<html>198.51.100.0/24</html>'), /not an IP address/],
    ['nothing', (_, response) => response.end('# none today\n'), /holds no entry/],
    ['the whole world', (_, response) => response.end('0.0.0.0/1\n128.0.0.0/1\n'), /too wide/],
    ['too much', (_, response) => response.end('#'.repeat(1_100_000)), /larger than/],
    [
      'too much once unpacked',
      (_, response) =>
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('#'.repeat(30_000_000))),
      /larger than/,
    ],
    [
      'a redirect loop',
      (_, response) => response.writeHead(302, { location: '/list.txt?token=s3cret' }).end(),
      /redirects/,
    ],
    [
      'a redirect to a file',
      (_, response) => response.writeHead(302, { location: 'file:///etc/hosts' }).end(),
      /no http or https/,
    ],
    ['a hang', () => undefined, /no answer in time/],
    ['a broken connection', (request) => request.socket.destroy(), /127\.0\.0\.1:\d+\/list\.txt: /],
    ['half an answer', (_, response) => response.writeHead(200).write('198.51.'), /no answer in time/],
    ['an unasked 304', (_, response) => response.writeHead(304).end(), /HTTP 304/],
  ];
  it.each(broken)('keeps the last good copy when the answer is %s', async (_, hostile, complaint) => {
    text('198.51.100.0/24\n');
    const first = start();
    first.begin();
    await expect.poll(first.never, soon).toEqual(['198.51.100.0/24']);
    const [{ file: copy }] = first.reloader.lists;
    await running[0].fetcher.stop();
    // As if there were no validators, so that a 304 is unasked for.
    writeFileSync(copy, '198.51.100.0/24\n');
    const old = new Date(Date.now() - 60_000);
    utimesSync(copy, old, old);
    respond = hostile;
    const second = start({ timeoutMs: 500 });
    second.begin();
    const problem = () => second.reloader.listStates()[0].error;
    await expect.poll(problem, soon).toMatch(complaint);
    expect(problem()).not.toContain('s3cret');
    expect(second.never()).toEqual(['198.51.100.0/24']);
    expect(second.reloader.listStates()[0].state).toBe('fresh');
    expect(second.logged.join('\n')).toMatch(/the last good copy stays/);
    expect(second.logged.join('\n')).not.toContain('s3cret');
    expect(Math.round(statSync(copy).mtimeMs)).toBe(old.getTime());
  });

  it('is used from the copy at a restart while the URL is away, and told once when it is stale', async () => {
    text('198.51.100.0/24\n');
    const first = start();
    first.begin();
    await expect.poll(first.never, soon).toEqual(['198.51.100.0/24']);
    await first.fetcher.stop();
    const [{ file: copy }] = first.reloader.lists;
    const old = new Date(Date.now() - 2 * 86_400_000);
    utimesSync(copy, old, old);
    text('', {}, 503);
    const again = start();
    expect(again.never()).toEqual(['198.51.100.0/24']);
    expect(() => render(again.reloader)).not.toThrow();
    again.begin();
    await expect.poll(() => again.alerts, soon).toHaveLength(1);
    await expect.poll(() => again.fetcher.counters.failed, soon).toBeGreaterThan(1);
    expect(again.alerts).toHaveLength(1);
    expect(again.alerts[0]).toMatchObject({ kind: 'coverage', coverage: { cause: 'list_stale' } });
    expect(again.alerts[0].reasons[0]).toMatch(/"provider" is stale/);
    expect(again.reloader.listStates()[0].state).toBe('stale');
  });

  it('that was never had is not empty: nothing is blocked or published, and its senders raise no alerts', async () => {
    text('', {}, 503);
    const { reloader, begin, alerts, never } = start();
    expect(reloader.config.missingLists).toEqual(['provider']);
    expect(() => render(reloader)).toThrow(/"provider" could not be had/);
    const policy = compilePolicy(reloader.config);
    expect(policy.missingLists).toMatch(/provider/);
    expect(reloader.config.senders[0].to).toBe('any');
    begin();
    await expect.poll(() => alerts, soon).toHaveLength(1);
    expect(alerts[0].reasons[0]).toMatch(/could not be had .*HTTP 503.*nothing is blocked/);
    expect([...reloader.listAges()]).toEqual([['provider', Number.POSITIVE_INFINITY]]);
    text('198.51.100.0/24\n');
    await expect.poll(never, soon).toEqual(['198.51.100.0/24']);
    expect(reloader.config.missingLists).toBeUndefined();
    expect(() => render(reloader)).not.toThrow();
    expect(compilePolicy(reloader.config).missingLists).toBeNull();
  });

  it('that is new in the configuration leaves the one before in force until it is there', async () => {
    text('', {}, 503);
    const { reloader, begin, file, never } = start({ config: 'block: { never: [192.0.2.7] }\n' });
    begin();
    writeFileSync(file, configText());
    await expect.poll(() => reloader.state.error, soon).toMatch(/waits for the list "provider"/);
    expect(never()).toEqual(['192.0.2.7']);
    text('198.51.100.0/24\n');
    await expect.poll(never, soon).toEqual(['198.51.100.0/24']);
    expect(reloader.state.error).toBeNull();
  });

  it.each([
    ['url: "ftp://192.0.2.1/x"', /http or https/],
    ['url: "http://user:geheim@192.0.2.1/x"', /without user and password/],
    ['url: "http://192.0.2.1/x", file: x', /one of file and url/],
    ['stale_after: 1d', /one of file and url/],
    ['url: "http://192.0.2.1/x", interval: 1ms', /at least 1s/],
  ])('is refused when it is written as %s', (entry, complaint) => {
    const file = join(directory, 'c.yaml');
    writeFileSync(file, `lists: [{ name: provider, ${entry} }]\n`);
    const complaintOf = () => {
      try {
        loadConfig({ file });
        return '';
      } catch (error) {
        return String(error);
      }
    };
    expect(complaintOf()).toMatch(complaint);
    expect(complaintOf()).not.toContain('geheim');
  });
});
