/**
 * Random histories of traffic, decisions, reloads, rollbacks, restarts and clock steps, with a model of what may never be denied.
 *
 * The detector, the desk, the lists and their files are the real ones; only the disk is in memory, and the test is the stream
 * between them. After each step no released, rejected, authorised or never-blocked host and no probable mail server is denied by
 * the file, by the plain list or by any earlier list that is put in force again; the file, the plain list, `acl list` and the
 * incident say the same; and no block is called effective while packets get through. OPERATE_SEQUENCES sets how many histories
 * are tried.
 */

import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { AclModel } from '../../src/acl/model.ts';
import { deniedHosts, recheckModel } from '../../src/acl/stored-model.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createDetector, type Detector } from '../../src/detect/detector.ts';
import { type DetectorOptions, sightOfOne } from '../../src/detect/detector-state.ts';
import { compilePolicy } from '../../src/detect/policy.ts';
import { RogueSmtpError } from '../../src/errors.ts';
import { type Prefix, parsePrefix } from '../../src/flow/prefix.ts';
import { createLogger } from '../../src/logger.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { type Decision, hostStreamKey } from '../../src/messages/decision.ts';
import { requestFor } from '../../src/publish/acl-request.ts';
import { createAuditLog } from '../../src/publish/audit-log.ts';
import { createBlockDesk } from '../../src/publish/block-desk.ts';
import { createDecisionNotes } from '../../src/publish/decision-notes.ts';
import type { AclDesk, AclOverview, BlockRow } from '../../src/publish/desk.ts';
import { createHandBlocks, type HandBlocks } from '../../src/publish/hand-blocks.ts';
import { createListPublisher, type ListPublisher } from '../../src/publish/list-publisher.ts';
import { createStandingDecisions, type StandingDecisions } from '../../src/publish/standing-decisions.ts';
import { batchOf, HOUR, MINUTE, SECOND, T0 } from '../support/flows.ts';
import { emptyMemoryFiles, memoryText } from '../support/memory-files.ts';

vi.mock('node:fs/promises', async () => (await import('../support/memory-files.ts')).memoryFiles);

const SEQUENCES = Number(process.env.OPERATE_SEQUENCES ?? 1500);
const HOSTS = ['10.0.0.61', '10.0.0.62', '10.0.0.63'];
const MODES = ['publish', 'propose', 'observe'] as const;
type Mode = (typeof MODES)[number];

type Step =
  | { readonly kind: 'mail' | 'attempts' | 'served'; readonly host: number; readonly count: number }
  | {
      readonly kind: 'decide';
      readonly host: number;
      readonly action: Decision['action'];
      readonly forMs: number;
    }
  | { readonly kind: 'reload'; readonly sender: number; readonly never: number; readonly mode: Mode }
  | { readonly kind: 'rollback'; readonly back: number }
  | { readonly kind: 'follow' | 'restart' | 'stop' }
  | { readonly kind: 'wait'; readonly ms: number };

const host = fc.nat(HOSTS.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('mail' as const, 'mail' as const, 'attempts' as const),
      host,
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('served' as const),
      host,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      host,
      action: fc.constantFrom<Decision['action']>('approve', 'reject', 'release', 'block'),
      forMs: fc.constantFrom(MINUTE, HOUR, 30 * HOUR),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      sender: fc.integer({ min: -1, max: 2 }),
      never: fc.integer({ min: -1, max: 2 }),
      mode: fc.constantFrom<Mode>('publish', 'publish', 'propose', 'observe'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rollback' as const), back: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('follow' as const, 'restart' as const, 'restart' as const, 'stop' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(10 * SECOND, 7 * MINUTE, 3 * HOUR, 26 * HOUR),
    }),
  },
);

interface Setting {
  readonly config: Config;
  readonly options: DetectorOptions;
  /** Who may send, and who is never blocked. */
  readonly senders: ReadonlySet<string>;
  readonly never: ReadonlySet<string>;
}

const settings = new Map<string, Setting>();

