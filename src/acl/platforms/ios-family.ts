/**
 * The access control entry of Cisco IOS and of those that followed it: one renderer for all of them.
 *
 * They differ in how a network is written, and each takes some of the others' forms in silence for something else: a
 * netmask where a wildcard mask belongs matches nearly everything. So the form of the platform is always named.
 */

import { formatAddress } from '../../flow/address.ts';
import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import { type AclModel, type AclRule, BLOCKED_PORT, isHost, prefixBits, prefixFamily } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact, comment, type Guide, INTERFACE_PLACEHOLDER, listName } from './artefact.ts';

export interface IosDialect {
  /** How an IPv4 network is written: `0.0.0.255`, `255.255.255.0` or `/24`. IPv6 always has a length. */
  readonly networks: 'wildcard' | 'netmask' | 'length';
  /** The word for all addresses. */
  readonly any: string;
}

/** `deny tcp host 192.0.2.55 any eq 25` */
export function iosEntry(rule: AclRule, dialect: IosDialect): string {
  // `tcp`, since `ip` takes no port; the port behind the destination, since before it it would be the source port.
  return `${rule.action} tcp ${end(rule.source, dialect)} ${end(rule.destination, dialect)} eq ${BLOCKED_PORT}`;
}

function end(prefix: Prefix | null, { networks, any }: IosDialect): string {
  if (prefix === null) return any;
  if (isHost(prefix)) return `host ${formatAddress(prefix.bytes)}`;
  if (prefixFamily(prefix) === '6' || networks === 'length') return formatPrefix(prefix);
  const bits = prefixBits(prefix);
  return `${formatAddress(prefix.bytes)} ${networks === 'wildcard' ? wildcardMask(bits) : netmask(bits)}`;
}

/** The inverse of the netmask: 24 gives 0.0.0.255. */
export function wildcardMask(bits: number): string {
  return dotted(bits === 32 ? 0 : 0xffffffff >>> bits);
}

/** 24 gives 255.255.255.0. */
export function netmask(bits: number): string {
  return dotted(bits === 32 ? 0xffffffff : ~(0xffffffff >>> bits));
}

function dotted(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.');
}

const SEQUENCE_STEP = 10;

/**
 * Entries with remarks and the final permit, for platforms where a remark is a numbered entry as well: without a number of
 * its own it takes the next one, and the entry that has that number then replaces it.
 */
function numberedEntries(
  model: AclModel,
  networks: IosDialect['networks'],
  finalPermit: string,
): readonly string[] {
  const lines: string[] = [];
  let remark = '';
  const add = (text: string) => lines.push(` ${(lines.length + 1) * SEQUENCE_STEP} ${text}`);
  for (const rule of model.rules) {
    if (rule.remark !== '' && rule.remark !== remark) add(`remark ${rule.remark}`);
    remark = rule.remark;
    add(iosEntry(rule, { networks, any: 'any' }));
  }
  add('remark all other traffic');
  // Without it the implicit deny at the end would cut the whole network off.
  add(finalPermit);
  return lines;
}

export interface NamedList {
  readonly lines: readonly string[];
  readonly revision: string;
  readonly name: string;
  /** The interface, or what stands for it in texts. */
  readonly face: string;
}

/**
 * A list that has a new name for every content, so that a bound list is never edited and the one before is there to go
 * back to. `ip` is the platform's word for all of the family's protocols.
 */
export function namedList(model: AclModel, networks: IosDialect['networks'], ip: string): NamedList {
  const lines = numberedEntries(model, networks, `permit ${ip} any any`);
  const revision = revisionOf([model.interface ?? '', ...lines].join('\n'));
  const face = model.interface ?? INTERFACE_PLACEHOLDER;
  return { lines, revision, name: `${listName(model)}-${revision}`, face };
}

/** The text of such a list, with the command that binds it. */
export function namedListText(
  model: AclModel,
  { name, lines, revision }: NamedList,
  { ip, bind, guide }: { readonly ip: string; readonly bind: string; readonly guide: Guide },
): string {
  return artefact('!', model, revision, guide, [
    `${ip} access-list ${name}`,
    ...lines,
    '!',
    ...binding(model, '!', bind),
    '!',
  ]);
}

/** The commands that bind a list, as comments when the operator has not said where. */
function binding(model: AclModel, mark: string, ...commands: readonly string[]): readonly string[] {
  const lines = [
    `interface ${model.interface ?? INTERFACE_PLACEHOLDER}`,
    ...commands.map((line) => ` ${line}`),
  ];
  if (model.interface !== null) return lines;
  return comment(mark, [
    'No interface is configured ("interface" of the ACL target), so bind the list yourself:',
    ...lines,
  ]);
}
