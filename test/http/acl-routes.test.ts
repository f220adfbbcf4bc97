/** The API where people decide about blocks: who may, and what is asked of the desk. */

import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { RogueSmtpError } from '../../src/errors.ts';
import { createAclRoutes } from '../../src/http/acl-routes.ts';
import type { AclDesk } from '../../src/publish/desk.ts';

function app() {
  const asked: [string, unknown][] = [];
  const note = (what: string) => async (request: unknown) => {
    asked.push([what, request]);
    return [`${what} done`];
  };
  const desk: AclDesk = {
    overview: async () => ({ mode: 'propose', hosts: [], targets: [] }),
    diff: async (target) => `diff of ${target ?? 'all'}`,
    rollbackDiff: async (choice) => JSON.stringify(choice),
    log: async (limit) => [{ at: `${limit}`, by: 'ada', what: 'approve', why: '' }],
    approve: note('approve'),
    reject: note('reject'),
    release: note('release'),
    block: note('block'),
    rollback: note('rollback'),
    follow: note('follow'),
    forgetLost: note('forget-lost'),
  };
  const routes = new Hono().route('/', createAclRoutes(desk));
  routes.onError((error, context) =>
    context.json({ error: error.message }, error instanceof RogueSmtpError ? 400 : 500),
  );
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    routes.request(`http://rogue.example${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', Host: 'rogue.example', ...headers },
    });
  return { routes, asked, post };
}

describe('the API of the desk', () => {
  it('shows what is, what would change and what was done', async () => {
    const { routes } = app();
    expect(await (await routes.request('/')).json()).toMatchObject({ mode: 'propose' });
    expect(await (await routes.request('/diff?target=edge')).text()).toBe('diff of edge');
    expect(await (await routes.request('/rollback?target=edge&family=6')).json()).toEqual({
      target: 'edge',
      family: '6',
    });
    expect(await (await routes.request('/log?limit=3')).json()).toMatchObject([{ at: '3' }]);
  });

  it('takes decisions, with who and why', async () => {
    const { post, asked } = app();
    await post('/approve', { hosts: ['192.0.2.55'], by: 'ada', reason: 'a bot' });
    await post('/approve', { all: true });
    await post(
      '/reject',
      { hosts: ['192.0.2.55'], reason: 'ours' },
      { Authorization: `Basic ${btoa('eve:t')}` },
    );
    await post('/release', { hosts: ['192.0.2.55'], for: '2h' });
    await post('/block', { hosts: ['192.0.2.55'], for: '24h', reason: 'a complaint' });
    await post('/rollback', { target: 'edge', to: '0123abcd' });
    const answer = await post('/follow', { targets: ['edge'] });
    expect(await answer.json()).toEqual({ done: ['follow done'] });
    expect(asked).toMatchObject([
      ['approve', { hosts: ['192.0.2.55'], by: 'ada', reason: 'a bot' }],
      ['approve', { hosts: [], by: 'api', reason: '' }],
      ['reject', { by: 'eve', reason: 'ours' }],
      ['release', { forMs: 7_200_000 }],
      ['block', { hosts: ['192.0.2.55'], forMs: 86_400_000, by: 'api', reason: 'a complaint' }],
      ['rollback', { target: 'edge', to: '0123abcd' }],
      ['follow', { targets: ['edge'] }],
    ]);
  });

  it.each([
    ['/approve', {}],
    ['/approve', { hosts: ['192.0.2.55'], all: true }],
    ['/reject', { hosts: [] }],
    ['/reject', { hosts: ['192.0.2.55'], reason: 'two\nlines' }],
    ['/release', { hosts: ['192.0.2.55'], for: 'long' }],
    ['/block', { hosts: ['192.0.2.55'], reason: 'no end' }],
    ['/block', { hosts: ['192.0.2.55'], for: '24h' }],
    ['/block', { hosts: ['192.0.2.55'], for: '24h', reason: '  ' }],
    ['/block', { hosts: ['192.0.2.55'], for: '0s', reason: 'no time' }],
    ['/block', { hosts: [], for: '24h', reason: 'nobody' }],
    ['/rollback', { to: '../../etc' }],
    ['/follow', { targets: ['edge'], more: 1 }],
    ['/follow', 'no JSON'],
  ])('does nothing for a wrong question: %s %j', async (path, body) => {
    const { post, asked } = app();
    expect((await post(path, body)).status).toBe(400);
    expect(asked).toEqual([]);
  });

  it.each<[string, Record<string, string>, number]>([
    ['of another site', { Origin: 'https://evil.example' }, 403],
    ['of another port', { Origin: 'http://rogue.example:8080' }, 403],
    ['of a sandboxed page', { Origin: 'null' }, 403],
    ['that a browser calls cross-site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['sent as a form', { 'Content-Type': 'text/plain' }, 400],
  ])('refuses a request %s', async (_what, headers, status) => {
    const { post, asked } = app();
    expect((await post('/approve', { all: true }, headers)).status).toBe(status);
    expect(asked).toEqual([]);
  });

  it('takes one from a page of its own', async () => {
    const { post, asked } = app();
    const own = { Origin: 'http://rogue.example', 'Sec-Fetch-Site': 'same-origin' };
    expect((await post('/approve', { all: true }, own)).status).toBe(200);
    expect(asked).toHaveLength(1);
  });
});
