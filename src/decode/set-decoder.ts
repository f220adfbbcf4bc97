/**
 * The part that NetFlow v9 and IPFIX share, and that writes the rows of every version: sets of templates, options and
 * data of one datagram, read with the templates of its observation domain.
 *
 * It owns all decoding state and keeps every bound. It never trusts a length: whoever calls it has checked that `at`
 * to `end` lies within the bytes. What it cannot read it counts; it never throws over input.
 */

import type { FlowBatch } from '../flow/batch.ts';
import type { FlowVersionName } from '../flow/columns.ts';
import type { ExportProcess } from './export-process.ts';
import { type Domain, ExporterTable, type TemplateOwner } from './exporter-table.ts';
import { elementName, type OptionsFields, readIpfixOptions } from './options-data.ts';
import { optionsScope } from './options-scope.ts';
import { UNREAD_REASONS, type UnreadReason } from './packet/walk.ts';
import { PendingData, type PendingSet } from './pending-data.ts';
import { ReaderContext } from './reader-context.ts';
import type { RecordReader } from './record-reader.ts';
import { SamplingTable } from './sampling.ts';
import { BOOT_TOLERANCE_MS, FIT, type SequenceUnits } from './sequence.ts';
import {
  createTemplate,
  isOptions,
  isSameLayout,
  ReaderCache,
  type Template,
  type TemplateDoubt,
} from './template.ts';
import { confirmLayout, doubtOf, isProvenByNumbers } from './template-doubt.ts';
import { IE, VARIABLE_LENGTH } from './template-field.ts';
import { behindContent, readTemplateRecord, type TemplateForm } from './template-wire.ts';
import type { DecoderCounters, DecoderOptions, DropReason, FlowSink } from './types.ts';
import { type WritableColumns, writableColumns } from './writable-columns.ts';

const MAX_READERS = 1024;

/** The facts of a datagram that its records need. Times in ms; `uptimeMs` is NO_UPTIME where the header has none. */
export interface DatagramFacts {
  readonly domain: Domain;
  readonly process: ExportProcess;
  readonly exporterPort: number;
  readonly sequence: number;
  readonly receivedAtMs: number;
  readonly exportMs: number;
  readonly uptimeMs: number;
}

export class SetDecoder {
  readonly table: ExporterTable;
  readonly counters: DecoderCounters;
  /** Of the datagram under way: flow records, options records, templates, units dropped. */
  flows = 0;
  options = 0;
  templates = 0;
  dropped = 0;
  /** Flow records in the datagram under way itself, all other records in it, and whether that is all of them. */
  flowRecords = 0;
  #optionsRecords = 0;
  #templateRecords = 0;
  recordsKnown = true;

  readonly #options: DecoderOptions;
  readonly #sink: FlowSink;
  readonly #pending: PendingData;
  readonly #readers: ReaderCache;
  readonly #context: ReaderContext;
  /** Sets of processes that turned out to be another, to be read once the datagram under way is. */
  #rejoined: PendingSet[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #batch: FlowBatch | null = null;
  #columns: WritableColumns | null = null;

