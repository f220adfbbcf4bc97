/**
 * Conversations with the packets of real programs: the median session of a case of the mail lab (test/e2e/mail-lab), whose payloads
 * were taken from its packets. Lone ACKs, hellos over TLS and chains of certificates are those of the real stacks.
 */

import { type LabCase, readTruth } from '../mail-lab.ts';
import type { Chance } from './chance.ts';
import type { Script } from './conversation.ts';

const FIN = 1;
const SYN = 2;
const PSH = 8;
const ACK = 16;
/** Options of a SYN beyond those of later packets. */
const SYN_MORE = 8;

/** Octets of payload of each packet after the handshake's SYNs: the client's positive or 0 for its lone ACKs, the server's negative. */
export type MeasuredDialogue = readonly number[];

let known: readonly MeasuredDialogue[] | undefined;

/** What innocent hosts do in the lab: checks, verifications and idle connections, plain and over TLS. */
export function innocentDialogues(): readonly MeasuredDialogue[] {
  const isCheck = ({ kind, dialogue }: Pick<LabCase, 'kind' | 'dialogue'>) =>
    kind === 'innocent' && dialogue.length > 0;
  known ??= readTruth()
    .filter(isCheck)
    .map(({ dialogue }) => dialogue);
  return known;
}

/** Plays a dialogue from the SYN to the FINs; its times are made up. */
export function measured(s: Script, chance: Chance, dialogue: MeasuredDialogue): void {
  const rtt = chance.between(8, 180);
  s.client(SYN_MORE, SYN);
  s.wait(rtt);
  s.server(SYN_MORE, SYN | ACK);
  s.wait(1);
  const last = dialogue.findLastIndex((payload) => payload >= 0);
  dialogue.forEach((payload, at) => {
    const flags = (payload === 0 ? ACK : PSH | ACK) | (at === last ? FIN : 0);
    if (payload >= 0) s.client(payload, flags);
    else s.server(-payload, flags);
    if (dialogue[at + 1] < 0 !== payload < 0) s.wait(rtt / 2);
  });
  s.server(0, FIN | ACK);
}
