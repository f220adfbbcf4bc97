/**
 * `rogue-smtp decode`: the flow records of captures as NDJSON or CSV, one line a record.
 *
 * What is printed is exactly what the running service would take out of the same datagrams. Several captures are read
 * as one, in the order given, so that templates of the first serve the second. Output waits for whoever reads it.
 */

import { createDecoder } from '../decode/decoder.ts';
import type { Decoder, DecoderOptions, ExporterState, OptionsRecord } from '../decode/types.ts';
import { RogueSmtpError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { clearFlowBatch, createFlowBatch } from '../flow/batch.ts';
import type { FlowFilter } from '../flow/flow-filter.ts';
import { RECORD_CSV_HEADER, recordCsv, recordJson } from '../flow/record.ts';
import { openByteWindow } from '../replay/capture/byte-window.ts';
import { type CaptureCounters, createCaptureCounters } from '../replay/capture/capture.ts';
import type { PacketFlowTimes } from '../replay/capture/packet-flow-defaults.ts';
import { readPacketFlows } from '../replay/capture/packet-flows.ts';
import { readCapture } from '../replay/capture/read-capture.ts';
import {
  exportsHint,
  inWords,
  type ReadInput,
  refuseUnread,
  unreadCapture,
  unreadOf,
  unreadPackets,
} from '../replay/unread.ts';
import { printable } from './table.ts';

export type DecodeFormat = 'ndjson' | 'csv';

export interface DecodeStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** A capture comes from one network and is read once: the bounds may be wider than those of the service. */
const LIMITS: DecoderOptions['limits'] = {
  exporters: 65_536,
  templatesPerExporter: 4096,
  templates: 262_144,
  fieldsPerTemplate: 4096,
  pendingBytes: 64 * 1024 * 1024,
  pendingAgeMs: Number.MAX_SAFE_INTEGER,
};

const BATCH_ROWS = 4096;
/** Text is handed over in pieces of about this size. */
const WRITE_BYTES = 65_536;

interface Totals {
  packets: number;
  datagrams: number;
  readonly skipped: Record<string, number>;
}

/**
 * Throws RogueSmtpError `io` for a file that cannot be read (what came before it is printed, the summary too). When
 * nobody reads stdout any more, it ends quietly. Throws `io` too, after all else, for a file of which nothing could be read.
 */
export async function decodeCommand(
  files: readonly string[],
  flags: {
    readonly options?: boolean;
    readonly packets?: PacketFlowTimes;
    /** Only these flows are printed; all are counted. */
    readonly filter?: FlowFilter;
    /** `csv` has a line of names first, and no options data. */
    readonly format?: DecodeFormat;
  },
  streams: DecodeStreams,
): Promise<void> {
  const { filter, format = 'ndjson' } = flags;
  const textOf = format === 'csv' ? recordCsv : recordJson;
  if (format === 'csv' && flags.options)
    throw new RogueSmtpError(
      'usage',
      '--options and --format csv do not go together: options data has no columns',
    );
  const output = createOutput(streams.stdout);
  if (format === 'csv') output.line(RECORD_CSV_HEADER);
  const totals: Totals = { packets: 0, datagrams: 0, skipped: {} };
  const inputs: ReadInput[] = [];
  const hints: string[] = [];
  let packetFlows: number | null = null;
  const batch = createFlowBatch(BATCH_ROWS);
  const sink = { batch, flush: printRows };
  const decoder = createDecoder(
    {
      templateScope: 'address',
      limits: LIMITS,
      ...(flags.options && { onOptions: printOptions }),
    },
    sink,
  );

  function printRows(): void {
    for (let row = 0; row < batch.length; row++)
      if (filter === undefined || filter(batch, row)) output.line(textOf(batch, row));
    clearFlowBatch(batch);
  }

  function printOptions(record: OptionsRecord): void {
    const { version, domain, templateId, fields } = record;
    output.line(JSON.stringify({ kind: 'options', version, domain, template: templateId, fields }));
  }

  async function decodePackets(file: string, limits: PacketFlowTimes): Promise<void> {
    const counters = createCaptureCounters();
    const window = await openByteWindow(file, () => undefined);
    const reading = readPacketFlows(
      file,
      window,
      sink,
      { ...limits, tunnels: 'inner', file: inputs.length },
      counters,
    );
    try {
      let step = await reading.next();
      for (; !step.done; step = await reading.next()) {
        printRows();
        await output.drained();
        if (output.closed()) return;
      }
      const { flows, exports } = step.value;
      packetFlows = (packetFlows ?? 0) + flows;
      const hint = exportsHint(file, exports, counters.datagrams);
      if (hint !== null) hints.push(hint);
      inputs.push({ file, flows, reason: unreadPackets(counters) });
    } finally {
      await reading.return({ flows: 0, evicted: 0, exports: 0, add: () => undefined, end: () => undefined });
      addAccount(counters);
    }
  }

  function addAccount(counters: CaptureCounters): void {
    totals.packets += counters.packets;
    totals.datagrams += counters.datagrams;
    addCounts(totals.skipped, counters.skipped);
  }

  async function decodeExports(file: string): Promise<void> {
    const capture = readCapture(file);
    const came = { understood: 0, flows: 0 };
    let described = 0;
    try {
      for await (const datagram of capture) {
        const { payload, source, sourcePort, timeMs } = datagram;
        const outcome = decoder.decode(payload, source, sourcePort, timeMs);
        if (outcome.version !== null) came.understood++;
        came.flows += outcome.flows;
        described += outcome.options + outcome.templates;
        printRows();
        await output.drained();
        if (output.closed()) return;
      }
      const reason = unreadCapture(capture.counters, came);
      // Templates and options are what such a file may be decoded for.
      inputs.push({ file, flows: came.flows, reason, ...(described > 0 && { empty: 'certainly' }) });
    } finally {
      addAccount(capture.counters);
    }
  }

  try {
    for (const file of files) {
      await (flags.packets === undefined ? decodeExports(file) : decodePackets(file, flags.packets));
      if (output.closed()) return;
    }
  } finally {
    // What still waits for its template will wait for ever.
    decoder.expire(Number.POSITIVE_INFINITY);
    printRows();
    await output.end();
    streams.stderr.write(
      packetFlows === null ? summaryOf(totals, decoder) : summaryOfPackets(totals, packetFlows),
    );
    for (const hint of hints) streams.stderr.write(`${printable(hint)}\n`);
  }
  refuseUnread(unreadOf(inputs));
}

function summaryOfPackets({ packets, datagrams, skipped }: Totals, flows: number): string {
  return `${packets} packets: ${datagrams} in ${flows} flows${inWords(skipped, ', skipped')}\n`;
}

function summaryOf(totals: Totals, decoder: Decoder): string {
  const { flows, dropped, unread, optionsRecords, templates } = decoder.counters;
  const flowCount = Object.values(flows).reduce((sum, n) => sum + n, 0);
  const lines = [
    `${totals.packets} packets: ${totals.datagrams} datagrams${inWords(totals.skipped, ', skipped')}`,
    `${flowCount} flows${inWords(flows)}`,
    `${templates} templates, ${optionsRecords} options records`,
    `dropped${inWords(dropped) || ': nothing'}`,
    ...(Object.values(unread).some((n) => n > 0) ? [`not read${inWords(unread)}`] : []),
    ...[...decoder.exporters()].flatMap(outCountersInWords),
  ];
  return `${lines.join('\n')}\n`;
}

/** What was inferred about an exporter, where it changes what its records mean. */
function outCountersInWords({ address, domain, outMeaning }: ExporterState): string[] {
  if (outMeaning === undefined || outMeaning === 'unknown') return [];
  const meaning = outMeaning === 'reverse' ? 'the other direction' : 'the same packets as they left';
  return [
    `${formatAddress(address)} domain ${domain}: OUT counters (23, 24) count ${meaning}, by its own records`,
  ];
}

function addCounts(into: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, n] of Object.entries(counts)) into[name] = (into[name] ?? 0) + n;
}

