import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { gradeConnection, gradeWith, type SessionEvidence } from '../../src/detect/evidence.ts';
import { MESSAGE, weighMessage } from '../../src/detect/message-weight.ts';
import { tcpFlags } from '../support/flows.ts';

const BOUNDS = configSchema.parse({}).detection.conversed;
const names = ['none', 'attempted', 'connected', 'conversed'];
const weights = Object.entries(MESSAGE).map(([name]) => name);

type Half = [flags: string, packets: number, bytes: number] | null;

function evidence(forward: Half, reply: Half, more: Partial<SessionEvidence>): SessionEvidence {
  return {
    forwardSeen: forward !== null,
    replySeen: reply !== null,
    forwardFlags: tcpFlags(forward?.[0] ?? ''),
    forwardPackets: forward?.[1] ?? 0,
    forwardBytes: forward?.[2] ?? 0,
    replyFlags: tcpFlags(reply?.[0] ?? ''),
    replyPackets: reply?.[1] ?? 0,
    replyBytes: reply?.[2] ?? 0,
    sampled: false,
    denied: false,
    ipv6: false,
    noTimestamps: false,
    ...more,
  };
}

function grade(forward: Half, reply: Half, more: Partial<SessionEvidence> = {}): string {
  const e = evidence(forward, reply, more);
  const connection = gradeConnection(e);
  return names[gradeWith(connection, weighMessage(e, BOUNDS))];
}

const weight = (forward: Half, reply: Half, more: Partial<SessionEvidence> = {}): string =>
  weights[weighMessage(evidence(forward, reply, more), BOUNDS)];

describe('the grade of a session', () => {
  it.each<[string, Half, Half, string]>([
    ['a SYN', ['S', 1, 60], null, 'attempted'],
    ['a refused SYN', ['S', 1, 60], ['RA', 1, 40], 'attempted'],
    ['a half-open scan that was answered', ['SR', 2, 100], ['SA', 1, 60], 'attempted'],
    ['a connect scan that was answered', ['SRA', 3, 150], ['SA', 1, 60], 'connected'],
    ['a mail', ['FSPA', 12, 1500], ['FSPA', 11, 1000], 'conversed'],
    ['a large mail of which only the client half is exported', ['FSPA', 14, 5000], null, 'conversed'],
    ['a short one, which a TLS check may be', ['FSPA', 12, 1500], null, 'connected'],
    ['many packets and no payload', ['SA', 53, 2764], ['SA', 53, 2764], 'connected'],
    ['many bytes in few packets', ['FSPA', 5, 9000], ['FSPA', 6, 700], 'conversed'],
    ['a tail with data', ['PA', 1, 90], null, 'connected'],
    ['a lone ACK, as an ACK scan sends it', ['A', 1, 40], null, 'attempted'],
    ['the RST with which a host answers what it does not know', ['R', 1, 40], null, 'none'],
    ['the same to a SYN-ACK that was seen', ['R', 1, 40], ['SA', 1, 60], 'none'],
    ['SYN retransmissions without flags', ['', 6, 360], null, 'attempted'],
    ['packets of different sizes without flags', ['', 5, 301], null, 'connected'],
    ['one packet with payload without flags', ['', 1, 400], null, 'connected'],
    ['no flags, few packets, and a SYN-ACK', ['', 2, 100], ['SA', 1, 60], 'connected'],
    ['no flags at all, few packets both ways', ['', 1, 60], ['', 1, 40], 'attempted'],
    ['no byte counts and no flags', ['', 3, 0], null, 'attempted'],
    ['a SYN-ACK nobody asked for', null, ['SA', 6, 360], 'none'],
    ['a RST nobody asked for', null, ['RA', 1, 40], 'none'],
    ['a reply with data', null, ['FSPA', 5, 500], 'connected'],
    ['a whole reply half, which does not tell what it answers', null, ['FSPA', 12, 1400], 'connected'],
    ['two packets of reply without flags', null, ['', 2, 101], 'none'],
  ])('%s', (_, forward, reply, expected) => {
    expect(grade(forward, reply)).toBe(expected);
  });

  it('one sampled packet that is no SYN proves the connection', () => {
    expect(grade(['A', 1, 52], null, { sampled: true })).toBe('connected');
    expect(grade(null, ['A', 1, 52], { sampled: true })).toBe('connected');
    expect(grade(['S', 1, 60], null, { sampled: true })).toBe('attempted');
  });

  it('a mark that a router dropped it is believed of what came to nothing, and not against payload or an answer', () => {
    const denied = { denied: true };
    expect(grade(['S', 3, 180], null, denied)).toBe('attempted');
    expect(grade(['SA', 5, 280], null, denied)).toBe('attempted');
    expect(grade(['S', 3, 180], ['RA', 1, 40], denied)).toBe('attempted');
    expect(grade(['FSPA', 12, 6000], null, denied)).toBe('conversed');
    expect(grade(['', 12, 6000], null, denied)).toBe('conversed');
    expect(grade(['FSPA', 12, 1500], ['FSPA', 9, 900], denied)).toBe('conversed');
    expect(grade(['SA', 3, 164], ['SA', 2, 112], denied)).toBe('connected');
  });
});

