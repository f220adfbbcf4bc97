/**
 * A flow log as rows of FlowBatches, in any of the formats of choose-format.ts, also compressed.
 *
 * Read in blocks, so that memory does not grow with the file. Every line is a flow, or counted under the reason why it
 * is none; no line is an exception. `received_at` is the end of the flow, which is about when the tool wrote the line:
 * rows come in the order of the lines, which is not that of time (see time-order.ts).
 */

import type { FlowSink } from '../../decode/types.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { ByteWindow } from '../capture/byte-window.ts';
import {
  chooseFormat,
  FLOW_LOG_FORMATS,
  type FlowLogFormatName,
  formatOfHeader,
  type LogOptions,
} from './choose-format.ts';
import {
  createLoggedFlow,
  type FlowLogCounters,
  type FlowLogFormat,
  isSkipped,
  type LineVerdict,
  type RejectReason,
} from './flow-log.ts';
import { writeFlow } from './flow-rows.ts';
import { MAX_LINE_BYTES } from './limits.ts';
import { entryBlocks } from './line-blocks.ts';

/** Rejected lines that are kept to be shown, and how much of each. */
const MAX_EXAMPLES = 5;
const EXAMPLE_BYTES = 160;

const CARRIAGE_RETURN = 13;

export interface FlowLogPosition {
  /** Which of the files that are read together: the `record` of its rows. */
  readonly file: number;
  /** Lines of the files before: `sequence` numbers the lines of all of them. */
  readonly linesBefore: number;
}

/**
 * Reads the log in the window (opened with openByteWindow) into the sink and yields after each block of some thousand
 * lines, when the sink may be emptied. Throws RogueSmtpError `io` for a file that is no flow log or cannot be read any
 * further. `counters` grow while it reads.
 */
export async function* readFlowLog(
  path: string,
  window: ByteWindow,
  sink: FlowSink,
  position: FlowLogPosition,
  counters: FlowLogCounters,
  options: LogOptions = {},
): AsyncGenerator<void, void> {
  const flow = createLoggedFlow();
  let format: FlowLogFormat | null = null;
  for await (const block of entryBlocks(window)) {
    if (format === null) {
      const choice = chooseFormat(block, options);
      if (choice.kind === 'unknown') throw unknownFormat(path, block, options);
      if (choice.kind === 'ambiguous') throw ambiguous(path, choice.names);
      format = choice.format;
      counters.format = format.name;
    }
    format = readBlock(block, format);
    yield;
  }
  if (format === null) {
    const what = window.cut() ? 'the file breaks off before anything of it can be read' : 'the file is empty';
    throw new RogueSmtpError('io', `${path}: ${what}`);
  }
  if (window.cut()) {
    counters.lines++;
    reject('cut_file', '');
  }

  /** Returns the format that the lines behind the block have. */
  function readBlock(block: string, before: FlowLogFormat): FlowLogFormat {
    let current = before;
    for (let at = 0; at < block.length; ) {
      const newline = block.indexOf('\n', at);
      const end = newline > at && block.charCodeAt(newline - 1) === CARRIAGE_RETURN ? newline - 1 : newline;
      counters.lines++;
      const verdict = readLine(block, at, end, current.parse);
      // No header reads as a flow, so that flows need no second look.
      const next = verdict === 'flow' || end === at ? null : followHeader(block, at, end, current);
      account(next === null ? verdict : 'header', block, at, end);
      current = next ?? current;
      at = newline + 1;
    }
    return current;
  }

  /**
   * The format that begins at the line, when it is a header within the log; its columns may be others than those so far.
   * Rows under a header that cannot be read are refused: under the columns of before, they would say something else.
   */
  function followHeader(
    block: string,
    start: number,
    end: number,
    current: FlowLogFormat,
  ): FlowLogFormat | null {
    if (current.columns === undefined || end - start > MAX_LINE_BYTES) return null;
    const line = block.slice(start, end);
    // Rows of AWS in the default format would do as headers of themselves.
    if (!NAMES_ADDRESS.test(line)) return null;
    const next = formatOfHeader(line);
    if (next !== null && !counters.format.includes(next.name)) counters.format += `, ${next.name}`;
    return next ?? (namesColumns(line, current.columns) ? { ...current, parse: () => 'no_header' } : null);
  }

  function readLine(block: string, start: number, end: number, parse: FlowLogFormat['parse']): LineVerdict {
    if (start === end) return 'header';
    return end - start > MAX_LINE_BYTES ? 'too_long' : parse(block, start, end, flow);
  }

  function account(verdict: LineVerdict, block: string, start: number, end: number): void {
    if (verdict === 'flow') {
      counters.flows++;
      counters.rows += writeFlow(flow, position.linesBefore + counters.lines, position.file, sink);
    } else if (isSkipped(verdict)) {
      counters.skipped[verdict] = (counters.skipped[verdict] ?? 0) + 1;
    } else {
      reject(verdict, block.slice(start, Math.min(end, start + EXAMPLE_BYTES)));
    }
  }

  function reject(reason: RejectReason, latin1: string): void {
    counters.rejected[reason] = (counters.rejected[reason] ?? 0) + 1;
    if (counters.examples.length >= MAX_EXAMPLES) return;
    counters.examples.push({
      line: counters.lines,
      reason,
      text: Buffer.from(latin1, 'latin1').toString('utf8'),
    });
  }
}

