/**
 * The decoder: one datagram of any flow export in, rows of a FlowBatch out.
 *
 * This file knows the headers of the versions (RFC 3954 section 5.1, RFC 7011 section 3.1, Cisco's for v1, v5 and v7)
 * and keeps account of each exporter; what is behind the header is read elsewhere. It owns no socket and no clock.
 */

import { type AddressBytes, isSameAddress } from '../flow/address.ts';
import { FLOW_VERSION, type FlowVersionName } from '../flow/columns.ts';
import type { Domain } from './exporter-table.ts';
import { type FixedVersion, V1, V5, V7 } from './fixed-versions.ts';
import { noUnread } from './packet/walk.ts';
import { compileReader, type RecordReader } from './record-reader.ts';
import { NO_UPTIME } from './sequence.ts';
import { type DatagramFacts, SetDecoder, viewOf } from './set-decoder.ts';
import {
  DISCARDED_PACKET,
  EXPANDED_FLOW_SAMPLE,
  FLOW_SAMPLE,
  padded,
  readSflowHeader,
  type SampleKind,
  sampleKind,
} from './sflow.ts';
import { restoreSnapshot, takeSnapshot } from './snapshot.ts';
import type {
  DecodeOutcome,
  Decoder,
  DecoderCounters,
  DecoderOptions,
  DropReason,
  ExporterState,
  FlowSink,
  SequenceMark,
} from './types.ts';

const { v9: V9_NUMBER, ipfix: IPFIX_NUMBER, sflow: SFLOW_NUMBER } = FLOW_VERSION;

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const V9_HEADER_BYTES = 20;
const IPFIX_HEADER_BYTES = 16;

/** Starts a decoder without any knowledge of exporters. It appends to `sink.batch` and calls `sink.flush` when full. */
export function createDecoder(options: DecoderOptions, sink: FlowSink): Decoder {
  return new DatagramDecoder(options, sink);
}

class DatagramDecoder implements Decoder {
  readonly counters: DecoderCounters = {
    flows: { v1: 0, v5: 0, v7: 0, v9: 0, ipfix: 0, sflow: 0, log: 0 },
    passedOver: 0,
    dropped: {
      not_an_export: 0,
      exporter_not_allowed: 0,
      exporter_limit: 0,
      truncated: 0,
      bad_length: 0,
      no_template: 0,
      ambiguous_template: 0,
      pending_limit: 0,
      bad_template: 0,
      template_limit: 0,
      bad_record: 0,
      unsupported: 0,
    },
    unread: noUnread(),
    optionsRecords: 0,
    templates: 0,
    templatesRedefined: 0,
    exportersEvicted: 0,
    datagrams: 0,
  };
  readonly #sets: SetDecoder;
  /** Those of the datagram under way; one object for all. */
  #facts: Writable<DatagramFacts> | null = null;
  /** Whether its number is the next of the process that sent the last one. */
  #isNext = false;
  readonly #v1: RecordReader;
  readonly #v5: RecordReader;
  readonly #v7: RecordReader;

  constructor(options: DecoderOptions, sink: FlowSink) {
    this.#sets = new SetDecoder(options, sink, this.counters);
    const { portsOnly } = options;
    this.#v1 = fixedReader(V1, portsOnly);
    this.#v5 = fixedReader(V5, portsOnly);
    this.#v7 = fixedReader(V7, portsOnly);
  }

  decode(bytes: Buffer, exporter: AddressBytes, exporterPort: number, receivedAtMs: number): DecodeOutcome {
    this.counters.datagrams++;
    this.#sets.begin(bytes);
    const version = bytes.length < 4 ? 0 : bytes.readUInt16BE(0);
    switch (version) {
      case 1:
        return this.#decodeFixed('v1', V1, this.#v1, bytes, exporter, exporterPort, receivedAtMs);
      case 5:
        return this.#decodeFixed('v5', V5, this.#v5, bytes, exporter, exporterPort, receivedAtMs);
      case 7:
        return this.#decodeFixed('v7', V7, this.#v7, bytes, exporter, exporterPort, receivedAtMs);
      case 9:
        return this.#decodeV9(bytes, exporter, exporterPort, receivedAtMs);
      case 10:
        return this.#decodeIpfix(bytes, exporter, exporterPort, receivedAtMs);
      default:
        // sFlow has its version in four bytes.
        if (version === 0 && bytes.length >= 4 && bytes.readUInt16BE(2) === 5) {
          return this.#decodeSflow(bytes, exporter, exporterPort, receivedAtMs);
        }
        return this.#refuse(null, 'not_an_export');
    }
  }

