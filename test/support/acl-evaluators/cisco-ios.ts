/**
 * What an IOS router does with our text: a strict reader of it, and the first-match evaluation with the implicit deny.
 *
 * Knows only what we may print; every other word is an error, as it mostly is on a router.
 */

import { type Address, type Flow, holds, readAddress, readNetwork, type Verdict } from './flow.ts';

interface Entry {
  readonly sequence: number;
  readonly action: Verdict;
  readonly protocol: string;
  readonly source: (address: Address) => boolean;
  readonly sourcePort: number | null;
  readonly destination: (address: Address) => boolean;
  readonly port: number | null;
}

export interface IosConfig {
  readonly lists: ReadonlyMap<string, { readonly family: 4 | 6; readonly entries: readonly Entry[] }>;
  readonly bindings: readonly { readonly interface: string; readonly list: string; readonly family: 4 | 6 }[];
}

export function readIos(text: string): IosConfig {
  const lists = new Map<string, { family: 4 | 6; entries: Entry[] }>();
  const bindings: { interface: string; list: string; family: 4 | 6 }[] = [];
  let list: { family: 4 | 6; entries: Entry[] } | null = null;
  let face: string | null = null;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('!')) continue;
    const words = line.trim().split(' ');
    if (!line.startsWith(' ')) {
      list = null;
      face = null;
      const opening = /^(ip access-list extended|ipv6 access-list) ([A-Za-z][A-Za-z0-9-]{0,63})$/.exec(line);
      const on = /^interface ([A-Za-z0-9._/:-]+)$/.exec(line);
      if (opening !== null) {
        list = { family: opening[1].startsWith('ipv6') ? 6 : 4, entries: [] };
        if (lists.has(opening[2])) throw new Error(`IPv4 and IPv6 lists share the name ${opening[2]}`);
        lists.set(opening[2], list);
      } else if (on !== null) {
        face = on[1];
      } else {
        throw new Error(`not a command: ${line}`);
      }
    } else if (list !== null) {
      if (words[0] === 'remark') {
        if (!/^ remark [A-Za-z0-9 ._:/,-]{1,100}$/.test(line)) throw new Error(`not a remark: ${line}`);
        continue;
      }
      const entry = readEntry(words, list.family);
      const last = list.entries.at(-1);
      if (last !== undefined && entry.sequence <= last.sequence) throw new Error(`out of sequence: ${line}`);
      list.entries.push(entry);
    } else if (face !== null) {
      const bound = /^ (ip access-group|ipv6 traffic-filter) (\S+) in$/.exec(line);
      if (bound === null) throw new Error(`not a binding inbound: ${line}`);
      bindings.push({ interface: face, list: bound[2], family: bound[1].startsWith('ipv6') ? 6 : 4 });
    } else {
      throw new Error(`a line outside of any mode: ${line}`);
    }
  }
  for (const binding of bindings) {
    if (lists.get(binding.list)?.family !== binding.family)
      throw new Error(`${binding.list} is bound, but is no IPv${binding.family} list`);
  }
  return { lists, bindings };
}

function readEntry(words: string[], family: 4 | 6): Entry {
  const line = words.join(' ');
  const next = () => words.shift() ?? fail(`ends too early: ${line}`);
  if (family === 6 && next() !== 'sequence') fail(`no sequence: ${line}`);
  const sequence = next();
  if (!/^[1-9]\d{0,9}$/.test(sequence)) fail(`not a sequence number: ${line}`);
  const action = next();
  if (action !== 'permit' && action !== 'deny') fail(`neither permit nor deny: ${line}`);
  const protocol = next();
  if (!['tcp', 'udp', family === 4 ? 'ip' : 'ipv6'].includes(protocol)) fail(`not a protocol: ${line}`);
  const end = () => (family === 4 ? readIPv4End(next) : readIPv6End(next));
  const port = () => {
    if (words[0] !== 'eq') return null;
    next();
    if (protocol !== 'tcp' && protocol !== 'udp') fail(`${protocol} has no ports: ${line}`);
    const number = next();
    if (!/^\d{1,5}$/.test(number) || Number(number) > 65535) fail(`not a port: ${line}`);
    return Number(number);
  };
  const source = end();
  const sourcePort = port();
  const destination = end();
  const destinationPort = port();
  if (words.length > 0) fail(`words left over: ${line}`);
  return {
    sequence: Number(sequence),
    action: action as Verdict,
    protocol,
    source,
    sourcePort,
    destination,
    port: destinationPort,
  };
}

/** `any`, `host A`, or an address with a wildcard mask, in which a set bit is not compared. */
function readIPv4End(next: () => string): (address: Address) => boolean {
  const word = next();
  if (word === 'any') return () => true;
  if (word === 'host') {
    const host = readAddress(next());
    return (address) => address.family === 4 && address.value === host.value;
  }
  const network = readAddress(word);
  const wildcard = readAddress(next());
  if (network.family !== 4 || wildcard.family !== 4) fail(`not IPv4: ${word}`);
  return (address) =>
    address.family === 4 && ((address.value ^ network.value) & ~wildcard.value & 0xffffffffn) === 0n;
}

function readIPv6End(next: () => string): (address: Address) => boolean {
  const word = next();
  if (word === 'any') return () => true;
  const network = readNetwork(word === 'host' ? next() : word);
  if (network.family !== 6 || (word !== 'host' && !word.includes('/'))) fail(`not an IPv6 prefix: ${word}`);
  return (address) => holds(network, address);
}

function fail(message: string): never {
  throw new Error(message);
}

/** A list that is bound nowhere is judged as if bound where the flow comes in. */
export function judgeIos(config: IosConfig, flow: Flow): Verdict {
  const source = readAddress(flow.source);
  const destination = readAddress(flow.destination);
  const bound = config.bindings.filter((binding) => binding.family === source.family);
  const names =
    config.bindings.length === 0
      ? [...config.lists].filter(([, list]) => list.family === source.family).map(([name]) => name)
      : bound.filter((binding) => binding.interface === flow.from).map((binding) => binding.list);
  // The last binding of an interface replaces the ones before.
  const list = config.lists.get(names.at(-1) ?? '');
  // IOS lets everything through where there is no list, or an empty one.
  if (list === undefined || list.entries.length === 0) return 'permit';
  for (const entry of list.entries) {
    if (entry.protocol !== 'ip' && entry.protocol !== 'ipv6' && entry.protocol !== flow.protocol) continue;
    if (!entry.source(source) || !entry.destination(destination)) continue;
    if (entry.sourcePort !== null && entry.sourcePort !== flow.sourcePort) continue;
    if (entry.port !== null && entry.port !== flow.port) continue;
    return entry.action;
  }
  return 'deny';
}
