/** `policy check`: the outcome is that of the detector, and each reason names the line that says so. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { policyCheckCommand } from '../../src/cli/policy.ts';
import { loadConfig } from '../../src/config/load.ts';
import { collected } from '../support/collected.ts';

let directory = '';
let file = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'policy-'));
  file = join(directory, 'c.yaml');
  writeFileSync(
    file,
    `networks:
  internal:
    - 10.0.0.0/8
    - 10.1.0.0/16
senders:
  - name: mx
    hosts: [10.0.0.25]
  - name: printer
    hosts: [10.0.0.9]
    to: [198.51.100.1]
  - name: project
    hosts: [10.0.0.8]
    until: "2020-01-01T00:00:00Z"
block:
  mode: publish
  never:
    - 10.0.0.53
`,
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

function check(source: string, destination: string, port = 25, environment: Record<string, string> = {}) {
  const { stream: stdout, text } = collected();
  policyCheckCommand(
    loadConfig({ file, environment }),
    source,
    destination,
    port,
    { json: true },
    { stdout },
  );
  const { outcome, reasons } = JSON.parse(text());
  return {
    outcome,
    reasons: reasons.map(
      ({ text: words, place }: { text: string; place: string }) =>
        `${place.replace(`${file}:`, 'line ')}: ${words}`,
    ),
  };
}

describe('policy check', () => {
  it('calls an unnamed internal host an offender, by the prefix that makes it internal', () => {
    expect(check('10.1.0.66', '198.51.100.7')).toEqual({
      outcome: 'offence',
      reasons: [
        'line 4: the source is internal (10.1.0.0/16)',
        'line 2: the destination is outside',
        'by default: port 25 is a mail port',
        'line 5: the source is no configured sender',
        'by default: blocks from grade conversed on, in mode publish',
        'by default: a session proves mail from 260 bytes of payload on; over TLS several of 1040 bytes do',
      ],
    });
  });

  it('names the line of the sender that allows it', () => {
    const { outcome, reasons } = check('10.0.0.25', '198.51.100.7');
    expect(outcome).toBe('authorised');
    expect(reasons.at(-1)).toBe('line 6: the source is the authorised sender "mx"');
  });

  it('a sender for one destination is allowed there, and elsewhere an offender like others', () => {
    expect(check('10.0.0.9', '198.51.100.1').outcome).toBe('authorised');
    const elsewhere = check('10.0.0.9', '198.51.100.2');
    expect(elsewhere.outcome).toBe('offence');
    expect(elsewhere.reasons).toContainEqual(
      expect.stringMatching(/^line 8: a block leaves the allowed destinations of the sender open/),
    );
  });

  it('a permission that has ended is an offence, and says when it ended', () => {
    const { outcome, reasons } = check('10.0.0.8', '198.51.100.7');
    expect(outcome).toBe('offence');
    expect(reasons).toContainEqual('line 11: the source was the sender "project" until 2020-01-01T00:00:00Z');
  });

  it('a never-block address has alerts only, by its line', () => {
    const { outcome, reasons } = check('10.0.0.53', '198.51.100.7');
    expect(outcome).toBe('alert_only');
    expect(reasons.at(-1)).toBe(
      'line 17: never blocked: the host is on the never-block list, or one of the routers or of this service',
    );
  });

  it.each([
    ['10.0.0.66', '198.51.100.7', 587, /submission port/],
    ['10.0.0.66', '198.51.100.7', 443, /no mail port/],
    ['10.0.0.66', '10.0.0.67', 25, /both ends are internal, and detection.internal.alert is off/],
    ['198.51.100.7', '10.0.0.25', 25, /comes in from outside/],
    ['198.51.100.7', '198.51.100.8', 25, /neither end/],
  ])('does not look at %s to %s port %d', (source, destination, port, reason) => {
    const { outcome, reasons } = check(source, destination, port);
    expect(outcome).toBe('ignored');
    expect(reasons.at(-1)).toMatch(reason);
  });

  it('submission ports raise alerts only, when they are on', () => {
    const on = { ROGUE_SMTP__DETECTION__SUBMISSION__ALERT: 'true' };
    const { outcome, reasons } = check('10.0.0.66', '198.51.100.7', 587, on);
    expect(outcome).toBe('alert_only');
    expect(reasons.join()).toContain('submission port, which raises alerts only');
  });

  it('mail between internal hosts raises alerts only, when that is on, and none to a mail server', () => {
    const on = { ROGUE_SMTP__DETECTION__INTERNAL__ALERT: 'true' };
    expect(check('10.0.0.66', '10.0.0.67', 25, on).outcome).toBe('alert_only');
    expect(check('10.0.0.66', '10.0.0.25', 25, on).outcome).toBe('ignored');
  });

  it('a NAT pool is never blocked', () => {
    const { outcome, reasons } = check('10.0.0.66', '198.51.100.7', 25, {
      ROGUE_SMTP__NETWORKS__NAT: '[10.0.0.64/26]',
    });
    expect(outcome).toBe('alert_only');
    expect(reasons.at(-1)).toContain('NAT pool');
  });

  it.each([
    ['10.0.0.66', '198.51.100.7', 'expected', 'the source is expected "probe": checks mail servers'],
    ['10.0.0.66', '198.51.100.8', 'offence', 'a destination that is not declared'],
    ['10.0.0.67', '198.51.100.7', 'offence', 'the declaration ended at 2020-01-01T00:00:00Z'],
  ])('%s to %s is %s by what is declared', (source, destination, outcome, words) => {
    const answer = check(source, destination, 25, {
      ROGUE_SMTP__EXPECTED:
        '[{ name: probe, hosts: [10.0.0.66], to: [198.51.100.7], does: check }, { name: old, hosts: [10.0.0.67], does: verify, until: "2020-01-01T00:00:00Z" }]',
    });
    expect(answer.outcome).toBe(outcome);
    expect(answer.reasons.join('\n')).toContain(words);
  });

  it('without senders nothing is blocked', () => {
    const { outcome, reasons } = check('10.0.0.66', '198.51.100.7', 25, { ROGUE_SMTP__SENDERS: '[]' });
    expect(outcome).toBe('alert_only');
    expect(reasons.at(-1)).toContain('environment variable ROGUE_SMTP__SENDERS');
  });

  it('refuses what is no address', () => {
    expect(() => check('mail.example', '198.51.100.7')).toThrow('not an IPv4 or IPv6 address');
  });
});