/** A column of addresses by its name, in any of the formats. */
const NAMES_ADDRESS = /addr|\b[sd]a\b/i;

/** True for a line that holds names of the columns where rows have values. */
function namesColumns(line: string, columns: readonly string[]): boolean {
  const words = new Set(line.split(/[\s,;|]+/));
  return columns.filter((name) => words.has(name)).length > 1;
}

function unknownFormat(path: string, block: string, { format }: LogOptions): RogueSmtpError {
  const newline = block.indexOf('\n');
  const text = Buffer.from(block.slice(0, Math.min(newline, 60)), 'latin1').toString('utf8');
  const begins = `it begins with ${JSON.stringify(text)}`;
  const foreign = FOREIGN.find(([magic]) => block.startsWith(magic));
  if (foreign !== undefined)
    return new RogueSmtpError('io', `${path}: this is ${foreign[1]}, which is not read: ${foreign[2]}`);
  if (format !== undefined) {
    return new RogueSmtpError(
      'io',
      `${path}: not in the format ${format} (${FLOW_LOG_FORMATS[format]}), which --format names (${begins})`,
    );
  }
  return new RogueSmtpError(
    'io',
    `${path}: neither a capture (pcap, pcapng, raw IPFIX) nor a flow log (${KNOWN}), nor gzip, zstd, xz or bzip2 of one ` +
      `of them (${begins}). --format names the format of a log whose first lines do not tell it, with the fields of an ` +
      `AWS log without a header: --format 'aws:version interface-id srcaddr ...'`,
  );
}

const KNOWN = Object.entries(FLOW_LOG_FORMATS)
  .map(([name, words]) => `${name}: ${words}`)
  .join('; ');

/** Files that people have of the same records, in forms that are not read: how they begin, what it is, what to do. */
const FOREIGN: readonly (readonly [magic: string, what: string, instead: string])[] = [
  ['PAR1', 'a Parquet file', 'query it as JSON or CSV (DuckDB, Athena), or let AWS deliver text'],
  ['ORC', 'an ORC file', 'query it as JSON or CSV'],
  ['Obj\u0001', 'an Avro file', 'convert it to JSON'],
  ['PK\u0003\u0004', 'a ZIP archive', 'unpack it'],
  ['7z\u00bc\u00af', 'a 7z archive', 'unpack it'],
  ['\u0004"M\u0018', 'an lz4 file', 'unpack it'],
  ['LZIP', 'an lzip file', 'unpack it'],
  ['\u001f\u009d', 'a file of compress (.Z)', 'unpack it'],
  ['\u00a5\u000c', 'a binary file of nfdump', 'write it out with nfdump -o csv'],
  ['\u000c\u00a5', 'a binary file of nfdump', 'write it out with nfdump -o csv'],
];

function ambiguous(path: string, names: readonly FlowLogFormatName[]): RogueSmtpError {
  const found = names.map((name) => `${name} (${FLOW_LOG_FORMATS[name]})`).join(', ');
  return new RogueSmtpError(
    'io',
    `${path}: lines of more than one format: ${found}. Name the one to read with --format ${names[0]}; lines of the others ` +
      'are then passed over and counted',
  );
}
