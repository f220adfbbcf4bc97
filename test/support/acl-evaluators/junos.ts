/** What Junos does with our text in `set` form, and with a filter in any form: terms in the order in which they appear, and a discard of everything at the end. */

import { type Address, readAddress as addressOf, type Flow } from './flow.ts';
import { type End, familyOf, inPrefix, type Judge, known, readLines, readPort } from './rules.ts';

interface Term {
  readonly sources: End[];
  readonly destinations: End[];
  readonly lists: string[];
  protocol: string | null;
  port: number | null;
  sourcePort: number | null;
  action: 'accept' | 'discard' | null;
}

/** What stands in a configuration. */
export interface JunosConfig {
  readonly lists: Map<string, string[]>;
  readonly filters: Map<string, { readonly family: 4 | 6; readonly terms: Map<string, Term> }>;
  readonly bound: { face: string; name: string }[];
}

export const emptyJunos = (): JunosConfig => ({ lists: new Map(), filters: new Map(), bound: [] });

export function readJunos(text: string): Judge {
  const config = emptyJunos();
  const { lists } = config;
  const deleted = new Set<string>();
  readLines(text, '#', [
    [
      /^delete firewall family (inet6?) filter (\S+)$/,
      ([, family, name]) => void deleted.add(`${family} ${name}`),
    ],
    [/^delete policy-options prefix-list (\S+)$/, ([, name]) => void deleted.add(`list ${name}`)],
    [
      /^set policy-options prefix-list (\S+) (\S+\/\d+)$/,
      ([, name, prefix]) => {
        if (!deleted.has(`list ${name}`)) throw new Error(`the members of the ${name} before would stay`);
        lists.set(name, [...(lists.get(name) ?? []), prefix]);
      },
    ],
    [
      /^set firewall family (inet6?) filter ([A-Za-z0-9_-]{1,64}) term (\S{1,64}) (from|then) (.+)$/,
      ([, word, name, termName, part, rest]) => {
        if (!deleted.has(`${word} ${name}`)) throw new Error(`the terms of the ${name} before would stay`);
        const { term, family } = termOf(config, word, name, termName);
        if (part === 'from') readFrom(term, rest, family);
        else readThen(term, rest);
      },
    ],
    [
      /^set interfaces ([a-z0-9/:-]+) unit (\d+) family (inet6?) filter input (\S+)$/i,
      ([, face, unit, word, name]) => {
        bind(config, face, unit, word, name);
      },
    ],
  ]);
  return judgeJunos(config);
}

/** The term of that name, made where there is none. */
export function termOf({ filters }: JunosConfig, word: string, name: string, termName: string) {
  const family: 4 | 6 = word === 'inet' ? 4 : 6;
  const filter = filters.get(name) ?? { family, terms: new Map<string, Term>() };
  filters.set(name, filter);
  const term = filter.terms.get(termName) ?? emptyTerm();
  filter.terms.set(termName, term);
  return { term, family };
}

export function bind(
  { filters, bound }: JunosConfig,
  face: string,
  unit: string,
  word: string,
  name: string,
): void {
  if (known(filters, name).family !== (word === 'inet' ? 4 : 6)) throw new Error('of another family');
  bound.push({ face: unit === '0' ? face : `${face}.${unit}`, name });
}

export function judgeJunos({ lists, filters, bound }: JunosConfig): Judge {
  for (const { terms } of filters.values()) {
    for (const { port, sourcePort, protocol, lists: named } of terms.values()) {
      if ((port !== null || sourcePort !== null) && protocol === null)
        throw new Error('a port without a protocol');
      // With nobody in it such a term means everybody on some platforms.
      for (const name of named) known(lists, name);
    }
  }
  return (flow) => {
    const name =
      bound.length === 0 ? [...filters.keys()][0] : bound.find(({ face }) => face === flow.from)?.name;
    if (name === undefined) return 'permit';
    const filter = known(filters, name);
    if (filter.family !== familyOf(flow)) return 'permit';
    for (const term of filter.terms.values()) {
      if (takes(term, flow, filter.family, lists)) return term.action === 'accept' ? 'permit' : 'deny';
    }
    return 'deny';
  };
}

const emptyTerm = (): Term => ({
  sources: [],
  destinations: [],
  lists: [],
  protocol: null,
  port: null,
  sourcePort: null,
  action: null,
});

export function readThen(term: Term, text: string): void {
  if (text === 'accept' || text === 'discard') term.action = text;
  else if (!/^count [a-z-]+$/.test(text)) throw new Error(`not an action: ${text}`);
}

export function readFrom(term: Term, text: string, family: 4 | 6): void {
  const [word, value, ...more] = text.split(' ');
  if (value === undefined || more.length > 0) throw new Error(`not a condition: ${text}`);
  switch (word) {
    case 'source-address':
      withLength(value);
      term.sources.push(inPrefix(value, family));
      break;
    case 'destination-address':
      withLength(value);
      term.destinations.push(inPrefix(value, family));
      break;
    case 'source-prefix-list':
      term.lists.push(value);
      break;
    case family === 4 ? 'protocol' : 'next-header':
      if (value !== 'tcp' && value !== 'udp') throw new Error(`not a protocol: ${value}`);
      term.protocol = value;
      break;
    case 'destination-port':
      term.port = readPort(value);
      break;
    case 'source-port':
      term.sourcePort = readPort(value);
      break;
    default:
      throw new Error(`not a condition of IPv${family}: ${text}`);
  }
}

function takes(term: Term, flow: Flow, family: 4 | 6, lists: ReadonlyMap<string, string[]>): boolean {
  const sources = [
    ...term.sources,
    ...term.lists.flatMap((name) => known(lists, name).map((prefix) => inPrefix(prefix, family))),
  ];
  const one = (ends: readonly End[], address: Address) =>
    ends.length === 0 || ends.some((end) => end(address));
  return (
    one(sources, addressOf(flow.source)) &&
    one(term.destinations, addressOf(flow.destination)) &&
    (term.protocol === null || term.protocol === flow.protocol) &&
    (term.port === null || term.port === flow.port) &&
    (term.sourcePort === null || term.sourcePort === flow.sourcePort)
  );
}

function withLength(prefix: string): void {
  if (!prefix.includes('/')) throw new Error(`no prefix length: ${prefix}`);
}
