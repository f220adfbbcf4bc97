/**
 * TCP conversations packet by packet, as a router sees them pass: direction, octets of the IP packet, flags, time.
 *
 * Every packet is there, so that sampling can take packets and timeouts can cut where they would. One script is filled
 * again and again: who needs a packet later must take it at once. Here are also the conversations in which nobody
 * speaks SMTP; those in which somebody does are sessions of real programs, see dialogues.ts.
 */

import type { Chance } from './chance.ts';
import type { Actor, Endpoint } from './network.ts';

const MAX_PACKETS = 4096;
const SEGMENT = 1448;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

/** Octets of the IP and TCP headers, with the options that every packet after the SYN has. */
export const headerBytes = (timestamps: boolean, ipv6: boolean): number =>
  (timestamps ? 52 : 40) + (ipv6 ? 20 : 0);

/** The packets of one conversation in the order of time. */
export class Script {
  count = 0;
  /** 1 from the client, 0 from the server. */
  readonly fromClient = new Uint8Array(MAX_PACKETS);
  readonly bytes = new Uint16Array(MAX_PACKETS);
  readonly flags = new Uint8Array(MAX_PACKETS);
  /** Milliseconds after the beginning. */
  readonly at = new Float64Array(MAX_PACKETS);
  ipv6 = false;
  /** Both ends send TCP timestamps (RFC 7323), as nearly all systems do. */
  timestamps = true;
  /** The client holds a session with a server, as opposed to scans, and to answers that nobody asked for. */
  isSession = false;
  /** The client hands over a message, and the server takes it. */
  carriesMessage = false;
  #now = 0;

  begin(ipv6: boolean): void {
    this.count = 0;
    this.ipv6 = ipv6;
    this.timestamps = true;
    this.isSession = false;
    this.carriesMessage = false;
    this.#now = 0;
  }

  wait(ms: number): void {
    this.#now += ms;
  }

  client(payload: number, flags: number): void {
    this.#add(1, payload, flags);
  }

  server(payload: number, flags: number): void {
    this.#add(0, payload, flags);
  }

  #add(fromClient: number, payload: number, flags: number): void {
    const at = this.count;
    if (at === MAX_PACKETS) return;
    this.fromClient[at] = fromClient;
    this.bytes[at] = headerBytes(this.timestamps, this.ipv6) + payload;
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
