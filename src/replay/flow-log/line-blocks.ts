/**
 * A file as blocks of whole lines.
 *
 * A block is about a chunk of the file: one text for some thousand lines, which readers walk through without waiting.
 * Memory is bounded by the longest line that is taken: of a longer one only the beginning is handed out, and the rest is
 * passed over.
 */

import type { ByteWindow } from '../capture/byte-window.ts';
import { beginsJson } from './json.ts';
import { createJsonEntries, isSpread } from './json-entries.ts';
import { MAX_LINE_BYTES } from './limits.ts';

const NEWLINE = 10;

/**
 * Whole lines, each with its newline; the last one is given one when it lacks it. Latin-1, one unit a byte: the values
 * that are read are ASCII, and positions stay positions. A line of more than MAX_LINE_BYTES comes as its first
 * MAX_LINE_BYTES + 1.
 */
async function* lineBlocks(window: ByteWindow): AsyncGenerator<string, void> {
  /** Within a line of which the beginning was handed out already. */
  let passing = false;
  let more = true;
  while (more || window.available() > 0) {
    const { bytes, at } = window;
    const available = window.available();
    if (passing) {
      const newline = bytes.indexOf(NEWLINE, at);
      passing = newline < 0;
      window.pass(passing ? available : newline + 1 - at);
      if (passing) more = await window.ensure(1);
      if (!more) return;
      continue;
    }
    const last = available === 0 ? -1 : bytes.lastIndexOf(NEWLINE);
    if (last >= at) {
      window.pass(last + 1 - at);
      yield bytes.toString('latin1', at, last + 1);
    } else if (available > MAX_LINE_BYTES) {
      window.pass(available);
      passing = true;
      yield `${bytes.toString('latin1', at, at + MAX_LINE_BYTES + 1)}\n`;
    } else if (more) {
      more = await window.ensure(available + 1);
    } else {
      window.pass(available);
      yield `${bytes.toString('latin1', at, at + available)}\n`;
    }
  }
}

/**
 * As lineBlocks, and of JSON that is not one object a line its entries as lines (see json-entries.ts). A byte order mark
 * at the beginning is passed over.
 */
export async function* entryBlocks(window: ByteWindow): AsyncGenerator<string, void> {
  if (
    (await window.ensure(3)) &&
    window.bytes.toString('latin1', window.at, window.at + 3) === BYTE_ORDER_MARK
  )
    window.pass(3);
  const first = await firstBytes(window);
  if (!beginsJson(first) || !isSpread(first)) return yield* lineBlocks(window);
  const entries = createJsonEntries();
  do {
    const block = entries.add(window.bytes.toString('latin1', window.at));
    window.pass(window.available());
    if (block !== '') yield block;
  } while (await window.ensure(1));
  const rest = entries.end();
  if (rest !== '') yield rest;
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
/** Enough lines to tell how they are written, and the first of them at least. */
const FIRST_BYTES = 65_536;

async function firstBytes(window: ByteWindow): Promise<string> {
  await window.ensure(FIRST_BYTES);
  let count = Math.min(FIRST_BYTES, window.available());
  while (window.bytes.indexOf(NEWLINE, window.at) < 0 && count <= MAX_LINE_BYTES) {
    if (!(await window.ensure(count + FIRST_BYTES))) break;
    count += FIRST_BYTES;
  }
  count = Math.max(count, Math.min(window.available(), MAX_LINE_BYTES));
  return window.bytes.toString('latin1', window.at, window.at + Math.min(count, firstLines(window)));
}

/** To the end of the first line, or FIRST_BYTES where that is more. */
function firstLines(window: ByteWindow): number {
  const newline = window.bytes.indexOf(NEWLINE, window.at);
  return Math.max(FIRST_BYTES, newline < 0 ? window.available() : newline - window.at);
}
