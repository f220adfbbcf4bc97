import { describe, expect, it } from 'vitest';
import { meaningOf, questionName } from '../../src/blocklist-watch/zones.ts';
import { parseAddress } from '../../src/flow/address.ts';

describe('what is asked', () => {
  // RFC 5782 sections 2.1 and 2.4.
  it.each([
    ['192.0.2.99', '99.2.0.192.bad.example.com'],
    [
      '2001:db8:1:2:3:4:567:89ab',
      'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com',
    ],
  ])('%s', (address, name) => {
    expect(questionName(parseAddress(address)!, 'bad.example.com')).toBe(name);
  });
});

describe('what an answer means', () => {
  it.each([
    ['zen.spamhaus.org', '127.0.0.4', 'listed', /XBL/],
    ['zen.spamhaus.org', '127.255.255.254', 'error', /public resolver/],
    ['zen.spamhaus.org', '127.255.255.255', 'error', /too many/],
    ['other.example', '127.255.255.250', 'error', /127\.255\.255\.250/],
    ['other.example', '127.0.0.7', 'listed', /answer 127\.0\.0\.7/],
    ['other.example', '198.51.100.1', 'error', /no list does/],
  ])('%s %s', (zone, code, kind, text) => {
    const meaning = meaningOf(zone, code);
    expect(meaning.kind).toBe(kind);
    expect(meaning.text).toMatch(text);
  });

  it('is what the configuration says first', () => {
    expect(meaningOf('zen.spamhaus.org', '127.0.0.2', { '127.0.0.2': 'ours' })).toEqual({
      kind: 'listed',
      text: 'ours',
    });
  });
});
