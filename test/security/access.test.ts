/** Tokens, roles and sessions: who may do what, and what a stolen or forged cookie is worth. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAccess } from '../../src/http/access/access.ts';
import { createFailures } from '../../src/http/access/failures.ts';
import { createSessions } from '../../src/http/access/sessions.ts';
import type { AccessToken, HttpTokens } from '../../src/http/access/tokens.ts';
import { createHttpServer } from '../../src/http/server.ts';
import type { Alert } from '../../src/messages/alert.ts';
import type { AclDesk } from '../../src/publish/desk.ts';
import { HTTP_DEPENDENCIES, startHttpServer, stopHttpServers } from '../support/http-server.ts';

afterEach(stopHttpServers);

const READ = { name: 'wall', role: 'read', token: 'a-token-that-only-reads' } as const;
const DECIDE = { name: 'ada', role: 'decide', token: 'a-token-that-decides-too' } as const;
const ADMIN = { name: 'root', role: 'admin', token: 'a-token-that-may-do-all' } as const;
const TOKENS = [READ, DECIDE, ADMIN];
const HTTP = { tokens: TOKENS };
function sessionsOf(tokens: readonly AccessToken[], now: () => number) {
  const sessions = createSessions(now);
  sessions.useTokens(tokens);
  return sessions;
}
const JSON_BODY = { 'Content-Type': 'application/json' };

function desk(asked: unknown[]): AclDesk {
  const note = async (request: unknown) => {
    asked.push(request);
    return ['done'];
  };
  return {
    overview: async () => ({ mode: 'propose', hosts: [], targets: [] }),
    diff: async () => '',
    rollbackDiff: async () => '',
    log: async () => [],
    approve: note,
    reject: note,
    release: note,
    block: note,
    rollback: note,
    follow: note,
    forgetLost: note,
  };
}

async function guarded(more: { kiosk?: boolean; webDirectory?: string } = {}) {
  const asked: unknown[] = [];
  const { kiosk = false, ...dependencies } = more;
  const base = await startHttpServer(
    undefined,
    { desk: desk(asked), ...dependencies },
    { tokens: TOKENS, kiosk },
  );
  const as = (token: string, path: string, init: RequestInit = {}) =>
    fetch(base + path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
  const logIn = async (token: string) => {
    const response = await fetch(`${base}/api/v1/session`, {
      method: 'POST',
      headers: JSON_BODY,
      body: JSON.stringify({ token }),
    });
    const cookie = response.headers.get('set-cookie') ?? '';
    return {
      response,
      cookie,
      pair: cookie.split(';')[0],
      answer: (await response.json()) as { csrf: string },
    };
  };
  return { base, asked, as, logIn };
}

/** The fetch of Node sets headers of browsers by itself. */
const plain = (url: string, headers: Record<string, string>): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const asked = request(url, { headers }, (response) => {
      response.resume();
      resolve(response);
    });
    asked.on('error', reject).end();
  });

const approve = (headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { ...JSON_BODY, ...headers },
  body: JSON.stringify({ all: true, by: 'Ada L.' }),
});

