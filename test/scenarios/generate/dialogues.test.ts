/** What is played is what the lab saw: packets and octets of both halves, to the octet. */

import { describe, expect, it } from 'vitest';
import type { TruthCase } from '../../e2e/mail-lab/truth.ts';
import { readTruth } from '../mail-lab.ts';
import { createChance } from './chance.ts';
import { Script } from './conversation.ts';
import { type Dialogue, dialogueOf, type Played, play, spread } from './dialogues.ts';

const FIN_OR_RST = 5;
const truth = readTruth().filter(({ dialogue }) => dialogue.length > 0);
const dialogues = truth.map(dialogueOf);

/** Packets and octets of the client's half and of the server's, and the flags of each. */
function played(dialogue: Dialogue, how: Played = {}) {
  const script = new Script();
  script.begin(dialogue.ipv6);
  play(script, createChance(1, 'path'), dialogue, how);
  const halves = [
    { packets: 0, bytes: 0, flags: 0 },
    { packets: 0, bytes: 0, flags: 0 },
  ];
  for (let i = 0; i < script.count; i++) {
    const half = halves[script.fromClient[i] === 1 ? 0 : 1];
    half.packets++;
    half.bytes += script.bytes[i];
    half.flags |= script.flags[i];
  }
  return { client: halves[0], server: halves[1], script };
}

type Sessions = TruthCase['first'];
const isSession = ({ client, server }: ReturnType<typeof played>, first: Sessions) =>
  first.some(
    ({ forward, reply }) =>
      forward[0] === client.packets &&
      forward[1] === client.bytes &&
      reply[0] === server.packets &&
      reply[1] === server.bytes,
  );

describe('a dialogue of the mail lab', () => {
  it('is played with the packets and octets that a real session of its case had', () => {
    const others = truth.filter((each) => !isSession(played(dialogueOf(each)), each.first));
    // Hosts of hundreds of sessions, whose median one is not among the eight that the truth tells of.
    expect(others.map(({ name }) => name)).toEqual(
      others.filter((each) => each.sessions > 8).map(({ name }) => name),
    );
    expect(others.length).toBeLessThan(12);
  });

  it('begins with certificates where it resumes an earlier session', () => {
    const resumed = dialogues.flatMap(({ name, full }) => (full === null ? [] : [{ name, full }]));
    expect(resumed.length).toBeGreaterThan(8);
    for (const { name, full } of resumed) {
      const first = truth.find((each) => each.name === name)?.first ?? [];
      expect(isSession(played(full), first), name).toBe(true);
    }
  });

  it('ends with a FIN or a reset of the client', () => {
    for (const dialogue of dialogues)
      expect(played(dialogue).client.flags & FIN_OR_RST, dialogue.name).not.toBe(0);
  });

  it('carries a message where the server took one, found by its size', () => {
    for (const { name, kind, bodyBytes } of dialogues) {
      if (kind !== 'delivering' && kind !== 'authorised') expect(bodyBytes, name).toBe(0);
      else expect(bodyBytes, name).toBeGreaterThan(200);
    }
    const large = dialogues.find(({ name }) => name === 'smtplib-100000-exim');
    expect(large?.bodyBytes).toBeGreaterThan(100_000);
  });

  it('is stretched by full segments, of which the server acknowledges every second one', () => {
    const small = dialogues.find(({ name }) => name === 'smtplib-1000-exim');
    const large = dialogues.find(({ name }) => name === 'smtplib-100000-exim');
    if (small === undefined || large === undefined) throw new Error('the lab has lost a case');
    const bodyBytes = large.bodyBytes;
    const stretched = played(small, { bodyBytes });
    const real = played(large);
    // The same message from the same program to the same server: within the packets that a path makes of it.
    expect(Math.abs(stretched.client.packets - real.client.packets)).toBeLessThan(4);
    expect(Math.abs(stretched.client.bytes - real.client.bytes)).toBeLessThan(200);
    expect(Math.abs(stretched.server.packets - real.server.packets)).toBeLessThan(6);
    // One that is large enough stays as it is.
    expect(played(large, { bodyBytes: 500 }).client).toEqual(real.client);
  });

  it('gives each case its turn, neighbours far apart', () => {
    for (const count of [1, 2, 12, 54, 138, 204]) {
      const cases = Array.from({ length: count }, (_, i) => i);
      const turns = cases.map((n) => spread(cases, 1000 + n));
      expect(new Set(turns).size).toBe(count);
    }
  });
});
