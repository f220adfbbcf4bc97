/**
 * The page alone, in a real browser, with answers that a test makes up: every page in both schemes and at three widths,
 * hostile text in every field, ten thousand hosts, a slow and a broken service, logins, keys. page-story.test.ts has the real service.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostRow } from '../../src/http/api/schemas.ts';
import * as answers from './page/answers.ts';
import {
  type Answers,
  accessibilityFaults,
  lacksBrowser,
  launchBrowser,
  openWithAnswers,
  overflowOf,
  Refusal,
  servePage,
  WEB,
} from './page/browser.ts';

const obstacle = lacksBrowser();
const MAX_SCRIPT_BYTES = 150_000;
const FIRST_PAINT_MS = 1000;
/** A directory: pictures of every page are left there, to be looked at. */
const SCREENSHOTS = process.env.PAGE_SCREENSHOTS;
const WIDTHS = [360, 820, 1440];
const PLACES = [
  '/',
  '/host/10.2.8.102',
  '/blocks',
  '/coverage',
  '/explore',
  '/inventory',
  '/health',
  '/wall',
];
/** A control character, a right-to-left override, markup, an emoji of several code points. */
const HOSTILE =
  '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\u202eevil\u0007👩‍💻\u2028';

let browser: Browser;
let site: Awaited<ReturnType<typeof servePage>>;

beforeAll(async () => {
  if (obstacle !== null) return;
  [browser, site] = await Promise.all([launchBrowser(), servePage()]);
});
afterAll(async () => {
  await browser?.close();
  await site?.stop();
});

async function inContext<Result>(
  options: Parameters<Browser['newContext']>[0],
  work: (context: BrowserContext) => Promise<Result>,
): Promise<Result> {
  const context = await browser.newContext(options);
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}

const open = (place: string, own: Answers = [], options: Parameters<Browser['newContext']>[0] = {}) => ({
  async with<Result>(work: (page: Awaited<ReturnType<typeof openWithAnswers>>) => Promise<Result>) {
    return inContext({ viewport: { width: 1440, height: 900 }, ...options }, async (context) => {
      const page = await openWithAnswers(context, own);
      await page.goto(site.base + place);
      const result = await work(page);
      expect(page.trouble.errors).toEqual([]);
      return result;
    });
  },
});

