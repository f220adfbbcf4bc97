/**
 * Which flows somebody asks for, in words as nfdump and tcpdump have them: `src net 10.0.0.0/8 and dst port 25`.
 *
 *     either  = both { "or" both }
 *     both    = not { "and" not }
 *     not     = [ "not" ] ( "(" either ")" | test )
 *     test    = [ "src" | "dst" ] ( ( "host" | "ip" ) ADDRESS | "net" PREFIX | "port" [ COMPARE ] NUMBER )
 *             | "exporter" PREFIX | [ "in" | "out" ] "if" NUMBER | "vrf" NUMBER
 *             | "proto" ( NAME | NUMBER ) | "tcp" | "udp" | "icmp" | "ipv4" | "ipv6" | "flags" LETTERS
 *             | ( "packets" | "bytes" ) [ COMPARE ] NUMBER | "any"
 *
 * Without `src` or `dst` either may match. A test of a field that the record does not have is false, so that `not` makes
 * it true. Counts are compared as exported, not multiplied by the sampling rate.
 */

import { isIPv4 } from './address.ts';
import { type FlowBatch, readWide } from './batch.ts';
import { PRESENT } from './columns.ts';
import { type Prefix, parsePrefix, prefixContains } from './prefix.ts';

/** Whether row `row` of a batch is asked for. */
export type FlowFilter = (batch: FlowBatch, row: number) => boolean;

export type ParsedFilter =
  | { readonly ok: true; readonly filter: FlowFilter }
  /** `reason` names the word that was not understood, and what may stand there. */
  | { readonly ok: false; readonly reason: string };

type Compare = (value: number) => boolean;
type Side = 'src' | 'dst';

/** Nobody writes more; it keeps nesting within what the stack holds. */
const MAX_WORDS = 1000;

const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  sctp: 132,
};
/** Bits of the column `tcp_flags` by the letters that nfdump prints. */
const FLAGS: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32, E: 64, C: 128 };
const MULTIPLES: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

class NotUnderstood extends Error {}

export function parseFlowFilter(text: string): ParsedFilter {
  const words = text.match(/[()!]|&&|\|\||[<>]=?|==?|[^\s()!&|<>=]+|[&|]/g) ?? [];
  if (words.length === 0) return { ok: false, reason: 'the filter is empty' };
  if (words.length > MAX_WORDS) return { ok: false, reason: `the filter has more than ${MAX_WORDS} words` };
  const reader = new FilterReader(words);
  try {
    return { ok: true, filter: reader.whole() };
  } catch (error) {
    if (error instanceof NotUnderstood) return { ok: false, reason: error.message };
    throw error;
  }
}

class FilterReader {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  whole(): FlowFilter {
    const filter = this.#either();
    if (this.#at < this.#words.length) this.#refuse('"and", "or" or the end');
    return filter;
  }

  #refuse(expected: string): never {
    const word = this.#words[this.#at];
    const found = word === undefined ? 'ends' : `has "${word}" as word ${this.#at + 1}`;
    throw new NotUnderstood(`the filter ${found}, where ${expected} is expected`);
  }