  #refuse(version: FlowVersionName | null, reason: DropReason): DecodeOutcome {
    this.#sets.drop(reason);
    return this.#outcome(version);
  }

  #outcome(version: FlowVersionName | null): DecodeOutcome {
    const { flows, options, templates, dropped } = this.#sets;
    return { version, flows, options, templates, dropped };
  }

  #domain(
    version: FlowVersionName,
    versionNumber: number,
    domain: number,
    exporter: AddressBytes,
    port: number,
    receivedAtMs: number,
    exportMs: number,
    agent: AddressBytes | null,
  ): Domain | null {
    const { table } = this.#sets;
    const known = table.domain(exporter, port, version, versionNumber, domain, receivedAtMs, agent);
    if (known === null) return null;
    known.datagrams++;
    known.lastSeenMs = receivedAtMs;
    known.lastExportMs = exportMs;
    return known;
  }

  /** Finds out which exporting process sent the datagram, and makes its facts those of what is read next. */
  #enter(
    domain: Domain,
    exporterPort: number,
    sequence: number,
    receivedAtMs: number,
    exportMs: number,
    uptimeMs: number,
  ): Writable<DatagramFacts> {
    const { processes } = domain;
    const process = processes.current;
    let facts = this.#facts;
    if (facts === null) {
      facts = { domain, process, exporterPort, sequence, receivedAtMs, exportMs, uptimeMs };
      this.#facts = facts;
    } else {
      facts.domain = domain;
      facts.process = process;
      facts.exporterPort = exporterPort;
      facts.sequence = sequence;
      facts.receivedAtMs = receivedAtMs;
      facts.exportMs = exportMs;
      facts.uptimeMs = uptimeMs;
    }
    this.#isNext = processes.isNext(facts);
    if (!this.#isNext) facts.process = processes.select(facts);
    return facts;
  }

  /** Behind the datagram: the account of its sequence, and data that waited for what is known by now. */
  #leave(facts: DatagramFacts, known: boolean): void {
    const { process } = facts;
    const sets = this.#sets;
    const flows = known && sets.recordsKnown ? sets.flowRecords : -1;
    const isCounted =
      this.#isNext &&
      process.sequence?.goOn(
        facts.sequence,
        flows,
        sets.otherRecords,
        facts.exportMs,
        facts.uptimeMs,
        facts.receivedAtMs,
      ) === true;
    if (!isCounted) this.#account(facts, known);
    else if (facts.domain.exporter.hasDomains) this.#accountOverall(facts, true, known);
    if (!process.isTouched) this.#touch(facts);
  }

  #account(facts: DatagramFacts, known: boolean): void {
    const { domain, process, sequence, exportMs, uptimeMs, receivedAtMs } = facts;
    const { sequence: account } = process;
    if (account !== null) {
      const units = this.#sets.units(known);
      const foretold = account.observe(sequence, units, exportMs, uptimeMs, receivedAtMs, process);
      if (!foretold) process.lastMisfit = process.datagrams;
      if (units.flows !== 0 || units.options > 0) process.hasSent = true;
      domain.processes.sumInto(domain);
      this.#accountOverall(facts, foretold, known);
    }
    this.#sets.readRejoined(facts);
  }

  #accountOverall(facts: DatagramFacts, foretold: boolean, known: boolean): void {
    const { domain, sequence, exportMs, uptimeMs, receivedAtMs } = facts;
    const overall = domain.overall();
    if (overall === null) return;
    const units = this.#sets.units(known);
    overall.observe(domain, foretold, sequence, units, exportMs, uptimeMs, receivedAtMs);
  }

  #touch({ process, domain }: DatagramFacts): void {
    process.isTouched = true;
    this.#sets.table.touched.add(domain);
  }

  #decodeFixed(
    version: 'v1' | 'v5' | 'v7',
    layout: FixedVersion,
    reader: RecordReader,
    bytes: Buffer,
    exporter: AddressBytes,
    exporterPort: number,
    receivedAtMs: number,
  ): DecodeOutcome {
    const { headerBytes, recordBytes } = layout;
    if (bytes.length < headerBytes) return this.#refuse(version, 'truncated');
    const view = viewOf(bytes);
    const count = view.getUint16(2);
    const present = Math.floor((bytes.length - headerBytes) / recordBytes);
    if (count === 0) return this.#refuse(version, 'bad_length');
    if (present === 0) return this.#refuse(version, 'truncated');
    const uptimeMs = view.getUint32(4);
    const nanoseconds = view.getUint32(12);
    const exportMs = view.getUint32(8) * 1000 + (nanoseconds < 1e9 ? Math.floor(nanoseconds / 1e6) : 0);
    const engine = version === 'v5' ? view.getUint16(20) : 0;
    const number = FLOW_VERSION[version];
    const domain = this.#domain(
      version,
      number,
      engine,
      exporter,
      exporterPort,
      receivedAtMs,
      exportMs,
      null,
    );
    if (domain === null) return this.#refuse(version, 'exporter_limit');
    const sequence = version === 'v1' ? fingerprint(bytes, headerBytes + recordBytes) : view.getUint32(16);
    const facts = this.#enter(domain, exporterPort, sequence, receivedAtMs, exportMs, uptimeMs);
    if (version === 'v5') learnV5Sampling(facts, view.getUint16(22));
    this.#sets.enter(facts, 0);
    const records = Math.min(count, present);
    this.#sets.readRows(domain, reader, view, headerBytes, headerBytes + records * recordBytes);
    // A header that tells more, or less, than there is has been damaged, and with it perhaps the rest.
    if (count > present) this.#sets.drop('truncated');
    if (count < present) this.#sets.drop('bad_length');
    this.#leave(facts, count === present);
    return this.#outcome(version);
  }

  #decodeV9(
    bytes: Buffer,
    exporter: AddressBytes,
    exporterPort: number,
    receivedAtMs: number,
  ): DecodeOutcome {
    if (bytes.length < V9_HEADER_BYTES) return this.#refuse('v9', 'truncated');
    const view = viewOf(bytes);
    const uptimeMs = view.getUint32(4);
    const exportMs = view.getUint32(8) * 1000;
    const sequence = view.getUint32(12);
    const source = view.getUint32(16);
    const domain = this.#domain(
      'v9',
      V9_NUMBER,
      source,
      exporter,
      exporterPort,
      receivedAtMs,
      exportMs,
      null,
    );
    if (domain === null) return this.#refuse('v9', 'exporter_limit');
    // The count of the header is wrong so often in the field that nothing is made of it.
    const facts = this.#enter(domain, exporterPort, sequence, receivedAtMs, exportMs, uptimeMs);
    this.#sets.enter(facts, 0);
    this.#sets.readSets(facts, bytes, view, V9_HEADER_BYTES, bytes.length);
    this.#leave(facts, true);
    return this.#outcome('v9');
  }

  #decodeIpfix(
    bytes: Buffer,
    exporter: AddressBytes,
    exporterPort: number,
    receivedAtMs: number,
  ): DecodeOutcome {
    if (bytes.length < IPFIX_HEADER_BYTES) return this.#refuse('ipfix', 'truncated');
    const view = viewOf(bytes);
    const length = view.getUint16(2);
    if (length < IPFIX_HEADER_BYTES) return this.#refuse('ipfix', 'bad_length');
    const exportMs = view.getUint32(4) * 1000;
    const sequence = view.getUint32(8);
    const source = view.getUint32(12);
    const domain = this.#domain(
      'ipfix',
      IPFIX_NUMBER,
      source,
      exporter,
      exporterPort,
      receivedAtMs,
      exportMs,
      null,
    );
    if (domain === null) return this.#refuse('ipfix', 'exporter_limit');
    const facts = this.#enter(domain, exporterPort, sequence, receivedAtMs, exportMs, NO_UPTIME);
    this.#sets.enter(facts, 0);
    this.#sets.readSets(facts, bytes, view, IPFIX_HEADER_BYTES, Math.min(length, bytes.length));
    if (length > bytes.length) this.#sets.drop('truncated');
    // Up to three bytes behind the message are somebody's alignment.
    if (bytes.length - length >= 4) this.#sets.drop('bad_length');
    this.#leave(facts, length <= bytes.length);
    return this.#outcome('ipfix');
  }

  #decodeSflow(
    bytes: Buffer,
    exporter: AddressBytes,
    exporterPort: number,
    receivedAtMs: number,
  ): DecodeOutcome {
    const view = viewOf(bytes);
    const header = readSflowHeader(view);
    if (header === null) return this.#refuse('sflow', 'truncated');
    const { sequence, uptimeMs } = header;
    // Behind a relay all agents have its address.
    const agent = isSameAddress(header.agent, exporter) ? null : header.agent;
    const { subAgent } = header;
    const domain = this.#domain(
      'sflow',
      SFLOW_NUMBER,
      subAgent,
      exporter,
      exporterPort,
      receivedAtMs,
      -1,
      agent,
    );
    if (domain === null) return this.#refuse('sflow', 'exporter_limit');
    const facts = this.#enter(domain, exporterPort, sequence, receivedAtMs, receivedAtMs, uptimeMs);
    this.#sets.enter(facts, 0);
    let at = header.begin;
    let left = header.samples;
    for (; left > 0 && at + 8 <= bytes.length; left--) {
      const kind = sampleKind(view.getUint32(at));
      const length = view.getUint32(at + 4);
      const end = at + 8 + length;
      if (end > bytes.length) break;
      const reader = readerOfSample(kind);
      if (reader === null || !this.#sets.readRows(domain, reader, view, at + 8, end)) {
        this.#sets.drop('unsupported');
      }
      at += 8 + padded(length);
    }
    if (left > 0) this.#sets.drop('truncated');
    this.#leave(facts, true);
    return this.#outcome('sflow');
  }

  expire(nowMs: number): void {
    this.#sets.expire(nowMs);
  }

  exporters(): IterableIterator<ExporterState> {
    return this.#sets.table.domains();
  }

  takeSequenceMarks(): SequenceMark[] {
    const { touched, isCrowded } = this.#sets.table;
    const marks: SequenceMark[] = [];
    for (const domain of touched) {
      if (!isCrowded || domain.exporter.proven) marks.push(...marksOf(domain));
      for (const process of domain.processes.all) process.isTouched = false;
    }
    touched.clear();
    return marks;
  }

  resumeSequences(marks: Iterable<SequenceMark>): void {
    const { table } = this.#sets;
    for (const { address, port, agent, version, domain, lastSeenMs, lost, marks: positions } of marks) {
      const known = table.domain(
        address,
        port,
        version,
        FLOW_VERSION[version],
        domain,
        lastSeenMs,
        agent ?? null,
      );
      if (known === null) continue;
      known.lastSeenMs = Math.max(known.lastSeenMs, lastSeenMs);
      known.sequenceLostBefore = Math.max(known.sequenceLostBefore, lost);
      const process = known.processes.ofPort(port);
      process.lastSeenMs = Math.max(process.lastSeenMs, lastSeenMs);
      const [{ exportMs, uptimeMs }] = positions;
      process.lastExportMs = exportMs;
      process.lastUptimeMs = uptimeMs ?? NO_UPTIME;
      process.sequence?.resume(positions, lastSeenMs);
    }
  }

  snapshot(): unknown {
    return takeSnapshot(this.#sets.table);
  }

  restore(snapshot: unknown, nowMs: number): number {
    return restoreSnapshot(this.#sets, snapshot, nowMs);
  }
}

function readerOfSample(kind: SampleKind): RecordReader | null {
  if (kind === 'flow') return FLOW_SAMPLE;
  if (kind === 'expanded-flow') return EXPANDED_FLOW_SAMPLE;
  return kind === 'discarded' ? DISCARDED_PACKET : null;
}

function fixedReader(version: FixedVersion, portsOnly: readonly number[] | undefined): RecordReader {
  const reader = compileReader(version.fields, { portsOnly });
  if (reader === null || reader.minLength !== version.recordBytes) throw new TypeError('wrong record layout');
  return reader;
}

/** Of each process that sent since; several of one domain are told apart by their ports. */
function marksOf(domain: Domain): SequenceMark[] {
  const { all } = domain.processes;
  return all.flatMap((process) => {
    if (!process.isTouched || process.sequence === null) return [];
    return [
      {
        address: domain.address,
        port: all.length === 1 ? domain.exporter.port : process.port,
        ...(domain.agent !== null && { agent: domain.agent }),
        version: domain.version,
        domain: domain.domain,
        lastSeenMs: process.lastSeenMs,
        lost: domain.sequenceLostBefore + domain.sequenceLost,
        marks: process.sequence.marks(),
      },
    ];
  });
}

/** Two bits of mode, 14 of interval. Exporters that do not sample leave it zero, as do those that do not tell. */
function learnV5Sampling({ domain, process }: DatagramFacts, field: number): void {
  const rate = field & 0x3fff;
  if (process.sampling.defaultRate === rate) return;
  process.sampling.defaultRate = rate;
  domain.sawRate(rate);
}

/** v1 has no sequence number. Its rows still need an identity that a second delivery shares: FNV-1a of the first bytes. */
function fingerprint(bytes: Buffer, length: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash >>> 0;
}
