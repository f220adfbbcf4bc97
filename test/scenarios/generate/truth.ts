/**
 * The truth beside the datagrams: who really mailed, which delivered record proves it first, and what the sampling lets
 * anybody know.
 *
 * It looks at the conversations and at the records that were delivered, never at what a detector makes of them. What
 * "proves" means is the written definition of the grades (README.md here), taken per vantage point.
 */

import { isAccepted, MAX_SCORE, noSamples, noteSample } from '../../../src/detect/sampled-dialogue.ts';
import type { Conversation, Script } from './conversation.ts';
import type { Actor } from './network.ts';
import type { FlowRecord } from './router.ts';

/** Packets and octets of the client's half of one conversation that are a dialogue by themselves. */
const DIALOGUE_PACKETS = 10;
const DIALOGUE_BYTES = 1000;
/** Or those of the shortest mail. */
const SHORTEST_PACKETS = 6;
const SHORTEST_BYTES = 1150;
/** Connections to so many servers within so long are bulk. */
const BULK_SERVERS = 20;
const BULK_WINDOW_MS = 600_000;
/** Octets of the client that have to be sampled at least. */
const SAMPLED_BYTES = 25_000;
const SMTP = 25;
const SYN = 2;
const RST = 4;
const PSH_OR_FIN = 9;
/** Conversations of one host that may be under way at the same time; forgotten ones only delay a proof. */
const MAX_UNDER_WAY = 256;

export interface Case {
  readonly actor: Actor;
  /** Conversations on port 25 that the host began and that were answered. */
  conversations: number;
  /** When the first record came that proves it, with all that came before. */
  provenMs: number | null;
  /** No router sees what the host sends, only the answers. */
  halfSeen: boolean;
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
  /** Packets and octets by vantage point and half. */
  readonly views: Map<number, { packets: number; bytes: number }>;
  connected: boolean;
}

export function createTruth(options: { readonly sampling: number; readonly loss: number }): Truth {
  const { sampling, loss } = options;
  const cases = new Map<Actor, Case>();
  const underWay = new Map<Actor, Map<number, UnderWay>>();
  const sampledBytes = new Map<Actor, number>();
  const reached = new Map<Actor, Map<string, number>>();
  const step = createTestStep();

  function prove(actor: Actor, receivedMs: number): void {
    const known = cases.get(actor);
    if (known === undefined || known.provenMs !== null) return;
    known.provenMs = receivedMs;
    underWay.delete(actor);
    reached.delete(actor);
  }

  return {
    cases,
    happened(conversation, script, clientViews, serverViews) {
      const { actor } = conversation;
      if (actor.truth !== 'rogue' || conversation.serverPort !== SMTP) return;
      let afterSyn = 0;
      let answers = 0;
      for (let i = 0; i < script.count; i++) {
        if ((script.flags[i] & SYN) !== 0) continue;
        if (script.fromClient[i] === 0) {
          if ((script.flags[i] & RST) === 0) answers++;
          continue;
        }
        afterSyn++;
      }
      if (afterSyn === 0) return;
      let known = cases.get(actor);
      if (known === undefined) {
        const scores = new Float64Array(MAX_SCORE + 1);
        scores[0] = 1;
        known = {
          actor,
          conversations: 0,
          provenMs: null,
          halfSeen: clientViews === 0,
          unseen: 1,
          scores,
          address: conversation.client.text,
        };
        cases.set(actor, known);
      }
      known.conversations++;
      if (sampling <= 1) return;
      if (known.address !== conversation.client.text) {
        known.address = conversation.client.text;
        startAnew(known.scores);
      }
      const missed = (packets: number) => (1 - (1 - loss) / sampling) ** packets;
      known.unseen *= missed(afterSyn * clientViews + answers * serverViews);
      const taken = 1 - missed(clientViews);
      for (let i = 0; i < script.count; i++)
        if (script.fromClient[i] === 1)
          step(known.scores, taken, script.bytes[i], script.flags[i], script.extra > 0);
    },
    delivered(record, receivedMs) {
      const { conversation, forward } = record;
      const { actor } = conversation;
      const known = cases.get(actor);
      if (known === undefined || known.provenMs !== null || conversation.serverPort !== SMTP) return;
      // What only the server's half tells proves as much where no router sees the other.
      if (!forward && !known.halfSeen) return;
      let mine = underWay.get(actor);
      if (mine === undefined) {
        mine = new Map();
        underWay.set(actor, mine);
      }
      let now = mine.get(conversation.id);
      if (now === undefined) {
        if (mine.size >= MAX_UNDER_WAY)
          for (const id of [...mine.keys()].slice(0, MAX_UNDER_WAY / 2)) mine.delete(id);
        now = { views: new Map(), connected: false };
        mine.set(conversation.id, now);
      }
      const vantage = 2 * record.router + record.direction;
      const view = now.views.get(vantage) ?? { packets: 0, bytes: 0 };
      now.views.set(vantage, view);
      view.packets += record.packets;
      view.bytes += record.bytes;
      const short = view.packets >= SHORTEST_PACKETS && view.bytes >= SHORTEST_BYTES;
      if (short || (view.packets >= DIALOGUE_PACKETS && view.bytes >= DIALOGUE_BYTES)) {
        prove(actor, receivedMs);
        return;
      }
      if (sampling > 1 && forward) {
        const bytes = (sampledBytes.get(actor) ?? 0) + record.bytes;
        sampledBytes.set(actor, bytes);
        if (bytes >= SAMPLED_BYTES) {
          prove(actor, receivedMs);
          return;
        }
      }
      if (sampling > 1 || now.connected || (record.flags & PSH_OR_FIN) === 0) return;
      now.connected = true;
      let servers = reached.get(actor);
      if (servers === undefined) {
        servers = new Map();
        reached.set(actor, servers);
      }
      // In the order of their newest contact.
      servers.delete(conversation.server.text);
      servers.set(conversation.server.text, receivedMs);
      for (const [server, atMs] of servers) {
        if (atMs >= receivedMs - BULK_WINDOW_MS) break;
        servers.delete(server);
      }
      if (servers.size >= BULK_SERVERS) prove(actor, receivedMs);
    },
  };
}

/**
 * One packet, sampled with the probability `taken`, for all scores of the sequential test at once: the exact distribution that
 * sampling gives it, taken from the test's own transitions.
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
  return (scores, taken, bytes, flags, ipv6) => {
    next.fill(0);
    for (let score = 0; score <= MAX_SCORE; score++) {
      const p = scores[score];
      if (p === 0) continue;
      test.score = score;
      noteSample(test, 1, bytes, flags, ipv6);
      next[score] += p * (1 - taken);
      next[test.score] += p * taken;
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