  /** Takes the next word when it is one of these. */
  #take(...words: readonly string[]): string | null {
    const word = this.#words[this.#at]?.toLowerCase();
    if (word === undefined || !words.includes(word)) return null;
    this.#at++;
    return word;
  }

  #either(): FlowFilter {
    let filter = this.#both();
    while (this.#take('or', '||') !== null) {
      const [left, right] = [filter, this.#both()];
      filter = (batch, row) => left(batch, row) || right(batch, row);
    }
    return filter;
  }

  #both(): FlowFilter {
    let filter = this.#not();
    while (this.#take('and', '&&') !== null) {
      const [left, right] = [filter, this.#not()];
      filter = (batch, row) => left(batch, row) && right(batch, row);
    }
    return filter;
  }

  #not(): FlowFilter {
    let isNot = false;
    while (this.#take('not', '!') !== null) isNot = !isNot;
    const filter = this.#inParentheses() ?? this.#test();
    return isNot ? (batch, row) => !filter(batch, row) : filter;
  }

  #inParentheses(): FlowFilter | null {
    if (this.#take('(') === null) return null;
    const filter = this.#either();
    if (this.#take(')') === null) this.#refuse('")"');
    return filter;
  }

  #test(): FlowFilter {
    const side = this.#take('src', 'dst');
    if (side === 'src' || side === 'dst') return this.#ofSides([side]);
    const way = this.#take('in', 'out');
    if (way !== null) {
      if (this.#take('if') === null) this.#refuse('"if"');
      return this.#interface(way === 'in', way === 'out');
    }
    if (this.#take('any') !== null) return () => true;
    if (this.#take('if') !== null) return this.#interface(true, true);
    if (this.#take('exporter') !== null) {
      const prefix = this.#prefix();
      return ({ columns }, row) => prefixContains(prefix, columns.exporter, 16 * row);
    }
    if (this.#take('vrf') !== null) return vrfIs(this.#number(0xffff_ffff));
    if (this.#take('proto') !== null) return protocolIs(this.#protocol());
    const protocol = this.#take('tcp', 'udp', 'icmp');
    if (protocol !== null) return protocolIs(PROTOCOLS[protocol]);
    const version = this.#take('ipv4', 'ipv6');
    if (version !== null) return versionIs(version === 'ipv4');
    if (this.#take('flags') !== null) return flagsAre(this.#flags());
    const count = this.#take('packets', 'bytes');
    if (count === 'packets' || count === 'bytes') return countIs(count, this.#comparison(2 ** 53));
    return this.#ofSides(['src', 'dst']);
  }

  #ofSides(sides: readonly Side[]): FlowFilter {
    const tests = this.#sideTests(sides);
    const [one, other] = tests;
    return tests.length === 1 ? one : (batch, row) => one(batch, row) || other(batch, row);
  }

  #sideTests(sides: readonly Side[]): FlowFilter[] {
    const kind = this.#take('port', 'host', 'ip', 'net');
    if (kind === 'port') {
      const compare = this.#comparison(65_535);
      return sides.map((side) => portIs(side, compare));
    }
    if (kind === null) this.#refuse('a test such as "port 25", "src net 10.0.0.0/8" or "host 192.0.2.1"');
    const prefix = this.#prefix(kind !== 'net');
    return sides.map((side) => addressIn(side, prefix));
  }

  #interface(isIn: boolean, isOut: boolean): FlowFilter {
    const index = this.#number(0xffff_ffff);
    return ({ columns }, row) =>
      (isIn && columns.in_if[row] === index) || (isOut && columns.out_if[row] === index);
  }

  #prefix(isHost = false): Prefix {
    const word = this.#words[this.#at];
    const expected = isHost ? 'an address' : 'a prefix such as 10.0.0.0/8';
    if (word === undefined) this.#refuse(expected);
    const parsed = parsePrefix(word);
    if (!parsed.ok) throw new NotUnderstood(parsed.reason);
    if (isHost && parsed.prefix.length !== 128) this.#refuse(`${expected} (a prefix follows "net")`);
    this.#at++;
    return parsed.prefix;
  }

  #comparison(most: number): Compare {
    const sign = this.#take('=', '==', '<', '>', '<=', '>=');
    const bound = this.#number(most);
    switch (sign) {
      case '<':
        return (value) => value < bound;
      case '>':
        return (value) => value > bound;
      case '<=':
        return (value) => value <= bound;
      case '>=':
        return (value) => value >= bound;
      default:
        return (value) => value === bound;
    }
  }

  #number(most: number): number {
    const match = /^(\d+)([kmg]?)$/i.exec(this.#words[this.#at] ?? '');
    const value = match === null ? Number.NaN : Number(match[1]) * MULTIPLES[match[2].toLowerCase()];
    if (!(value <= most)) this.#refuse(`a number of 0 to ${most}`);
    this.#at++;
    return value;
  }

  #protocol(): number {
    const name = this.#take(...Object.keys(PROTOCOLS));
    return name === null ? this.#number(255) : PROTOCOLS[name];
  }

  #flags(): number {
    const letters = [...(this.#words[this.#at] ?? '').toUpperCase()];
    if (letters.length === 0 || letters.some((letter) => !(letter in FLAGS)))
      this.#refuse('letters of TCP flags, such as S or SA');
    this.#at++;
    return letters.reduce((bits, letter) => bits | FLAGS[letter], 0);
  }
}

function portIs(side: Side, compare: Compare): FlowFilter {
  const [column, bit] =
    side === 'src' ? (['src_port', PRESENT.SRC_PORT] as const) : (['dst_port', PRESENT.DST_PORT] as const);
  return ({ columns }, row) => (columns.present[row] & bit) !== 0 && compare(columns[column][row]);
}

function addressIn(side: Side, prefix: Prefix): FlowFilter {
  const [column, bit] =
    side === 'src' ? (['src_addr', PRESENT.SRC_ADDR] as const) : (['dst_addr', PRESENT.DST_ADDR] as const);
  return ({ columns }, row) =>
    (columns.present[row] & bit) !== 0 && prefixContains(prefix, columns[column], 16 * row);
}

function protocolIs(protocol: number): FlowFilter {
  return ({ columns }, row) =>
    (columns.present[row] & PRESENT.PROTOCOL) !== 0 && columns.protocol[row] === protocol;
}

/** By the addresses that the record has. */
function versionIs(isFour: boolean): FlowFilter {
  return ({ columns }, row) => {
    const present = columns.present[row];
    if ((present & PRESENT.SRC_ADDR) !== 0) return isIPv4(columns.src_addr, 16 * row) === isFour;
    return (present & PRESENT.DST_ADDR) !== 0 && isIPv4(columns.dst_addr, 16 * row) === isFour;
  };
}

/** All of them are set; others may be. */
function flagsAre(bits: number): FlowFilter {
  return ({ columns }, row) =>
    (columns.present[row] & PRESENT.TCP_FLAGS) !== 0 && (columns.tcp_flags[row] & bits) === bits;
}

function vrfIs(vrf: number): FlowFilter {
  return ({ columns }, row) => (columns.present[row] & PRESENT.VRF) !== 0 && columns.vrf[row] === vrf;
}

function countIs(count: 'packets' | 'bytes', compare: Compare): FlowFilter {
  const bit = count === 'packets' ? PRESENT.PACKETS : PRESENT.BYTES;
  return ({ columns }, row) => (columns.present[row] & bit) !== 0 && compare(readWide(columns[count], row));
}
