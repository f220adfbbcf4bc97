/** What an ASA does with our text: one list for both IP versions, netmasks, first match, and an invisible deny at the end. */

import type { Verdict } from './flow.ts';
import {
  ANY,
  type End,
  firstMatch,
  inMask,
  inPrefix,
  type Judge,
  known,
  REMARK,
  type Rule,
  readLines,
  readPort,
} from './rules.ts';

export function readAsa(text: string): Judge {
  const lists = new Map<string, Rule[]>();
  const bound = new Map<string, string>();
  const rulesOf = (name: string) => {
    const rules = lists.get(name) ?? [];
    lists.set(name, rules);
    return rules;
  };
  readLines(text, '!', [
    [new RegExp(`^access-list ([A-Za-z0-9-]+) remark ${REMARK}$`), ([, name]) => void rulesOf(name)],
    [
      /^access-list ([A-Za-z0-9-]+) extended (permit|deny) (tcp|udp|ip) (.+)$/,
      ([, name, action, protocol, rest]) =>
        void rulesOf(name).push(readEntry(action as Verdict, protocol, rest.split(' '))),
    ],
    [
      /^access-group ([A-Za-z0-9-]+) in interface ([A-Za-z0-9._/:-]+)$/,
      ([, name, face]) => {
        known(lists, name);
        bound.set(face, name);
      },
    ],
  ]);
  return (flow) => {
    const name = bound.size === 0 ? [...lists.keys()][0] : bound.get(flow.from);
    return name === undefined ? 'permit' : firstMatch(known(lists, name), flow, 'deny');
  };
}

function readEntry(action: Verdict, protocol: string, words: string[]): Rule {
  const next = () => {
    const word = words.shift();
    if (word === undefined) throw new Error('an entry ends too early');
    return word;
  };
  const end = (): End => {
    const word = next();
    if (word === 'any') return ANY;
    if (word === 'any4' || word === 'any6') return ({ family }) => `any${family}` === word;
    if (word === 'host') {
      const host = next();
      return inPrefix(host, host.includes(':') ? 6 : 4);
    }
    if (word.includes(':')) {
      if (!word.includes('/')) throw new Error(`no prefix length: ${word}`);
      return inPrefix(word, 6);
    }
    return inMask(word, next(), false);
  };
  const port = () => {
    if (words[0] !== 'eq') return null;
    if (protocol === 'ip') throw new Error('ip has no ports');
    next();
    return readPort(next());
  };
  const [source, sourcePort, destination, destinationPort] = [end(), port(), end(), port()];
  if (words.length > 0) throw new Error(`words left over: ${words.join(' ')}`);
  return {
    action,
    protocol: protocol === 'ip' ? null : protocol,
    source,
    sourcePort,
    destination,
    port: destinationPort,
  };
}