interface Output {
  line(line: string): void;
  /** Waits until whoever reads can take more. Throws what the stream failed with, but for a closed pipe. */
  drained(): Promise<void>;
  /** True when nobody reads any more. */
  closed(): boolean;
  /** Hands the rest over and lets go of the stream, which stays open. */
  end(): Promise<void>;
}

function createOutput(stream: NodeJS.WritableStream): Output {
  let text = '';
  let closed = false;
  let failure: unknown = null;
  let full = false;
  let wake: () => void = () => undefined;

  function onError(error: Error): void {
    closed = true;
    // The reader has seen enough (`| head`): that is no failure.
    if (!('code' in error) || error.code !== 'EPIPE') failure = error;
    wake();
  }
  function onClose(): void {
    closed = true;
    wake();
  }
  function onDrain(): void {
    full = false;
    wake();
  }
  stream.on('error', onError);
  stream.on('close', onClose);
  stream.on('drain', onDrain);

  function write(): void {
    if (text !== '' && !closed && !stream.write(text)) full = true;
    text = '';
  }

  async function drained(): Promise<void> {
    while (full && !closed) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== null) throw failure;
  }

  return {
    line(line) {
      text += `${line}\n`;
      if (text.length >= WRITE_BYTES) write();
    },
    drained,
    closed: () => closed,
    async end() {
      write();
      await drained();
      stream.off('close', onClose);
      stream.off('drain', onDrain);
      // The error listener stays: a pipe that closes later must not end the process with a stack trace.
    },
  };
}
