import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { alertMessage } from '../../src/messages/encode.ts';
import { alertMessage as alertOf } from '../store/fixture.ts';

const alert = alertOf({ emitted_at: '2026-03-01T00:00:00.000Z' });
const sent = (...args: Parameters<typeof alertMessage>) =>
  JSON.parse(Buffer.from(alertMessage(...args).value).toString());

describe('an alert as a message', () => {
  it('says when it was published, besides the time of its records', () => {
    const published = '2026-03-02T10:00:00.000Z';
    expect(sent(alert, Date.parse(published))).toEqual({ ...alert, published_at: published });
  });

  it('is the same each time where no clock is looked at, as in a replay', () => {
    expect(sent(alert).published_at).toBe(alert.emitted_at);
    expect(alertMessage(alert).value).toEqual(alertMessage(alert).value);
  });
});

describe('the schemas for others', () => {
  it.each(['alert', 'incident', 'decision'])('of %s refuse no field that comes later', (name) => {
    const text = readFileSync(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8');
    expect(text).not.toContain('"additionalProperties": false');
  });
});