  constructor(options: DecoderOptions, sink: FlowSink, counters: DecoderCounters) {
    this.#options = options;
    this.#sink = sink;
    this.counters = counters;
    const tunnels = options.tunnels ?? 'inner';
    this.#readers = new ReaderCache(MAX_READERS, { portsOnly: options.portsOnly, tunnels });
    this.#context = new ReaderContext(new SamplingTable(), portTable(options.portsOnly ?? []), tunnels);
    this.#pending = new PendingData(options.limits.pendingBytes, options.limits.pendingAgeMs);
    this.table = new ExporterTable(options, {
      forgotten: (process) => this.#loseWaiting(this.#pending.takeAll(process)),
      joined: (_domain, from, into) => {
        const sets = [...this.#pending.takeAll(from), ...this.#pending.takeAll(into)];
        for (const set of sets) this.#rejoined.push({ ...set, process: into });
      },
      evicted: () => {
        counters.exportersEvicted++;
      },
    });
  }

  get maxFields(): number {
    return this.#options.limits.fieldsPerTemplate;
  }

  /** Forgets the tallies of the datagram before; `bytes` are those of the one that comes. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.flows = 0;
    this.options = 0;
    this.templates = 0;
    this.dropped = 0;
    this.flowRecords = 0;
    this.#optionsRecords = 0;
    this.#templateRecords = 0;
    this.recordsKnown = true;
  }

  /** Options records and templates in the datagram under way itself. */
  get otherRecords(): number {
    return this.#optionsRecords + this.#templateRecords;
  }

  /** What the datagram under way holds, for the account of its sequence; `known` is what its header says of it. */
  units(known = true): SequenceUnits {
    const flows = known && this.recordsKnown ? this.flowRecords : null;
    return { flows, options: this.#optionsRecords, templates: this.#templateRecords };
  }

  drop(reason: DropReason, units = 1): void {
    this.counters.dropped[reason] += units;
    this.dropped += units;
  }

  expire(nowMs: number): void {
    this.#loseWaiting(this.#pending.expire(nowMs));
  }

  /** Counts what waited for a template in vain. */
  #loseWaiting(sets: readonly PendingSet[]): void {
    this.drop('no_template', sets.length);
    for (const { domain } of sets) this.#countUnread(domain, 'no_template', 1);
  }

  /** Makes the facts of a datagram those of the records read next. `origin` is where it begins in their view. */
  enter(facts: DatagramFacts, origin: number): void {
    const { domain, process } = facts;
    const context = this.#context;
    const words = domain.exporter.words;
    context.receivedLow = facts.receivedAtMs >>> 0;
    context.receivedHigh = (facts.receivedAtMs / 4294967296) >>> 0;
    context.exporter0 = words[0];
    context.exporter1 = words[1];
    context.exporter2 = words[2];
    context.exporter3 = words[3];
    context.exporterPort = facts.exporterPort;
    context.domain = domain.domain;
    context.version = domain.versionNumber;
    context.sequence = facts.sequence;
    context.origin = origin;
    context.bytes = this.#bytes;
    context.templates = process.byId;
    context.habits = domain.habits;
    context.exportMs = facts.exportMs;
    context.rates = process.sampling;
    context.rate = process.sampling.defaultRate;
    context.seenRate = 0;
    this.#setUptime(facts);
  }

  #setUptime({ process, exportMs, uptimeMs }: DatagramFacts): void {
    const context = this.#context;
    context.uptimeKnown = uptimeMs >= 0 || process.initMs > 0;
    context.uptimeMs = uptimeMs >= 0 ? uptimeMs : (exportMs - process.initMs) >>> 0;
  }

  /** Reads the sets from `at` to `end` of the datagram of v9 or IPFIX whose facts were entered. */
  readSets(facts: DatagramFacts, bytes: Buffer, view: DataView, begin: number, end: number): void {
    const v9 = facts.domain.version === 'v9';
    const templateSet = v9 ? 0 : 2;
    let at = begin;
    while (at + 4 <= end) {
      const id = view.getUint16(at);
      const length = view.getUint16(at + 2);
      if (length < 4) {
        // Some exporters fill the datagram up with zeros, which reads as sets of length 0.
        if (behindContent(bytes, at, end) > at) this.#cut('bad_length');
        return;
      }
      const whole = at + length <= end;
      const setEnd = whole ? at + length : end;
      if (id >= 256) this.#readData(facts, bytes, view, id, at + 4, setEnd);
      else if (id === templateSet) this.#readTemplates(facts, bytes, at + 4, setEnd, v9 ? 'v9' : 'ipfix');
      else if (id === templateSet + 1) {
        this.#readTemplates(facts, bytes, at + 4, setEnd, v9 ? 'v9-options' : 'ipfix-options');
      } else this.drop('unsupported');
      if (!whole) this.#cut('truncated');
      at += length;
    }
  }

