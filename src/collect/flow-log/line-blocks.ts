/**
 * A file as blocks of whole lines.
 *
 * A block is about a chunk of the file: one text for some thousand lines, which readers walk through without waiting.
 * Memory is bounded by the longest line that is taken: of a longer one only the beginning is handed out, and the rest is
 * passed over.
 */

import type { ByteWindow } from '../capture/byte-window.ts';

/** EVE events with a packet and its payload stay below; a longer line is damage. */
export const MAX_LINE_BYTES = 1_048_576;

const NEWLINE = 10;

/**
 * Whole lines, each with its newline; the last one is given one when it lacks it. Latin-1, one unit a byte: the values
 * that are read are ASCII, and positions stay positions. A line of more than MAX_LINE_BYTES comes as its first
 * MAX_LINE_BYTES + 1.
 */
export async function* lineBlocks(window: ByteWindow): AsyncGenerator<string, void> {
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
