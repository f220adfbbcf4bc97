/** A browser on the built page: Debian's chromium, driven by playwright-core, with the page's own policy in force. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { type Browser, type BrowserContext, chromium, type Page, type Route } from 'playwright-core';
import { readWebFiles } from '../../../src/http/web-files.ts';
import type { Alert } from '../../../src/messages/alert.ts';
import { missingTools } from '../../support/requirements.ts';
import * as answers from './answers.ts';

const CHROMIUM = '/usr/bin/chromium';

/** What stands against running a browser, in words; null when nothing does. */
export function lacksBrowser(): string | null {
  if (missingTools(CHROMIUM).length === 0) return null;
  if (process.env.REQUIRE_ALL === '1') throw new Error('REQUIRE_ALL is set, but: needs chromium');
  return 'needs chromium';
}

export const launchBrowser = (): Promise<Browser> =>
  // Tests run as root in containers, where chromium's own sandbox cannot start.
  chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });

export const WEB = fileURLToPath(new URL('../../../dist/web/', import.meta.url));

/** The page's files alone, with the headers of the service; the API is what a test makes of it. */
export async function servePage(): Promise<{ readonly base: string; stop(): Promise<void> }> {
  const files = readWebFiles(WEB);
  if (files === null) throw new Error('the page is not built: npm run build');
  const app = new Hono();
  app.get('*', (context) => files.answer(context));
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) =>
      resolve({
        base: `http://127.0.0.1:${port}`,
        stop: () => new Promise((done) => server.close(() => done())),
      }),
    );
  });
}

type Answer = (url: URL, route: Route) => unknown;
/** Answers by path below /api/v1; the first that fits. */
export type Answers = readonly (readonly [path: RegExp, answer: Answer])[];

const USUAL: Answers = [
  [/^\/session$/, () => answers.session],
  [/^\/overview$/, () => answers.overview()],
  [/^\/timeseries$/, () => answers.series()],
  [/^\/hosts$/, () => answers.hosts()],
  [/\/what-if$/, () => answers.whatIf()],
  [/^\/hosts\//, () => answers.host()],
  [/^\/blocks$/, () => answers.blocks()],
  [/^\/blocks\//, () => answers.listText],
  [/^\/coverage$/, () => answers.coverage()],
  [/^\/explore$/, () => answers.explore()],
  [/^\/inventory$/, () => answers.inventory()],
  [/^\/health$/, () => answers.health()],
  [/^\/acl\/log$/, () => answers.auditLog()],
  [/^\/acl\/render$/, () => ({ text: answers.listText.text, entries: 1, left_out: [] })],
  [/^\/acl\/\w+$/, () => ({ done: ['Done.'] })],
];

/** Answers with an error, as the service words it. */
export class Refusal {
  readonly status: number;
  readonly detail: string;
  constructor(status: number, detail: string) {
    this.status = status;
    this.detail = detail;
  }
}

/** What went wrong in the page: errors, and what its policy refused. */
export interface Trouble {
  readonly errors: string[];
}

interface Stub {
  readonly emit: (kind: string, data: string) => void;
  readonly fail: () => void;
}

/**
 * A page whose API answers as a test says; alerts are sent by `sendAlert`. Errors of scripts and refusals by the policy are collected.
 */
export async function openWithAnswers(
  context: BrowserContext,
  own: Answers = [],
): Promise<Page & { sendAlert(alert: Alert): Promise<void>; readonly trouble: Trouble }> {
  const page = await context.newPage();
  const trouble: Trouble = { errors: [] };
  page.on('pageerror', (error) => trouble.errors.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) trouble.errors.push(message.text());
  });
  await page.addInitScript(() => {
    const listeners = new Map<string, (event: { data: string }) => void>();
    const global = globalThis as unknown as { EventSource: unknown; stub: Stub };
    global.EventSource = class {
      static readonly CLOSED = 2;
      readyState = 1;
      onopen: (() => void) | null = null;
      onerror: (() => void) | null = null;
      constructor() {
        setTimeout(() => this.onopen?.(), 5);
        global.stub = {
          emit: (kind, data) => listeners.get(kind)?.({ data }),
          fail: () => this.onerror?.(),
        };
      }
      addEventListener(kind: string, listener: (event: { data: string }) => void) {
        listeners.set(kind, listener);
      }
      close() {
        this.readyState = 2;
      }
    };
  });
  await page.route('**/api/v1/**', async (route) => {
    const url = new URL(route.request().url());
    const path = url.pathname.slice('/api/v1'.length);
    const found = [...own, ...USUAL].find(([pattern]) => pattern.test(path));
    const body = found === undefined ? new Refusal(404, `there is no ${path}`) : await found[1](url, route);
    const isRefusal = body instanceof Refusal;
    await route
      .fulfill({
        status: isRefusal ? body.status : 200,
        contentType: 'application/json',
        body: JSON.stringify(isRefusal ? { title: body.detail, detail: body.detail } : body),
      })
      // The page has gone on.
      .catch(() => undefined);
  });
  return Object.assign(page, {
    trouble,
    sendAlert: (alert: Alert) =>
      page.evaluate(([kind, data]) => (globalThis as unknown as { stub: Stub }).stub.emit(kind, data), [
        alert.kind,
        JSON.stringify(alert),
      ] as const),
  });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong, in a line each. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  // By the debugger, which the page's policy does not bind.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run: (options: object) => Promise<{
          violations: { id: string; nodes: { target: unknown; failureSummary?: string }[] }[];
        }>;
      };
    };
    const { violations } = await axe.run({ resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
      nodes
        .slice(0, 3)
        .map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary ?? ''}`),
    );
  });
}

/** How far the content is wider than the window, in CSS pixels. */
export const overflowOf = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const { scrollWidth, clientWidth } = (
      globalThis as unknown as { document: { documentElement: { scrollWidth: number; clientWidth: number } } }
    ).document.documentElement;
    return scrollWidth - clientWidth;
  });
