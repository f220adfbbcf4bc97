/**
 * What each role does, one act at a time: fills the script, hands the conversation over, says when it acts again.
 *
 * Rates are ordinary ones, not ones that suit a rule: mail servers send as fast as bots, a slow bot is as quiet as a
 * printer. Nothing here knows of routers, sampling or detection.
 */

import type { Chance } from './chance.ts';
import {
  backscatter,
  type Conversation,
  closed,
  message,
  type Script,
  transfer,
  unanswered,
} from './conversation.ts';
import { type Actor, type Endpoint, type Network, OUTSIDE_SERVERS, privacyAddress } from './network.ts';
import { letter, own, refusal, spam, submission } from './programs.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export interface Stage {
  readonly network: Network;
  readonly chance: Chance;
  readonly script: Script;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Milliseconds between two things that a client does. */
  readonly clientPauseMs: number;
  /** Conversations so far. */
  conversations: number;
  /** Takes the conversation whose packets are in the script now. */
  readonly pass: (conversation: Conversation) => void;
}

/** Between the acts of a role, in the mean. */
const PAUSE_MS = {
  mail_server: 30 * SECOND,
  backup_mx: 10 * MINUTE,
  smarthost: 30 * SECOND,
  app_server: 10 * MINUTE,
  printer: 30 * MINUTE,
  monitor: 5 * MINUTE,
  unlisted_probe: 20 * MINUTE,
  stray: 10 * MINUTE,
  open_service: 30 * MINUTE,
  spoofed: 5 * MINUTE,
  syn_scanner: 5 * SECOND,
  banner_scanner: 10 * SECOND,
  burst_bot: 3 * SECOND,
  steady_bot: MINUTE,
  slow_bot: HOUR,
  snowshoe_bot: 8 * HOUR,
  refused_bot: 10 * SECOND,
  privacy_bot: MINUTE,
  abused_device: 2 * MINUTE,
  smarthost_bot: 30 * SECOND,
} as const;

/** A burst bot sends for 40 minutes of every 2 hours. */
const BURST_MS = 40 * MINUTE;
const BURST_EVERY_MS = 2 * HOUR;
/** Servers that ordinary mail goes to; a bot's list is longer. */
const CORRESPONDENTS = 3000;

/** When an actor acts first. Whoever is rogue acts within the first third, so that it does act. */
export function firstActMs(stage: Stage, actor: Actor): number {
  const lasts = stage.untilMs - stage.fromMs;
  const share = actor.truth === 'rogue' ? actor.startShare / 3 : actor.startShare / 10;
  const pauseMs = actor.role === 'client' ? stage.clientPauseMs * actor.startShare : 0;
  return stage.fromMs + share * lasts + pauseMs;
}

/** Does what the actor does at this time, and returns when it acts next. */
export function act(stage: Stage, actor: Actor, atMs: number): number {
  actor.acts++;
  const { chance } = stage;
  if (actor.role === 'client') {
    beClient(stage, actor, atMs);
    return atMs + chance.after(stage.clientPauseMs);
  }
  perform(stage, actor, atMs);
  const nextMs = atMs + chance.after(PAUSE_MS[actor.role]);
  if (actor.role !== 'burst_bot') return nextMs;
  const inBurst = (nextMs + actor.startShare * BURST_EVERY_MS) % BURST_EVERY_MS;
  return inBurst < BURST_MS ? nextMs : nextMs + BURST_EVERY_MS - inBurst;
}

function perform(stage: Stage, actor: Actor, atMs: number): void {
  const { network, chance, script } = stage;
  const { endpoint } = actor;
  const correspondent = () => network.outside(chance.below(CORRESPONDENTS));
  const victim = (ipv6 = false) => network.outside(chance.below(OUTSIDE_SERVERS), ipv6);
  const bulk = (server: Endpoint) => spam(script, chance, actor, server);
  const check = (server: Endpoint) => own(script, chance, actor, server);
  switch (actor.role) {
    case 'mail_server':
      if (chance.happens(0.55)) serve(stage, actor, atMs);
      else send(stage, actor, endpoint, correspondent(), atMs, () => letter(script, chance));
      return;
    case 'backup_mx': {
      serve(stage, actor, atMs);
      const primary = network.byRole.get('mail_server')?.[0];
      if (primary === undefined) return;
      send(stage, actor, endpoint, primary.endpoint, atMs + 5 * SECOND, () => letter(script, chance));
      return;
    }
    case 'smarthost':
      send(stage, actor, endpoint, correspondent(), atMs, () => letter(script, chance));
      return;
    case 'app_server': {
      const relay = network.byRole.get('smarthost')?.[0] ?? network.byRole.get('mail_server')?.[0];
      const to = relay?.endpoint ?? network.provider;
      send(stage, actor, endpoint, to, atMs, (server) =>
        own(script, chance, actor, server, chance.between(700, 9000)),
      );
      return;
    }
    case 'printer':
      send(stage, actor, endpoint, network.provider, atMs, (server) =>
        own(script, chance, actor, server, chance.between(20_000, 300_000)),
      );
      return;
    case 'monitor':
      for (const server of network.byRole.get('mail_server') ?? [])
        send(stage, actor, endpoint, server.endpoint, atMs, check);
      send(stage, actor, endpoint, network.outside(chance.below(5)), atMs, () => submission(script, chance));
      return;
    case 'unlisted_probe':
      send(stage, actor, endpoint, network.outside(chance.below(3)), atMs, check);
      return;
    case 'stray':
      send(stage, actor, endpoint, network.outside(7), atMs, () => {
        if (chance.happens(0.7)) unanswered(script, chance.between(2, 6));
        else closed(script, chance);
      });
      return;
    case 'open_service':
      serve(stage, actor, atMs);
      return;
    case 'spoofed':
      for (let n = chance.between(1, 5); n > 0; n--)
        send(stage, actor, endpoint, victim(), atMs, () => backscatter(script, chance));
      return;
    case 'syn_scanner':
      send(stage, actor, endpoint, victim(), atMs, (server) => {
        const luck = chance.next();
        if (luck < 0.8) unanswered(script, 1);
        else if (luck < 0.92) closed(script, chance);
        else check(server);
      });
      return;
    case 'banner_scanner':
      send(stage, actor, endpoint, victim(), atMs, (server) => {
        if (chance.happens(0.7)) unanswered(script, 1);
        else check(server);
      });
      return;
    case 'refused_bot':
      send(stage, actor, endpoint, victim(), atMs, check);
      return;
    case 'privacy_bot':
      moveOn(stage, actor, atMs);
      send(stage, actor, actor.endpoint, victim(true), atMs, bulk);
      return;
    case 'smarthost_bot':
      send(stage, actor, endpoint, network.provider, atMs, bulk);
      return;
    case 'burst_bot':
      // Most of a bot's list is dead.
      send(stage, actor, endpoint, victim(), atMs, (server) => {
        const luck = actor.acts === 1 ? 1 : chance.next();
        if (luck < 0.2) unanswered(script, 3);
        else if (luck < 0.35) refusal(script, chance);
        else bulk(server);
      });
      return;
    case 'steady_bot':
    case 'slow_bot':
    case 'snowshoe_bot':
    case 'abused_device':
      send(stage, actor, endpoint, victim(), atMs, bulk);
  }
}

