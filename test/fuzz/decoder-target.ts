/**
 * The decoder under fire: what must hold after every datagram, whatever was in it, and what must hold now and then.
 *
 * After each: no exception, no pause, and an outcome that agrees with the counters and with the rows that really came.
 * Every thousand: the bounds of exporters, domains, templates and rates, and a good exporter that still decodes with the
 * templates it sent in the beginning.
 */

import { createDecoder } from '../../src/decode/decoder.ts';
import type { DecodeOutcome, Decoder, DecoderOptions } from '../../src/decode/types.ts';
import { formatAddress } from '../../src/flow/address.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { ipfix, set, TUPLE, template, tuple, v5, v9 } from '../support/datagrams.ts';
import { type DecoderInput, Finding } from './finding.ts';
import type { Random } from './random.ts';
import { createSlots } from './slots.ts';

/** CPU time, so that other work on the machine is no finding. Generous: a slow datagram takes a millisecond. */
const MAX_DATAGRAM_MS = 250;
const DOMAINS_PER_EXPORTER_MEAN = 4;
const MAX_RATES = 16;
/** What an entry of pending data costs at least, see src/decode/pending-data.ts. */
const PENDING_ENTRY_BYTES = 256;
/** Of the end of a round, kept for the case file. */
const KEPT_INPUTS = 400;
const CANARY = 1;
const CANARY_DOMAIN = 77;
const EVERY = 1000;

export interface DecoderTarget {
  readonly decoder: Decoder;
  readonly maxDatagramMs: number;
  /** Decodes one datagram and checks; throws a Finding. */
  feed(input: DecoderInput): DecodeOutcome;
  /** Checks what holds at the end of a round. */
  finish(): void;
}

/** Options as they may be configured, small ones, so that the bounds are reached. */
export function randomOptions(random: Random): DecoderOptions {
  const templates = random.pick([16, 64, 256]);
  return {
    templateScope: random.pick(['address', 'address', 'address_port']),
    tunnels: random.pick(['inner', 'outer', 'both']),
    limits: {
      exporters: random.pick([4, 16, 64]),
      templatesPerExporter: random.pick([8, 32, 1024]),
      templates,
      fieldsPerTemplate: random.pick([16, 64, 512]),
      pendingBytes: random.pick([4096, 65_536, 1 << 20]),
      pendingAgeMs: random.pick([100, 60_000]),
    },
    ...(random.oneIn(3) && { portsOnly: [25, 587] }),
    ...(random.oneIn(2) && { onOptions: () => {} }),
  };
}

/**
 * `seed` is that of the round, for the report. `capacity` is that of the sink's batch in rows. `create` is another
 * decoder than the real one only to see that its faults are found. `place` puts each datagram where the decoder meets it.
 */
