import { describe, expect, it } from 'vitest';
import { incidentLetter, whyTooEarly } from '../../src/cli/incident-letter.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { alertMessage, incidentMessage } from '../store/fixture.ts';

const published: Incident['block'] = {
  state: 'published',
  reason: 'conversed',
  since: '2026-03-01T10:05:00.000Z',
  until: null,
};
const report = (given: Partial<Incident> = {}) => ({
  incident: incidentMessage(given),
  alerts: [alertMessage()],
  evidence: [],
});

describe('a delisting request', () => {
  it('names the listed address, and nothing of the inside', () => {
    const text = incidentLetter(report({ block: published }), 'delisting', { address: '203.0.113.5' }).join(
      '\n',
    );
    expect(text).toContain('Request to remove 203.0.113.5 from the list');
    expect(text).toContain('Blocked: TCP port 25 of the host since 2026-03-01 10:05:00 UTC.');
    expect(text).not.toContain('10.0.0.5');
  });

  it('claims no block that is none', () => {
    const held = report({ block: { ...published, state: 'held', since: null } });
    expect(incidentLetter(held, 'delisting').join('\n')).toContain('Blocked: not at present.');
    expect(whyTooEarly(held)[0]).toMatch(/is not blocked \(held\)/);
  });

  it('says that a block does not work', () => {
    const passing = report({
      block: {
        ...published,
        effect: {
          state: 'not_effective',
          reason: 'packets pass at edge-1',
          since: published.since ?? '',
          passing: [],
        },
      },
    });
    expect(incidentLetter(passing, 'delisting').join('\n')).toContain(
      'It does not work: packets pass at edge-1.',
    );
    expect(whyTooEarly(passing)[0]).toMatch(/does not work/);
  });

  it('is not too early once the incident is over', () => {
    expect(whyTooEarly(report({ state: 'closed' }))).toEqual([]);
    expect(whyTooEarly(report({ block: published }))).toEqual([]);
  });
});

describe('a ticket', () => {
  it('holds the host, the evidence and what is not known', () => {
    const text = incidentLetter(
      report({ missing: ['replies'], destinations: { count: 9, exact: false, top: [] } }),
      'ticket',
    ).join('\n');
    expect(text).toContain('Host: 10.0.0.5');
    expect(text).toContain('Evidence: a session of 20 packets');
    expect(text).toContain('Not known: replies');
    expect(text).toContain('at least 9 servers');
  });
});