  #cut(reason: DropReason): void {
    this.drop(reason);
    this.recordsKnown = false;
  }

  #readTemplates(facts: DatagramFacts, bytes: Buffer, begin: number, end: number, form: TemplateForm): void {
    const contentEnd = behindContent(bytes, begin, end);
    let at = begin;
    while (at + 4 <= end && at < contentEnd) {
      const record = readTemplateRecord(bytes, at, end, form, this.maxFields);
      this.#templateRecords++;
      if (record.kind === 'refused') this.drop(record.reason);
      else if (record.kind === 'withdrawal') this.#withdraw(facts, record.id, isOptions(form));
      else {
        const definition = bytes.subarray(at, record.next);
        const known = facts.process.byId.get(record.id);
        const same = known !== undefined && isSameLayout(known, form, definition);
        if (known !== undefined && !same) {
          // RFC 7011 section 8.1: an id in use gets another layout only after a withdrawal, or a restart.
          this.counters.templatesRedefined++;
          facts.domain.templatesRedefined++;
        }
        if (known !== undefined && same) {
          this.table.refresh(facts, known, facts.receivedAtMs);
          known.datagram = this.counters.datagrams;
          if (known.doubt !== null) confirmLayout(known.doubt, facts.process, facts.receivedAtMs);
          this.#countTemplate();
        } else if (!facts.domain.exporter.newTemplates.take(facts.receivedAtMs)) {
          this.drop('template_limit');
          // It said that the layout is another now: better no reading than a wrong one.
          if (known !== undefined) this.table.remove(facts, known);
        } else this.#introduce(facts, createTemplate(record, form, definition, facts.receivedAtMs), known);
      }
      if (record.next === null) return;
      at = record.next;
    }
  }

  /** Takes up a new layout, and reads what waited for it, unless it is in doubt whose it is. */
  #introduce(facts: DatagramFacts, template: Template | null, former: Template | undefined): void {
    const doubt = former === undefined ? null : doubtOf(former, facts.process, facts.receivedAtMs);
    if (!this.define(facts, template) || template === null) return;
    template.doubt = doubt;
    template.datagram = this.counters.datagrams;
    this.#countTemplate();
    if (doubt === null) this.#readPending(facts, template.id);
    else if (doubt.isContested)
      for (const { domain, body } of this.#pending.take(facts.process, template.id))
        this.#discard(domain, template, body.length);
  }

  #countTemplate(): void {
    this.templates++;
    this.counters.templates++;
  }

  /** Takes a template up; false when it is none, or there is no room for it. */
  define(owner: TemplateOwner, template: Template | null): boolean {
    if (template === null) {
      this.drop('bad_template');
      return false;
    }
    const { taken, gone } = this.table.add(owner, template);
    this.drop('template_limit', gone + (taken ? 0 : 1));
    return taken;
  }

  #withdraw(owner: TemplateOwner, id: number, options: boolean): void {
    if (id === (options ? 3 : 2)) this.table.removeAll(owner, options);
    else if (id < 256) this.drop('bad_template');
    else {
      const template = owner.process.byId.get(id);
      if (template !== undefined && isOptions(template.form) === options) this.table.remove(owner, template);
    }
  }

  #readPending(facts: DatagramFacts, id: number): void {
    this.#readWaiting(facts, this.#pending.take(facts.process, id), true);
  }

  /** Reads what waited for a process that turned out to be another one, if anything did. Call behind the datagram. */
  readRejoined(facts: DatagramFacts): void {
    if (this.#rejoined.length === 0) return;
    const sets = this.#rejoined;
    this.#rejoined = [];
    this.#readWaiting(facts, sets, false);
  }

  /** `isCleared`: their template is there, and is to be believed. */
  #readWaiting(facts: DatagramFacts, sets: readonly PendingSet[], isCleared: boolean): void {
    if (sets.length === 0) return;
    const before = [this.flowRecords, this.#optionsRecords, this.recordsKnown] as const;
    for (const set of sets) {
      this.enter(set, -set.offset);
      this.#context.bytes = set.body;
      const template = isCleared ? set.process.byId.get(set.templateId) : undefined;
      const view = viewOf(set.body);
      if (template === undefined) this.#readData(set, set.body, view, set.templateId, 0, set.body.length);
      else this.#readBy(template, set, set.body, view, 0, set.body.length);
    }
    // These were not records of the datagram that brought the template.
    [this.flowRecords, this.#optionsRecords, this.recordsKnown] = before;
    this.enter(facts, 0);
  }

  #readData(facts: DatagramFacts, bytes: Buffer, view: DataView, id: number, at: number, end: number): void {
    const template = facts.process.byId.get(id);
    if (template === undefined) {
      this.recordsKnown = false;
      this.#wait(facts, id, bytes, at, end);
    } else if (template.doubt !== null && !this.#isCleared(facts, template, template.doubt))
      this.#withhold(facts, template, template.doubt, bytes, at, end);
    else this.#readBy(template, facts, bytes, view, at, end);
  }

  #readBy(
    template: Template,
    facts: DatagramFacts,
    bytes: Buffer,
    view: DataView,
    at: number,
    end: number,
  ): void {
    if (isOptions(template.form)) this.#readOptions(facts, template, bytes, at, end);
    else {
      const reader = this.#readers.readerOf(template);
      this.#context.rate = facts.process.sampling.templateRate(template.id);
      if (reader !== null) this.readRows(facts.domain, reader, view, at, end);
    }
  }

  /** Whether data under a template that is in doubt may be read by now; if so, what waited for that is read too. */
  #isCleared(facts: DatagramFacts, template: Template, doubt: TemplateDoubt): boolean {
    const { process, receivedAtMs } = facts;
    if (receivedAtMs >= doubt.overdueMs) {
      template.doubt = null;
      this.#readPending(facts, template.id);
      return true;
    }
    // Who sent the template in this very datagram sent the data too.
    if (template.datagram === this.counters.datagrams) return true;
    if (!isProvenByNumbers(doubt, process, receivedAtMs)) {
      doubt.isOnTrial = false;
      return false;
    }
    if (!isDue(facts)) return false;
    if (!doubt.isOnTrial) {
      doubt.isOnTrial = true;
      this.#readPending(facts, template.id);
    }
    return true;
  }

  #withhold(
    facts: DatagramFacts,
    template: Template,
    doubt: TemplateDoubt,
    bytes: Buffer,
    at: number,
    end: number,
  ): void {
    // If the layout is right, so many records: the numbers then go on, which shows that it is.
    const records = recordsIn(template, end - at);
    if (records === null) this.recordsKnown = false;
    else if (isOptions(template.form)) this.#optionsRecords += records;
    else this.flowRecords += records;
    if (doubt.isContested || !isDue(facts)) this.#discard(facts.domain, template, end - at);
    else this.#wait(facts, template.id, bytes, at, end);
  }

  /** Drops a set of which nobody knows whose layout it has. */
  #discard(domain: Domain, template: Template, length: number): void {
    this.drop('ambiguous_template');
    this.#countUnread(domain, 'ambiguous_template', recordsIn(template, length) ?? 1);
  }

  #wait(facts: DatagramFacts, templateId: number, bytes: Buffer, at: number, end: number): void {
    const { domain, process, exporterPort, sequence, receivedAtMs, exportMs, uptimeMs } = facts;
    const set: PendingSet = {
      domain,
      process,
      templateId,
      body: Buffer.from(bytes.subarray(at, end)),
      offset: at,
      exporterPort,
      sequence,
      receivedAtMs,
      exportMs,
      uptimeMs,
    };
    if (this.#pending.add(set)) return;
    this.drop('pending_limit');
    this.#countUnread(domain, 'no_template', 1);
  }

  /** Reads the records between `at` and `end` into the sink's batch; false when there was nothing to read or drop. */
  readRows(domain: Domain, reader: RecordReader, view: DataView, at: number, end: number): boolean {
    const context = this.#context;
    const flows = this.#readRecords(reader, view, at, end);
    this.flows += flows;
    domain.flows += flows;
    countFlows(this.counters, domain.version, flows);
    if (reader.unread !== null && flows > 0) this.#countUnread(domain, reader.unread, flows);
    if (context.hasUnread) this.#takeUnread(domain);
    if (context.seenRate !== 0) domain.sawRate(context.seenRate);
    if (context.overrun) this.#cut('bad_record');
    return flows > 0 || context.overrun;
  }

  #countUnread(domain: Domain, reason: UnreadReason, count: number): void {
    domain.unread[reason] += count;
    this.counters.unread[reason] += count;
  }

  #takeUnread(domain: Domain): void {
    const { unreadCounts } = this.#context;
    for (const [i, reason] of UNREAD_REASONS.entries()) this.#countUnread(domain, reason, unreadCounts[i]);
    unreadCounts.fill(0);
    this.#context.hasUnread = false;
  }

  #readRecords(reader: RecordReader, view: DataView, begin: number, end: number): number {
    const context = this.#context;
    let rows = 0;
    let records = 0;
    let at = begin;
    let overrun = false;
    for (;;) {
      const { batch } = this.#sink;
      const room = batch.capacity - batch.length;
      const read = reader.read(view, at, end, room, batch.length, this.#columnsOf(batch), context);
      const { second, passedOver } = context;
      records += read + passedOver;
      rows += read + passedOver;
      this.counters.passedOver += passedOver;
      batch.length += read;
      if (batch.length === batch.capacity) this.#sink.flush();
      overrun = context.overrun;
      at = context.at;
      // Both rows of a record stand together.
      if (second >= 0 && reader.readReverse !== null) {
        if (context.lone) records++;
        rows += this.#readOne(reader.readReverse, view, second, end);
        context.lone = false;
      } else if (read < room || read === 0) break;
    }
    context.overrun = overrun;
    this.flowRecords += records;
    return rows;
  }

  #readOne(read: RecordReader['read'], view: DataView, at: number, end: number): number {
    const { batch } = this.#sink;
    const rows = read(view, at, end, 1, batch.length, this.#columnsOf(batch), this.#context);
    batch.length += rows;
    if (batch.length === batch.capacity) this.#sink.flush();
    return rows;
  }

  #columnsOf(batch: FlowBatch): WritableColumns {
    if (batch !== this.#batch || this.#columns === null) {
      this.#batch = batch;
      this.#columns = writableColumns(batch);
    }
    return this.#columns;
  }

  #readOptions(facts: DatagramFacts, template: Template, bytes: Buffer, at: number, end: number): void {
    const { readOptions, minLength } = template;
    if (readOptions !== null) {
      const count = Math.floor((end - at) / minLength);
      this.#countOptions(count);
      if (count === 0 || !this.#wanted(template)) return;
      const records = bytes.subarray(at, at + count * minLength);
      let record = 0;
      for (const fields of readOptions(records))
        this.#learn(facts, template, fields, records, minLength * record++);
      return;
    }
    let position = at;
    while (position + minLength <= end) {
      const record = readIpfixOptions(bytes, position, end, template.fields);
      if (record === null) {
        this.#cut('bad_record');
        return;
      }
      this.#countOptions(1);
      if (this.#wanted(template)) this.#learn(facts, template, record.fields, bytes, position);
      position = record.next;
    }
  }

  #countOptions(count: number): void {
    this.options += count;
    this.#optionsRecords += count;
    this.counters.optionsRecords += count;
  }

  #wanted(template: Template): boolean {
    return template.informative || this.#options.onOptions !== undefined;
  }

  /** `at` is where the record begins. */
  #learn(facts: DatagramFacts, template: Template, fields: OptionsFields, bytes: Buffer, at: number): void {
    const { domain, process } = facts;
    if (template.informative) {
      const get = (id: number) => {
        const value = fields[elementName(0, id)];
        return typeof value === 'number' ? value : undefined;
      };
      domain.sawRate(process.sampling.learn(get, optionsScope(template, bytes, at, domain.domain)));
      const initMs = get(IE.systemInitTimeMilliseconds);
      if (initMs !== undefined && initMs > 0) {
        if (process.initMs > 0 && Math.abs(initMs - process.initMs) > BOOT_TOLERANCE_MS)
          this.#forgetBefore(facts, facts.receivedAtMs - (facts.exportMs - initMs));
        process.initMs = initMs;
        this.#setUptime(facts);
      }
    }
    this.#options.onOptions?.({
      version: domain.version === 'v9' ? 'v9' : 'ipfix',
      domain: domain.domain,
      templateId: template.id,
      fields,
    });
  }

  /** The exporter says that it started at another time than before: what it sent until then, by our clock, is stale. */
  #forgetBefore(facts: DatagramFacts, startedMs: number): void {
    const { process } = facts;
    for (const template of [...process.byId.values()])
      if (template.seenMs < startedMs) this.table.remove(facts, template);
    process.sampling.clear();
  }
}

