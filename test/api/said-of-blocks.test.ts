/** What `offenders` and `incident` say of a block is what `acl list` says. */

import { expect, it } from 'vitest';
import type { IncidentReport } from '../../src/api/read-model.ts';
import { incidentAsListed, offendersAsListed } from '../../src/api/said-of-blocks.ts';
import type { BlockRow } from '../../src/publish/desk.ts';
import type { OffenderRow } from '../../src/store/queries.ts';
import { offender } from '../support/acl-requests.ts';

const INCIDENT = offender('10.0.0.66', { incident_id: 'one' });
const PENDING = {
  action: 'release',
  by: 'ada',
  reason: 'cleaned',
  decided_at: '2026-03-01T11:00:00.000Z',
} as const;
const IN_FORCE = { ...PENDING, until: '2026-03-02T11:00:00.000Z' };
const STORED: OffenderRow = {
  host: '10.0.0.66',
  site: '',
  state: 'open',
  grade: 'bulk',
  flags: [],
  sessions: 1,
  attempts: 0,
  destinations: 1,
  packets: 20,
  bytes: 6000,
  first_seen: '2026-03-01T10:00:00.000Z',
  last_seen: '2026-03-01T10:00:00.000Z',
  block_state: 'proposed',
  block_reason: 'waits for approval',
  block_until: null,
  recurrence: 0,
  incident_id: 'one',
};
const REPORT: IncidentReport = { incident: INCIDENT, alerts: [], evidence: [] };
const ROW: BlockRow = {
  host: '10.0.0.66',
  site: '',
  incident_id: 'one',
  grade: 'bulk',
  last_seen: null,
  by_hand: false,
  block: { state: 'published', reason: 'the grade is bulk', since: null, until: '2026-03-03T10:00:00.000Z' },
  listed: true,
  pending: PENDING,
  waiting: false,
  held_since: null,
  listed_at: '2026-03-01T10:05:00.000Z',
  time_to_block_ms: 300_000,
};

it('the block, the list and the decision that waits are those of acl list', () => {
  expect(offendersAsListed([STORED], [ROW])).toEqual([
    {
      ...STORED,
      block_state: 'published',
      block_reason: 'the grade is bulk',
      block_until: '2026-03-03T10:00:00.000Z',
      listed: true,
      pending: PENDING,
    },
  ]);
  expect(incidentAsListed(REPORT, [ROW], IN_FORCE)).toEqual({
    ...REPORT,
    incident: { ...INCIDENT, block: ROW.block },
    listed: { at: ROW.listed_at, time_to_block_ms: 300_000 },
    decision: IN_FORCE,
    pending: PENDING,
  });
});

it.each<[string, BlockRow[]]>([
  ['nobody', []],
  ['an earlier incident of the host', [{ ...ROW, incident_id: 'zero' }]],
  ['a host of another site', [{ ...ROW, site: 'north' }]],
])('lists of %s say nothing of it', (_whom, rows) => {
  expect(offendersAsListed([STORED], rows)).toEqual([{ ...STORED, listed: false, pending: null }]);
  expect(incidentAsListed(REPORT, rows, null)).toBe(REPORT);
  expect(incidentAsListed(REPORT, rows, IN_FORCE)).toEqual({ ...REPORT, decision: IN_FORCE });
});