describe.skipIf(obstacle !== null)(`the page${obstacle === null ? '' : ` (skipped: ${obstacle})`}`, () => {
  it('is small: the script is under 150 kB gzipped, and nothing comes from elsewhere', () => {
    const assets = join(WEB, 'assets');
    const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));
    const size = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0);
    console.log(`script: ${size} bytes gzipped`);
    expect(size).toBeLessThan(MAX_SCRIPT_BYTES);
    const html = readFileSync(join(WEB, 'index.html'), 'utf8');
    expect(html).not.toMatch(/https?:|style=|<script(?![^>]*\bsrc=)/);
  });

  it.each(['light', 'dark'] as const)(
    'has no fault that axe finds, and fits three widths, in the %s scheme',
    async (colorScheme) => {
      await inContext({ colorScheme, viewport: { width: 1440, height: 900 } }, async (context) => {
        const page = await openWithAnswers(context);
        for (const place of PLACES) {
          await page.setViewportSize({ width: 1440, height: 900 });
          await page.goto(site.base + place);
          await page.waitForSelector('h1');
          expect.soft(await accessibilityFaults(page), `axe on ${place}`).toEqual([]);
          for (const width of WIDTHS) {
            await page.setViewportSize({ width, height: 800 });
            expect.soft(await overflowOf(page), `${place} at ${width}`).toBe(0);
            if (SCREENSHOTS === undefined) continue;
            const name = `${place.split('/')[1] || 'overview'}-${width}-${colorScheme}.png`;
            await page.screenshot({ path: join(SCREENSHOTS, name), fullPage: true });
          }
        }
        expect(page.trouble.errors).toEqual([]);
      });
    },
  );

  it('paints within a second', () =>
    open('/').with(async (page) => {
      await page.waitForSelector('.headline h1');
      const paint = await page.evaluate(
        () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
      );
      console.log(`first paint after ${Math.round(paint)} ms`);
      expect(paint).toBeLessThan(FIRST_PAINT_MS);
    }));

  it('shows an alert at once, without a reload', () =>
    open('/').with(async (page) => {
      await page.waitForSelector('.rows .row');
      const {
        standing: _,
        state: __,
        destinations,
        reason,
        ...row
      } = answers.hostRow({
        host: '10.9.9.9',
        incident_id: 'inc-new',
        grade: 'bulk',
      });
      const sentAt = Date.now();
      await page.sendAlert({
        ...row,
        schema: 'rogue-smtp.alert',
        schema_version: 1,
        alert_id: 'a1',
        kind: 'opened',
        destinations: { count: destinations, exact: true, top: [] },
        exporters: [],
        sampling: [1],
        reasons: [reason],
        missing: [],
        policy_version: 'x',
        emitted_at: new Date().toISOString(),
      });
      await page.waitForSelector('text=10.9.9.9', { timeout: 1000 });
      console.log(`alert on the page after ${Date.now() - sentAt} ms`);
    }));

  it('shows text from the network as text, whatever is in it', async () => {
    const long = 'a'.repeat(10_240);
    const names = [HOSTILE, long, 'مضيف.example', '😀😀'];
    const rows = names.map((host, i) =>
      answers.waitingRow({
        host,
        site: HOSTILE.slice(0, 60),
        incident_id: `inc-${i}`,
        reason: HOSTILE,
        block: { state: 'held', reason: HOSTILE + long, since: null, until: null },
      }),
    );
    const line = answers.exporter({
      exporter: HOSTILE,
      version: HOSTILE,
      state: 'unread',
      unread_reasons: [HOSTILE],
    });
    const own: Answers = [
      [/^\/overview$/, () => answers.overview({ waits: rows, routers: [line], troubles: [HOSTILE + long] })],
      [/^\/hosts$/, () => answers.hosts(rows)],
      [/what-if$/, () => ({ ...answers.whatIf(), says: [HOSTILE], refused: HOSTILE, allowed: false })],
      [
        /^\/hosts\//,
        () =>
          answers.host({
            host: HOSTILE,
            site: long,
            row: rows[0] ?? null,
            reasons: [HOSTILE, long],
            missing: [HOSTILE],
            sql: HOSTILE,
            declare: { sender: HOSTILE, expected: long },
            routers: [{ exporter: HOSTILE, domain: 0, interface: 1, passing: true }],
            decisions: [{ at: new Date().toISOString(), by: HOSTILE, what: HOSTILE, why: HOSTILE + long }],
          }),
      ],
      [/^\/blocks$/, () => ({ ...answers.blocks(rows), troubles: [HOSTILE] })],
      [
        /^\/coverage$/,
        () => ({ ...answers.coverage(), exporters: [line], refused: [{ exporter: HOSTILE, datagrams: 1 }] }),
      ],
      [
        /^\/explore$/,
        () => ({ ...answers.explore(), rows: [[HOSTILE, HOSTILE, long, 25, 1, [HOSTILE]]], sql: HOSTILE }),
      ],
      [
        /^\/inventory$/,
        () =>
          answers
            .inventory()
            .map((row) => ({ ...row, host: HOSTILE, reasons: [HOSTILE, long], sender: HOSTILE })),
      ],
      [/^\/health$/, () => ({ ...answers.health(), troubles: [HOSTILE, long], config: { a: HOSTILE } })],
    ];
    for (const width of [360, 1440])
      await open('/', own, { viewport: { width, height: 800 } }).with(async (page) => {
        for (const place of PLACES) {
          await page.goto(site.base + place);
          await page.waitForSelector('h1');
          const seen = await page.evaluate(() => {
            const { document, pwned } = globalThis as unknown as {
              pwned?: number;
              document: { images: { length: number }; body: { textContent: string }; title: string };
            };
            return {
              pwned,
              images: document.images.length,
              text: document.title + document.body.textContent,
            };
          });
          expect.soft([seen.pwned, seen.images], place).toEqual([undefined, 0]);
          expect.soft(seen.text, place).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u2028]|(?!\n)\p{Cc}/u);
          expect.soft(await overflowOf(page), `${place} at ${width}`).toBe(0);
        }
      });
  });

  it('scrolls through ten thousand hosts with few of them in the document', async () => {
    const PAGE = 500;
    const JUMPS = 60;
    const all: HostRow[] = Array.from({ length: 10_000 }, (_, i) =>
      answers.hostRow({ host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, incident_id: `inc-${i}` }),
    );
    const own: Answers = [
      [
        /^\/hosts$/,
        (url) => {
          const from = Number(url.searchParams.get('cursor') ?? 0);
          const next = from + PAGE;
          return {
            hosts: all.slice(from, next),
            total: all.length,
            next_cursor: next < all.length ? String(next) : null,
          };
        },
      ],
    ];
    await open('/', own).with(async (page) => {
      const body = page.locator('.layout-hosts .rows-body');
      await body.waitFor();
      const last = page.locator('.layout-hosts .row', { hasText: '10.0.39.15' });
      for (let i = 0; i < 60 && (await last.count()) === 0; i++) {
        await body.evaluate((element) => element.scrollTo(0, element.scrollHeight));
        await page.waitForTimeout(40);
      }
      expect(await last.count()).toBe(1);
      expect(await page.locator('.layout-hosts .row').count()).toBeLessThan(60);
      // A frame for each jump through the list.
      const frames = await body.evaluate(async (element, JUMPS) => {
        const frame = globalThis as unknown as {
          requestAnimationFrame(then: (value: unknown) => void): void;
        };
        const times: number[] = [];
        let before = performance.now();
        for (let i = 0; i < JUMPS; i++) {
          element.scrollTop = (i / JUMPS) * element.scrollHeight;
          await new Promise((resolve) => frame.requestAnimationFrame(resolve));
          times.push(performance.now() - before);
          before = performance.now();
        }
        return times.sort((a, b) => a - b);
      }, JUMPS);
      console.log(
        `10,000 rows: median frame ${frames[JUMPS / 2]?.toFixed(1)} ms, 95 % ${frames[JUMPS * 0.95]?.toFixed(1)} ms`,
      );
    });
  });

  it('designs the empty, slow, broken and old states', async () => {
    await open('/', [[/^\/overview$/, () => answers.emptyOverview()]]).with(async (page) => {
      await page.waitForSelector('text=No router has exported anything yet');
      await page.waitForSelector('text=ip flow-export destination');
      expect(await accessibilityFaults(page)).toEqual([]);
    });
    let slow = true;
    const lateOverview: Answers = [
      [
        /^\/overview$/,
        async () => {
          while (slow) await new Promise((resolve) => setTimeout(resolve, 20));
          return answers.overview();
        },
      ],
    ];
    await open('/', lateOverview).with(async (page) => {
      await page.waitForSelector('.skeleton');
      slow = false;
      await page.waitForSelector('.headline h1');
    });
    let broken = true;
    const brokenBlocks: Answers = [
      [/^\/blocks$/, () => (broken ? new Refusal(503, 'all incidents are not known yet') : answers.blocks())],
    ];
    await open('/blocks', brokenBlocks).with(async (page) => {
      await page.waitForSelector('text=all incidents are not known yet');
      broken = false;
      await page.click('text=Try again');
      await page.waitForSelector('.layout-blocks');
      // From now on the last answer stays, with its age.
      broken = true;
      await page.click('text=Reject');
      await page.click('button:has-text("Reject the block")');
      await page.waitForSelector('.stale');
      expect(await page.locator('.layout-blocks .row').count()).toBe(2);
    });
    await open('/').with(async (page) => {
      await page.waitForSelector('.live-live');
      await page.evaluate(() => (globalThis as unknown as { stub: { fail(): void } }).stub.fail());
      await page.waitForSelector('text=Not connected.');
    });
  });

  it('logs in with a token, sends the CSRF token with a decision, and asks again when the session is over', async () => {
    let isIn = false;
    const sent: (string | null)[] = [];
    const own: Answers = [
      [
        /^\/session$/,
        (_, route) => {
          if (route.request().method() === 'GET')
            return isIn ? loggedIn : new Refusal(401, 'a token is needed');
          const { token } = route.request().postDataJSON() as { token: string };
          isIn = token === 'right';
          return isIn ? loggedIn : new Refusal(401, 'the token is wrong');
        },
      ],
      [
        /^\/acl\/approve$/,
        async (_, route) => {
          sent.push(await route.request().headerValue('x-csrf-token'));
          return isIn ? { done: ['10.2.9.7 is approved'] } : new Refusal(401, 'the session is over');
        },
      ],
    ];
    const loggedIn = { ...answers.session, name: 'anna', role: 'decide', by: 'session', csrf: 'c5rf' };
    await open('/', own).with(async (page) => {
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.fill('input[type=password]', 'wrong');
      await page.keyboard.press('Enter');
      await page.waitForSelector('text=the token is wrong');
      await page.fill('input[type=password]', 'right');
      await page.keyboard.press('Enter');
      await page.click('.waiting button:has-text("Approve")');
      // The effect stands beside the button before it is pressed.
      await page.waitForSelector('.effect >> text=deny tcp host 10.2.9.7');
      await page.click('button:has-text("Approve the block")');
      await page.waitForSelector('.notice >> text=10.2.9.7 is approved');
      expect(sent).toEqual(['c5rf']);
      isIn = false;
      await page.click('.notice >> text=Undo');
      await page.click('.waiting button:has-text("Approve")');
      await page.click('button:has-text("Approve the block")');
      await page.waitForSelector('input[type=password]');
    });
  });

  it('lets a token that may only read look, and not decide', () =>
    open('/', [[/^\/session$/, () => ({ ...answers.session, role: 'read' })]]).with(async (page) => {
      await page.click('.waiting button:has-text("Approve")');
      await page.waitForSelector('text=Your token may only read.');
      expect(await page.isDisabled('button:has-text("Approve the block")')).toBe(true);
    }));

  it('is used by the keyboard', () =>
    open('/').with(async (page) => {
      await page.waitForSelector('.layout-hosts .row-head');
      await page.keyboard.press('?');
      await page.waitForSelector('.help');
      await page.keyboard.press('Escape');
      expect(await page.locator('.help').count()).toBe(0);
      await page.keyboard.press('j');
      await page.keyboard.press('j');
      await page.keyboard.press('k');
      expect(await page.textContent('.row.marked')).toContain('10.2.8.17');
      await page.keyboard.press('a');
      await page.waitForSelector('.decide >> text=Approve the block of');
      await page.keyboard.press('Escape');
      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.waitForURL('**/host/10.2.8.102');
      await page.keyboard.press('/');
      await page.keyboard.type('192.0.2.55');
      await page.keyboard.press('Enter');
      await page.waitForURL('**/host/192.0.2.55');
      await page.keyboard.press('g');
      await page.keyboard.press('b');
      await page.waitForURL('**/blocks');
    }));
});
