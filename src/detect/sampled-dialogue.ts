/**
 * What samples prove about a host: a sequential test over its sampled packets, in place of estimates.
 *
 * One sampled packet proves a connection and nothing more, and a sample is never multiplied by the sampling rate. But
 * what the samples of many sessions are like tells a host that sends large mails from one that only checks. The test needs
 * no sampling rate, so an unknown one does no harm. It must never lower what single sessions prove by themselves.
 *
 * Trial: a sampled packet of the client on port 25 that is not its SYN. Success: it has over LARGE_PACKET_BYTES. SYNs are
 * no trials, so a bot that also scans for open ports hides nothing behind its scan.
 *
 * In no check of the mail lab (test/scenarios/README.md) is more than one packet of a session so large, and that one is
 * the post-quantum hello: the first 1448 of its 1500 to 2200 octets. The clients that send it have 10 packets or more after
 * the SYN, so at most 10 % are large; in all other checks none is (the hello of Postfix with a ticket has 676 octets). A
 * mail of 10 kB has 44 to 58 %, over TLS 28 %, one of 100 kB 86 %. A mail of 1 kB has 25 % when it is sent in
 * a few packets (CHUNKING), else 5 to 11 %, one of 3 kB has 17 %, a shorter one none: samples do not tell such mails from
 * checks, and the test leaves them alone.
 *
 * +5 for a large packet, -1 for another: the sum falls unless more than every sixth packet is large. It is kept from
 * falling below 0 (Page's CUSUM, a sequence of Wald tests), so that the host that was harmless for a week is found as fast as
 * a new one, and whatever a harmless host gathers is soon gone. Accepted at 100.
 *
 * Error, exactly, from the chain of sums: a check every minute for a week gives 14,000 trials at 1:10. With 10 % of them
 * large, a wrong acceptance in that week has a probability of 7e-6, with 11 % 1.3e-4, and with 12.5 % (a session of 8 packets,
 * which no program of the lab has) 6e-3. At 1:100 and 1:1000 there are fewer trials and less error. All innocent cases of the
 * lab together, each run every minute for a week at 1:10: below 1e-4. What a router tells twice counts once, unless
 * it is a single packet: should each be told twice, the worst case of the lab is accepted in a week with 7e-2.
 * Mail is accepted after 55 trials on average where 47 % are large, 102 at 33 %, 197 at 25 %, 428 at 20 %. Ten mails
 * of 10 kB give about 15 trials at 1:10. test/detect/sampled-dialogue.test.ts computes and simulates all of this.
 */

import { TCP } from './tcp-flags.ts';

const LARGE = 5;
const SMALL = -1;
const ACCEPT = 100;

/** IP octets. The first segment of a post-quantum hello is larger; the second one, with a ticket or a small MTU, is not. */
const LARGE_PACKET_BYTES = 900;
/** IP octets of the largest packet on most paths. */
const FULL_PACKET_BYTES = 1500;
/** Packets of the client's half of a short mail, its SYN not counted. */
const DIALOGUE_PACKETS = 11;
/** The counts are kept in words of 32 bits. */
const MAX_COUNT = 0xffff_ffff;

/** The state of the test for one host; plain integers, so that it survives a restart exactly. */
export interface SampledDialogue {
  /** The present sum, 0 to ACCEPT. */
  score: number;
  /** Packets that were trials, and the large ones of them. */
  trials: number;
  successes: number;
}

export function noSamples(): SampledDialogue {
  return { score: 0, trials: 0, successes: 0 };
}

/** True when the samples prove that the host sends messages. Stays true: what was proven needs no proof again. */
export function isAccepted(test: SampledDialogue): boolean {
  return test.score >= ACCEPT;
}

/** The most that a score can be; for validation. */
export const MAX_SCORE = ACCEPT;

/** Takes sampled packets of the client, `large` ones among them. */
export function notePackets(test: SampledDialogue, packets: number, large: number): void {
  test.trials = Math.min(MAX_COUNT, test.trials + packets);
  test.successes = Math.min(MAX_COUNT, test.successes + large);
  if (isAccepted(test)) return;
  const step = LARGE * large + SMALL * (packets - large);
  test.score = Math.min(ACCEPT, Math.max(0, test.score + step));
}

/** Packets of a record of the client's half that are not its SYN. `flags` are 0 when unknown: then none is taken for a SYN. */
export function laterPackets(packets: number, flags: number): number {
  return (flags & TCP.SYN) === 0 ? packets : packets - 1;
}

/**
 * Large packets of a record, at least: as many as are needed for its octets when each of them is full and each other one as
 * large as is allowed. A whole check in one record never gives more than one, not even when its hello was counted as
 * one packet of 2200 octets (receive offload).
 */
export function largePackets(packets: number, bytes: number): number {
  const more = bytes - LARGE_PACKET_BYTES * packets;
  return more <= 0 ? 0 : Math.min(packets, Math.ceil(more / (FULL_PACKET_BYTES - LARGE_PACKET_BYTES)));
}

/**
 * How many sessions a host must hold until one of them is seen with the probability `confidence` (0 to 1) at one packet
 * in `rate`: until at least one packet of the client after its SYN is sampled. `packets` are those of one session.
 * 273 at 1:1000, 137 at 1:500, 28 at 1:100, for mails of 11 packets.
 */
export function sessionsToBeSeen(rate: number, confidence = 0.95, packets = DIALOGUE_PACKETS): number {
  if (rate <= 1) return 1;
  return Math.max(1, Math.ceil(Math.log(1 - confidence) / (packets * Math.log1p(-1 / rate))));
}
