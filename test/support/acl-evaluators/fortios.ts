/** What a FortiGate does with our script, its policies moved before all others; what none denies is for the others to judge. */

import { type Flow, readAddress } from './flow.ts';
import { type End, familyOf, inMask, inPrefix, type Judge, known, REMARK, readPort } from './rules.ts';

type Fields = Map<string, string>;

const NAME = /^"[A-Za-z0-9._-]{1,79}"$/;

export function readFortios(text: string): Judge {
  const sections = new Map<string, Map<string, Fields>>();
  const order: string[] = [];
  let section: [string, Map<string, Fields>] | null = null;
  let object: Fields | null = null;
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const words = line.trim().split(' ');
    if (words[0] === 'config' && section === null) {
      section = [words.slice(1).join(' '), new Map()];
      if (!/^firewall (address6?|addrgrp6?|service custom|policy)$/.test(section[0])) throw new Error(line);
      sections.set(...section);
    } else if (section === null) {
      throw new Error(`outside of any section: ${line}`);
    } else if (words[0] === 'edit' && object === null && words.length === 2) {
      object = new Map();
      if (section[1].has(words[1])) throw new Error(`twice: ${line}`);
      if (section[0] === 'firewall policy') {
        if (!/^\d+$/.test(words[1])) throw new Error(line);
        order.push(words[1]);
      } else if (!NAME.test(words[1])) throw new Error(`not a name: ${line}`);
      section[1].set(words[1], object);
    } else if (words[0] === 'set' && object !== null && words.length > 2) {
      if (object.has(words[1])) throw new Error(`twice: ${line}`);
      object.set(words[1], words.slice(2).join(' '));
    } else if (words[0] === 'next' && object !== null) {
      object = null;
    } else if (words[0] === 'end' && object === null) {
      section = null;
    } else if (words[0] === 'delete' && section[0] === 'firewall policy' && object === null) {
      if (section[1].has(words[1])) throw new Error('deletes its own');
    } else if (words[0] === 'move' && words[2] === 'after' && object === null) {
      if (order[order.indexOf(words[1]) - 1] !== words[3]) throw new Error(`moves elsewhere: ${line}`);
    } else {
      throw new Error(`not a line of this platform: ${line}`);
    }
  }
  if (section !== null) throw new Error('a section is not closed');
  const members = (family: 4 | 6, name: string): readonly End[] => {
    const six = family === 6 ? '6' : '';
    if (name === '"all"') return [() => true];
    const group = sections.get(`firewall addrgrp${six}`)?.get(name);
    if (group !== undefined)
      return known(group, 'member')
        .split(' ')
        .flatMap((one) => members(family, one));
    return [
      readObject(known(sections.get(`firewall address${six}`) ?? new Map<string, Fields>(), name), family),
    ];
  };
  const rules = [...(sections.get('firewall policy') ?? [])].map(([, fields]) => {
    const six = fields.has('srcaddr6') ? '6' : '';
    const family = six === '' ? 4 : 6;
    if (fields.get('action') !== 'deny') throw new Error('accepts, and so decides about NAT');
    for (const name of ['schedule', 'dstintf', 'srcintf', 'name']) known(fields, name);
    const service = known(
      sections.get('firewall service custom') ?? new Map<string, Fields>(),
      known(fields, 'service'),
    );
    if (service.size !== 1) throw new Error('not the service');
    const end = (word: string): End => {
      const ends = known(fields, `${word}addr${six}`)
        .split(' ')
        .flatMap((name) => members(family, name));
      const negate = known(fields, `${word}addr${six}-negate`) === 'enable';
      return (address) => ends.some((one) => one(address)) !== negate;
    };
    return {
      family,
      on: known(fields, 'status') === 'enable',
      face: known(fields, 'srcintf').replace(/"/g, ''),
      source: end('src'),
      destination: end('dst'),
      port: readPort(known(service, 'tcp-portrange')),
    };
  });
  return (flow: Flow) =>
    rules.some(
      (rule) =>
        rule.on &&
        rule.family === familyOf(flow) &&
        flow.protocol === 'tcp' &&
        flow.port === rule.port &&
        (rule.face === 'any' || rule.face === flow.from) &&
        rule.source(readAddress(flow.source)) &&
        rule.destination(readAddress(flow.destination)),
    )
      ? 'deny'
      : 'permit';
}

function readObject(fields: Fields, family: 4 | 6): End {
  const comment = fields.get('comment');
  if (comment !== undefined && !new RegExp(`^"${REMARK}"$`).test(comment))
    throw new Error(`not a comment: ${comment}`);
  if (family === 6) return inPrefix(known(fields, 'ip6'), 6);
  const [address, mask] = known(fields, 'subnet').split(' ');
  return inMask(address, mask, false);
}