/** Few are possible, and each takes a while to check. */
function settingOf(sender: number, never: number, mode: Mode): Setting {
  const key = `${sender} ${never} ${mode}`;
  const known = settings.get(key);
  if (known !== undefined) return known;
  const senders = ['10.0.0.25', ...(sender < 0 ? [] : [HOSTS[sender]])];
  const spared = never < 0 ? [] : [HOSTS[never]];
  const config = configSchema.parse({
    networks: { internal: ['10.0.0.0/8'] },
    senders: [{ name: 'mail', hosts: senders }],
    block: { mode, never: spared, ttl: '24h' },
    detection: { max_sessions: 200, max_hosts: 20 },
    acl: { targets: [{ name: 'edge', platform: 'cisco-ios' }] },
    data: '/data',
  });
  const options = { policy: compilePolicy(config), detection: config.detection, block: config.block };
  const made = { config, options, senders: new Set(senders), never: new Set(spared) };
  settings.set(key, made);
  return made;
}

const FILE = '/data/acl/edge.4.txt';
const ADA = { by: 'ada', reason: 'said so' };
const SILENT = createLogger('silent');
const PREFIXES = new Map<string, Prefix>(HOSTS.map((address) => [address, prefixOf(address)]));

function prefixOf(address: string): Prefix {
  const parsed = parsePrefix(address);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
}

/** `expect` costs more than what it looks at here. */
function demand(holds: boolean, words: string, detail?: unknown): void {
  if (!holds) throw new Error(detail === undefined ? words : `${words}: ${JSON.stringify(detail)}`);
}

class World {
  private setting = settingOf(-1, -1, 'publish');
  private atMs = 0;
  private offset = 0;
  private port = 1024;
  /** The streams: the newest incident of each host, and its newest decision. */
  private readonly incidents = new Map<string, Incident>();
  private readonly decisions = new Map<string, Decision>();
  private detector = this.beginDetector();
  /** Decisions are taken in only while it runs. */
  private isRunning = true;
  private readonly untaken = new Set<Decision>();
  private standing: StandingDecisions;
  private hand: HandBlocks;
  private publisher: ListPublisher;
  private desk: AclDesk;
  private isHeld = false;
  /** Whom any list has ever denied. */
  private readonly everDenied = new Set<string>();
  /** The model: who serves, and the newest mail that got through after its block. */
  private readonly serving = new Set<string>();
  private readonly passedMs = new Map<string, number>();

  constructor() {
    emptyMemoryFiles('/data', this.now);
    ({ standing: this.standing, hand: this.hand, publisher: this.publisher, desk: this.desk } = this.begin());
  }

  private readonly now = () => T0 + this.atMs;

  private beginDetector(): Detector {
    return createDetector(this.setting.options, { ...sightOfOne(), senderSeen: true });
  }

  /** The part that makes lists, from the streams and the data directory. */
  private begin() {
    const { now } = this;
    const config = () => this.setting.config;
    const incidentOf = (key: string) => this.incidents.get(key);
    const incidents = () => [...this.incidents.values()];
    const standing = createStandingDecisions(incidentOf, now);
    for (const incident of this.incidents.values()) standing.noteIncident(incident);
    standing.note([...this.decisions.values()]);
    const audit = createAuditLog(config().data);
    const publisher = createListPublisher({
      config,
      incidents,
      incidentOf,
      decisions: standing,
      audit,
      log: SILENT,
      now,
      tell: () => undefined,
      policyVersion: () => '',
    });
    const desk = createBlockDesk({
      config,
      stream: {
        partitions: () => 1,
        publish: async (_stream, messages) => {
          for (const { value } of messages) this.take(JSON.parse(Buffer.from(value).toString('utf8')));
          return { accepted: messages.length, dropped: 0 };
        },
      },
      incidents,
      publisher,
      decisions: standing,
      audit,
      notes: createDecisionNotes(audit),
      now,
      probableServer: async (address, site) => this.detector.probableServer(address, site, now()),
    });
    const hand = createHandBlocks({ config, decisions: standing, incidentOf, now });
    return { standing, hand, publisher, desk };
  }

  async open(): Promise<void> {
    await this.publisher.open();
    await this.settle();
  }

  private take(decision: Decision): void {
    this.decisions.set(decision.host, decision);
    for (const other of this.untaken) if (other.host === decision.host) this.untaken.delete(other);
    this.untaken.add(decision);
  }

  private collect(): void {
    if (!this.isRunning) return;
    const { incidents } = this.detector.take();
    for (const incident of [...incidents, ...this.detector.openIncidents()]) {
      const key = hostStreamKey(incident);
      const known = this.incidents.get(key);
      if (known?.incident_id === incident.incident_id && known.revision > incident.revision) continue;
      this.incidents.set(key, incident);
      this.standing.noteIncident(incident);
    }
  }

