/**
 * The generator: a scenario in, export datagrams as the collector receives them out, in the order of their arrival.
 *
 * A stream: hosts act in the order of time, records wait only until their router gives them out, datagrams only until
 * they arrive, so that memory is bounded by the hosts and by what is under way. The same seed gives the same bytes. Run
 * on a clock of its own; nothing here reads ours.
 */

import { type AddressBytes, parseAddress } from '../../../src/flow/address.ts';
import { act, firstActMs, STRANGERS, type Stage } from './behaviour.ts';
import { type Chance, createChance } from './chance.ts';
import { type Conversation, Script } from './conversation.ts';
import { createEncoder, type Encoder, RECORDS_PER_DATAGRAM } from './encode.ts';
import { type Actor, createNetwork, type Mix, type Network } from './network.ts';
import { createQueue } from './queue.ts';
import { createRouter, exportsIpv6, type FlowRecord, type Router, type RouterSettings } from './router.ts';
import { createTruth, type Truth } from './truth.ts';

export interface Scenario {
  readonly name: string;
  readonly hosts: number;
  readonly hours: number;
  readonly mix: Mix;
  readonly routers: readonly RouterSettings[];
  /**
   * `all`: every router on the way of everything. `asymmetric`: what goes out takes one of the first routers, what comes
   * in the last.
   */
  readonly routing: 'all' | 'asymmetric';
  /** Share of hosts whose outgoing traffic no router exports. */
  readonly blind?: number;
  readonly activeTimeoutMs: number;
  /** Milliseconds between two things that a client does: how much there is besides mail. */
  readonly clientPauseMs: number;
}

interface Delivery {
  readonly payload: Buffer;
  readonly exporter: AddressBytes;
  readonly port: number;
  readonly receivedMs: number;
  readonly records: readonly FlowRecord[];
}

export interface Traffic {
  readonly network: Network;
  readonly truth: Truth;
  readonly deliveries: Iterable<Delivery>;
}

const BEGIN_MS = Date.parse('2026-03-01T00:00:00.000Z');
const HOUR_MS = 3_600_000;
/** A record waits for others to fill its datagram no longer than this. */
const FLUSH_MS = 1000;
const UPTIME_MS = 20 * 86_400_000;

interface Post {
  readonly router: Router;
  readonly encoder: Encoder;
  readonly settings: RouterSettings;
  readonly exporter: AddressBytes;
  readonly chance: Chance;
  readonly restartsMs: number[];
  /** Since the last restart. */
  bootMs: number;
  waiting: FlowRecord[];
  flushAtMs: number;
}

export function createTraffic(scenario: Scenario, sampling: number, seed: number): Traffic {
  const chance = (label: string) => createChance(seed, `${scenario.name} ${label}`);
  const network = createNetwork(scenario.hosts, scenario.mix, chance('network'));
  const loss = Math.max(...scenario.routers.map((router) => router.loss ?? 0));
  const truth = createTruth({ sampling, loss });
  return { network, truth, deliveries: deliver(scenario, sampling, network, truth, chance) };
}