/** Whether the number of the datagram under way is the one that its process was to send next. */
function isDue({ process, sequence, exportMs, uptimeMs, receivedAtMs }: DatagramFacts): boolean {
  return process.sequence?.fit(sequence, exportMs, uptimeMs, receivedAtMs) === FIT.exact;
}

/** How many records of a template a set of so many bytes holds; null where they differ in length. */
function recordsIn({ minLength, fields }: Template, bytes: number): number | null {
  if (minLength === 0 || fields.some(({ length }) => length === VARIABLE_LENGTH)) return null;
  return Math.floor(bytes / minLength);
}

/** By names that stand here: a look-up by the version would cost a tenth of what decoding a sample does. */
function countFlows({ flows }: DecoderCounters, version: FlowVersionName, count: number): void {
  switch (version) {
    case 'v5':
      flows.v5 += count;
      return;
    case 'v9':
      flows.v9 += count;
      return;
    case 'ipfix':
      flows.ipfix += count;
      return;
    case 'sflow':
      flows.sflow += count;
      return;
    default:
      flows[version] += count;
  }
}

function portTable(ports: readonly number[]): Uint8Array {
  const table = new Uint8Array(65_536);
  for (const port of ports) table[port] = 1;
  // Port 0 is what records without ports hold.
  table[0] = 0;
  return table;
}

/** The bytes of a buffer, wherever in its memory they lie. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