  private incidentOf(address: string): Incident | undefined {
    return this.incidents.get(hostStreamKey({ host: address, site: '' }));
  }

  async do(step: Step): Promise<void> {
    switch (step.kind) {
      case 'mail':
      case 'attempts':
        if (this.isRunning) this.send(step.kind === 'attempts', HOSTS[step.host], step.count);
        break;
      case 'served':
        if (this.isRunning) this.serve(HOSTS[step.host]);
        break;
      case 'decide':
        await this.decide(step.action, HOSTS[step.host], step.forMs);
        break;
      case 'reload':
        this.setting = settingOf(step.sender, step.never, step.mode);
        // The lists follow the configuration before the detector does.
        await this.publisher.publish();
        await this.check(false);
        if (this.isRunning) this.detector.reload(this.setting.options);
        break;
      case 'rollback':
        await this.rollBack(step.back);
        break;
      case 'follow':
        await this.desk.follow({ targets: [], ...ADA });
        this.isHeld = false;
        break;
      case 'restart':
        await this.restart();
        break;
      case 'stop':
        this.isRunning = false;
        break;
      case 'wait':
        this.atMs += step.ms;
        if (this.isRunning) this.detector.advance(this.now());
        break;
    }
    this.collect();
    await this.settle();
  }

  private async settle(): Promise<void> {
    await this.publisher.publish();
    await this.check(true);
  }

  private send(isAttempt: boolean, from: string, count: number): void {
    const shape = isAttempt
      ? { flags: 'S', packets: 1, bytes: 60 }
      : { flags: 'SPAF', packets: 20, bytes: 6000 };
    for (let i = 0; i < count; i++) {
      this.atMs += 5 * SECOND;
      const to = `198.51.100.${1 + (this.port % 200)}`;
      const flow = { from, to, fromPort: this.port++, at: this.atMs, ...shape };
      this.detector.observe(batchOf([flow]), { partition: 0, offset: this.offset++ });
      if (!isAttempt) this.passedMs.set(from, this.now());
    }
  }

  private serve(to: string): void {
    this.atMs += SECOND;
    const shape = { flags: 'SPAF', packets: 16, bytes: 6000 };
    const flow = { from: '203.0.113.9', to, fromPort: this.port++, at: this.atMs, ...shape };
    this.detector.observe(batchOf([flow]), { partition: 0, offset: this.offset++ });
    // Of a declared sender nobody learns that it serves: only what comes after its entry is gone counts.
    if (!this.setting.senders.has(to)) this.serving.add(to);
  }

  private async decide(action: Decision['action'], address: string, forMs: number): Promise<void> {
    const request = { hosts: [address], forMs, ...ADA };
    const isKnown = await refusable(() => this.desk[action](request));
    if (action === 'block' && isKnown)
      demand(this.isBlockable(address), 'a host was blocked by hand in spite of an interlock', address);
    // The lists have it before the detector has acted.
    await this.check(false);
    if (this.isRunning) this.catchUp();
  }

  private catchUp(): void {
    for (const decision of this.untaken) this.detector.decide(decision);
    this.untaken.clear();
  }

  private async rollBack(back: number): Promise<void> {
    const revisions = (await this.desk.overview()).targets.find(({ family }) => family === '4')?.revisions;
    const to = back === 0 ? undefined : revisions?.[back]?.digest;
    const isDone = await refusable(() => this.desk.rollback({ target: 'edge', family: '4', to, ...ADA }));
    if (isDone) this.isHeld = true;
  }

  /** What a restart forgets or remembers must not change what is said. */
  private async restart(): Promise<void> {
    const before = await this.desk.overview();
    const made = this.begin();
    this.standing = made.standing;
    this.hand = made.hand;
    this.publisher = made.publisher;
    this.desk = made.desk;
    await this.publisher.open();
    await this.publisher.publish();
    const after = await this.desk.overview();
    demand(JSON.stringify(before) === JSON.stringify(after), 'a restart changed what is said', {
      before,
      after,
    });
    const servers = this.detector.mailServers();
    this.detector = this.beginDetector();
    this.isRunning = true;
    this.detector.restoreMailServers(servers);
    for (const incident of this.incidents.values()) this.detector.restore(incident);
    for (const decision of this.decisions.values()) this.detector.decide(decision);
    this.untaken.clear();
    this.detector.advance(this.now());
  }

