/**
 * The truth beside the datagrams: who really mailed, when the records of its first message were delivered, and what the
 * sampling lets anybody know.
 *
 * It looks at the conversations and at the records that were delivered, never at what a detector makes of them. It takes
 * no bound on sizes from the rule either: a message is there when the lab's servers took one in that session, whether or
 * not the rule can tell it from a check.
 */

import { isAccepted, MAX_SCORE, noSamples, noteSample } from '../../../src/detect/sampled-dialogue.ts';
import type { Conversation, Script } from './conversation.ts';
import type { Actor } from './network.ts';
import type { FlowRecord } from './router.ts';

/** Octets of the client that have to be sampled at least. */
const SAMPLED_BYTES = 25_000;
const SMTP = 25;
const SYN = 2;
const RST = 4;
/** Conversations of one host that may be under way at the same time; forgotten ones only delay a proof. */
const MAX_UNDER_WAY = 256;

export interface Case {
  readonly actor: Actor;
  /** Sessions on port 25 that the host began. */
  conversations: number;
  /** One of its sessions carried a message that a server took. */
  delivers: boolean;
  /**
   * Unsampled, when the client's half of a session with a message was delivered whole, as one router saw it; sampled, when
   * the records of SAMPLED_BYTES were. Null when never.
   */
  provenMs: number | null;
  /** Probability that no packet after the SYNs, of the host or to it, was sampled and delivered. */
  unseen: number;
  /** The address that it uses. */
  address: string;
  /** Distribution of the sequential test's score after all conversations so far; the last place is acceptance. */
  readonly scores: Float64Array;
}

export interface Truth {
  /** Notes a conversation when it happens. Views are the meters that see the packets of the client, and of the server. */
  happened(conversation: Conversation, script: Script, clientViews: number, serverViews: number): void;
  /** Notes a record when it is delivered for the first time. */
  delivered(record: FlowRecord, receivedMs: number): void;
  /** Rogue hosts that mailed. */
  readonly cases: ReadonlyMap<Actor, Case>;
}

interface UnderWay {
  /** Packets of the client's half. */
  readonly packets: number;
  /** Those that were delivered, by vantage point. */
  readonly delivered: Map<number, number>;
}

export function createTruth(options: { readonly sampling: number; readonly loss: number }): Truth {
  const { sampling, loss } = options;
  const cases = new Map<Actor, Case>();
  const underWay = new Map<Actor, Map<number, UnderWay>>();
  const sampledBytes = new Map<Actor, number>();
  const step = createTestStep();

  function prove(actor: Actor, receivedMs: number): void {
    const known = cases.get(actor);
    if (known === undefined || known.provenMs !== null) return;
    known.provenMs = receivedMs;
    underWay.delete(actor);
  }

  /** Waits for the records of a session with a message. */
  function expect({ id, actor }: Conversation, script: Script): void {
    let mine = underWay.get(actor);
    if (mine === undefined) {
      mine = new Map();
      underWay.set(actor, mine);
    }
    if (mine.size >= MAX_UNDER_WAY)
      for (const old of [...mine.keys()].slice(0, MAX_UNDER_WAY / 2)) mine.delete(old);
    let packets = 0;
    for (let i = 0; i < script.count; i++) packets += script.fromClient[i];
    mine.set(id, { packets, delivered: new Map() });
  }

  return {
    cases,
    happened(conversation, script, clientViews, serverViews) {
      const { actor } = conversation;
      if (actor.truth !== 'rogue' || conversation.serverPort !== SMTP || !script.isSession) return;
      let afterSyn = 0;
      let answers = 0;
      for (let i = 0; i < script.count; i++) {
        // Neither a SYN nor a reset tells that there was a connection.
        if ((script.flags[i] & (SYN | RST)) !== 0) continue;
        if (script.fromClient[i] === 0) answers++;
        else afterSyn++;
      }
      let known = cases.get(actor);
      if (known === undefined) {
        const scores = new Float64Array(MAX_SCORE + 1);
        scores[0] = 1;
        known = {
          actor,
          conversations: 0,
          delivers: false,
          provenMs: null,
          unseen: 1,
          scores,
          address: conversation.client.text,
        };
        cases.set(actor, known);
      }
      known.conversations++;
      if (script.carriesMessage) known.delivers = true;
      if (sampling <= 1) {
        if (script.carriesMessage && known.provenMs === null) expect(conversation, script);
        return;
      }
      if (known.address !== conversation.client.text) {
        known.address = conversation.client.text;
        startAnew(known.scores);
      }
      const missed = (packets: number) => (1 - (1 - loss) / sampling) ** packets;
      known.unseen *= missed(afterSyn * clientViews + answers * serverViews);
      const taken = 1 - missed(clientViews);
      for (let i = 0; i < script.count; i++)
        if (script.fromClient[i] === 1)
          step(known.scores, taken, script.bytes[i], script.flags[i], script.ipv6);
    },
    delivered(record, receivedMs) {
      const { conversation, forward } = record;
      const { actor } = conversation;
      const known = cases.get(actor);
      if (known === undefined || known.provenMs !== null || conversation.serverPort !== SMTP) return;
      if (!forward) return;
      if (sampling > 1) {
        const bytes = (sampledBytes.get(actor) ?? 0) + record.bytes;
        sampledBytes.set(actor, bytes);
        if (bytes >= SAMPLED_BYTES) prove(actor, receivedMs);
        return;
      }
      const now = underWay.get(actor)?.get(conversation.id);
      if (now === undefined) return;
      const vantage = 2 * record.router + record.direction;
      const packets = (now.delivered.get(vantage) ?? 0) + record.packets;
      now.delivered.set(vantage, packets);
      if (packets >= now.packets) prove(actor, receivedMs);
    },
  };
}

/**
 * One packet, sampled with the probability `taken`, for all scores of the sequential test at once: the exact distribution that
 * sampling gives it, taken from the test's own transitions. A packet moves all scores by the same number, up to the ends.
 */
function createTestStep(): (
  scores: Float64Array,
  taken: number,
  bytes: number,
  flags: number,
  ipv6: boolean,
) => void {
  const next = new Float64Array(MAX_SCORE + 1);
  const test = noSamples();
  const middle = MAX_SCORE >> 1;
  return (scores, taken, bytes, flags, ipv6) => {
    test.score = middle;
    noteSample(test, 1, bytes, flags, ipv6);
    const move = test.score - middle;
    if (move === 0) return;
    const accepted = scores[MAX_SCORE];
    for (let score = 0; score <= MAX_SCORE; score++) next[score] = scores[score] * (1 - taken);
    next[MAX_SCORE] = accepted;
    for (let score = 0; score < MAX_SCORE; score++) {
      const to = Math.min(MAX_SCORE, Math.max(0, score + move));
      next[to] += scores[score] * taken;
    }
    scores.set(next);
  };
}

/** Under a new address the test begins anew, but what was accepted was told. */
function startAnew(scores: Float64Array): void {
  const accepted = scores[MAX_SCORE];
  scores.fill(0);
  scores[0] = 1 - accepted;
  scores[MAX_SCORE] = accepted;
}

/** Probability that the test accepted the host. */
export function provable(known: Case): number {
  return known.scores.reduce((sum, p, score) => sum + (isAccepted({ ...noSamples(), score }) ? p : 0), 0);
}