describe('a token', () => {
  it('may do what its role says, and no more', async () => {
    const { as } = await guarded();
    const statuses = async (token: string) => [
      (await as(token, '/api/v1/offenders')).status,
      (await as(token, '/api/v1/acl/approve', approve())).status,
      (await as(token, '/api/v1/reload', { method: 'POST', headers: JSON_BODY, body: '{}' })).status,
      (await as(token, '/api/v1/nowhere', { method: 'POST' })).status,
    ];
    expect(await statuses(READ.token)).toEqual([200, 403, 403, 403]);
    expect(await statuses(DECIDE.token)).toEqual([200, 200, 403, 403]);
    expect(await statuses(ADMIN.token)).toEqual([200, 200, 409, 404]);
  });

  it('is named in the audit log, with what its bearer says beside it', async () => {
    const { as, asked } = await guarded();
    await as(DECIDE.token, '/api/v1/acl/approve', approve());
    expect(asked).toMatchObject([{ by: 'Ada L. (ada)' }]);
  });

  it('is told apart from others by all of it, in every way that carries one', async () => {
    const { base } = await guarded();
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${base}/api/v1/offenders`, { headers })).status;
    expect(await status({ Authorization: `Basic ${btoa(`x:${READ.token}`)}` })).toBe(200);
    expect(await status({ 'X-ClickHouse-Key': READ.token })).toBe(200);
    expect(await status({ Authorization: `Bearer ${READ.token}x` })).toBe(401);
    expect(await status({ Authorization: `Bearer ${READ.token.slice(0, -1)}` })).toBe(401);
    expect(await status({ Authorization: 'Bearer undefined' })).toBe(401);
  });

  it('that is wrong too often is refused for a while, right or not; one that was right from there goes on', async () => {
    const { as, logIn, base } = await guarded();
    const { pair } = await logIn(READ.token);
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push((await as(`wrong-${i}`, '/api/v1/offenders')).status);
    expect(statuses).toEqual([...Array(10).fill(401), 429, 429]);
    const limited = await as(ADMIN.token, '/api/v1/offenders');
    expect([limited.status, Number(limited.headers.get('retry-after')) > 0]).toEqual([429, true]);
    expect((await logIn(DECIDE.token)).response.status).toBe(429);
    expect((await as(READ.token, '/api/v1/offenders')).status).toBe(200);
    // A page that is open stays so.
    expect((await fetch(`${base}/api/v1/offenders`, { headers: { Cookie: pair } })).status).toBe(200);
  });

  it('asks a browser with its own dialogue only where a person opened the address', async () => {
    const { base } = await guarded();
    const challenge = async (headers: Record<string, string>) =>
      (await plain(`${base}/api/v1/offenders`, headers)).headers['www-authenticate'];
    expect(await challenge({})).toMatch(/^Basic /);
    expect(await challenge({ 'Sec-Fetch-Site': 'none', 'Sec-Fetch-Mode': 'navigate' })).toMatch(/^Basic /);
    expect(await challenge({ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors' })).toMatch(
      /^Bearer /,
    );
  });
});

describe('a session', () => {
  it('comes with a cookie that no script reads and no other site sends', async () => {
    const { logIn, base } = await guarded();
    const { cookie, pair, answer } = await logIn(DECIDE.token);
    expect(cookie).toMatch(/; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(DECIDE.token);
    expect(answer).toMatchObject({ name: 'ada', role: 'decide', by: 'session', csrf: expect.any(String) });
    const who = await fetch(`${base}/api/v1/session`, { headers: { Cookie: pair } });
    expect(await who.json()).toEqual(answer);
    const proxied = await fetch(`${base}/api/v1/session`, {
      method: 'POST',
      headers: { ...JSON_BODY, 'X-Forwarded-Proto': 'https' },
      body: JSON.stringify({ token: DECIDE.token }),
    });
    expect(proxied.headers.get('set-cookie')).toContain('; Secure');
  });

  it('decides only with the CSRF token of its own, and from a page of this server', async () => {
    const { logIn, base, asked } = await guarded();
    const { pair, answer } = await logIn(DECIDE.token);
    const other = await logIn(DECIDE.token);
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${base}/api/v1/acl/approve`, approve({ Cookie: pair, ...headers }))).status;
    expect(await status({})).toBe(403);
    expect(await status({ 'X-CSRF-Token': 'guess' })).toBe(403);
    expect(await status({ 'X-CSRF-Token': other.answer.csrf })).toBe(403);
    expect(await status({ 'X-CSRF-Token': answer.csrf, Origin: 'https://evil.example' })).toBe(403);
    expect(await status({ 'X-CSRF-Token': answer.csrf, 'Sec-Fetch-Site': 'same-site' })).toBe(403);
    expect(asked).toEqual([]);
    expect(await status({ 'X-CSRF-Token': answer.csrf })).toBe(200);
    expect(asked).toMatchObject([{ by: 'Ada L. (ada)' }]);
  });

  it('is over when it is ended, for whoever has the cookie', async () => {
    const { logIn, base } = await guarded();
    const { pair, answer } = await logIn(DECIDE.token);
    const end = await fetch(`${base}/api/v1/session`, {
      method: 'DELETE',
      headers: { Cookie: pair, 'X-CSRF-Token': answer.csrf },
    });
    expect([end.status, end.headers.get('set-cookie')]).toEqual([200, expect.stringContaining('Max-Age=0')]);
    expect((await fetch(`${base}/api/v1/offenders`, { headers: { Cookie: pair } })).status).toBe(401);
  });

  it('does not come from a wrong token', async () => {
    const { logIn } = await guarded();
    const { response, cookie } = await logIn('a-token-that-is-none');
    expect([response.status, cookie]).toEqual([401, '']);
  });

  it('is bound in time, to its token and role, and outlives a restart', () => {
    let nowMs = 1_000_000;
    const now = () => nowMs;
    const before = sessionsOf(TOKENS, now);
    const { cookie, csrf, expiresMs } = before.open(DECIDE);
    const after = sessionsOf(TOKENS, now);
    expect(after.find(cookie)).toMatchObject({ token: DECIDE, csrf, expiresMs });
    const changed = [{ ...DECIDE, token: 'another-token-of-ada' }];
    const demoted = [{ ...DECIDE, role: 'admin' as const }];
    for (const tokens of [changed, demoted, [READ]]) expect(sessionsOf(tokens, now).find(cookie)).toBeNull();
    nowMs += 12 * 3_600_000;
    expect(after.find(cookie)).toBeNull();
  });

  it('cannot be forged: no part of a cookie can be changed', () => {
    const sessions = sessionsOf(TOKENS, () => 0);
    const { cookie } = sessions.open(READ);
    const [name, expires, id, signature] = cookie.split('~');
    const forged = [
      ['root', expires, id, signature],
      [name, String(Number(expires) + 1), id, signature],
      [name, expires, id.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')), signature],
      [name, expires, id, signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))],
      [name, expires, id, ''],
      [name, 'NaN', id, signature],
    ];
    for (const parts of forged) expect(sessions.find(parts.join('~'))).toBeNull();
    for (const text of ['', '~~~', cookie + cookie, '\0'.repeat(1000)])
      expect(sessions.find(text)).toBeNull();
    expect(sessions.find(cookie)).not.toBeNull();
  });
});