  private isBlockable(address: string): boolean {
    const { config, never, senders } = this.setting;
    return config.block.mode !== 'observe' && !never.has(address) && !senders.has(address);
  }

  /** `isSettled`: the detector has acted on all that it was told. */
  private async check(isSettled: boolean): Promise<void> {
    const problems = this.publisher.problems();
    demand(problems.length === 0, 'the lists are not brought up to date', problems);
    const denied = deniedBy(memoryText(FILE) ?? '');
    const plain = this.publisher.hosts('4');
    for (const address of denied) this.everDenied.add(address);
    this.mayBeDenied(denied, this.isHeld);
    this.mayBeDenied(plain, false);
    if (!this.isHeld)
      demand(denied.join() === plain.join(), 'the file and the plain list differ', { denied, plain });
    const overview = await this.desk.overview();
    this.saysTheSame(overview, denied, isSettled && this.isRunning);
    for (const decision of this.decisions.values()) {
      // A block by hand is in every list until its end, unless something speaks for the host that must be spared.
      const { host: address, action } = decision;
      // A host that is held is spared until the detector has looked at the decision by the configuration of now.
      const isHeld = this.incidentOf(address)?.block.state === 'held' && !(isSettled && this.isRunning);
      if (action === 'block' && !isHeld && !this.isOver(decision) && this.isBlockable(address))
        demand(denied.includes(address), 'a block by hand is not in the list', decision);
    }
    // A rollback to whatever was in force.
    if (this.everDenied.size > 0) this.mayBeDenied(this.rolledBack(), true);
    this.checkEffects();
  }

  private isOver({ until }: Pick<Decision, 'until'>): boolean {
    return Date.parse(until ?? '') <= this.now();
  }

  /** `acl list`, of which `incident` and `offenders` show a part, against the file and against what the test knows. */
  private saysTheSame({ hosts, targets }: AclOverview, denied: readonly string[], isActedOn: boolean): void {
    const [list] = targets;
    demand(list.trouble === null, 'a list is not written', list.trouble);
    demand((list.pin !== null) === this.isHeld, 'a list is not said to be held as it is', list.pin);
    const [current] = list.revisions;
    demand(
      current?.current === true && (memoryText(FILE) ?? '').includes(`revision ${current.revision}`),
      'the file states another revision than is shown',
      current,
    );
    for (const address of HOSTS) {
      const row = hosts.find((one) => one.host === address);
      const isDenied = denied.includes(address);
      demand((row?.listed ?? false) === isDenied, `${address}: in the list or not`, { row, denied });
      if (row !== undefined) this.rowIsRight(row, isActedOn);
      this.pendingIsRight(address, row, isActedOn);
    }
  }

  private rowIsRight(row: BlockRow, isActedOn: boolean): void {
    const { host: address, block, listed, listed_at } = row;
    const decision = this.decisions.get(address);
    if (listed) {
      demand(listed_at !== null && Date.parse(listed_at) <= this.now(), 'no time of a listed host', row);
      if (!this.isHeld) {
        demand(block.state === 'published', 'listed and not published', row);
        demand(!this.isOver(block), 'listed after its end', row);
      }
      if (decision?.action === 'block' && !this.isOver(decision))
        demand((block.until ?? '') >= (decision.until ?? ''), 'ends before the block by hand', row);
    } else if (isActedOn && !this.isHeld) {
      demand(block.state !== 'published' || row.held_since !== null, 'published and not listed', row);
    }
    const incident = this.incidentOf(address);
    if (isActedOn && incident !== undefined && row.incident_id === incident.incident_id) {
      const { state, until } = incident.block;
      demand(state === block.state && until === block.until, 'the incident says another block', {
        row,
        incident: incident.block,
      });
    }
  }

