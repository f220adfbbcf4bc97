/**
 * What VRP does with our text: rules by number. What happens to a packet that no rule takes differs from module to module,
 * so a list that leaves one to it is wrong.
 */

import type { Verdict } from './flow.ts';
import {
  ANY,
  familyOf,
  inMask,
  inPrefix,
  type Judge,
  known,
  matches,
  REMARK,
  type Rule,
  readLines,
  readPort,
} from './rules.ts';

export function readHuawei(text: string): Judge {
  const lists = new Map<string, { family: 4 | 6; rules: Map<number, Rule> }>();
  const bound: { face: string; name: string }[] = [];
  let list: { family: 4 | 6; rules: Map<number, Rule> } | null = null;
  let face: string | null = null;
  const current = () => {
    if (list === null) throw new Error('a rule outside of an ACL');
    return list;
  };
  readLines(text, '#', [
    [
      /^acl (ipv6 )?name ([A-Za-z][A-Za-z0-9-]{0,31}) advance$/,
      ([, six, name]) => {
        list = { family: six === undefined ? 4 : 6, rules: new Map() };
        lists.set(name, list);
      },
    ],
    [
      new RegExp(`^ rule (\\d+) description ${REMARK}$`),
      ([, number]) => {
        if (!current().rules.has(Number(number))) throw new Error(`a description without rule ${number}`);
      },
    ],
    [
      /^ rule (\d+) (permit|deny) (\S+)(| .+)$/,
      ([, number, action, protocol, rest]) => {
        const { family, rules } = current();
        if (rules.has(Number(number))) throw new Error(`rule ${number} is there already`);
        rules.set(Number(number), readRule(action as Verdict, protocol, rest.split(' ').slice(1), family));
      },
    ],
    [
      /^ quit$/,
      () => {
        if (list === null && face === null) throw new Error('quit of the system view');
        list = null;
        face = null;
      },
    ],
    [
      /^interface ([A-Za-z0-9._/:-]+)$/,
      ([, name]) => {
        if (list !== null) throw new Error('the ACL view was not left');
        face = name;
      },
    ],
    [
      /^ traffic-filter inbound acl (ipv6 )?name (\S+)$/,
      ([, six, name]) => {
        if (face === null) throw new Error('not in the view of an interface');
        if (known(lists, name).family !== (six === undefined ? 4 : 6)) throw new Error('of another family');
        bound.push({ face, name });
      },
    ],
  ]);
  return (flow) => {
    const name =
      bound.length === 0 ? [...lists.keys()][0] : bound.find((one) => one.face === flow.from)?.name;
    const found = name === undefined ? undefined : known(lists, name);
    if (found === undefined || found.family !== familyOf(flow)) return 'permit';
    const rule = [...found.rules].sort(([a], [b]) => a - b).find(([, one]) => matches(one, flow));
    if (rule === undefined) throw new Error('no rule takes it: what happens depends on the module');
    return rule[1].action;
  };
}

function readRule(action: Verdict, protocol: string, words: string[], family: 4 | 6): Rule {
  const all = family === 4 ? 'ip' : 'ipv6';
  if (!['tcp', 'udp', all].includes(protocol)) throw new Error(`not a protocol: ${protocol}`);
  const rule = {
    action,
    protocol: protocol === all ? null : protocol,
    source: ANY,
    destination: ANY,
    sourcePort: null as number | null,
    port: null as number | null,
  };
  const next = () => {
    const word = words.shift();
    if (word === undefined) throw new Error('a rule ends too early');
    return word;
  };
  const end = () => {
    const address = next();
    if (family === 4) {
      const mask = next();
      return inMask(address, mask === '0' ? '0.0.0.0' : mask, true);
    }
    if (!address.includes('/')) throw new Error(`no prefix length: ${address}`);
    return inPrefix(address, 6);
  };
  while (words.length > 0) {
    const word = next();
    if (word === 'source') rule.source = end();
    else if (word === 'destination') rule.destination = end();
    else if (word === 'source-port' || word === 'destination-port') {
      if (protocol === all) throw new Error(`${all} has no ports`);
      if (next() !== 'eq') throw new Error('not eq');
      rule[word === 'source-port' ? 'sourcePort' : 'port'] = readPort(next());
    } else throw new Error(`not a condition: ${word}`);
  }
  return rule;
}
