import { describe, expect, it } from 'vitest';
import { withRecent } from '../../src/api/stored-read-model.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { detect, OUTSIDE, ROGUE } from '../support/detecting.ts';

const [template] = detect([
  { from: ROGUE, to: OUTSIDE, toPort: 25, flags: 'SPAF', packets: 20, bytes: 4000 },
]).alerts;

/** An alert emitted so many seconds after the epoch. */
const at = (seconds: number, host = ROGUE): Alert => ({
  ...template,
  alert_id: `a${seconds}`,
  host,
  emitted_at: new Date(1000 * seconds).toISOString(),
});
const ids = (alerts: readonly Alert[]) => alerts.map(({ alert_id }) => alert_id);

describe('alerts of the store, with those that it has yet to take', () => {
  it('are one list in the order in which they were emitted, each once', () => {
    expect(ids(withRecent([at(1), at(3)], [at(2), at(3), at(4)], { limit: 10 }))).toEqual([
      'a1',
      'a2',
      'a3',
      'a4',
    ]);
  });

  it('are the newest so many', () => {
    expect(ids(withRecent([at(5), at(6)], [at(1), at(7)], { limit: 2 }))).toEqual(['a6', 'a7']);
  });

  it('are only those that were asked for', () => {
    const recent = [at(1), at(2, '2001:db8::1'), at(3)];
    expect(ids(withRecent([], recent, { limit: 10, since: new Date(2000).toISOString() }))).toEqual([
      'a2',
      'a3',
    ]);
    expect(ids(withRecent([], recent, { limit: 10, host: '2001:DB8:0::1' }))).toEqual(['a2']);
  });
});
