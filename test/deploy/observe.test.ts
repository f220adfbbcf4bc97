/** What is shipped for Prometheus and Grafana names metrics that exist, and Prometheus' own tool takes it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/metrics.ts';
import { missingTools } from '../support/requirements.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const RULES = join(ROOT, 'deploy/prometheus');
const DASHBOARD = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/rogue-smtp.json'), 'utf8'));
const withoutPromtool = missingTools('promtool').length > 0;

/** Names of all metrics, as the code registers them. */
function registered(): Set<string> {
  const names = new Set<string>();
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const text = readFileSync(join(ROOT, 'src', file), 'utf8');
    for (const [, kind, name] of text.matchAll(/\.(counter|gauge|total|level|latency)\(\s*'([a-z_]+)'/g)) {
      names.add(`rogue_smtp_${name}`);
      if (kind === 'latency')
        for (const suffix of ['bucket', 'sum', 'count']) names.add(`rogue_smtp_${name}_${suffix}`);
    }
  }
  return names;
}

const namesIn = (text: string) => new Set(text.match(/\brogue_smtp_[a-z_]+/g));

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly description: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly refId: string }[];
}

describe('what is shipped for Prometheus and Grafana', () => {
  it('names only metrics that exist', () => {
    const known = registered();
    expect(known.size).toBeGreaterThan(30);
    for (const file of ['rogue-smtp.rules.yml', 'rogue-smtp.test.yml'])
      for (const name of namesIn(readFileSync(join(RULES, file), 'utf8')))
        expect(known, file).toContain(name);
    for (const name of namesIn(JSON.stringify(DASHBOARD))) expect(known).toContain(name);
  });

  it('is a dashboard whose panels have a title, a description and a query, and do not overlap', () => {
    const panels: Panel[] = DASHBOARD.panels;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = new Set<string>();
    for (const { title, description, targets, gridPos } of panels) {
      expect(title).not.toBe('');
      expect(description, title).toMatch(/\.$/);
      expect(targets.length, title).toBeGreaterThan(0);
      for (const { expr } of targets) expect(namesIn(expr).size, expr).toBe(1);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells, title).not.toContain(`${x} ${y}`);
          cells.add(`${x} ${y}`);
        }
    }
  });

  it.skipIf(withoutPromtool)('are rules that fire when they should, and only then (needs promtool)', () => {
    const promtool = (...args: string[]) => execFileSync('promtool', args, { cwd: RULES, encoding: 'utf8' });
    expect(promtool('check', 'rules', 'rogue-smtp.rules.yml')).toContain('SUCCESS');
    expect(promtool('test', 'rules', 'rogue-smtp.test.yml')).toContain('SUCCESS');
  });

  it.skipIf(withoutPromtool)('are queries that Prometheus parses (needs promtool)', () => {
    const queries = (DASHBOARD.panels as Panel[]).flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const rules = queries.map((expr, i) => ({
      record: `q${i}`,
      expr: expr.replaceAll(/\$__(rate_interval|range)/g, '5m').replaceAll('$job', 'rogue-smtp'),
    }));
    const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-queries-'));
    try {
      const file = join(directory, 'queries.yml');
      writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })).toContain('SUCCESS');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.skipIf(withoutPromtool)('are names by its conventions (needs promtool)', async () => {
    const metrics = createMetrics();
    for (const name of registered()) {
      if (/_(bucket|sum|count)$/.test(name)) continue;
      const bare = name.replace('rogue_smtp_', '');
      if (bare.endsWith('_total')) metrics.total(bare, 'Help', () => 1);
      else metrics.level(bare, 'Help', () => 1);
    }
    const { text } = await metrics.render();
    expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('');
  });
});
