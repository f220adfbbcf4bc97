/**
 * The whole story with the real service: an empty start, exports by UDP, an alert without a reload, evidence, approval, the text of the
 * list, a restart under the open page, a release.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCapture } from '../../src/replay/capture/read-capture.ts';
import { freeTcpPort, type RunningService, sendDatagrams, startService } from '../support/service.ts';
import { lacksBrowser, launchBrowser } from './page/browser.ts';

const obstacle = lacksBrowser();
const CAPTURE = new URL('../../deploy/demo/exports.pcap', import.meta.url).pathname;
const CONFIG = `networks: { internal: [192.0.2.0/24, "2001:db8:1::/64"] }
senders: [{ name: mail, hosts: [192.0.2.100, "2001:db8:1::100"] }]
block: { mode: propose, unseen_senders: publish }
acl: { targets: [{ name: edge, platform: cisco-ios, interface: Gi0/1 }] }
`;
const ROGUE = '192.0.2.55';
const LINE = `deny tcp host ${ROGUE} any eq 25`;
/** A machine that runs other tests beside takes its time. */
const PATIENCE_MS = 60_000;

const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-page-story-'));
let service: RunningService | undefined;
afterAll(async () => {
  await service?.end('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(obstacle !== null)(
  `the page of a running service${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    it('tells the story of a rogue host from the first export to its release', async () => {
      const httpPort = await freeTcpPort();
      service = await startService({ directory, config: CONFIG, httpPort });
      const { udpPort } = service;
      const browser = await launchBrowser();
      try {
        const page = await browser.newPage();
        page.setDefaultTimeout(PATIENCE_MS);
        const errors: string[] = [];
        page.on('pageerror', (error) => errors.push(String(error.stack ?? error)));
        await page.goto(`http://127.0.0.1:${httpPort}/`);
        await page.waitForSelector('text=No router has exported anything yet');
        await page.waitForSelector('.live-live');

        const capture: Buffer[] = [];
        for await (const { payload } of readCapture(CAPTURE)) capture.push(Buffer.from(payload));
        const sentAt = Date.now();
        await sendDatagrams(udpPort, capture, 20);
        await page.waitForSelector(`.rows >> text=${ROGUE}`);
        console.log(`on the page ${Date.now() - sentAt} ms after the first datagram was sent`);

        await page.click(`.rows >> text=${ROGUE}`);
        await page.waitForSelector('.ladder .here >> text=mail');
        await page.waitForSelector('.layout-records .row >> text=198.51.100.');
        await page.click('button:has-text("Approve")');
        // The effect stands there before the button is pressed.
        await page.waitForSelector(`.effect .diff-added >> text=${LINE}`);
        await page.click('button:has-text("Approve the block")');
        await page.waitForSelector('.host-head .block-blocked');

        await page.click('nav >> text=Blocks');
        await page.click('details.list summary:has-text("IPv4")');
        await page.waitForSelector(`.list .textbox >> text=${LINE}`);

        await service.end('SIGTERM');
        await page.waitForSelector('text=Not connected.');
        expect(await page.textContent('.list .textbox pre')).toContain(LINE);
        service = await startService({ directory, config: CONFIG, httpPort, udpPort });
        await page.waitForSelector('.live-live');

        await page.goto(`http://127.0.0.1:${httpPort}/host/${ROGUE}`);
        await page.click('button:has-text("Release")');
        await page.waitForSelector(`.effect .diff-removed >> text=${LINE}`);
        await page.click('.decide button:has-text("Release")');
        await page.waitForSelector('.notice >> text=released');
        await page.waitForSelector('.host-head .block-blocked', { state: 'detached' });
        expect(errors).toEqual([]);
      } finally {
        await browser.close();
      }
    });
  },
);
