/** What operators reported of blocks and lists, whole captures through the whole path, in live terms where that matters. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { replayCommand } from '../../src/cli/replay.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createDetector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { replayFiles } from '../../src/replay/replay.ts';
import { CASES_DIR, haveCases } from '../support/field-cases.ts';

const folder = mkdtempSync(join(tmpdir(), 'rogue-smtp-operate-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rows = <Row>(file: string): Row[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

async function replay(name: string, config?: string) {
  const directory = `${CASES_DIR}/operate/${name}`;
  const out = join(folder, name);
  const loaded = loadConfig({ file: config ?? `${directory}/config.yaml` });
  const streams = { stdout: new PassThrough().resume(), stderr: new PassThrough().resume() };
  await replayCommand(loaded, [`${directory}/exports.pcap.gz`], { out }, streams);
  const alerts = rows<Alert>(join(out, 'alerts.ndjson'));
  const incidents = rows<Incident>(join(out, 'incidents.ndjson'));
  return {
    alerts,
    incidents,
    blocks: Object.fromEntries(
      incidents.map(({ host, site, block }) => [site === '' ? host : `${site} ${host}`, block.state]),
    ),
    list: (file: string) => readFileSync(join(out, 'acl', file), 'utf8'),
  };
}

describe.runIf(haveCases)('cases from the field (needs CASES_DIR or ../shared/cases)', () => {
  it('load-balanced-mail: the nodes are held, with one alert each, and in no list of offenders', async () => {
    const { alerts, blocks, list } = await replay('load-balanced-mail');
    expect(blocks).toEqual({ '10.40.1.9': 'none', '10.40.1.21': 'held', '10.40.1.22': 'held' });
    expect(list('edge.4.txt')).not.toContain('deny');
    for (const host of ['10.40.1.21', '10.40.1.22']) {
      const held = alerts.filter((alert) => alert.host === host && alert.block.state === 'held');
      expect(held).toHaveLength(1);
      expect(held[0].block.reason).toMatch(/^probable mail server/);
    }
  });

  it.each(['slow-sender', 'flagless-ingress'])('%s: a replay claims nothing of an effect', async (name) => {
    const { alerts, incidents } = await replay(name);
    for (const { block, flags } of [...alerts, ...incidents]) {
      expect(block.effect).toBeUndefined();
      expect(flags).not.toContain('not_effective');
    }
  });

  it.each([
    ['slow-sender', 'conversed', '10.97.1.5'],
    ['flagless-ingress', 'connected', '10.46.1.8'],
  ] as const)('%s: with a clock, one alert says that the list has no effect', async (name, grade, host) => {
    const { config } = loadConfig({ file: `${CASES_DIR}/operate/${name}/config.yaml` });
    const options = { ...config, policy: compilePolicy(config), block: { ...config.block, grade } };
    const detector = createDetector(options);
    const alerts: Alert[] = [];
    let offset = 0;
    await replayFiles([`${CASES_DIR}/operate/${name}/exports.pcap.gz`], config, {
      onFlows: async (batch) => {
        detector.observe(batch, { partition: 0, offset: offset++ });
        alerts.push(...detector.take().alerts);
      },
    });
    const told = alerts.filter(({ block }) => block.effect !== undefined);
    expect(told.map(({ block }) => block.effect?.state)).not.toContain('effective');
    expect(new Set(told.map(({ block }) => block.effect?.since)).size).toBe(1);
    expect(detector.openIncidents().find((incident) => incident.host === host)?.block.effect?.state).toBe(
      'not_effective',
    );
  });

  it("two-sites: the bot of one site that has the address of the other's mail server is in that site's list", async () => {
    const directory = `${CASES_DIR}/operate/two-sites`;
    const file = join(folder, 'two-sites.yaml');
    const text = readFileSync(`${directory}/config.yaml`, 'utf8')
      .replace('hosts: [10.0.0.25] }', 'hosts: [10.0.0.25], sites: [cust-a] }')
      .replace('hosts: [10.0.0.30] }', 'hosts: [10.0.0.30], sites: [cust-b] }')
      .replace('targets: [', 'targets: [ { name: a, site: cust-a, platform: cisco-ios, kind: offenders },');
    writeFileSync(file, text);
    const { blocks, list } = await replay('two-sites', file);
    expect(blocks).toEqual({ 'cust-b 10.0.0.25': 'published' });
    expect(list('b.4.txt')).toContain('deny tcp host 10.0.0.25 any eq 25');
    expect(list('a.4.txt')).not.toContain('deny');
    expect(list('bpol.4.txt')).toContain('permit tcp host 10.0.0.30 any eq 25');
    expect(list('bpol.4.txt')).not.toContain('host 10.0.0.25');
  });
});
