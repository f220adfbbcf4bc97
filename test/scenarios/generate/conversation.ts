/**
 * TCP conversations packet by packet, as a router sees them pass: direction, octets of the IP packet, flags, time.
 *
 * Sizes follow RFC 5321 dialogues with the 12 octets of TCP timestamps that today's systems send. Every packet is there,
 * so that sampling can take packets and timeouts can cut where they would. One script is filled again and again: who
 * needs a packet later must take it at once.
 */

import type { Chance } from './chance.ts';
import type { Actor, Endpoint } from './network.ts';

const MAX_PACKETS = 4096;
const HEADERS = 52;
const SEGMENT = 1448;

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

/** The packets of one conversation in the order of time. */
export class Script {
  count = 0;
  /** 1 from the client, 0 from the server. */
  readonly fromClient = new Uint8Array(MAX_PACKETS);
  readonly bytes = new Uint16Array(MAX_PACKETS);
  readonly flags = new Uint8Array(MAX_PACKETS);
  /** Milliseconds after the beginning. */
  readonly at = new Float64Array(MAX_PACKETS);
  /** Octets that IPv6 has more than IPv4. */
  extra = 0;
  #now = 0;

  begin(ipv6: boolean): void {
    this.count = 0;
    this.extra = ipv6 ? 20 : 0;
    this.#now = 0;
  }

  wait(ms: number): void {
    this.#now += ms;
  }

  client(payload: number, flags: number): void {
    this.#add(1, HEADERS + payload, flags);
  }

  server(payload: number, flags: number): void {
    this.#add(0, HEADERS + payload, flags);
  }

  #add(fromClient: number, bytes: number, flags: number): void {
    const at = this.count;
    if (at === MAX_PACKETS) return;
    this.fromClient[at] = fromClient;
    this.bytes[at] = bytes + this.extra;
    this.flags[at] = flags;
    this.at[at] = this.#now;
    this.count = at + 1;
  }
}

/** What passes the routers; the packets are in the script while it is handed over, and not longer. */
export interface Conversation {
  readonly id: number;
  /** Whose doing it is, for the truth: the internal host, also where it only answers. */
  readonly actor: Actor;
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly clientPort: number;
  readonly serverPort: number;
  readonly protocol: number;
  readonly startMs: number;
}

/** SYN, SYN-ACK, ACK. */
function handshake(s: Script, rttMs: number): void {
  s.client(8, SYN);
  s.wait(rttMs);
  s.server(8, SYN | ACK);
  s.wait(1);
  s.client(0, ACK);
}

function goodbye(s: Script, rttMs: number): void {
  s.client(6, PSH | ACK);
  s.wait(rttMs);
  s.server(20, PSH | ACK);
  s.server(0, FIN | ACK);
  s.wait(1);
  s.client(0, FIN | ACK);
  s.wait(rttMs);
  s.server(0, ACK);
}

function say(s: Script, rttMs: number, payload: number, answer: number): void {
  s.client(payload, PSH | ACK);
  s.wait(rttMs);
  s.server(answer, PSH | ACK);
  s.wait(1);
}

export interface MailShape {
  /** Octets of the message with its headers. */
  readonly body: number;
  readonly tls?: boolean;
  /** MAIL, RCPT and DATA in one packet (RFC 2920). */
  readonly pipelined?: boolean;
  /** A tarpit: so many milliseconds before each answer. */
  readonly stallMs?: number;
}

/** A mail that is delivered, in the fewest packets that it can have: no ACK of the client goes alone. */
export function mail(s: Script, chance: Chance, { body, tls, pipelined, stallMs = 0 }: MailShape): void {
  const rtt = chance.between(8, 180) + stallMs;
  handshake(s, rtt);
  s.wait(chance.between(5, 400));
  s.server(chance.between(40, 110), PSH | ACK);
  say(s, rtt, chance.between(16, 40), chance.between(90, 240));
  let record = 0;
  if (tls === true) {
    say(s, rtt, 10, 30);
    s.client(517, PSH | ACK);
    s.wait(rtt);
    s.server(SEGMENT, ACK);
    s.server(chance.between(900, SEGMENT), PSH | ACK);
    s.wait(2);
    s.client(0, ACK);
    say(s, rtt, 80, 255);
    record = 22;
    say(s, rtt, chance.between(16, 40) + record, 220 + record);
  }
  if (pipelined === true) {
    say(s, rtt, chance.between(80, 120) + record, 65 + record);
  } else {
    say(s, rtt, chance.between(32, 60) + record, 14 + record);
    say(s, rtt, chance.between(30, 55) + record, 14 + record);
    say(s, rtt, 6 + record, 37 + record);
  }
  let left = body + record;
  for (let n = 1; left > 0; n++) {
    const payload = Math.min(left, SEGMENT);
    left -= payload;
    s.client(payload, left > 0 ? ACK : PSH | ACK);
    if (n % 10 === 0) s.wait(rtt);
    if (n % 2 === 0) s.server(0, ACK);
  }
  s.wait(rtt + chance.between(10, 800));
  s.server(chance.between(30, 70) + record, PSH | ACK);
  s.wait(1);
  goodbye(s, rtt);
}