describe('tokens that a reload changed', () => {
  const alert = { alert_id: 'a1', kind: 'opened', host: '192.0.2.55' } as Alert;

  it('are in force at once; sessions and event streams of those that are no more end', async () => {
    let http: HttpTokens = { tokens: [READ, DECIDE] };
    const listeners = new Set<(one: Alert) => void>();
    const base = await startHttpServer(undefined, {
      access: createAccess({ http: () => http, now: Date.now }),
      onAlert: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    });
    const get = (headers: Record<string, string>, path = '/api/v1/offenders') =>
      fetch(base + path, { headers });
    const as = ({ token }: AccessToken) => ({ Authorization: `Bearer ${token}` });
    const logIn = async ({ token }: AccessToken) => {
      const body = JSON.stringify({ token });
      const response = await fetch(`${base}/api/v1/session`, { method: 'POST', headers: JSON_BODY, body });
      return { Cookie: (response.headers.get('set-cookie') ?? '').split(';')[0] };
    };
    const cookies = [await logIn(READ), await logIn(DECIDE)];
    const ended = await logIn(READ);
    const { csrf } = (await (await get(ended, '/api/v1/session')).json()) as { csrf: string };
    const end = { method: 'DELETE', headers: { ...ended, 'X-CSRF-Token': csrf } };
    expect((await fetch(`${base}/api/v1/session`, end)).status).toBe(200);
    const streams = await Promise.all(
      [as(READ), as(DECIDE), ...cookies].map((headers) => get(headers, '/api/v1/events')),
    );
    const texts = streams.map((stream) => stream.text());

    http = { tokens: [READ, { ...DECIDE, token: 'another-token-of-ada' }, ADMIN] };
    const statuses = await Promise.all(
      [as(READ), as(DECIDE), as(ADMIN), ...cookies, ended].map(
        async (headers) => (await get(headers)).status,
      ),
    );
    expect(statuses).toEqual([200, 401, 200, 200, 401, 401]);
    for (const listener of listeners) listener(alert);
    for (const text of [texts[1], texts[3]]) expect(await text).not.toContain('a1');
    await expect.poll(() => listeners.size).toBe(2);

    http = { tokens: [] };
    for (const listener of listeners) listener(alert);
    for (const text of [texts[0], texts[2]]) expect(await text).toContain('a1');
  });
});

it('failures are forgotten with time, and never fill the memory', () => {
  let nowMs = 0;
  const failures = createFailures(() => nowMs);
  for (let i = 0; i < 10; i++) failures.note('192.0.2.1');
  expect(failures.waitOf('192.0.2.1')).toBe(6);
  for (let i = 0; i < 5000; i++) failures.note(`10.0.${i >> 8}.${i & 255}`);
  expect(failures.waitOf('192.0.2.1')).toBe(0);
  for (let i = 0; i < 20; i++) failures.note('192.0.2.2');
  nowMs += 66_000;
  expect(failures.waitOf('192.0.2.2')).toBe(0);
});

