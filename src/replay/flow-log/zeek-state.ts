/**
 * What Zeek's connection history and state say about TCP flags (Zeek documentation, base/protocols/conn/main.zeek).
 *
 * Only flags that a letter or state asserts are set. A side of which nothing is asserted has no flags at all, which is
 * not the same as having had none.
 */

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

/** By letter; upper case is the originator. Payload stands for PSH: a segment that ends a write carries it. */
const HISTORY: Readonly<Record<string, number>> = {
  s: SYN,
  h: SYN | ACK,
  a: ACK,
  w: ACK,
  d: PSH | ACK,
  t: PSH | ACK,
  f: FIN | ACK,
  r: RST,
  i: FIN | RST,
};

/** Flags of a side by code unit of the letter: [originator, responder]. */
const BY_CODE: readonly [Uint8Array, Uint8Array] = [new Uint8Array(128), new Uint8Array(128)];
for (const [letter, flags] of Object.entries(HISTORY)) {
  BY_CODE[0][letter.toUpperCase().charCodeAt(0)] = flags;
  BY_CODE[1][letter.charCodeAt(0)] = flags;
}

export const ORIGINATOR = 0;
export const RESPONDER = 1;
export type Side = typeof ORIGINATOR | typeof RESPONDER;

/** Flags that the history asserts of a side; 0 for none. */
export function historyFlags(text: string, start: number, end: number, side: Side): number {
  const table = BY_CODE[side];
  let flags = 0;
  for (let i = start; i < end; i++) flags |= table[text.charCodeAt(i) & 127];
  return flags;
}

/** For logs without a history: the least that each state asserts, [originator, responder]. */
const STATES: Readonly<Record<string, readonly [number, number]>> = {
  S0: [SYN, 0],
  S1: [SYN | ACK, SYN | ACK],
  S2: [SYN | ACK | FIN, SYN | ACK],
  S3: [SYN | ACK, SYN | ACK | FIN],
  SF: [SYN | ACK | FIN, SYN | ACK | FIN],
  REJ: [SYN, RST],
  RSTO: [SYN | ACK | RST, SYN | ACK],
  RSTR: [SYN | ACK, SYN | ACK | RST],
  RSTOS0: [SYN | RST, 0],
  RSTRH: [0, SYN | ACK | RST],
  SH: [SYN | FIN, 0],
  SHR: [0, SYN | ACK | FIN],
};

/** Flags that the state asserts of a side; 0 for none. */
export function stateFlags(state: string, side: Side): number {
  return STATES[state]?.[side] ?? 0;
}
