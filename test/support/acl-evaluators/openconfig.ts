/** What a device does with our OpenConfig JSON: entries by sequence-id; a packet that none takes is not left to chance. */

import type { Flow } from './flow.ts';
import { ANY, familyOf, firstMatch, inPrefix, type Judge, known, type Rule, readPort } from './rules.ts';

type Json = Readonly<Record<string, unknown>>;

/** An object with these members and no others; `?` marks those that may be missing. */
function object(value: unknown, ...members: readonly string[]): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object');
  const names = new Set(members.map((name) => name.replace('?', '')));
  for (const name of Object.keys(value))
    if (!names.has(name)) throw new Error(`no member of the model: ${name}`);
  for (const name of members) {
    if (!name.endsWith('?') && !(name in value)) throw new Error(`${name} is missing`);
  }
  return value as Json;
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error('not a string');
  return value;
}

export function readOpenConfig(rendered: string): Judge {
  const root = object(JSON.parse(rendered), 'about', 'openconfig-acl:acl');
  const acl = object(root['openconfig-acl:acl'], 'acl-sets', 'interfaces?');
  const sets = new Map<string, { family: 4 | 6; rules: readonly Rule[] }>();
  for (const one of list(object(acl['acl-sets'], 'acl-set')['acl-set'])) {
    const set = object(one, 'name', 'type', 'config', 'acl-entries');
    const config = object(set.config, 'name', 'type');
    if (config.name !== set.name || config.type !== set.type)
      throw new Error('the key is not that of the config');
    const family =
      set.type === 'openconfig-acl:ACL_IPV4' ? 4 : set.type === 'openconfig-acl:ACL_IPV6' ? 6 : null;
    if (family === null) throw new Error(`not a type: ${set.type}`);
    const entries = list(object(set['acl-entries'], 'acl-entry')['acl-entry']).map((entry) =>
      readEntry(entry, family),
    );
    entries.sort((a, b) => a.sequence - b.sequence);
    if (new Set(entries.map(({ sequence }) => sequence)).size !== entries.length) throw new Error('a twin');
    sets.set(text(set.name), { family, rules: entries.map(({ rule }) => rule) });
  }
  const bound: { face: string; name: string }[] = [];
  const interfaces = acl.interfaces === undefined ? [] : list(object(acl.interfaces, 'interface').interface);
  for (const one of interfaces) {
    const face = object(one, 'id', 'config', 'interface-ref', 'ingress-acl-sets');
    if (object(face.config, 'id').id !== face.id) throw new Error('the key is not that of the config');
    object(object(face['interface-ref'], 'config').config, 'interface', 'subinterface');
    for (const two of list(object(face['ingress-acl-sets'], 'ingress-acl-set')['ingress-acl-set'])) {
      const set = object(two, 'set-name', 'type', 'config');
      object(set.config, 'set-name', 'type');
      known(sets, text(set['set-name']));
      bound.push({ face: text(face.id), name: text(set['set-name']) });
    }
  }
  return (flow: Flow) => {
    const name =
      interfaces.length === 0 ? [...sets.keys()][0] : bound.find(({ face }) => face === flow.from)?.name;
    const set = name === undefined ? undefined : known(sets, name);
    if (set === undefined || set.family !== familyOf(flow)) return 'permit';
    return firstMatch(set.rules, flow, 'deny');
  };
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  'openconfig-packet-match-types:IP_TCP': 'tcp',
  'openconfig-packet-match-types:IP_UDP': 'udp',
};

function readEntry(value: unknown, family: 4 | 6): { sequence: number; rule: Rule } {
  const entry = object(value, 'sequence-id', 'config', `ipv${family}?`, 'transport?', 'actions');
  const config = object(entry.config, 'sequence-id', 'description?');
  if (config['sequence-id'] !== entry['sequence-id']) throw new Error('the key is not that of the config');
  const ip = object(
    entry[`ipv${family}`] === undefined ? {} : object(entry[`ipv${family}`], 'config').config,
    'source-address?',
    'destination-address?',
    'protocol?',
  );
  const transport = object(
    entry.transport === undefined ? {} : object(entry.transport, 'config').config,
    'source-port?',
    'destination-port?',
  );
  const action = object(object(entry.actions, 'config').config, 'forwarding-action')['forwarding-action'];
  if (
    action !== 'openconfig-acl:ACCEPT' &&
    action !== 'openconfig-acl:DROP' &&
    action !== 'openconfig-acl:REJECT'
  )
    throw new Error(`not an action: ${action}`);
  const protocol = ip.protocol === undefined ? null : PROTOCOLS[text(ip.protocol)];
  if (protocol === undefined) throw new Error(`not a protocol: ${ip.protocol}`);
  const port = (number: unknown) => (number === undefined ? null : readPort(String(number)));
  if (protocol === null && entry.transport !== undefined) throw new Error('a port without a protocol');
  const end = (prefix: unknown) => {
    if (prefix === undefined) return ANY;
    if (!text(prefix).includes('/')) throw new Error(`no prefix: ${prefix}`);
    return inPrefix(text(prefix), family);
  };
  return {
    sequence: Number(entry['sequence-id']),
    rule: {
      action: action === 'openconfig-acl:ACCEPT' ? 'permit' : 'deny',
      protocol,
      source: end(ip['source-address']),
      destination: end(ip['destination-address']),
      sourcePort: port(transport['source-port']),
      port: port(transport['destination-port']),
    },
  };
}