function* deliver(
  scenario: Scenario,
  sampling: number,
  network: Network,
  truth: Truth,
  chance: (label: string) => Chance,
): Generator<Delivery> {
  const untilMs = BEGIN_MS + scenario.hours * HOUR_MS;
  const records = createQueue<FlowRecord>();
  const underWay = createQueue<Delivery>();
  const posts = scenario.routers.map((settings, index): Post => {
    const bootMs = BEGIN_MS - UPTIME_MS;
    const encoder = createEncoder(settings.format, {
      sampling,
      skewMs: settings.skewMs ?? 0,
      domain: index,
      bootMs,
    });
    const give = (record: FlowRecord, atMs: number) => records.push(atMs, record);
    return {
      router: createRouter(
        index,
        settings,
        { sampling, activeMs: scenario.activeTimeoutMs },
        chance(`sampling ${index}`),
        give,
      ),
      encoder,
      settings,
      exporter: addressOf(`192.0.2.${index + 1}`),
      chance: chance(`network of router ${index}`),
      restartsMs: (settings.restarts ?? []).map((share) => BEGIN_MS + share * scenario.hours * HOUR_MS),
      bootMs,
      waiting: [],
      flushAtMs: Number.POSITIVE_INFINITY,
    };
  });

  const actors = createQueue<Actor>();
  const strangers = createQueue<(typeof STRANGERS)[number]>();
  const outside = chance('strangers');
  const stage: Stage = {
    network,
    chance: chance('hosts'),
    script: new Script(),
    fromMs: BEGIN_MS,
    untilMs,
    clientPauseMs: scenario.clientPauseMs,
    conversations: 0,
    pass(conversation) {
      const masks = masksOf(scenario, conversation);
      const ipv6 = conversation.client.bytes.length === 16;
      const seen = (half: number) => views(scenario, masks, half, ipv6);
      truth.happened(conversation, stage.script, seen(1), seen(2));
      for (const [index, post] of posts.entries())
        post.router.meter(conversation, stage.script, masks[index]);
    },
  };
  for (const actor of network.actors) actors.push(firstActMs(stage, actor), actor);
  for (const stranger of STRANGERS) strangers.push(BEGIN_MS + outside.after(stranger.pauseMs), stranger);

  function send(post: Post, atMs: number): void {
    post.flushAtMs = Number.POSITIVE_INFINITY;
    if (post.waiting.length === 0) return;
    const batch = post.waiting;
    post.waiting = [];
    const { loss = 0, duplicates = 0, jitterMs = 0 } = post.settings;
    const payload = post.encoder.encode(batch, atMs);
    const copies = 1 + (post.chance.happens(duplicates) ? 1 : 0);
    if (post.chance.happens(loss)) return;
    for (let copy = 0; copy < copies; copy++) {
      const receivedMs = Math.round(atMs + 1 + post.chance.next() * jitterMs);
      const delivery = { payload, exporter: post.exporter, port: 40_000, receivedMs, records: batch };
      underWay.push(receivedMs, delivery);
    }
  }

  /** A restart empties the cache and forgets what was not sent. */
  function restartIfDue(post: Post, nowMs: number): void {
    const due = post.restartsMs[0];
    if (due === undefined || nowMs < due) return;
    post.restartsMs.shift();
    post.bootMs = due;
    post.waiting = [];
    post.flushAtMs = Number.POSITIVE_INFINITY;
    post.encoder.restart(due);
  }

  /** Everything that happens up to this time, except that hosts act. */
  function* passTime(toMs: number): Generator<Delivery> {
    for (;;) {
      let flushing: Post | null = null;
      for (const post of posts) if (flushing === null || post.flushAtMs < flushing.flushAtMs) flushing = post;
      const flushMs = flushing?.flushAtMs ?? Number.POSITIVE_INFINITY;
      const recordMs = records.nextMs();
      const arrivalMs = underWay.nextMs();
      const nowMs = Math.min(flushMs, recordMs, arrivalMs);
      if (nowMs > toMs || nowMs === Number.POSITIVE_INFINITY) return;
      if (arrivalMs === nowMs) {
        const delivery = underWay.pop();
        if (delivery === undefined) return;
        for (const record of delivery.records) {
          if (record.delivered) continue;
          record.delivered = true;
          truth.delivered(record, delivery.receivedMs);
        }
        yield delivery;
      } else if (flushing !== null && flushMs === nowMs) {
        restartIfDue(flushing, nowMs);
        send(flushing, nowMs);
      } else {
        const record = records.pop();
        if (record === undefined) return;
        const post = posts[record.router];
        restartIfDue(post, nowMs);
        if (record.firstMs < post.bootMs) continue;
        if (post.waiting.length === 0) post.flushAtMs = nowMs + FLUSH_MS;
        post.waiting.push(record);
        if (post.waiting.length >= RECORDS_PER_DATAGRAM[post.settings.format]) send(post, nowMs);
      }
    }
  }

  for (;;) {
    const actorMs = actors.nextMs();
    const strangerMs = strangers.nextMs();
    const nextMs = Math.min(actorMs, strangerMs);
    if (nextMs >= untilMs) break;
    yield* passTime(nextMs);
    if (strangerMs < actorMs) {
      const stranger = strangers.pop();
      stranger?.act(stage, strangerMs);
      if (stranger !== undefined) strangers.push(strangerMs + outside.after(stranger.pauseMs), stranger);
      continue;
    }
    const actor = actors.pop();
    if (actor !== undefined) actors.push(act(stage, actor, actorMs), actor);
  }
  yield* passTime(Number.POSITIVE_INFINITY);
}

/** Which half each router sees, bit 0 the client's and bit 1 the server's. */
function masksOf(scenario: Scenario, { actor, client, server }: Conversation): number[] {
  const count = scenario.routers.length;
  const isBlind = (actor.index * 7919) % 1000 < 1000 * (scenario.blind ?? 0);
  const clientInside = isInside(client.bytes);
  const outgoing = clientInside ? 1 : 2;
  const incoming = clientInside ? 2 : 1;
  const internal = clientInside && isInside(server.bytes);
  return scenario.routers.map((_, index) => {
    if (scenario.routing === 'all' || internal) return isBlind && !internal ? incoming : 3;
    if (index === count - 1) return incoming;
    return !isBlind && actor.index % (count - 1) === index ? outgoing : 0;
  });
}

const isInside = (bytes: Uint8Array) =>
  bytes.length === 4 ? bytes[0] === 10 : bytes[4] === 0 && bytes[5] === 1;

/** Meters that see the half of this bit. */
function views(scenario: Scenario, masks: readonly number[], half: number, ipv6: boolean): number {
  return scenario.routers.reduce((sum, { egress, format }, index) => {
    if ((masks[index] & half) === 0 || (ipv6 && !exportsIpv6(format))) return sum;
    return sum + (egress === true ? 2 : 1);
  }, 0);
}

function addressOf(text: string): AddressBytes {
  const bytes = parseAddress(text);
  if (bytes === null) throw new Error(`${text} is not an address`);
  return bytes;
}
