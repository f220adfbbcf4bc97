/**
 * What nftables does with our text: a strict reader of the few statements we print, and their evaluation.
 *
 * A verdict is of our table alone; "permit" means that the packet goes on to the operator's own rules.
 */

import {
  type Address,
  type Flow,
  holds,
  isLoopback,
  type Network,
  readAddress,
  readNetwork,
  SELF,
  type Verdict,
} from './flow.ts';

interface Chain {
  readonly hooked: 'forward' | 'output' | null;
  readonly rules: readonly (readonly string[])[];
}

interface Table {
  readonly family: 4 | 6;
  readonly sets: ReadonlyMap<string, readonly Network[]>;
  readonly chains: ReadonlyMap<string, Chain>;
}

const QUOTED = /"[^"]*"/g;

/** Throws on any statement that it does not know. */
export function readNftables(text: string): Table {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const opening = /^(table (ip|ip6) rogue_smtp_[a-z0-9_]+)$/i.exec(lines[0] ?? '');
  if (opening === null || lines[1] !== `delete ${opening[1]}` || lines[2] !== `${opening[1]} {`)
    throw new Error('the file does not replace its table in one transaction');
  const family = opening[2] === 'ip' ? 4 : 6;
  const sets = new Map<string, Network[]>();
  const chains = new Map<string, { hooked: Chain['hooked']; rules: string[][] }>();
  let at = 3;
  const blockUntilBrace = () => {
    const block: string[] = [];
    for (; lines[at] !== '}'; at++) {
      if (at >= lines.length) throw new Error('a block is not closed');
      block.push(lines[at]);
    }
    at++;
    return block;
  };
  while (lines[at] !== '}') {
    const head = /^(set|chain) (smtp_[a-z]+) \{$/.exec(lines[at] ?? '');
    if (head === null) throw new Error(`not a set or chain: ${lines[at]}`);
    at++;
    if (head[1] === 'set') sets.set(head[2], readSet(family));
    else chains.set(head[2], readChain(blockUntilBrace()));
  }
  if (at !== lines.length - 1) throw new Error('there is something behind the table');
  return { family, sets, chains };

  function readSet(ofFamily: 4 | 6): Network[] {
    if (lines[at++] !== `type ${ofFamily === 4 ? 'ipv4_addr' : 'ipv6_addr'}`)
      throw new Error('wrong type of set');
    const interval = lines[at] === 'flags interval';
    if (interval) at++;
    const elements: Network[] = [];
    if (lines[at] === 'elements = {') {
      at++;
      for (const line of blockUntilBrace()) {
        const element = /^([0-9A-Fa-f:./]+)(?: comment "[A-Za-z0-9 ._:/,-]{1,128}")?,$/.exec(line);
        if (element === null) throw new Error(`not an element: ${line}`);
        const network = readNetwork(element[1]);
        if (network.family !== ofFamily || (!interval && element[1].includes('/')))
          throw new Error(`not an element of this set: ${line}`);
        if (elements.some((other) => holds(other, network) || holds(network, other)))
          throw new Error(`elements overlap: ${line}`);
        elements.push(network);
      }
      if (elements.length === 0) throw new Error('nft refuses an empty list of elements');
    }
    if (lines[at++] !== '}') throw new Error('a set is not closed');
    return elements;
  }
}

function readChain(lines: readonly string[]): { hooked: Chain['hooked']; rules: string[][] } {
  // -5 is before the usual filter chains (0), whose "established accept" would spare open sessions.
  const hook = /^type filter hook (forward|output) priority (?:filter - 5|-5); policy accept;$/.exec(
    lines[0] ?? '',
  );
  const hooked = hook === null ? null : hook[1] === 'output' ? 'output' : 'forward';
  return {
    hooked,
    rules: lines.slice(hooked === null ? 0 : 1).map((line) => line.match(/"[^"]*"|\S+/g) ?? []),
  };
}

export function judgeNftables(table: Table, flow: Flow): Verdict {
  const source = readAddress(flow.source);
  if (source.family !== table.family) return 'permit';
  const passed = flow.from === SELF ? 'output' : 'forward';
  for (const chain of table.chains.values()) {
    if (
      chain.hooked === passed &&
      judgeChain(table, chain, flow, source, readAddress(flow.destination)) === 'deny'
    )
      return 'deny';
  }
  return 'permit';
}

/** `null`: the chain came to its end, or returned. */
function judgeChain(
  table: Table,
  chain: Chain,
  flow: Flow,
  source: Address,
  destination: Address,
): Verdict | null {
  for (const rule of chain.rules) {
    const words = [...rule];
    const next = () => words.shift() ?? fail(rule);
    let matches = true;
    for (let done = false; !done; ) {
      const word = next();
      switch (word) {
        case 'iifname':
          matches = next() === `"${flow.from}"` && matches;
          break;
        case 'oifname':
          if (`${next()} ${next()}` !== '!= "lo"') fail(rule);
          matches = !isLoopback(flow.destination) && matches;
          break;
        case 'ip':
        case 'ip6': {
          if (word !== (table.family === 4 ? 'ip' : 'ip6')) fail(rule);
          const end = next();
          const address = end === 'saddr' ? source : end === 'daddr' ? destination : fail(rule);
          const value = next();
          const set = value.startsWith('@')
            ? (table.sets.get(value.slice(1)) ?? fail(rule))
            : [readNetwork(value)];
          matches = set.some((network) => holds(network, address)) && matches;
          break;
        }
        case 'tcp': {
          const field = next();
          const port = field === 'dport' ? flow.port : field === 'sport' ? flow.sourcePort : fail(rule);
          matches = Number(next()) === port && flow.protocol === 'tcp' && matches;
          break;
        }
        case 'counter':
          break;
        case 'jump': {
          const called = table.chains.get(next()) ?? fail(rule);
          if (matches && judgeChain(table, called, flow, source, destination) === 'deny') return 'deny';
          done = true;
          break;
        }
        case 'return':
          readComment(words, rule);
          if (matches) return null;
          done = true;
          break;
        case 'reject':
          if (`${next()} ${next()} ${next()}` !== 'with tcp reset') fail(rule);
          readComment(words, rule);
          if (matches) return 'deny';
          done = true;
          break;
        default:
          fail(rule);
      }
    }
    if (words.length > 0) fail(rule);
  }
  return null;
}

function readComment(words: string[], rule: readonly string[]): void {
  if (words.length === 0) return;
  if (words.shift() !== 'comment' || !QUOTED.test(words.shift() ?? '')) fail(rule);
  QUOTED.lastIndex = 0;
}

function fail(rule: readonly string[]): never {
  throw new Error(`not a rule: ${rule.join(' ')}`);
}