describe('a kiosk', () => {
  it('shows the overview without a token, and nothing else', async () => {
    const { base } = await guarded({ kiosk: true });
    const status = async (path: string) => (await fetch(base + path)).status;
    // 503: there is nothing behind it in this test.
    expect(await status('/api/v1/overview')).toBe(503);
    expect(await status('/api/v1/timeseries')).toBe(503);
    expect(await (await fetch(`${base}/api/v1/session`)).json()).toMatchObject({ by: 'kiosk', role: 'read' });
    for (const path of ['/api/v1/hosts', '/api/v1/offenders', '/api/v1/health', '/events', '/metrics'])
      expect([path, await status(path)]).toEqual([path, 401]);
    expect((await fetch(`${base}/api/v1/acl/approve`, approve())).status).toBe(401);
  });

  it('is not there unless it is configured', async () => {
    const { base } = await guarded();
    expect((await fetch(`${base}/api/v1/overview`)).status).toBe(401);
    expect((await fetch(`${base}/api/v1/session`)).status).toBe(401);
  });
});

describe('the page itself', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-web-'));
    mkdirSync(join(directory, 'assets'));
    writeFileSync(join(directory, 'index.html'), '<!doctype html><title>page</title>');
    writeFileSync(join(directory, 'assets', 'index-0123.js'), `// ${'x'.repeat(2000)}`);
    writeFileSync(join(directory, 'secret.key'), 'no file of a known kind');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is served without a token, under a policy that lets nothing in from outside', async () => {
    const { base } = await guarded({ webDirectory: directory });
    for (const path of ['/', '/host/10.2.8.102', '/explore', '/login']) {
      const response = await fetch(base + path);
      expect([path, response.status, await response.text()]).toEqual([
        path,
        200,
        expect.stringContaining('page'),
      ]);
      const policy = response.headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(response.headers.get('cache-control')).toBe('no-cache');
    }
  });

  it('has files that are kept for ever, and gives none but those that were built', async () => {
    const { base } = await guarded({ webDirectory: directory });
    const asset = await fetch(`${base}/assets/index-0123.js`);
    expect([asset.status, asset.headers.get('cache-control'), asset.headers.get('content-encoding')]).toEqual(
      [200, 'public, max-age=31536000, immutable', 'gzip'],
    );
    expect((await asset.text()).length).toBe(2003);
    for (const path of [
      '/assets/none.js',
      '/secret.key',
      '/assets/..%2findex.html',
      '/assets/%2e%2e/%2e%2e/etc/passwd',
    ])
      expect([path, (await fetch(base + path)).status]).not.toEqual([path, 200]);
    expect((await fetch(`${base}/api/v1/hosts`)).status).toBe(401);
  });

  it('may be reached by a link from elsewhere, in a window of its own; its data may not', async () => {
    const { base } = await guarded({ webDirectory: directory });
    const link = {
      'Sec-Fetch-Site': 'cross-site',
      'Sec-Fetch-Mode': 'navigate',
      'Sec-Fetch-Dest': 'document',
    };
    const status = async (path: string, headers: Record<string, string>) =>
      (await fetch(base + path, { headers })).status;
    expect((await plain(`${base}/host/10.2.8.102`, link)).statusCode).toBe(200);
    expect((await plain(`${base}/host/10.2.8.102`, { ...link, 'Sec-Fetch-Dest': 'iframe' })).statusCode).toBe(
      403,
    );
    expect((await plain(`${base}/api/v1/hosts`, link)).statusCode).toBe(403);
    expect((await plain(`${base}/healthz`, link)).statusCode).toBe(403);
    expect(await status('/assets/index-0123.js', { 'Sec-Fetch-Site': 'cross-site' })).toBe(403);
  });
});

it('the roles of both listeners count wrong tokens together', async () => {
  const access = createAccess({ http: () => HTTP, now: () => 0 });
  const server = createHttpServer(
    { listen: { host: '127.0.0.1', port: 0 } },
    { ...HTTP_DEPENDENCIES, access },
  );
  const { port } = await server.start();
  const wrong = { headers: { Authorization: 'Bearer wrong' } };
  try {
    for (let i = 0; i < 10; i++) await fetch(`http://127.0.0.1:${port}/metrics`, wrong);
    expect((await fetch(`http://127.0.0.1:${port}/metrics`, wrong)).status).toBe(429);
  } finally {
    await server.stop();
  }
});
