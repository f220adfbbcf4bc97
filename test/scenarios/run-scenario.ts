/**
 * One scenario through the whole path: datagrams, decoder, mail filter, detector, and the rules of others beside it.
 *
 * In capture time with a clock that is handed down, as `replay` runs and with the batching of the running service, so
 * that times to an alert are what a user would see. What a detector said is compared with the truth only at the end.
 */

import { decoderOptions, mailPorts } from '../../src/collect/decoder-options.ts';
import { createMailFilter } from '../../src/collect/mail-filter.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { createDetector } from '../../src/detect/detector.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { clearFlowBatch, createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { GRADES } from '../../src/messages/alert.ts';
import type { Actor, Network, Role } from './generate/network.ts';
import { createTraffic, type Scenario } from './generate/traffic.ts';
import { provable, type Truth } from './generate/truth.ts';
import type { LabSummary } from './mail-lab.ts';
import { fanOutRule } from './rules/fan-out.ts';
import { logisticRule } from './rules/logistic.ts';
import { naiveRule } from './rules/naive.ts';
import { tenIn120Rule } from './rules/ten-in-120.ts';

export interface Verdict {
  /** `block`: rogue-smtp from grade `conversed`, which is what it would block. `alert`: from grade `connected`. */
  readonly rule: string;
  /** Hosts that mailed on port 25 without being allowed to, and those of them that were told of. */
  readonly rogue: number;
  readonly found: number;
  /** Innocent hosts and mere scanners that were told of. */
  readonly wrong: readonly string[];
  /** Innocent hosts that were blocked; of the rules of others, those that were told of. */
  readonly blocked: readonly string[];
  readonly missed: readonly string[];
  /**
   * Number of rogue hosts that there is enough evidence of. Under sampling the expectation and its standard deviation by
   * the model; else how many the delivered records prove.
   */
  readonly bound: { readonly expected: number; readonly deviation: number } | null;
  /** Seconds from the first record that proves it to the alert, sorted. */
  readonly delays: readonly number[];
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly sampling: number;
  readonly verdicts: readonly Verdict[];
  readonly datagrams: number;
  readonly flows: number;
  readonly mailFlows: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** Ours, counted as the tables of the mail lab count. */
  readonly asLab: LabSummary;
  /** Ours, by role of the rogue hosts: found by `block`, all, and what the bound expects. */
  readonly found: ReadonlyMap<string, readonly [found: number, of: number, expected: number]>;
}

const CONNECTED = GRADES.indexOf('connected');
const CONVERSED = GRADES.indexOf('conversed');
const TICK_MS = 1000;

export function runScenario(scenario: Scenario, sampling: number, seed: number): ScenarioResult {
  const { network, truth, deliveries } = createTraffic(scenario, sampling, seed);
  const config = configSchema.parse(network.config);
  const policy = compilePolicy(config);
  const detector = createDetector({ policy, detection: config.detection, block: config.block });
  const selectMail = createMailFilter(mailPorts(config));
  const rules = [naiveRule, fanOutRule, tenIn120Rule, logisticRule].map((create) => create(policy));
  const alerted = new Map<string, number>();
  const proven = new Map<string, number>();
  const published = new Set<string>();
  const mail = createFlowBatch(config.collector.batch_rows);
  let nowMs = 0;
  let flushAtMs = Number.POSITIVE_INFINITY;
  let nextTickMs = 0;
  let offset = 0;
  let mailFlows = 0;
  let taken = 0;

  function handle(batch: FlowBatch): void {
    selectMail(batch, mail);
    clearFlowBatch(batch);
    if (mail.length === 0) return;
    mailFlows += mail.length;
    for (const rule of rules)
      for (let row = 0; row < mail.length; row++) rule.observe(mail.columns, row, nowMs);
    detector.observe(mail, { partition: 0, offset: offset++ });
    clearFlowBatch(mail);
    collect();
  }

  /** Incidents that merely go on are told once a second: nine tenths of the work, and nothing that counts here. */
  function collect(): void {
    const { opened, escalated, updated, closed } = detector.counters.alerts;
    const raised = opened + escalated + updated + closed;
    if (raised === taken) return;
    taken = raised;
    const { alerts, incidents } = detector.take();
    for (const { host, grade } of alerts) {
      if (grade === null) continue;
      const at = GRADES.indexOf(grade);
      if (at >= CONNECTED && !alerted.has(host)) alerted.set(host, nowMs);
      if (at >= CONVERSED && !proven.has(host)) proven.set(host, nowMs);
    }
    for (const said of [alerts, incidents])
      for (const { host, block } of said) if (block.state === 'published') published.add(host);
  }

  function tick(): void {
    detector.advance(nowMs);
    decoder.expire(nowMs);
    for (const rule of rules) rule.advance(nowMs);
    collect();
  }

  /** Lets the clock run: a batch is handed on when its time is up, and once a second whoever waits is asked. */
  function passTime(toMs: number): void {
    if (nextTickMs === 0) nextTickMs = toMs;
    for (;;) {
      const atMs = Math.min(flushAtMs, nextTickMs);
      if (atMs > toMs) break;
      nowMs = atMs;
      if (flushAtMs === atMs) {
        flushAtMs = Number.POSITIVE_INFINITY;
        handle(sink.batch);
      } else {
        nextTickMs += TICK_MS;
        tick();
      }
    }
    nowMs = toMs;
  }

  const sink = {
    batch: createFlowBatch(config.collector.batch_rows),
    flush: () => handle(sink.batch),
  };
  const decoder = createDecoder(decoderOptions(config.collector), sink);

  for (const { payload, exporter, port, receivedMs } of deliveries) {
    passTime(receivedMs);
    decoder.decode(payload, exporter, port, receivedMs);
    if (sink.batch.length > 0 && flushAtMs === Number.POSITIVE_INFINITY)
      flushAtMs = receivedMs + config.collector.batch_age;
  }
  passTime(nowMs + 60_000);

  const verdict = createJudge(network, truth);
  return {
    scenario: scenario.name,
    sampling,
    verdicts: [
      verdict('rogue-smtp, block', proven, published, (known) =>
        sampling > 1 ? provable(known) : known.provenMs === null ? 0 : 1,
      ),
      verdict('rogue-smtp, alert', alerted, published, sampling > 1 ? (known) => 1 - known.unseen : null),
      ...rules.map((rule) => verdict(rule.name, rule.alerts, new Set(rule.alerts.keys()), null)),
    ],
    datagrams: decoder.counters.datagrams,
    flows: Object.values(decoder.counters.flows).reduce((sum, n) => sum + n, 0),
    mailFlows,
    dropped: decoder.counters.dropped,
    asLab: countAsLab(network, truth, { alerted, proven, published }),
    found: byRole(network, truth, proven),
  };
}

const CHECKING: readonly Role[] = ['unlisted_probe'];
const SCANNING: readonly Role[] = ['syn_scanner', 'banner_scanner'];
const AUTHORISED: readonly Role[] = ['mail_server', 'backup_mx', 'smarthost', 'monitor'];

/**
 * The errors in the terms of the mail lab, so that the two can stand beside each other. A host that delivers is missed when
 * nothing that a block needs was said of it until the end.
 */
function countAsLab(
  { actors, owners }: Network,
  { cases }: Truth,
  said: {
    readonly alerted: ReadonlyMap<string, number>;
    readonly proven: ReadonlyMap<string, number>;
    readonly published: ReadonlySet<string>;
  },
): LabSummary {
  const actorsOf = (hosts: Iterable<string>) => new Set([...hosts].map((host) => owners.get(host)));
  const named = actorsOf(said.alerted.keys());
  const proven = actorsOf(said.proven.keys());
  const blocked = actorsOf(said.published);
  const count = (those: readonly Actor[], isError: (actor: Actor) => boolean) => ({
    cases: those.length,
    errors: those.filter(isError).length,
  });
  const of = (roles: readonly Role[]) => actors.filter(({ role }) => roles.includes(role));
  const deliver = [...cases.values()].filter(({ delivers }) => delivers).map(({ actor }) => actor);
  const refused = [...cases.values()].filter(({ delivers }) => !delivers).map(({ actor }) => actor);
  const isBlocked = (actor: Actor) => blocked.has(actor);
  return {
    innocent: count(of(CHECKING), isBlocked),
    scanner: count(of(SCANNING), isBlocked),
    authorised: count(of(AUTHORISED), (actor) => named.has(actor)),
    refused: count(refused, isBlocked),
    delivering: count(deliver, (actor) => !proven.has(actor)),
  };
}

function createJudge(network: Network, truth: Truth) {
  return (
    rule: string,
    told: ReadonlyMap<string, number>,
    blockedHosts: ReadonlySet<string>,
    bound: ((known: Parameters<typeof provable>[0]) => number) | null,
  ): Verdict => {
    const first = firstByActor(network, told);
    const missed: string[] = [];
    const delays: number[] = [];
    let expected = 0;
    let variance = 0;
    for (const [actor, known] of truth.cases) {
      const p = bound?.(known) ?? 0;
      expected += p;
      variance += p * (1 - p);
      const atMs = first.get(actor);
      if (atMs === undefined) missed.push(nameOf(actor));
      else if (known.provenMs !== null) delays.push((atMs - known.provenMs) / 1000);
    }
    const wrong = [...first.keys()].filter(isNoSender).map(nameOf);
    const blocked = [...blockedHosts].flatMap((host) => {
      const actor = network.owners.get(host);
      return actor === undefined ? [host] : isNoSender(actor) ? [nameOf(actor)] : [];
    });
    return {
      rule,
      rogue: truth.cases.size,
      found: truth.cases.size - missed.length,
      wrong,
      blocked,
      missed,
      bound: bound === null ? null : { expected, deviation: Math.sqrt(variance) },
      delays: delays.sort((a, b) => a - b),
    };
  };
}

/** Neither rogue nor one whose verdict counts for nothing. */
const isNoSender = ({ truth }: Actor) => truth === 'innocent' || truth === 'scanner' || truth === 'hidden';
const nameOf = ({ endpoint, role, dialogue }: Actor) =>
  `${endpoint.text} (${role}${dialogue === null ? '' : ` ${dialogue.name}`})`;

/** A host with many addresses is one host, told of when one of them is. */
function firstByActor(network: Network, told: ReadonlyMap<string, number>): Map<Actor, number> {
  const first = new Map<Actor, number>();
  for (const [host, atMs] of told) {
    const actor = network.owners.get(host);
    if (actor !== undefined) first.set(actor, Math.min(atMs, first.get(actor) ?? Number.POSITIVE_INFINITY));
  }
  return first;
}

function byRole(
  network: Network,
  truth: Truth,
  told: ReadonlyMap<string, number>,
): Map<string, readonly [number, number, number]> {
  const first = firstByActor(network, told);
  const out = new Map<string, readonly [number, number, number]>();
  for (const [actor, known] of truth.cases) {
    const [found, of, expected] = out.get(actor.role) ?? [0, 0, 0];
    out.set(actor.role, [found + (first.has(actor) ? 1 : 0), of + 1, expected + provable(known)]);
  }
  return out;
}
