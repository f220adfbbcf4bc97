/** What VyOS does with our commands: a jump from the forward filter into a rule set, which drops by itself at its end. */

import { type Address, type Flow, readAddress } from './flow.ts';
import { type End, familyOf, inPrefix, type Judge, known, REMARK, readLines, readPort } from './rules.ts';

interface Rule {
  action?: string;
  target?: string;
  protocol?: string;
  port?: number;
  sourcePort?: number;
  face?: string;
  source?: End;
  destination?: End;
  group?: string;
}

const GROUPS: Readonly<Record<string, string>> = {
  'address-group': 'address-group 4',
  'network-group': 'network-group 4',
  'ipv6-address-group': 'address-group 6',
  'ipv6-network-group': 'network-group 6',
};

export function readVyos(text: string): Judge {
  const deleted = new Set<string>();
  const groups = new Map<string, End[]>();
  const sets = new Map<string, { otherwise: string; rules: Map<number, Rule> }>();
  const setOf = (path: string) => {
    if (
      !deleted.has(path) &&
      ![...deleted].some((one) => path.startsWith(one) || one.startsWith(`${path} rule`))
    )
      throw new Error(`what ${path} was before would stay`);
    const set = sets.get(path) ?? { otherwise: 'drop', rules: new Map<number, Rule>() };
    sets.set(path, set);
    return set;
  };
  const RULE = '^set firewall (ipv[46]) (name \\S+|forward filter) rule (\\d{1,6})';
  const rule = ([, ip, set, number]: RegExpExecArray) => {
    const { rules } = setOf(`${ip} ${set}`);
    const one = rules.get(Number(number)) ?? {};
    rules.set(Number(number), one);
    return one;
  };
  const end = (text: string, ip: string): End => inPrefix(text, ip === 'ipv4' ? 4 : 6);
  readLines(text, '#', [
    [
      /^delete firewall (ipv[46] (?:name \S+|forward filter rule \d+))$/,
      ([, path]) => void deleted.add(path),
    ],
    [/^delete firewall group (\S+) (\S+)$/, ([, kind, name]) => void deleted.add(`${GROUPS[kind]} ${name}`)],
    [
      /^set firewall group (\S+) (\S+) (address|network) (\S+)$/,
      ([, kind, name, word, member]) => {
        const key = `${GROUPS[kind] ?? 'no group'} ${name}`;
        if (!key.startsWith(word)) throw new Error(`${word} in ${kind}`);
        if (word === 'address' ? member.includes('/') : !member.includes('/'))
          throw new Error(`no ${word}: ${member}`);
        if (!deleted.has(key)) throw new Error('its members before would stay');
        groups.set(key, [...(groups.get(key) ?? []), inPrefix(member, key.includes(' 4 ') ? 4 : 6)]);
      },
    ],
    [
      /^set firewall (ipv[46] name \S+) default-action (return|drop|accept)$/,
      ([, path, action]) => {
        setOf(path).otherwise = action;
      },
    ],
    [
      new RegExp(`${RULE} action (accept|return|reject|drop|jump)$`),
      (m) => Object.assign(rule(m), { action: m[4] }),
    ],
    [
      new RegExp(`${RULE} jump-target (\\S+)$`),
      (m) => Object.assign(rule(m), { target: `${m[1]} name ${m[4]}` }),
    ],
    [new RegExp(`${RULE} description '${REMARK}'$`), (m) => void rule(m)],
    [new RegExp(`${RULE} protocol (tcp|udp)$`), (m) => Object.assign(rule(m), { protocol: m[4] })],
    [new RegExp(`${RULE} destination port (\\d+)$`), (m) => Object.assign(rule(m), { port: readPort(m[4]) })],
    [
      new RegExp(`${RULE} source port (\\d+)$`),
      (m) => Object.assign(rule(m), { sourcePort: readPort(m[4]) }),
    ],
    [
      new RegExp(`${RULE} inbound-interface name (\\S{1,15})$`),
      (m) => Object.assign(rule(m), { face: m[4] }),
    ],
    [
      new RegExp(`${RULE} source address (\\S+)$`),
      (m) => Object.assign(rule(m), { source: end(m[4], m[1]) }),
    ],
    [
      new RegExp(`${RULE} destination address (\\S+)$`),
      (m) => Object.assign(rule(m), { destination: end(m[4], m[1]) }),
    ],
    [
      new RegExp(`${RULE} source group (address-group|network-group) (\\S+)$`),
      (m) => Object.assign(rule(m), { group: `${m[4]} ${m[1].slice(3)} ${m[5]}` }),
    ],
  ]);
  const within = (group: string, address: Address) => known(groups, group).some((one) => one(address));
  const takes = (one: Rule, flow: Flow) => {
    if ((one.port ?? one.sourcePort) !== undefined && one.protocol === undefined)
      throw new Error('a port without a protocol');
    return (
      (one.face === undefined || one.face === flow.from) &&
      (one.protocol === undefined || one.protocol === flow.protocol) &&
      (one.port === undefined || one.port === flow.port) &&
      (one.sourcePort === undefined || one.sourcePort === flow.sourcePort) &&
      (one.source?.(readAddress(flow.source)) ?? true) &&
      (one.destination?.(readAddress(flow.destination)) ?? true) &&
      (one.group === undefined || within(one.group, readAddress(flow.source)))
    );
  };
  /** Null: it returned. */
  const walk = (path: string, flow: Flow): 'permit' | 'deny' | null => {
    const { rules, otherwise } = known(sets, path);
    for (const [, one] of [...rules].sort(([a], [b]) => a - b)) {
      if (one.action === undefined) throw new Error('a rule without an action');
      if (!takes(one, flow)) continue;
      if (one.action === 'return') return null;
      if (one.action === 'accept') throw new Error('accepts for good');
      if (one.action !== 'jump') return 'deny';
      const verdict = walk(one.target ?? 'nowhere', flow);
      if (verdict !== null) return verdict;
    }
    return otherwise === 'drop' && path.includes(' name ') ? 'deny' : null;
  };
  const hooks = [...sets.keys()].filter((path) => path.endsWith('forward filter'));
  if (hooks.length !== 1) throw new Error('it is not hooked');
  return (flow) =>
    familyOf(flow) === (hooks[0].startsWith('ipv4') ? 4 : 6) ? (walk(hooks[0], flow) ?? 'permit') : 'permit';
}
