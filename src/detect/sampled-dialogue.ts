/**
 * What samples prove about a host: a sequential test over its sampled packets, in place of estimates.
 *
 * One sampled packet proves a connection and nothing more, and a sample is never multiplied by the sampling rate. But
 * what the samples of many sessions are like tells a host that sends large mails from one that only checks. The test needs
 * no sampling rate, so an unknown one does no harm. It must never lower what single sessions prove by themselves.
 *
 * Trial: a sampled packet of the client on port 25 that is not its SYN. Its payload less 300 octets is added to a sum, in
 * units of 100 octets, rounded down. SYNs are no trials, so a bot that also scans for open ports hides nothing behind its
 * scan. The sum falls unless the mean payload is above 300 octets; it is kept from falling below 0 (Page's CUSUM, a sequence of
 * Wald tests), so that the host that was harmless for a week is found as fast as a new one, and whatever a
 * harmless host gathers is soon gone. Accepted at 250. A sum adds up over the packets of one record, so that records that
 * hold several samples tell as much as single packets do, and packets that receive offload has joined do no harm.
 *
 * Mean payload of the client's packets after the SYN, in the mail lab (test/scenarios/README.md): in checks at most 172
 * octets (one post-quantum hello of 1550 in ten packets; 92 with other hellos; 20 without TLS). In mails of 10 kB 630 to 880,
 * over TLS 440, of 100 kB 1260. In mails of 3 kB 240 to 260, of 1 kB 50 to 350, in shorter ones less: samples do not tell such
 * mails from checks, and the test leaves them alone.
 *
 * Error, exactly, from the chain of sums: a check every minute for a week gives 14,000 trials at 1:10, and the worst check of
 * the lab is accepted in that week with a probability of 5e-10. With each packet told twice (a router with ingress and
 * egress metering and no direction in its format; records of two packets and more count once): 8e-4. Checks that the lab does not
 * have: eight packets instead of ten 5e-6, a ticket of 300 octets beside the post-quantum key 1e-6, both 1e-2, a hello joined
 * by receive offload 2e-4. At 1:100 and 1:1000 there are fewer trials and less error.
 *
 * Mails of 10 kB are accepted after 40 to 50 mails at 1:10 (median; 95 % within 75), over TLS 76 (121); at 1:100 ten times as
 * many. test/detect/sampled-dialogue.test.ts computes and simulates this.
 */

import { TCP } from './tcp-flags.ts';

/** Mean octets of payload that the test asks for, and the unit of the sum. */
const PAYLOAD_BYTES = 300;
const UNIT_BYTES = 100;
const ACCEPT = 250;

/** IPv4 and TCP header with timestamps; what IPv6 has more; and what a SYN has more in options. */
const HEADER_BYTES = 52;
const V6_MORE = 20;
const SYN_MORE = 8;
/** Packets of the client's half of a short mail, its SYN not counted. */
const DIALOGUE_PACKETS = 11;
/** The counts are kept in words of 32 bits. */
const MAX_COUNT = 0xffff_ffff;

/** The state of the test for one host; plain integers, so that it survives a restart exactly. */
export interface SampledDialogue {
  /** The present sum, 0 to ACCEPT. */
  score: number;
  /** Packets that were trials. */
  trials: number;
  /** Octets of their payload. */
  payload: number;
}

export function noSamples(): SampledDialogue {
  return { score: 0, trials: 0, payload: 0 };
}

/** True when the samples prove that the host sends messages. Stays true: what was proven needs no proof again. */
export function isAccepted(test: SampledDialogue): boolean {
  return test.score >= ACCEPT;
}

/** The most that a score can be; for validation. */
export const MAX_SCORE = ACCEPT;

/**
 * Takes a record of sampled packets of the client's half: packets and IP octets as exported. `flags` are 0 when unknown: then
 * no packet is taken for a SYN.
 */
export function noteSample(
  test: SampledDialogue,
  packets: number,
  bytes: number,
  flags: number,
  ipv6: boolean,
): void {
  const header = ipv6 ? HEADER_BYTES + V6_MORE : HEADER_BYTES;
  const hasSyn = (flags & TCP.SYN) !== 0;
  const later = hasSyn ? packets - 1 : packets;
  if (later <= 0) return;
  const payload = bytes - header * packets - (hasSyn ? SYN_MORE : 0);
  test.trials = Math.min(MAX_COUNT, test.trials + later);
  test.payload = Math.min(MAX_COUNT, test.payload + Math.max(0, payload));
  if (isAccepted(test)) return;
  const step = Math.floor((payload - PAYLOAD_BYTES * later) / UNIT_BYTES);
  test.score = Math.min(ACCEPT, Math.max(0, test.score + step));
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