/** The server refuses the recipient: EHLO, MAIL, RCPT, 550, QUIT. Too little for a dialogue of its own. */
export function refused(s: Script, chance: Chance): void {
  const rtt = chance.between(8, 180);
  handshake(s, rtt);
  s.wait(chance.between(5, 300));
  s.server(chance.between(40, 110), PSH | ACK);
  say(s, rtt, chance.between(16, 40), chance.between(90, 240));
  say(s, rtt, chance.between(32, 60), 14);
  say(s, rtt, chance.between(30, 55), chance.between(60, 200));
  goodbye(s, rtt);
}

/** A probe, or a banner grab: greeting, EHLO now and then, QUIT. */
export function probe(s: Script, chance: Chance, ehlo: boolean): void {
  const rtt = chance.between(8, 180);
  handshake(s, rtt);
  s.wait(chance.between(5, 300));
  s.server(chance.between(40, 110), PSH | ACK);
  if (ehlo) say(s, rtt, chance.between(16, 40), chance.between(90, 240));
  goodbye(s, rtt);
}

/** A handshake and a reset: what a connect scan leaves. */
export function connectOnly(s: Script, chance: Chance): void {
  handshake(s, chance.between(8, 180));
  s.wait(1);
  s.client(0, RST | ACK);
}

/** SYNs without an answer, sent again after 1, 3 and 7 seconds. */
export function unanswered(s: Script, tries: number): void {
  for (let n = 0; n < tries; n++) {
    s.client(8, SYN);
    s.wait(1000 * 2 ** n);
  }
}

/** A SYN that is answered by a reset. */
export function closed(s: Script, chance: Chance): void {
  s.client(8, SYN);
  s.wait(chance.between(5, 180));
  s.server(-12, RST | ACK);
}

/** Half of a SYN scan that meets an open port: SYN, SYN-ACK, and the scanner's own RST. */
export function halfOpen(s: Script, chance: Chance): void {
  const rtt = chance.between(8, 180);
  s.client(-8, SYN);
  s.wait(rtt);
  s.server(-8, SYN | ACK);
  s.wait(1);
  s.client(-12, RST);
}

/** Answers to SYNs that somebody else sent under an internal address; the host itself may answer with a RST. */
export function backscatter(s: Script, chance: Chance): void {
  if (chance.happens(0.3)) {
    s.server(-12, RST | ACK);
    return;
  }
  const answers = chance.happens(0.3);
  for (let n = 0; n < 4; n++) {
    s.server(8, SYN | ACK);
    if (answers) {
      s.wait(1);
      s.client(-12, RST);
      return;
    }
    s.wait(1000 * 2 ** n);
  }
}

/** Anything else that people do: a page, a download. */
export function transfer(s: Script, chance: Chance, serverBytes: number): void {
  const rtt = chance.between(5, 80);
  handshake(s, rtt);
  s.client(517, PSH | ACK);
  s.wait(rtt);
  let left = serverBytes;
  for (let n = 1; left > 0; n++) {
    s.server(Math.min(left, SEGMENT), left > SEGMENT ? ACK : PSH | ACK);
    left -= SEGMENT;
    if (n % 2 === 0) s.client(0, ACK);
    if (n % 20 === 0) s.wait(rtt);
  }
  s.client(0, FIN | ACK);
  s.wait(rtt);
  s.server(0, FIN | ACK);
}

/** A ping or another message without ports; its type and code stand where ports stand. */
export function message(s: Script): void {
  s.client(32, 0);
}
