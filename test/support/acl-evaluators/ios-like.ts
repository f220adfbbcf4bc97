/** What IOS-XR, NX-OS and EOS do with our text: first match, with a deny of everything at the end that nobody sees. */

import type { Verdict } from './flow.ts';
import {
  ANY,
  type End,
  familyOf,
  firstMatch,
  inMask,
  inPrefix,
  type Judge,
  known,
  once,
  REMARK,
  type Rule,
  readLines,
  readPort,
} from './rules.ts';

interface Grammar {
  /** Opens a list; its first group is the word that tells the family. */
  readonly list: RegExp;
  /** The word for all protocols. */
  readonly all: { readonly 4: string; readonly 6: string };
  readonly networks: 'wildcard' | 'length';
  /** Binds a list inbound. */
  readonly bind: { readonly 4: RegExp; readonly 6: RegExp };
}

const NAME = '([A-Za-z][A-Za-z0-9-]{0,62})';

export const GRAMMARS: Readonly<Record<'cisco-iosxr' | 'cisco-nxos' | 'arista-eos', Grammar>> = {
  'cisco-iosxr': {
    list: new RegExp(`^(ipv4|ipv6) access-list ${NAME}$`),
    all: { 4: 'ipv4', 6: 'ipv6' },
    networks: 'wildcard',
    bind: {
      4: new RegExp(`^ ipv4 access-group ${NAME} ingress$`),
      6: new RegExp(`^ ipv6 access-group ${NAME} ingress$`),
    },
  },
  'cisco-nxos': {
    list: new RegExp(`^(ip|ipv6) access-list ${NAME}$`),
    all: { 4: 'ip', 6: 'ipv6' },
    networks: 'length',
    bind: {
      4: new RegExp(`^ ip access-group ${NAME} in$`),
      6: new RegExp(`^ ipv6 traffic-filter ${NAME} in$`),
    },
  },
  'arista-eos': {
    list: new RegExp(`^(ip|ipv6) access-list ${NAME}$`),
    all: { 4: 'ip', 6: 'ipv6' },
    networks: 'length',
    bind: {
      4: new RegExp(`^ ip access-group ${NAME} in$`),
      6: new RegExp(`^ ipv6 access-group ${NAME} in$`),
    },
  },
};

export function readIosLike(text: string, grammar: Grammar): Judge {
  const lists = new Map<string, { family: 4 | 6; last: number; rules: Rule[] }>();
  const bindings: { face: string; name: string; family: 4 | 6 }[] = [];
  let list: { family: 4 | 6; last: number; rules: Rule[] } | null = null;
  let face: string | null = null;
  const numbered = (text: string) => {
    if (list === null) throw new Error('an entry outside of a list');
    // A number that is there already would replace its entry.
    if (Number(text) <= list.last) throw new Error(`out of sequence: ${text}`);
    list.last = Number(text);
    return list;
  };
  const bound = (family: 4 | 6) => (match: RegExpExecArray) => {
    if (face === null) throw new Error('a binding outside of an interface');
    bindings.push({ face, name: match[1], family });
  };
  readLines(text, '!', [
    [
      grammar.list,
      ([, word, name]) => {
        face = null;
        list = once(lists, name, { family: word === 'ipv6' ? 6 : 4, last: 0, rules: [] });
      },
    ],
    [
      /^interface ([A-Za-z0-9._/:-]+)$/,
      ([, name]) => {
        list = null;
        face = name;
      },
    ],
    [new RegExp(`^ (\\d+) remark ${REMARK}$`), ([, number]) => void numbered(number)],
    [
      /^ (\d+) (permit|deny) (\S+) (.+)$/,
      ([, number, action, protocol, rest]) => {
        const { family, rules } = numbered(number);
        rules.push(readEntry(action as Verdict, protocol, rest.split(' '), family, grammar));
      },
    ],
    [grammar.bind[4], bound(4)],
    [grammar.bind[6], bound(6)],
  ]);
  for (const { name, family } of bindings) {
    if (known(lists, name).family !== family) throw new Error(`${name} is no IPv${family} list`);
  }
  return (flow) => {
    const names = bindings
      .filter((binding) => binding.face === flow.from && binding.family === familyOf(flow))
      .map(({ name }) => name);
    if (bindings.length === 0)
      names.push(...[...lists].filter(([, { family }]) => family === familyOf(flow)).map(([name]) => name));
    const name = names.at(-1);
    return name === undefined ? 'permit' : firstMatch(known(lists, name).rules, flow, 'deny');
  };
}

function readEntry(
  action: Verdict,
  protocol: string,
  words: string[],
  family: 4 | 6,
  grammar: Grammar,
): Rule {
  if (!['tcp', 'udp', grammar.all[family]].includes(protocol)) throw new Error(`not a protocol: ${protocol}`);
  const all = protocol === grammar.all[family];
  const next = () => {
    const word = words.shift();
    if (word === undefined) throw new Error('an entry ends too early');
    return word;
  };
  const end = (): End => {
    const word = next();
    if (word === 'any') return ANY;
    if (word === 'host') {
      const host = next();
      if (host.includes('/')) throw new Error(`not a host: ${host}`);
      return inPrefix(host, family);
    }
    if (family === 4 && grammar.networks === 'wildcard') return inMask(word, next(), true);
    if (!word.includes('/')) throw new Error(`no prefix length: ${word}`);
    return inPrefix(word, family);
  };
  const port = () => {
    if (words[0] !== 'eq') return null;
    if (all) throw new Error(`${protocol} has no ports`);
    next();
    return readPort(next());
  };
  const [source, sourcePort, destination, destinationPort] = [end(), port(), end(), port()];
  if (words.length > 0) throw new Error(`words left over: ${words.join(' ')}`);
  return { action, protocol: all ? null : protocol, source, sourcePort, destination, port: destinationPort };
}