/** What real programs left in the records of exporters, with timestamps, MSS 1460, over IPv4 unless said. */
describe('the payload of a session', () => {
  /** What a server that offers no TLS answers, and one that sends a small certificate. */
  const PLAIN: Half = ['FSPA', 9, 700];
  const TLS: Half = ['FSPA', 11, 2700];

  it.each<[string, Half, Half, string]>([
    ['a greeting', ['FSPA', 6, 326], PLAIN, 'greeting'],
    ['an address that is verified', ['FSPA', 9, 580], PLAIN, 'envelope'],
    ['refused recipients', ['FSPA', 13, 790], PLAIN, 'envelope'],
    ['keep-alives of an idle connection', ['FSPA', 53, 2764], ['FSPA', 53, 2950], 'greeting'],
    ['a thousand NOOPs', ['FSPA', 1005, 58_400], ['FSPA', 1005, 80_600], 'tlsGreeting'],
    ['450 bytes of mail', ['FSPA', 10, 1073], PLAIN, 'certain'],
    ['the same without timestamps', ['FSPA', 10, 964], PLAIN, 'certain'],
    ['300 bytes of mail', ['FSPA', 10, 887], PLAIN, 'certain'],
    ['CHUNKING: a mail of five packets', ['FSPA', 5, 1033], ['FSPA', 7, 650], 'certain'],
    ['a bot that writes everything at once', ['FSPA', 5, 811], ['FSPA', 6, 600], 'certain'],
    ['a bot that resets after DATA', ['SRPA', 9, 1013], ['SPA', 7, 650], 'certain'],
    ['a STARTTLS check', ['FSPA', 10, 982], TLS, 'tlsGreeting'],
    ['the same with a chain of three certificates', ['FSPA', 17, 1343], ['FSPA', 17, 6300], 'tlsGreeting'],
    ['an address that is verified over TLS', ['FSPA', 12, 1551], TLS, 'tlsEnvelope'],
    ['a check with a post-quantum hello', ['FSPA', 13, 2450], TLS, 'unclear'],
    ['the largest of them', ['FSPA', 14, 2640], TLS, 'unclear'],
    ['the shortest mails over TLS', ['FSPA', 14, 1848], TLS, 'likely'],
    ['a mail over TLS', ['FSPA', 20, 3600], TLS, 'likely'],
    ['a large mail over TLS', ['FSPA', 22, 4900], TLS, 'certain'],
    ['three recipients asked for', ['FSPA', 10, 672], ['FSPA', 11, 850], 'envelope'],
    ['ten recipients, all refused', ['FSPA', 18, 1284], ['FSPA', 19, 1660], 'envelope'],
    ['300 bytes of mail without timestamps', ['FSPA', 11, 799], ['FSPA', 12, 800], 'likely'],
    ['a TLS handshake that the client breaks off', ['SRPA', 8, 941], ['SPA', 6, 923], 'unclear'],
    ['a post-quantum one, closed before the certificate', ['FSPA', 8, 2011], ['FSPA', 8, 1055], 'unclear'],
    ['a mail command by command between the checks', ['FSPA', 19, 2659], ['FSPA', 22, 5367], 'likely'],
    ['a short mail or a check, without the server', ['FSPA', 10, 1073], null, 'unclear'],
    ['more than a check, without the server', ['FSPA', 12, 1950], null, 'likely'],
    ['a greeting, without the server', ['FSPA', 6, 326], null, 'greeting'],
  ])('%s', (_, forward, reply, expected) => {
    expect(weight(forward, reply)).toBe(expected);
  });

  it('over IPv6 has headers that are 20 octets longer', () => {
    expect(weight(['FSPA', 9, 580 + 9 * 20], PLAIN, { ipv6: true })).toBe('envelope');
    expect(weight(['FSPA', 10, 887 + 200], PLAIN, { ipv6: true })).toBe('certain');
  });

  it('of a connection that has no timestamps is larger', () => {
    expect(weight(['FSPA', 10, 770], PLAIN)).toBe('envelope');
    expect(weight(['FSPA', 10, 770], PLAIN, { noTimestamps: true })).toBe('certain');
  });

  it('is judged once the server has had its say: a certificate may still come', () => {
    const hello: Half = ['SPA', 8, 1000];
    expect(weight(hello, ['SPA', 5, 500])).toBe('unclear');
    expect(weight(hello, ['PA', 9, 900])).toBe('unclear');
    expect(weight(['FSPA', 10, 1100], ['FSPA', 4, 420])).toBe('unclear');
    expect(weight(['SPA', 8, 1700], TLS.with(0, 'SPA') as Half)).toBe('unclear');
  });

  it('repeated to a server that is gone is no message', () => {
    expect(weight(['SPA', 15, 15 * 1500], ['SPA', 4, 400])).toBe('unclear');
  });

  it('where no certificate came may be a resumed TLS session, when the server says more than plain servers do', () => {
    expect(weight(['FSPA', 12, 1600], ['FSPA', 10, 900])).toBe('unlessResumed');
    // Its certificate may have come before anybody looked. A mail to ten gets as much, in more and smaller answers.
    expect(weight(['FSPA', 12, 1600], ['FSPA', 10, 1300])).toBe('unclear');
    expect(weight(['FSPA', 12, 1900], ['FSPA', 20, 1550])).toBe('unlessResumed');
    // As large as such a session whose hello was sent twice: two of them are a proof.
    expect(weight(['FSPA', 12, 2100], ['FSPA', 10, 1300])).toBe('likely');
    expect(weight(['FSPA', 12, 2100], ['FSPA', 10, 900])).toBe('certain');
  });

  it('below a mail of 300 octets may be a TLS hello that the server refused', () => {
    expect(weight(['FSPA', 7, 636], ['FSPA', 8, 598])).toBe('unclear');
    expect(weight(['FSPA', 10, 890], ['FSPA', 11, 748])).toBe('certain');
  });

  it('sampled proves a message only where no check is so large', () => {
    expect(weight(['FSPA', 3, 1900], null, { sampled: true })).toBe('greeting');
    expect(weight(['PA', 3, 4500], null, { sampled: true })).toBe('certain');
  });

  it('never weighs less for a larger session of as many packets', () => {
    const rank = (name: string) => weights.indexOf(name);
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 60 }),
        fc.nat(9000),
        fc.constantFrom(PLAIN, null),
        (n, more, reply) => {
          const bytes = 52 * n + 8;
          if (rank(weight(['FSPA', n, bytes + more], reply)) === MESSAGE.unclear) return;
          if (rank(weight(['FSPA', n, bytes + more + 100], reply)) === MESSAGE.unclear) return;
          expect(rank(weight(['FSPA', n, bytes + more + 100], reply))).toBeGreaterThanOrEqual(
            rank(weight(['FSPA', n, bytes + more], reply)),
          );
        },
      ),
    );
  });
});
