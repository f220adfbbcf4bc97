/**
 * Who exports: exporters, their observation domains, and the templates of each, all within bounds.
 *
 * Everything here is made on the word of unauthenticated datagrams. An exporter at a limit loses what is its own
 * (its oldest template, its most idle domain), never what is another's. A newcomer to a full table takes the place of
 * the exporter that was heard longest ago among those that were heard for a moment only: so a flood of forged source
 * addresses pushes out its own. Where all have been heard for longer, it is refused unless one has been silent for long.
 */

import { type AddressBytes, isIPv4, isSameAddress } from '../flow/address.ts';
import type { FlowVersionName } from '../flow/columns.ts';
import { CounterHabits, type OutMeaning } from './counter-habits.ts';
import { type ExportProcess, ExportProcesses, type ProcessKeeper } from './export-process.ts';
import { OverallSequence } from './overall-sequence.ts';
import { noUnread } from './packet/walk.ts';
import type { SequencedVersion } from './sequence.ts';
import { isOptions, isSameLayout, type Template } from './template.ts';
import { doubtOf } from './template-doubt.ts';
import { TokenBucket } from './token-bucket.ts';
import type { DecoderOptions, ExporterState } from './types.ts';

/** An exporter silent for this long makes room when the table is full. */
const IDLE_MS = 3_600_000;
/** Routers send at least once a minute or so; who was heard over less time than this has yet to prove that it stays. */
const PROVEN_AFTER_MS = 60_000;
/** Routers have one domain per line card or engine; more than this in use at once are somebody's invention. */
const DOMAINS_PER_EXPORTER = 256;
/** Of all exporters together: beyond it, a new domain takes the place of the exporter's most idle one. */
const DOMAINS_PER_EXPORTER_MEAN = 4;
/** Fields of all templates together: 32 a template, where field lists of 20 are common and 60 are long. */
const FIELDS_PER_TEMPLATE_MEAN = 32;
/**
 * New layouts an exporter may bring at once (or as many as it may have templates, if that is more), and each second
 * after that. Each costs up to 0.1 ms by the time its data is read, so that an exporter that brings nothing else costs
 * 1 % of the time. A template that comes again unchanged is not new.
 */
const NEW_TEMPLATES_AT_ONCE = 1024;
const NEW_TEMPLATES_PER_SECOND = 100;
/** Rates seen are shown to people, not used; more of them say nothing. */
const MAX_RATES_SHOWN = 16;

/** A number, but for sFlow, where agents behind one address are domains of their own. */
type DomainKey = number | string;

/** Whose template it is. */
export interface TemplateOwner {
  readonly domain: Domain;
  readonly process: ExportProcess;
}

export interface Exporter {
  readonly key: number | string;
  readonly address: AddressBytes;
  /** The same as four words in memory order. */
  readonly words: Uint32Array;
  /** 0 unless the scope of templates includes the port. */
  readonly port: number;
  readonly domains: Map<DomainKey, Domain>;
  /** Its templates over all domains, the one longest not refreshed first. */
  readonly templates: Map<Template, TemplateOwner>;
  /** The domain of the newest datagram, to find it without a look-up. */
  newest: Domain | null;
  readonly firstSeenMs: number;
  lastSeenMs: number;
  /** It was heard over more than a moment. */
  proven: boolean;
  pendingBytes: number;
  /** Whether it has more than one domain. */
  hasDomains: boolean;
  /** By the number of the version, for exporters with several domains; null where each is known to count for itself. */
  readonly overall: (OverallSequence | null)[];
  readonly newTemplates: TokenBucket;
}

/** One observation domain (source id, engine, sub-agent) of one exporter in one version. */
export class Domain implements ExporterState {
  readonly exporter: Exporter;
  readonly address: AddressBytes;
  readonly domain: number;
  readonly version: FlowVersionName;
  /** The same as in the column of that name. */
  readonly versionNumber: number;
  /** The agent address of sFlow, where it is not that of the exporter; else null. */
  readonly agent: AddressBytes | null;
  readonly key: DomainKey;
  datagrams = 0;
  flows = 0;
  sequenceLost = 0;
  sequenceReordered = 0;
  sequenceResets = 0;
  sequenceUnknown = 0;
  sequenceLostBefore = 0;
  lastSeenMs = 0;
  /** The exporter's own time in the newest datagram, -1 where the version has none. */
  lastExportMs = -1;
  readonly samplingRates = new Set<number>();
  #lastRate = 0;
  templates = 0;
  templatesRedefined = 0;
  readonly unread = noUnread();
  readonly habits = new CounterHabits();
  readonly processes: ExportProcesses;

