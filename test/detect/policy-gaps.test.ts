import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { policyGaps } from '../../src/detect/policy-gaps.ts';
import { detect, MAIL_SERVER, OUTSIDE, STRICT } from '../support/detecting.ts';
import type { Flow } from '../support/flows.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00.000Z');
const MAIL = { name: 'mail', hosts: ['10.0.0.25'] };
const gaps = (config: ConfigInput) => policyGaps(configSchema.parse(config), NOW_MS);
const kinds = (config: ConfigInput) => gaps(config).map(({ kind }) => kind);

describe('gaps of a policy', () => {
  it('are none where networks, senders and exceptions leave somebody to judge and to block', () => {
    expect(
      gaps({ networks: { internal: ['10.0.0.0/8'] }, senders: [MAIL], block: { never: ['10.0.0.0/9'] } }),
    ).toEqual([]);
    expect(gaps({})).toEqual([]);
  });

  it.each([
    [['0.0.0.0/0']],
    [['0.0.0.0/1', '128.0.0.0/1']],
    [['::/0']],
    [['128.0.0.0/2', '0.0.0.0/1', '192.0.0.0/2']],
  ])('name networks that leave nobody outside: %j', (internal) => {
    expect(gaps({ networks: { internal }, senders: [MAIL] })).toMatchObject([
      { kind: 'blind', text: expect.stringContaining('no server is outside') },
    ]);
  });

  it('are partial where the other IP version has bounds', () => {
    expect(kinds({ networks: { internal: ['0.0.0.0/0', '2001:db8:1::/48'] }, senders: [MAIL] })).toEqual([
      'partial',
    ]);
  });

  it('name senders that cover every host, unless they are bound to destinations or have ended', () => {
    const internal = ['10.0.0.0/8', '192.168.1.0/24'];
    const all = { name: 'all', hosts: ['10.0.0.0/9', '10.128.0.0/9', '192.168.0.0/16'] };
    expect(kinds({ networks: { internal }, senders: [all] })).toEqual(['blind']);
    expect(kinds({ networks: { internal }, senders: [{ ...all, to: ['198.51.100.25'] }] })).toEqual([]);
    expect(
      kinds({ networks: { internal }, senders: [MAIL, { ...all, until: '2026-02-01T00:00:00Z' }] }),
    ).toEqual(['partial']);
  });

  it('name permissions that have ended, and that none is left', () => {
    const ended = { ...MAIL, until: '2026-02-01T00:00:00Z' };
    expect(gaps({ senders: [ended] })).toMatchObject([
      { kind: 'partial', text: expect.stringContaining('sender "mail" (10.0.0.25) ended at 2026-02-01') },
      { kind: 'toothless' },
    ]);
    expect(gaps({ senders: [{ ...MAIL, until: '2026-04-01T00:00:00Z' }] })).toEqual([]);
  });

  it('name exceptions that cover every host, by block.never and networks.nat together', () => {
    const networks = { internal: ['10.0.0.0/8'], nat: ['10.128.0.0/9'] };
    expect(gaps({ networks, senders: [MAIL], block: { never: ['10.0.0.0/9'] } })).toMatchObject([
      { kind: 'toothless', text: expect.stringContaining('block.never and networks.nat') },
    ]);
    expect(kinds({ networks, senders: [MAIL], block: { never: ['10.0.0.0/10'] } })).toEqual([]);
  });
});

describe('a policy whose permissions have all ended', () => {
  it('blocks nobody: the mail server would be among the first', () => {
    const config = { ...STRICT, senders: [{ ...MAIL, until: '2026-02-01T00:00:00Z' }] };
    const flows = [1, 2, 3].map((n): Flow => ({ from: MAIL_SERVER, to: OUTSIDE, at: n }));
    expect(detect(flows, { config }).of(MAIL_SERVER)).toMatchObject({
      grade: 'conversed',
      block: { state: 'refused', reason: expect.stringContaining('in force') },
    });
  });
});
