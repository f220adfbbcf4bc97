/** What SR OS does with our text: entries by number, and the default action, which is drop where it is not set. */

import { type Flow, readAddress } from './flow.ts';
import { type End, familyOf, inPrefix, type Judge, known, readLines, readPort } from './rules.ts';

interface Entry {
  protocol?: string;
  source?: string;
  destination?: string;
  port?: number;
  sourcePort?: number;
  action?: 'accept' | 'drop';
}

export function readNokia(text: string): Judge {
  const lists = new Map<string, End[]>();
  const filters = new Map<string, { family: 4 | 6; accept: boolean; entries: Map<number, Entry> }>();
  const bound: { face: string; name: string }[] = [];
  const filterOf = (word: string, name: string) => {
    if (name.length > 64) throw new Error(`too long: ${name}`);
    const family = word === 'ip' ? 4 : 6;
    const filter = filters.get(name) ?? { family, accept: false, entries: new Map<number, Entry>() };
    if (filter.family !== family) throw new Error('of another family');
    filters.set(name, filter);
    return filter;
  };
  const entryOf = (word: string, name: string, number: string) => {
    const { entries } = filterOf(word, name);
    const entry = entries.get(Number(number)) ?? {};
    entries.set(Number(number), entry);
    return entry;
  };
  const FILTER = '^/configure filter (ip|ipv6)-filter "([^"]+)"';
  readLines(text, '#', [
    [
      /^\/configure filter match-list (ip|ipv6)-prefix-list "([^"]{1,32})" prefix (\S+\/\d+)$/,
      ([, word, name, prefix]) => {
        const key = `${word} ${name}`;
        lists.set(key, [...(lists.get(key) ?? []), inPrefix(prefix, word === 'ip' ? 4 : 6)]);
      },
    ],
    [
      new RegExp(`${FILTER} default-action (accept|drop)$`),
      ([, word, name, action]) => {
        filterOf(word, name).accept = action === 'accept';
      },
    ],
    [
      new RegExp(`${FILTER} entry (\\d+) match (protocol|next-header) (tcp|udp)$`),
      ([, word, name, number, field, protocol]) => {
        if (field !== (word === 'ip' ? 'protocol' : 'next-header'))
          throw new Error(`${field} in ${word}-filter`);
        entryOf(word, name, number).protocol = protocol;
      },
    ],
    [
      new RegExp(`${FILTER} entry (\\d+) match (src|dst)-ip (ip|ipv6)-prefix-list "([^"]+)"$`),
      ([, word, name, number, end, listWord, list]) => {
        const key = `${listWord} ${list}`;
        known(lists, key);
        if (listWord !== word) throw new Error('a list of another family');
        entryOf(word, name, number)[end === 'src' ? 'source' : 'destination'] = key;
      },
    ],
    [
      new RegExp(`${FILTER} entry (\\d+) match (src|dst)-port eq (\\d+)$`),
      ([, word, name, number, end, port]) => {
        entryOf(word, name, number)[end === 'src' ? 'sourcePort' : 'port'] = readPort(port);
      },
    ],
    [
      new RegExp(`${FILTER} entry (\\d+) action (accept|drop)$`),
      ([, word, name, number, action]) => {
        entryOf(word, name, number).action = action as 'accept' | 'drop';
      },
    ],
    [
      /^\/configure router "Base" interface "([^"]+)" ingress filter (ip|ipv6) "([^"]+)"$/,
      ([, face, word, name]) => {
        if (known(filters, name).family !== (word === 'ip' ? 4 : 6)) throw new Error('of another family');
        bound.push({ face, name });
      },
    ],
  ]);
  for (const { entries } of filters.values()) {
    for (const entry of entries.values()) {
      if (entry.action === undefined) throw new Error('an entry without an action');
      if ((entry.port ?? entry.sourcePort) !== undefined && entry.protocol === undefined)
        throw new Error('a port without a protocol');
    }
  }
  const within = (list: string | undefined, address: string) =>
    list === undefined || known(lists, list).some((end) => end(readAddress(address)));
  const takes = (entry: Entry, flow: Flow) =>
    (entry.protocol === undefined || entry.protocol === flow.protocol) &&
    within(entry.source, flow.source) &&
    within(entry.destination, flow.destination) &&
    (entry.port === undefined || entry.port === flow.port) &&
    (entry.sourcePort === undefined || entry.sourcePort === flow.sourcePort);
  return (flow) => {
    const name =
      bound.length === 0 ? [...filters.keys()][0] : bound.find(({ face }) => face === flow.from)?.name;
    const filter = name === undefined ? undefined : known(filters, name);
    if (filter === undefined || filter.family !== familyOf(flow)) return 'permit';
    const taken = [...filter.entries].sort(([a], [b]) => a - b).find(([, entry]) => takes(entry, flow));
    const accepted = taken === undefined ? filter.accept : taken[1].action === 'accept';
    return accepted ? 'permit' : 'deny';
  };
}