/** Submission one time in six, else a page from somewhere. */
function beClient(stage: Stage, actor: Actor, atMs: number): void {
  const { chance, network, script } = stage;
  if (!chance.happens(1 / 6)) {
    const to = network.outside(chance.below(OUTSIDE_SERVERS));
    send(stage, actor, actor.endpoint, to, atMs, () => transfer(script, chance, chance.after(20_000)), 443);
    return;
  }
  const server = network.byRole.get('mail_server')?.[0]?.endpoint ?? network.provider;
  const to = chance.happens(0.5) ? server : network.outside(chance.below(20));
  const port = chance.happens(0.7) ? 587 : 465;
  send(stage, actor, actor.endpoint, to, atMs, () => submission(script, chance), port);
}

/** What comes to the network unasked, of which nothing is any host's doing. */
export const STRANGERS: readonly {
  readonly pauseMs: number;
  readonly act: (stage: Stage, atMs: number) => void;
}[] = [
  // Scans of port 25 over all addresses; most are silent, some answer with a reset.
  {
    pauseMs: 3 * SECOND,
    act(stage, atMs) {
      const { chance, network, script } = stage;
      const actor = anyHost(stage);
      const from = network.outside(chance.below(OUTSIDE_SERVERS), isIpv6(actor));
      receive(stage, actor, from, atMs, () => {
        if (chance.happens(0.5)) unanswered(script, 1);
        else closed(script, chance);
      });
    },
  },
  // Pings whose type and code read as port 25 where a record has them in the place of ports.
  {
    pauseMs: 10 * SECOND,
    act(stage, atMs) {
      const actor = anyHost(stage);
      const to = stage.network.outside(stage.chance.below(OUTSIDE_SERVERS), isIpv6(actor));
      send(stage, actor, actor.endpoint, to, atMs, () => message(stage.script), 25, 1);
    },
  },
  // A SYN-ACK or RST for a SYN that nobody here has sent.
  {
    pauseMs: 5 * SECOND,
    act(stage, atMs) {
      const actor = anyHost(stage);
      const from = stage.network.outside(stage.chance.below(OUTSIDE_SERVERS), isIpv6(actor));
      send(stage, actor, actor.endpoint, from, atMs, () => backscatter(stage.script, stage.chance));
    },
  },
];

function anyHost(stage: Stage): Actor {
  const { actors } = stage.network;
  return actors[stage.chance.below(actors.length)];
}

const isIpv6 = ({ endpoint }: Actor) => endpoint.bytes.length === 16;

/** A conversation that the actor begins. */
function send(
  stage: Stage,
  actor: Actor,
  from: Endpoint,
  to: Endpoint,
  atMs: number,
  fill: (server: Endpoint) => void,
  serverPort = 25,
  protocol = 6,
): void {
  stage.script.begin(to.bytes.length === 16);
  fill(to);
  stage.pass({
    id: stage.conversations++,
    actor,
    client: from,
    server: to,
    clientPort: 32_768 + stage.chance.below(28_000),
    serverPort,
    protocol,
    startMs: atMs,
  });
}

/** A conversation that comes to the actor from outside. */
function receive(stage: Stage, actor: Actor, from: Endpoint, atMs: number, fill: () => void): void {
  send(stage, actor, from, actor.endpoint, atMs, fill);
}

/** Mail from outside. */
function serve(stage: Stage, actor: Actor, atMs: number): void {
  const { chance, network, script } = stage;
  const from = network.outside(chance.below(CORRESPONDENTS));
  receive(stage, actor, from, atMs, () => letter(script, chance));
}

function moveOn(stage: Stage, actor: Actor, atMs: number): void {
  const turn = Math.floor((atMs - stage.fromMs) / HOUR);
  const endpoint = privacyAddress(actor.index, turn);
  if (endpoint.text === actor.endpoint.text) return;
  actor.endpoint = endpoint;
  stage.network.owners.set(endpoint.text, actor);
}
