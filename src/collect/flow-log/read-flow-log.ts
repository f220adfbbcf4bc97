/**
 * A flow log as rows of FlowBatches: Zeek conn, Suricata EVE, AWS VPC, nfdump CSV, Argus CSV, each also as gzip.
 *
 * Read in blocks, so that memory does not grow with the file. Every line is a flow, or counted under the reason why it
 * is none; no line is an exception. `received_at` is the end of the flow, which is about when the tool wrote the line:
 * rows come in the order of the lines, which is not that of time (see time-order.ts).
 */

import type { FlowSink } from '../../decode/types.ts';
import { RogueSmtpError } from '../../errors.ts';
import type { ByteWindow } from '../capture/byte-window.ts';
import { chooseFormat } from './choose-format.ts';
import {
  createLoggedFlow,
  type FlowLogCounters,
  type FlowLogFormat,
  isSkipped,
  type LineVerdict,
  type RejectReason,
} from './flow-log.ts';
import { writeFlow } from './flow-rows.ts';
import { lineBlocks, MAX_LINE_BYTES } from './line-blocks.ts';

/** Rejected lines that are kept to be shown, and how much of each. */
const MAX_EXAMPLES = 5;
const EXAMPLE_BYTES = 160;

const CARRIAGE_RETURN = 13;
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

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
): AsyncGenerator<void, void> {
  const flow = createLoggedFlow();
  let format: FlowLogFormat | null = null;
  for await (const block of lineBlocks(window)) {
    let at = 0;
    if (format === null) {
      if (block.startsWith(BYTE_ORDER_MARK)) at = BYTE_ORDER_MARK.length;
      format = chooseFormat(block.slice(at));
      if (format === null) throw unknownFormat(path, block);
      counters.format = format.name;
    }
    readBlock(block, at, format);
    yield;
  }
  if (format === null) throw new RogueSmtpError('io', `${path}: the file is empty`);
  if (window.cut()) {
    counters.lines++;
    reject('cut_file', '');
  }

  function readBlock(block: string, from: number, { parse }: FlowLogFormat): void {
    for (let at = from; at < block.length; ) {
      const newline = block.indexOf('\n', at);
      const end = newline > at && block.charCodeAt(newline - 1) === CARRIAGE_RETURN ? newline - 1 : newline;
      counters.lines++;
      account(readLine(block, at, end, parse), block, at, end);
      at = newline + 1;
    }
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

function unknownFormat(path: string, block: string): RogueSmtpError {
  const newline = block.indexOf('\n');
  const text = Buffer.from(block.slice(0, Math.min(newline, 60)), 'latin1').toString('utf8');
  return new RogueSmtpError(
    'io',
    `${path}: neither a capture (pcap, pcapng, raw IPFIX) nor a flow log (Zeek conn as TSV with #fields or as JSON lines, ` +
      'Suricata EVE with flow events, AWS VPC flow log as text, nfdump -o csv, Argus ra -c with header), nor gzip of ' +
      `one of them (it begins with ${JSON.stringify(text)})`,
  );
}
