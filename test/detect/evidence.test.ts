import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradeSession, SESSION_GRADE, type SessionEvidence } from '../../src/detect/evidence.ts';
import { tcpFlags } from '../support/flows.ts';

const CONVERSED = { packets: 10, bytes: 1000 };
const names = ['none', 'attempted', 'connected', 'conversed'];

type Half = [flags: string, packets: number, bytes: number] | null;

function grade(forward: Half, reply: Half, more: Partial<SessionEvidence> = {}): string {
  return names[
    gradeSession(
      {
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
        ...more,
      },
      CONVERSED,
    )
  ];
}

describe('the grade of a session', () => {
  it.each<[string, Half, Half, string]>([
    ['a SYN', ['S', 1, 60], null, 'attempted'],
    ['a refused SYN', ['S', 1, 60], ['RA', 1, 40], 'attempted'],
    ['a half-open scan that was answered', ['SR', 2, 100], ['SA', 1, 60], 'attempted'],
    ['a connect scan that was answered', ['SRA', 3, 150], ['SA', 1, 60], 'connected'],
    ['a dialogue', ['FSPA', 12, 1500], ['FSPA', 11, 1400], 'conversed'],
    ['a dialogue of which only the client half is exported', ['FSPA', 12, 1500], null, 'conversed'],
    ['many packets and few bytes', ['SA', 12, 624], null, 'connected'],
    ['many bytes and few packets', ['SPA', 5, 9000], null, 'connected'],
    ['a short mail of a client that pipelines', ['FSPA', 7, 1230], ['FSPA', 7, 600], 'conversed'],
    ['a probe with EHLO and QUIT, and its ACKs', ['FSPA', 9, 520], ['FSPA', 8, 800], 'connected'],
    ['refused recipients', ['FSPA', 9, 700], ['FSPA', 8, 800], 'connected'],
    ['a short mail without a lone ACK', ['FSPA', 9, 1300], ['FSPA', 8, 700], 'conversed'],
    ['nine packets that are small for a message', ['FSPA', 9, 1149], ['FSPA', 8, 700], 'connected'],
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
    ['a whole reply half', null, ['FSPA', 12, 1400], 'conversed'],
    ['two packets of reply without flags', null, ['', 2, 101], 'none'],
  ])('%s', (_, forward, reply, expected) => {
    expect(grade(forward, reply)).toBe(expected);
  });

  it('one sampled packet that is no SYN proves the connection', () => {
    expect(grade(['A', 1, 52], null, { sampled: true })).toBe('connected');
    expect(grade(null, ['A', 1, 52], { sampled: true })).toBe('connected');
    expect(grade(['S', 1, 60], null, { sampled: true })).toBe('attempted');
  });

  it('a router that dropped it and no reply: attempted; with a reply another way was found', () => {
    expect(grade(['FSPA', 12, 1500], null, { denied: true })).toBe('attempted');
    expect(grade(['FSPA', 12, 1500], ['FSPA', 9, 900], { denied: true })).toBe('conversed');
  });

  it('without the client half is never more than with it, and more packets never prove less', () => {
    const half = fc.tuple(
      fc.constantFrom('', 'S', 'SA', 'A', 'PA', 'SPA', 'FSPA'),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(3000),
    );
    fc.assert(
      fc.property(half, (forward) => {
        const [flags, packets, bytes] = forward;
        if (flags === '') return;
        const rank = (name: string) => names.indexOf(name);
        expect(rank(grade([flags, packets + 1, bytes + 60], null))).toBeGreaterThanOrEqual(
          rank(grade(forward, null)),
        );
        expect(rank(grade(forward, ['FSPA', 20, 2000]))).toBeGreaterThanOrEqual(rank(grade(forward, null)));
      }),
    );
    expect(SESSION_GRADE.conversed).toBe(3);
  });
});
