/** The key `notify`: the examples of the page are valid, and what cannot be is refused with its place. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { crossCheck } from '../../src/config/cross-check.ts';
import { configSchema } from '../../src/config/schema.ts';

const PAGE = readFileSync(new URL('../../docs/notifications.md', import.meta.url), 'utf8');

/** Indented blocks of the page. */
const examples = PAGE.split(/\n(?! {4}|\n)/)
  .flatMap(
    (part) =>
      part
        .split('\n')
        .filter((line) => line.startsWith('    '))
        .join('\n') || [],
  )
  .map((block) => block.replace(/^ {4}/gm, ''));

const mistakes = (target: object) =>
  crossCheck(configSchema.parse({ notify: [target] })).errors.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('notify', () => {
  it('takes every example of the page', () => {
    expect(examples.length).toBeGreaterThan(5);
    for (const example of examples) {
      const value = parse(example);
      const config = configSchema.parse(Array.isArray(value) ? { notify: value } : value);
      expect(crossCheck(config).errors).toEqual([]);
    }
  });

  it.each([
    [{ type: 'webhook', name: 'a' }, 'notify.0.url: needs one of url and url_file'],
    [
      { type: 'webhook', name: 'a', form: 'pagerduty' },
      'notify.0.routing_key_file: the form pagerduty needs the integration key',
    ],
    [
      {
        type: 'mail',
        name: 'a',
        host: 'mx',
        from: 'a@b',
        to: ['c@d'],
        tls: 'none',
        username: 'u',
        password_file: '/p',
      },
      'notify.0.tls: with a password it must be starttls or implicit, or the password could cross the network as it is',
    ],
    [
      { type: 'exec', name: 'a', command: ['x'], sites: ['b'] },
      'notify.0.sites: there is no site "b" in networks.sites',
    ],
    [
      { type: 'exec', name: 'a', command: ['x'], groups: ['b'] },
      'notify.0.groups: there is no group "b" in alerts.groups',
    ],
  ])('refuses %j', (target, message) => {
    expect(mistakes(target)).toEqual([message]);
  });

  it.each([
    { type: 'mail', name: 'a', host: 'mx', from: 'a@b\r\nBcc: x@y', to: ['c@d'] },
    { type: 'mail', name: 'a', host: 'mx', from: 'a@b', to: ['c@d> NOTIFY=NEVER'] },
    { type: 'webhook', name: '../a', url: 'http://a/' },
    { type: 'webhook', name: 'a', url: 'ftp://a/' },
    { type: 'webhook', name: 'a', url: 'http://user:secret@a/' },
    { type: 'exec', name: 'a', command: 'a shell line' },
    {
      type: 'exec',
      name: 'a',
      command: ['x'],
      quiet_hours: { from: '22:00', to: '07:00', time_zone: 'Mars/Base' },
    },
    { type: 'exec', name: 'a', command: ['x'], tpye: 1 },
  ])('does not take %j', (target) => {
    expect(configSchema.safeParse({ notify: [target] }).success).toBe(false);
  });
});
