/** Why a host is graded and blocked or not: each cause is named, and none that is not so. */

import { describe, expect, it } from 'vitest';
import { type ExplainedHost, explainHost } from '../../src/api/explain.ts';
import { describeExplanation } from '../../src/cli/explain.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Incident } from '../../src/messages/alert.ts';
import type { BlockRow } from '../../src/publish/desk.ts';
import { incidentMessage } from '../store/fixture.ts';

const NOW_MS = Date.UTC(2026, 2, 1, 12);
const CONFIG = {
  networks: { internal: ['10.0.0.0/8'], nat: ['10.9.0.1'] },
  senders: [
    { name: 'mx', hosts: ['10.0.0.25'] },
    { name: 'project', hosts: ['10.0.0.8'], until: '2020-01-01T00:00:00Z' },
  ],
  expected: [{ name: 'monitor', hosts: ['10.0.0.7'], does: 'check' as const }],
  block: { mode: 'publish' as const, never: ['10.0.0.53'] },
};

function explain(host: string, given: Partial<ExplainedHost> = {}, block: object = CONFIG.block) {
  const config = configSchema.parse({ ...CONFIG, block });
  return explainHost(config, { asked: host, incident: null, row: null, lists: [], ...given }, NOW_MS);
}

const rowOf = (incident: Incident, given: Partial<BlockRow> = {}): BlockRow => ({
  host: incident.host,
  site: incident.site,
  block: incident.block,
  incident_id: incident.incident_id,
  grade: incident.grade,
  last_seen: incident.last_seen,
  by_hand: false,
  listed: false,
  pending: null,
  waiting: false,
  held_since: null,
  listed_at: null,
  time_to_block_ms: null,
  ...given,
});

const PUBLISHED = {
  state: 'published' as const,
  reason: 'grade conversed',
  since: '2026-03-01T10:00:00Z',
  until: null,
};

describe('explain', () => {
  it.each([
    [
      '10.0.0.25',
      /^10\.0\.0\.25 has no incident, and it may send mail\.$/,
      /"?mx"?/,
      'the configuration allows it to send',
    ],
    [
      '10.0.0.53',
      /it can never be blocked\.$/,
      /never blocked/,
      'the configuration keeps it from ever being blocked, see the policy',
    ],
    [
      '10.9.0.1',
      /it can never be blocked\.$/,
      /never blocked/,
      'the configuration keeps it from ever being blocked, see the policy',
    ],
    [
      '10.0.0.8',
      /it may not send mail, and no attempt was seen\.$/,
      /until 2020/,
      'there is no evidence against it',
    ],
    ['10.0.0.7', /it may do what is declared of it/, /check/, 'there is no evidence against it'],
    ['203.0.113.9', /none can arise/, /the source is outside/, 'there is no evidence against it'],
  ])('says what %s is to the configuration', (host, summary, policy, lack) => {
    const explanation = explain(host);
    expect(explanation.summary).toMatch(summary);
    expect(explanation.policy.map(({ text }) => text).join('\n')).toMatch(policy);
    expect(explanation.lacks).toContain(lack);
  });

  it('names everything that stands between a host and a list', () => {
    const incident = incidentMessage({
      host: '10.0.0.5',
      grade: 'connected',
      state: 'closed',
      ports: [587],
      missing: ['some records do not state their sampling rate'],
      block: { state: 'none', reason: '', since: null, until: null },
    });
    const { lacks, incident: shown } = explain('10.0.0.5', { incident }, { mode: 'observe' });
    expect(lacks).toEqual([
      'block.mode is observe: nothing gets into a list',
      'its incident is closed',
      'its grade connected is below block.grade (conversed)',
      'it was seen on other ports than 25, and lists deny port 25 only',
    ]);
    expect(shown?.missing).toEqual(['some records do not state their sampling rate']);
  });

  it('says who has to approve what, and by which command', () => {
    const incident = incidentMessage({ host: '10.0.0.5', site: 'branch' });
    const row = rowOf(incident, { waiting: true, held_since: '2026-03-01T11:00:00Z' });
    const { lacks, next, summary } = explain('10.0.0.5@branch', { incident, row });
    expect(summary).toBe(
      '10.0.0.5@branch has an open incident of grade conversed and is not in the lists (block proposed).',
    );
    expect(lacks).toContain('a person must approve it: rogue-smtp acl approve 10.0.0.5@branch');
    expect(lacks.join('\n')).toContain('held back since 2026-03-01T11:00:00Z');
    expect(next).toContain('rogue-smtp acl approve 10.0.0.5@branch');
  });

  it('names the lists that have a blocked host, those that leave it out, and how to release it', () => {
    const incident = incidentMessage({ host: '10.0.0.5', block: PUBLISHED });
    const explanation = explain('10.0.0.5', {
      incident,
      row: rowOf(incident, { listed: true }),
      lists: [
        { list: 'edge.4', leftOut: null },
        { list: 'core.4', leftOut: 'the list is full' },
      ],
    });
    expect(explanation).toMatchObject({ summary: '10.0.0.5 is blocked on port 25.', lacks: [] });
    expect(explanation.lists).toEqual([
      { list: 'edge.4', has: true, reason: '' },
      { list: 'core.4', has: false, reason: 'the list is full' },
    ]);
    const text = describeExplanation(explanation).join('\n');
    expect(text).toMatch(/edge\.4: has it\n +core\.4: does not have it, since the list is full/);
    expect(text).toContain('rogue-smtp acl release 10.0.0.5 --for 24h');
    expect(text).not.toContain('Why it is not blocked');
  });

  it('does not guess without a running instance, and refuses what is no address', () => {
    const incident = incidentMessage({ host: '10.0.0.5' });
    expect(explain('10.0.0.5', { incident, row: undefined }).lacks.at(-1)).toMatch(
      /no running instance answers/,
    );
    expect(() => explain('mail.example.org')).toThrow(/is not an address/);
  });
});