export function createDecoderTarget(
  options: DecoderOptions,
  capacity: number,
  seed: number,
  create = createDecoder,
  place: (datagram: Buffer) => Buffer = createSlots(),
): DecoderTarget {
  let stored = 0;
  const sink = {
    batch: createFlowBatch(capacity),
    flush() {
      stored += sink.batch.length;
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = create(options, sink);
  const { counters } = decoder;
  let recent: DecoderInput[] = [];
  let fed = 0;
  let newestMs = 0;
  let maxDatagramMs = 0;

  function fail(reason: string, cause?: unknown): never {
    throw new Finding({ target: 'decoder', reason, seed, inputs: recent.slice(-KEPT_INPUTS) }, cause);
  }

  function expectSame(what: string, actual: number, expected: number): void {
    if (actual !== expected) fail(`${what}: ${actual}, where ${expected} was told`);
  }

  function decode(bytes: Buffer, input: DecoderInput): DecodeOutcome {
    try {
      return decoder.decode(bytes, addressOf(input.exporter), input.port, input.at_ms);
    } catch (error) {
      return fail(`decode threw ${String(error)}`, error);
    }
  }

  function checked(input: DecoderInput): DecodeOutcome {
    recent.push(input);
    if (recent.length > 2 * KEPT_INPUTS) recent = recent.slice(-KEPT_INPUTS);
    newestMs = Math.max(newestMs, input.at_ms);
    const bytes = place(Buffer.from(input.hex, 'hex'));
    const before = account();
    const from = performance.now();
    const cpu = process.cpuUsage();
    const outcome = decode(bytes, input);
    if (performance.now() - from > maxDatagramMs) {
      const { user, system } = process.cpuUsage(cpu);
      maxDatagramMs = Math.max(maxDatagramMs, Math.min(performance.now() - from, (user + system) / 1000));
    }
    if (maxDatagramMs > MAX_DATAGRAM_MS) fail(`a datagram took ${maxDatagramMs.toFixed(0)} ms`);
    const after = account();
    expectSame('datagrams counted', after.datagrams - before.datagrams, 1);
    const passedOver = after.passedOver - before.passedOver;
    expectSame(
      'rows in the sink and flows passed over',
      after.rows - before.rows + passedOver,
      outcome.flows,
    );
    expectSame('flows counted', after.flows - before.flows, outcome.flows);
    expectSame('drops counted', after.dropped - before.dropped, outcome.dropped);
    expectSame('options records counted', after.options - before.options, outcome.options);
    expectSame('templates counted', after.templates - before.templates, outcome.templates);
    // A row stands for at least one byte of a record, a biflow for two rows; pending data is bounded as a whole.
    const most = 2 * (bytes.length + options.limits.pendingBytes);
    if (outcome.flows > most) fail(`${outcome.flows} rows of ${bytes.length} bytes`);
    if (sink.batch.length >= sink.batch.capacity) fail('the batch was left without room');
    return outcome;
  }

  function account() {
    return {
      datagrams: counters.datagrams,
      rows: stored + sink.batch.length,
      passedOver: counters.passedOver,
      flows: total(counters.flows),
      dropped: total(counters.dropped),
      options: counters.optionsRecords,
      templates: counters.templates,
    };
  }

  function canary(bytes: Buffer): DecodeOutcome {
    return checked({ exporter: CANARY, port: 2055, at_ms: newestMs, hex: bytes.toString('hex') });
  }

  function expectCanary(): void {
    for (const bytes of [
      v9([set(256, tuple())], { domain: CANARY_DOMAIN }),
      ipfix([set(256, tuple())], { domain: CANARY_DOMAIN }),
      v5([{}]),
    ]) {
      if (canary(bytes).flows !== 1) fail('the good exporter was not decoded');
    }
  }

  function expectBounds(): void {
    const { exporters, templates, templatesPerExporter } = options.limits;
    const perExporter = new Map<string, number>();
    let domains = 0;
    let held = 0;
    for (const state of decoder.exporters()) {
      domains++;
      held += state.templates;
      const key = formatAddress(state.address);
      perExporter.set(key, (perExporter.get(key) ?? 0) + state.templates);
      if (state.samplingRates.size > MAX_RATES) fail(`${state.samplingRates.size} sampling rates kept`);
    }
    if (held > templates) fail(`${held} templates held, the limit is ${templates}`);
    if (domains > exporters * DOMAINS_PER_EXPORTER_MEAN + exporters) fail(`${domains} domains held`);
    if (options.templateScope !== 'address') return;
    if (perExporter.size > exporters) fail(`${perExporter.size} exporters held, the limit is ${exporters}`);
    for (const [exporter, count] of perExporter) {
      if (count > templatesPerExporter) fail(`${exporter} holds ${count} templates`);
    }
  }

  function expectSnapshot(): void {
    const snapshot: unknown = JSON.parse(JSON.stringify(decoder.snapshot()));
    const restored = createDecoder(options, sink);
    const held = [...decoder.exporters()].reduce((sum, { templates }) => sum + templates, 0);
    const taken = restored.restore(snapshot, newestMs);
    if (taken > held) fail(`${taken} templates restored, ${held} were held`);
  }

  function greet(): void {
    const sets = (id: number) => [set(id, template(256, TUPLE)), set(256, tuple())];
    // Only an exporter that was heard for over a minute keeps its place in a full table.
    newestMs = FIRST_MS - 120_000;
    canary(v9(sets(0), { domain: CANARY_DOMAIN }));
    canary(ipfix(sets(2), { domain: CANARY_DOMAIN }));
    newestMs = FIRST_MS;
    expectCanary();
  }

  greet();
  return {
    decoder,
    get maxDatagramMs() {
      return maxDatagramMs;
    },
    feed(input) {
      const outcome = checked(input);
      fed++;
      if (fed % 100 === 0) decoder.expire(newestMs);
      if (fed % EVERY === 0) {
        expectCanary();
        expectBounds();
      }
      return outcome;
    },
    finish() {
      expectCanary();
      expectBounds();
      expectSnapshot();
      const before = counters.dropped.no_template;
      decoder.expire(Number.POSITIVE_INFINITY);
      const waited = counters.dropped.no_template - before;
      if (waited > options.limits.pendingBytes / PENDING_ENTRY_BYTES) fail(`${waited} sets waited`);
      decoder.expire(Number.POSITIVE_INFINITY);
      expectSame('sets let go twice', counters.dropped.no_template - before, waited);
    },
  };
}

/** 2026-01-01T00:00:00Z */
export const FIRST_MS = 1_767_225_600_000;

/** Exporters are 192.0.2.0/24 up to 255, and 2001:db8::/32 beyond. */
function addressOf(exporter: number): Uint8Array {
  const address = new Uint8Array(16);
  if (exporter < 256) address.set([0xff, 0xff, 192, 0, 2, exporter], 10);
  else address.set([0x20, 0x01, 0x0d, 0xb8, (exporter >> 16) & 255, (exporter >> 8) & 255, exporter & 255]);
  return address;
}

function total(counts: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const reason in counts) sum += counts[reason] ?? 0;
  return sum;
}
