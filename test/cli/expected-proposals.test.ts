import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { describeExpected, proposeExpected } from '../../src/cli/expected-proposals.ts';
import { configSchema } from '../../src/config/schema.ts';
import { HELD_ENVELOPES } from '../../src/detect/block.ts';
import type { OffenderRow } from '../../src/store/queries.ts';

const row = (changes: Partial<OffenderRow> = {}): OffenderRow => ({
  host: '10.0.0.70',
  site: '',
  state: 'open',
  grade: 'connected',
  flags: [],
  sessions: 100,
  attempts: 0,
  destinations: 2,
  packets: 600,
  bytes: 30_000,
  first_seen: '2026-03-01T00:00:00.000Z',
  last_seen: '2026-03-02T00:00:00.000Z',
  block_state: 'none',
  block_reason: '',
  block_until: null,
  recurrence: 0,
  incident_id: 'a',
  ...changes,
});

describe('proposals for expected', () => {
  it.each([
    ['a monitor', {}, 'check'],
    ['a verifier', { destinations: 60, flags: ['scanning'] }, 'verify'],
    [
      'a verifier at many servers',
      { grade: 'bulk', destinations: 150, block_reason: HELD_ENVELOPES },
      'verify',
    ],
  ])('%s is proposed', (_, changes, does) => {
    expect(proposeExpected([row(changes)])).toEqual([{ host: '10.0.0.70', site: '', does }]);
  });

  it('name the site where there are sites, and are what the configuration takes', () => {
    const rows = [row({ site: 'north' }), row({ site: 'south' }), row()];
    const text = describeExpected(proposeExpected(rows));
    const proposed = parse(text.slice(text.indexOf('expected:')));
    const networks = {
      sites: [
        { name: 'north', vrf: 1 },
        { name: 'south', vrf: 2 },
      ],
    };
    const { expected } = configSchema.parse({ networks, ...proposed });
    expect(expected.map(({ sites }) => sites)).toEqual([['north'], ['south'], undefined]);
  });

  it.each([
    ['that sent a message', { grade: 'conversed' }],
    ['that sends in bulk', { grade: 'bulk' }],
    ['that only tried', { grade: 'attempted' }],
    ['that came once', { sessions: 1 }],
    ['that came within minutes', { last_seen: '2026-03-01T00:10:00.000Z' }],
    ['of which only samples are known', { flags: ['sampled'] }],
    ['that is declared', { flags: ['expected'] }],
  ])('a host %s is not', (_, changes) => {
    expect(proposeExpected([row(changes)])).toEqual([]);
  });

  it('prints what the configuration takes', () => {
    const text = describeExpected(proposeExpected([row(), row({ host: '2001:db8::7', destinations: 30 })]));
    const { expected } = configSchema.parse(parse(text.slice(text.indexOf('expected:'))));
    expect(expected.map(({ name, does }) => [name, does])).toEqual([
      ['check-1', 'check'],
      ['verify-2', 'verify'],
    ]);
    expect(describeExpected([])).toBe('');
  });
});
