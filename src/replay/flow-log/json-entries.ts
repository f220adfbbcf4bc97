/**
 * JSON that is not one object a line: arrays, indented or not, objects behind each other without a newline between them,
 * and the envelopes in which exports hand events out (`{"events": [...]}`).
 *
 * The text is followed as it comes, and each object in an array (or at the top) is an entry. Memory is bounded by the
 * longest entry that is taken. Damage ends the entry that it is in: the reading goes on at the next line that begins
 * with a brace.
 */

import { MAX_LINE_BYTES } from './limits.ts';

/**
 * Arrays of an object that are lists of events: CloudWatch (`aws logs filter-log-events`, subscriptions), Insights
 * (`results`), CloudTrail-like files (`Records`), Azure and Firehose (`records`), Elasticsearch (`hits`).
 */
const ENVELOPE = /"(events|logEvents|results|Records|records|hits)"\s*:\s*$/;

const QUOTE = 34;
const BACKSLASH = 92;
const NEWLINE = 10;
const COMMA = 44;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
/** An envelope's list of events is not deeper than this (Elasticsearch: `hits.hits`). */
const MAX_ENVELOPE_DEPTH = 2;
const MAX_CONTAINERS = 32;

type Mode = 'between' | 'entry' | 'envelope' | 'lost';

export interface JsonEntries {
  /** Takes the next piece of the file (latin1); returns the entries that it ends, each on a line of its own. */
  add(text: string): string;
  /** At the end of the file: what is left of an entry, or of an array that is not closed. */
  end(): string;
}

export function createJsonEntries(): JsonEntries {
  let text = '';
  let at = 0;
  let out = '';
  let mode: Mode = 'between';
  /** Where the entry (or what is looked at of an envelope) begins. */
  let from = 0;
  /** Braces and brackets that are open within it. */
  let depth = 0;
  let inString = false;
  /** What is open around entries: arrays, and envelopes with the depth at which their array lies. */
  const containers: ('array' | number)[] = [];

  function emit(end: number): void {
    const entry = text.slice(from, end);
    out += `${/[\r\n]/.test(entry) ? entry.replace(/[\r\n]+/g, ' ') : entry}\n`;
  }

  function lose(end: number): void {
    if (mode !== 'envelope') emit(Math.min(end, from + MAX_LINE_BYTES + 1));
    else out += '(damage in the envelope)\n';
    mode = 'lost';
    inString = false;
    depth = 0;
  }

  /** An array begins in an object: true when it is a list of events, of which the object is the envelope. */
  function opensEnvelope(): boolean {
    if (depth > MAX_ENVELOPE_DEPTH || containers.length >= MAX_CONTAINERS) return false;
    return ENVELOPE.test(text.slice(Math.max(from, at - 64), at));
  }

  function between(code: number): void {
    from = at;
    if (code === OPEN_BRACE) {
      mode = 'entry';
      depth = 1;
    } else if (code === OPEN_BRACKET && containers.length < MAX_CONTAINERS) {
      containers.push('array');
    } else if (code === CLOSE_BRACKET && containers.length > 0) {
      containers.pop();
      const envelope = containers.at(-1);
      if (typeof envelope === 'number') {
        containers.pop();
        depth = envelope;
        mode = 'envelope';
      }
    } else if (code > 32 && code !== COMMA) {
      const rest = text.slice(at).search(/[,\n[{]/);
      const end = rest <= 0 ? (rest < 0 ? text.length : at + 1) : at + rest;
      emit(Math.min(end, from + MAX_LINE_BYTES));
      at = end;
      return;
    }
    at++;
  }

  /** Within an entry or an envelope, to its end or that of the text. */
  function within(): void {
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (inString) {
        if (code === QUOTE) inString = false;
        else if (code === BACKSLASH) at++;
        else if (code === NEWLINE) {
          lose(at);
          return;
        }
      } else if (code === QUOTE) inString = true;
      else if (code === OPEN_BRACE) depth++;
      else if (code === OPEN_BRACKET) {
        if (opensEnvelope()) {
          containers.push(depth, 'array');
          // What the envelope says of itself is no event.
          if (mode === 'entry') out += '\n';
          mode = 'between';
          at++;
          return;
        }
        depth++;
      } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
        depth--;
        if (depth > 0) continue;
        at++;
        if (mode === 'entry') emit(at);
        mode = 'between';
        return;
      }
    }
  }

  function findLine(): void {
    const next = /\n\s*[[{]/.exec(text.slice(at));
    if (next === null) {
      const newline = text.lastIndexOf('\n');
      const mayGoOn = newline >= at && text.slice(newline).trim() === '';
      at = mayGoOn ? newline : text.length;
      return;
    }
    at += next.index + next[0].length - 1;
    mode = 'between';
  }

  function run(): string {
    while (at < text.length) {
      const before = at;
      const was = mode;
      if (mode === 'between') between(text.charCodeAt(at));
      else if (mode === 'lost') findLine();
      else within();
      if (at === before && mode === was) break;
    }
    if (mode === 'entry' && text.length - from > MAX_LINE_BYTES) lose(text.length);
    // What is kept: the entry, or as much as tells the name of an array, or the line in which the reading may go on.
    const keep = mode === 'entry' ? from : mode === 'envelope' ? Math.max(from, text.length - 64) : at;
    text = text.slice(keep);
    at = Math.max(0, at - keep);
    from = Math.max(0, from - keep);
    const entries = out;
    out = '';
    return entries;
  }

  return {
    add(more) {
      text += more;
      return run();
    },
    end() {
      if (mode === 'entry') emit(text.length);
      else if (containers.length > 0 || mode === 'envelope') out += '(the file ends before its array does)\n';
      return out;
    },
  };
}

/** True when a text that begins with an object and not with an array is other than one object a line. */
export function isSpread(text: string): boolean {
  const lines = text.split('\n').map((line) => line.trim());
  const first = lines.find((line) => line !== '');
  if (first === undefined) return false;
  if (first.startsWith('[')) return true;
  // A line of its own within an indented object may be an object too.
  if (first === '{') return true;
  const parsed = lines.map(parse);
  const row = parsed.find((value) => value !== null);
  if (row === undefined || isEnvelope(row)) return true;
  // Objects behind each other; the last line may be cut.
  return lines.some((line, i) => i < lines.length - 1 && parsed[i] === null && line.includes('}{'));
}

function parse(line: string): object | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function isEnvelope(row: object): boolean {
  return Object.entries(row).some(
    ([key, value]) =>
      ENVELOPE.test(`"${key}":`) &&
      (Array.isArray(value) || (key === 'hits' && typeof value === 'object' && value !== null)),
  );
}