  constructor(
    exporter: Exporter,
    domain: number,
    version: FlowVersionName,
    versionNumber: number,
    key: DomainKey,
    agent: AddressBytes | null,
    keeper: (domain: Domain) => ProcessKeeper,
  ) {
    this.exporter = exporter;
    this.address = exporter.address;
    this.domain = domain;
    this.version = version;
    this.versionNumber = versionNumber;
    this.key = key;
    this.agent = agent;
    this.processes = new ExportProcesses(isSequenced(version) ? version : null, keeper(this));
  }

  get clockSkewMs(): number | null {
    return this.lastExportMs < 0 ? null : this.lastSeenMs - this.lastExportMs;
  }

  get exportProcesses(): number {
    return this.processes.all.length;
  }

  get counting(): ExporterState['counting'] {
    return this.processes.current.sequence?.counting ?? null;
  }

  /** The account over all domains of the exporter and version, while it may be theirs; null when there is none. */
  overall(): OverallSequence | null {
    const { exporter, versionNumber } = this;
    if (!exporter.hasDomains) return null;
    const known = exporter.overall[versionNumber];
    if (known !== undefined) {
      if (known?.isRefuted !== true) return known;
      exporter.overall[versionNumber] = null;
      return null;
    }
    return this.#beginOverall();
  }

  #beginOverall(): OverallSequence | null {
    const { exporter, version, versionNumber } = this;
    // Sub-agents of sFlow count for themselves, and behind a relay they are not even one device's.
    if (!isSequenced(version) || version === 'sflow') {
      exporter.overall[versionNumber] = null;
      return null;
    }
    const domains = [...exporter.domains.values()].filter((domain) => domain.version === version);
    if (domains.length < 2) return null;
    const overall = new OverallSequence(version, domains);
    exporter.overall[versionNumber] = overall;
    return overall;
  }

  get outMeaning(): OutMeaning {
    return this.habits.outMeaning;
  }

  get absurdCounters(): number {
    return this.habits.absurd;
  }

  sawRate(rate: number): void {
    // The same in almost every record; adding it again would take longer than reading a sample's header.
    if (rate === this.#lastRate) return;
    this.#lastRate = rate;
    if (rate > 0 && this.samplingRates.size < MAX_RATES_SHOWN) this.samplingRates.add(rate);
  }
}

function isSequenced(version: FlowVersionName): version is SequencedVersion {
  return version !== 'v1' && version !== 'log';
}

/** What the table tells of processes that come to an end. */
export interface ProcessEvents {
  /** An exporter had to make room for a newcomer. */
  evicted(): void;
  /** It goes, with all that waits for it. */
  forgotten(process: ExportProcess): void;
  /** What waited for templates of `from` may be read with those of `into`, which has taken over all of them. */
  joined(domain: Domain, from: ExportProcess, into: ExportProcess): void;
}

export class ExporterTable {
  /** Domains that sent since somebody last took note of them and emptied this; those forgotten are not in it. */
  readonly touched = new Set<Domain>();
  readonly #exporters = new Map<number | string, Exporter>();
  readonly #limits: DecoderOptions['limits'];
  readonly #withPort: boolean;
  /** Those that are not proven, the one heard longest ago first. */
  readonly #unproven = new Map<number | string, Exporter>();
  readonly #onProcess: ProcessEvents;
  #domains = 0;
  /** Of all domains, those beyond the first of each. */
  #moreProcesses = 0;
  #templates = 0;
  #fields = 0;
  #fullUntilMs = 0;
  /** Of the newest datagram: exporters send several at a time, and comparing is cheaper than looking up. */
  #last: Exporter | null = null;

  constructor(options: DecoderOptions, onProcess: ProcessEvents) {
    this.#limits = options.limits;
    this.#withPort = options.templateScope === 'address_port';
    this.#onProcess = onProcess;
  }

  get templates(): number {
    return this.#templates;
  }

  /** The exporter and domain, made when new. Null when the table is full. */
  domain(
    address: AddressBytes,
    port: number,
    version: FlowVersionName,
    versionNumber: number,
    domain: number,
    nowMs: number,
    agent: AddressBytes | null = null,
  ): Domain | null {
    const exporter = this.#exporter(address, this.#withPort ? port : 0, nowMs);
    if (exporter === null) return null;
    const newest = exporter.newest;
    if (agent === null) {
      if (
        newest !== null &&
        newest.domain === domain &&
        newest.versionNumber === versionNumber &&
        newest.agent === null
      )
        return newest;
      const key = versionNumber * 4294967296 + domain;
      return this.#enter(exporter, version, versionNumber, domain, key, null, nowMs);
    }
    if (newest?.agent != null && newest.domain === domain && isSameAddress(newest.agent, agent))
      return newest;
    const key = `${domain} ${Buffer.from(agent.buffer, agent.byteOffset, 16).toString('latin1')}`;
    return this.#enter(exporter, version, versionNumber, domain, key, agent, nowMs);
  }

