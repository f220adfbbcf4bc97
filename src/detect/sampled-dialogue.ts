/**
 * What samples prove about a host: a sequential test over its sampled sessions, in place of estimates.
 *
 * One sampled packet proves a connection and nothing more, and a sample is never multiplied by the sampling rate. But
 * what the samples of many sessions carry tells a host that mails from one that scans or probes. The test needs no
 * sampling rate, so an unknown one does no harm. It must never lower what single sessions prove by themselves.
 *
 * Trial: a session on port 25 of which a sampled packet of the client shows more than a SYN (or has no flags to say
 * what it is). Success: one of its records averages over DIALOGUE_PACKET_BYTES a packet. Only the body of a mail, its
 * headers, or TLS is that large; greetings (EHLO), QUIT, the ACKs and FINs of connect scans, banner grabs and probes
 * are not, whatever link header and options the exporter counts. SYNs are no trials, so a bot that also scans hides
 * nothing behind its scan.
 *
 * H0: at most p0 = 5 % of the trials succeed (scans, greetings, the odd TLS probe). H1: at least p1 = 20 % do (of the
 * client's packets after the SYN 24 to 27 % in mails of 3 kB in test/fixtures/captures, more in larger ones). Wald's
 * log-likelihood ratio moves by ln(p1/p0) = 1.386 for a success and by ln((1-p1)/(1-p0)) = -0.172 for a failure: as
 * integers +8 and -1, in units of ln(p1/p0)/8 = 0.1733, the failure rounded away from zero. The sum is kept from
 * falling below 0 (Page's CUSUM, a sequence of Wald tests), so that a host that was harmless for a week is found as
 * fast as a new one. Accepted at 54 units = 9.36 >= ln((1-beta)/alpha), alpha = 1e-4, beta = 1e-2: at least 7 sessions
 * with such packets.
 *
 * Error rates: one Wald test accepts a host of H0 with probability at most e^-9.36 = 8.6e-5; the CUSUM takes on
 * average at least e^9.36 = 11,600 trials until a false acceptance at exactly 5 % (Lorden 1971; simulated: 200,000),
 * and beyond 10 million at 1 %. Under H1 it always accepts in the end: on average after 63 trials at 20 %, 21 at 40 %,
 * 13 at 60 %, with 95 % within 127, 36 and 19. At 1:1000 and 11 packets a mail that is about 36 / 0.011 = 3300 mails
 * at 40 %. SPOT (Duan 2012) and TRW (Jung 2004) are Wald tests of this family. test/detect/sampled-dialogue.test.ts
 * simulates all of this.
 */

const SUCCESS = 8;
const FAILURE = -1;
const ACCEPT = 54;

/** A mean packet this large holds over 70 octets of TCP payload, even as an IPv6 frame with TCP options in sFlow. */
const DIALOGUE_PACKET_BYTES = 160;
/** Packets of the client's half of a short mail, its SYN not counted. */
const DIALOGUE_PACKETS = 11;

/** What one session is to the test. */
export const TRIAL = { none: 0, failure: 1, success: 2 } as const;

/** The state of the test for one host; plain integers, so that it survives a restart exactly. */
export interface SampledDialogue {
  /** The present sum, 0 to ACCEPT. */
  score: number;
  /** Sessions that were trials, and those of them that succeeded. */
  trials: number;
  successes: number;
}

export function noSamples(): SampledDialogue {
  return { score: 0, trials: 0, successes: 0 };
}

/** True when the samples prove that the host holds dialogues. Stays true: what was proven needs no proof again. */
export function isAccepted(test: SampledDialogue): boolean {
  return test.score >= ACCEPT;
}

/** The most that a score can be; for validation. */
export const MAX_SCORE = ACCEPT;

/**
 * Takes the step of one session, from what it was to the test to what it is now. A session that succeeds late does not
 * get its failure back: the sum may have been at its floor.
 */
export function noteTrial(test: SampledDialogue, before: number, now: number): void {
  if (now === before) return;
  if (before === TRIAL.none) test.trials++;
  if (now === TRIAL.success) test.successes++;
  if (isAccepted(test)) return;
  const step = now === TRIAL.success ? SUCCESS : FAILURE;
  test.score = Math.min(ACCEPT, Math.max(0, test.score + step));
}

/** A record of sampled packets that only a dialogue has. `flags` are 0 when unknown. */
export function isDialogueSample(packets: number, bytes: number, flags: number): boolean {
  const ack = 16;
  return (flags === 0 || (flags & ack) !== 0) && bytes > DIALOGUE_PACKET_BYTES * packets;
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