  /** A decision is pending while no detector has acted on it, with its own time. */
  private pendingIsRight(address: string, row: BlockRow | undefined, isActedOn: boolean): void {
    const pending = row?.pending ?? null;
    if (isActedOn) demand(pending === null, 'pending, and the detector has acted', row);
    const untaken = [...this.untaken].find((decision) => decision.host === address);
    if (pending !== null) {
      const { action, by, reason, decided_at } = untaken ?? { action: 'none' };
      demand(
        JSON.stringify(pending) === JSON.stringify({ action, by, reason, decided_at }),
        'pending is not what was decided',
        { pending, untaken },
      );
    }
    const { state = 'none', approved_by } = this.incidentOf(address)?.block ?? {};
    if (untaken === undefined || (untaken.until !== null && this.isOver(untaken))) return;
    const isStanding = state === 'published' || state === 'proposed';
    const changes =
      untaken.action === 'approve' ? state === 'proposed' && approved_by === undefined : isStanding;
    if (untaken.action !== 'block' && changes && untaken.incident_id === row?.incident_id)
      demand(pending !== null, 'a decision that no detector has taken is not pending', { row, untaken });
  }

  private checkEffects(): void {
    for (const { host: address, block } of this.incidents.values()) {
      if (block.effect?.state !== 'effective') continue;
      const passedMs = this.passedMs.get(address) ?? 0;
      const fromMs = Date.parse(block.since ?? '') + this.setting.config.block.grace;
      demand(
        Date.parse(block.effect.since) > (passedMs > fromMs ? passedMs : 0),
        'effective, while packets get through',
        block,
      );
    }
  }

  /** What a rollback would deny, to a list of all who were ever denied. */
  private rolledBack(): readonly string[] {
    const { config } = this.setting;
    const exempt = [...this.standing.exempt(undefined), ...this.hand.ended(undefined)];
    const request = requestFor(config, [], { kind: 'offenders', family: '4' }, this.now(), exempt);
    const model: AclModel = {
      kind: 'offenders',
      family: '4',
      interface: null,
      internal: config.networks.internal,
      rules: [...this.everDenied].map((address) => ({
        action: 'deny',
        source: PREFIXES.get(address) ?? prefixOf(address),
        destination: null,
        remark: '',
      })),
    };
    try {
      return deniedHosts(recheckModel(model, request).model);
    } catch (error) {
      if (error instanceof RogueSmtpError && error.code === 'refused') return [];
      throw error;
    }
  }

  /**
   * Of an earlier list only hosts that wait as probable mail servers are spared for that: of one that began to serve without an
   * incident the lists know nothing.
   */
  private mayBeDenied(denied: readonly string[], isEarlier: boolean): void {
    const { senders, never } = this.setting;
    for (const address of denied) {
      demand(!senders.has(address) && !never.has(address), 'a host that must be spared is denied', address);
      const decision = this.decisions.get(address);
      const incident = this.incidentOf(address);
      if (decision?.action === 'release')
        demand(this.isOver(decision), 'a released host is denied', decision);
      if (decision?.action === 'reject')
        demand(incident?.incident_id !== decision.incident_id, 'a rejected host is denied', decision);
      // An earlier list does not make a block by hand longer, and what the detector wrote of it does not either.
      if (decision?.action === 'block' && this.isOver(decision))
        demand(incident?.block.state === 'published', 'denied after the end of a block by hand', decision);
      const named = decision?.action === 'approve' || decision?.action === 'block';
      const approved = named || incident?.block.approved_by !== undefined;
      if (isEarlier && incident?.block.state !== 'held') continue;
      if (this.serving.has(address)) demand(approved, 'a probable mail server is denied unasked', address);
    }
  }
}

/** Read without the product's own help. */
function deniedBy(text: string): readonly string[] {
  return [...text.matchAll(/^ ?(?:\d+ )?deny tcp host (\S+) any eq (?:25|smtp)/gm)].map(([, one]) => one);
}

/** False where the desk says no. */
async function refusable(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (error instanceof RogueSmtpError && (error.code === 'refused' || error.code === 'not_found'))
      return false;
    throw error;
  }
}

describe('lists and what is said of them', () => {
  it('deny nobody whom they must spare, whatever comes in whatever order', async () => {
    let done = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const world = new World();
        await world.open();
        for (const one of steps) await world.do(one);
        if (++done % 1000 === 0) console.info(`${new Date().toISOString()} ${done} sequences`);
      }),
      {
        numRuns: SEQUENCES,
        // The same ones at every commit; others by hand, with OPERATE_SEQUENCES.
        ...(process.env.OPERATE_SEQUENCES === undefined && { seed: 1, interruptAfterTimeLimit: 15_000 }),
      },
    );
    expect(done).toBeGreaterThan(0);
  }, 7_200_000);
});