  #enter(
    exporter: Exporter,
    version: FlowVersionName,
    versionNumber: number,
    domain: number,
    key: DomainKey,
    agent: AddressBytes | null,
    nowMs: number,
  ): Domain {
    let found = exporter.domains.get(key);
    if (found === undefined) {
      const full =
        exporter.domains.size >= DOMAINS_PER_EXPORTER ||
        this.#domains >= this.#limits.exporters * DOMAINS_PER_EXPORTER_MEAN;
      if (full) this.#forgetIdlestDomain(exporter);
      const copy = agent === null ? null : Uint8Array.from(agent);
      found = new Domain(exporter, domain, version, versionNumber, key, copy, (owner) =>
        this.#keeperOf(owner),
      );
      found.lastSeenMs = nowMs;
      exporter.domains.set(key, found);
      exporter.hasDomains = exporter.domains.size > 1;
      this.#domains++;
    }
    exporter.newest = found;
    return found;
  }

  #exporter(address: AddressBytes, port: number, nowMs: number): Exporter | null {
    const last = this.#last;
    if (last !== null && last.port === port && isSameAddress(last.address, address)) {
      if (last.proven) last.lastSeenMs = nowMs;
      else this.#hearUnproven(last, nowMs);
      return last;
    }
    const key = keyOf(address, port);
    const known = this.#exporters.get(key);
    if (known !== undefined) {
      if (known.proven) known.lastSeenMs = nowMs;
      else this.#hearUnproven(known, nowMs);
      this.#last = known;
      return known;
    }
    if (this.#exporters.size >= this.#limits.exporters && !this.#makeRoom(nowMs)) return null;
    const copy = Uint8Array.from(address);
    const exporter: Exporter = {
      key,
      address: copy,
      words: new Uint32Array(copy.buffer, copy.byteOffset, 4),
      port,
      domains: new Map(),
      templates: new Map(),
      newest: null,
      firstSeenMs: nowMs,
      lastSeenMs: nowMs,
      proven: false,
      pendingBytes: 0,
      hasDomains: false,
      overall: [],
      newTemplates: new TokenBucket(
        Math.max(NEW_TEMPLATES_AT_ONCE, this.#limits.templatesPerExporter),
        NEW_TEMPLATES_PER_SECOND,
        nowMs,
      ),
    };
    this.#exporters.set(key, exporter);
    this.#unproven.set(key, exporter);
    this.#last = exporter;
    return exporter;
  }

  #hearUnproven(exporter: Exporter, nowMs: number): void {
    // Many datagrams come within the same millisecond, and the queue is about seconds.
    if (exporter.lastSeenMs === nowMs) return;
    exporter.lastSeenMs = nowMs;
    this.#unproven.delete(exporter.key);
    if (nowMs - exporter.firstSeenMs >= PROVEN_AFTER_MS) exporter.proven = true;
    else this.#unproven.set(exporter.key, exporter);
  }

  /** More than half full: then what is not proven is not worth keeping over a restart. */
  get isCrowded(): boolean {
    return 2 * this.#exporters.size > this.#limits.exporters;
  }

  #makeRoom(nowMs: number): boolean {
    const longestAgo = this.#unproven.values().next();
    if (longestAgo.done) return this.#forgetIdlestExporter(nowMs);
    this.#forgetExporter(longestAgo.value);
    this.#onProcess.evicted();
    return true;
  }

  #forgetIdlestExporter(nowMs: number): boolean {
    // A flood of newcomers must not cost a search each.
    if (nowMs < this.#fullUntilMs && nowMs > this.#fullUntilMs - IDLE_MS) return false;
    let idlest: Exporter | null = null;
    for (const exporter of this.#exporters.values()) {
      if (idlest === null || exporter.lastSeenMs < idlest.lastSeenMs) idlest = exporter;
    }
    if (idlest === null) return false;
    if (nowMs - idlest.lastSeenMs < IDLE_MS) {
      this.#fullUntilMs = Math.min(idlest.lastSeenMs + IDLE_MS, nowMs + 1000);
      return false;
    }
    this.#forgetExporter(idlest);
    return true;
  }

  #forgetExporter(exporter: Exporter): void {
    for (const domain of [...exporter.domains.values()]) this.#forgetDomain(domain);
    this.#exporters.delete(exporter.key);
    this.#unproven.delete(exporter.key);
    if (this.#last === exporter) this.#last = null;
  }

  #forgetIdlestDomain(exporter: Exporter): void {
    let idlest: Domain | null = null;
    for (const domain of exporter.domains.values()) {
      if (idlest === null || domain.lastSeenMs < idlest.lastSeenMs) idlest = domain;
    }
    if (idlest !== null) this.#forgetDomain(idlest);
  }

  #forgetDomain(domain: Domain): void {
    this.touched.delete(domain);
    const { all } = domain.processes;
    for (const process of all) this.#forgetProcess(domain, process);
    this.#moreProcesses -= all.length - 1;
    domain.exporter.overall[domain.versionNumber]?.forget(domain);
    domain.exporter.domains.delete(domain.key);
    domain.exporter.hasDomains = domain.exporter.domains.size > 1;
    this.#domains--;
    if (domain.exporter.newest === domain) domain.exporter.newest = null;
  }

  #keeperOf(domain: Domain): ProcessKeeper {
    return {
      mayBegin: () => {
        if (this.#moreProcesses >= this.#limits.exporters) return false;
        this.#moreProcesses++;
        return true;
      },
      ended: (process) => {
        this.#forgetProcess(domain, process);
        this.#moreProcesses--;
      },
      copied: (from, to) => {
        for (const template of from.byId.values())
          if (template.doubt === null) this.add({ domain, process: to }, { ...template });
        to.sampling.adopt(from.sampling);
        to.initMs = from.initMs;
      },
      separated: (process) => {
        const owner = { domain, process };
        let isCopied = false;
        for (const template of [...process.byId.values()]) {
          if (template.seenMs >= process.firstSeenMs) continue;
          this.remove(owner, template);
          isCopied = true;
        }
        if (isCopied) process.sampling.clear();
      },
      joined: (from, into) => {
        for (const template of [...from.byId.values()]) {
          this.remove({ domain, process: from }, template);
          const known = into.byId.get(template.id);
          if (known !== undefined && known.seenMs >= template.seenMs) continue;
          if (known !== undefined && !isSameLayout(known, template.form, template.definition))
            template.doubt ??= doubtOf(known, into, template.seenMs);
          this.add({ domain, process: into }, template);
        }
        into.sampling.adopt(from.sampling);
        if (into.initMs === 0) into.initMs = from.initMs;
        this.#moreProcesses--;
        this.#onProcess.joined(domain, from, into);
      },
    };
  }

  #forgetProcess(domain: Domain, process: ExportProcess): void {
    this.#onProcess.forgotten(process);
    for (const template of [...process.byId.values()]) this.remove({ domain, process }, template);
  }

  /**
   * Puts a template in, in place of one with the same id, if there is room for it; `gone` is how many others of the
   * exporter had to make room.
   */
  add(owner: TemplateOwner, template: Template): { readonly taken: boolean; readonly gone: number } {
    const { domain, process } = owner;
    const { exporter } = domain;
    const before = process.byId.get(template.id);
    if (before !== undefined) this.remove(owner, before);
    let gone = 0;
    while (this.#isFull(exporter, template)) {
      const oldest = exporter.templates.entries().next();
      if (oldest.done) return { taken: false, gone };
      this.remove(oldest.value[1], oldest.value[0]);
      gone++;
    }
    process.byId.set(template.id, template);
    domain.templates++;
    exporter.templates.set(template, { domain, process });
    this.#templates++;
    this.#fields += template.fields.length;
    return { taken: true, gone };
  }

  #isFull(exporter: Exporter, { fields }: Template): boolean {
    const { templates, templatesPerExporter } = this.#limits;
    return (
      exporter.templates.size >= templatesPerExporter ||
      this.#templates >= templates ||
      this.#fields + fields.length > templates * FIELDS_PER_TEMPLATE_MEAN
    );
  }

  /** The exporter sent the same template again. */
  refresh({ domain, process }: TemplateOwner, template: Template, nowMs: number): void {
    template.gapMs = Math.max(template.gapMs, nowMs - template.seenMs);
    template.seenMs = nowMs;
    const { templates } = domain.exporter;
    const owner = templates.get(template) ?? { domain, process };
    templates.delete(template);
    templates.set(template, owner);
  }

  remove({ domain, process }: TemplateOwner, template: Template): void {
    if (!domain.exporter.templates.delete(template)) return;
    process.byId.delete(template.id);
    domain.templates--;
    this.#templates--;
    this.#fields -= template.fields.length;
  }

  /** RFC 7011 section 8.1: all templates of a process, of one kind. */
  removeAll(owner: TemplateOwner, options: boolean): void {
    for (const template of [...owner.process.byId.values()]) {
      if (isOptions(template.form) === options) this.remove(owner, template);
    }
  }

  *domains(): IterableIterator<Domain> {
    for (const exporter of this.#exporters.values()) yield* exporter.domains.values();
  }
}

/** A number for IPv4, which is found faster, else text. */
function keyOf(address: AddressBytes, port: number): number | string {
  if (isIPv4(address)) {
    const word = ((address[12] << 24) | (address[13] << 16) | (address[14] << 8) | address[15]) >>> 0;
    return word * 65536 + port;
  }
  return `${Buffer.from(address.buffer, address.byteOffset, 16).toString('latin1')}${port}`;
}
