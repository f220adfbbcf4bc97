/**
 * The hosts of a generated network: who they are, what they may do, and what is true of them.
 *
 * The truth is said here, once, before any packet exists, and never derived from what a detector says. The policy that
 * an operator would have written for this network is built from the same list.
 */

import { MAX_OFFENDERS } from '../../../src/acl/model.ts';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { formatAddress, parseAddress } from '../../../src/flow/address.ts';
import type { Chance } from './chance.ts';
import type { Dialogue } from './dialogues.ts';
import { programOf } from './programs.ts';

/**
 * What is true of a role.
 * - `rogue`: holds mail dialogues on port 25 without being allowed to. To be found.
 * - `innocent`: never to be blocked, and never to be called a sender. Authorised hosts are innocent, whatever is done
 *   with their permission.
 * - `scanner`: infected, but holds no dialogue: as little a sender as an innocent host.
 * - `abuser`: opens connections to port 25 of strangers in bulk without mailing (banner grabs). Blocking it is right,
 *   not blocking it is no miss: it counts for nothing.
 * - `hidden`: spam by way of a smarthost that the host may use. No flow tells that from printing; not to be blocked.
 */
type Truth = 'rogue' | 'innocent' | 'scanner' | 'abuser' | 'hidden';

const ROLES = {
  client: 'innocent',
  mail_server: 'innocent',
  backup_mx: 'innocent',
  smarthost: 'innocent',
  app_server: 'innocent',
  printer: 'innocent',
  monitor: 'innocent',
  /** Checks now and then whether port 25 of a provider answers, on nobody's list. */
  unlisted_probe: 'innocent',
  /** Has a dead mail exchanger in its settings: SYNs that nobody answers. */
  stray: 'innocent',
  /** Answers on port 25 to whoever comes from outside. */
  open_service: 'innocent',
  /** Its address is used by others as the source of their SYNs. */
  spoofed: 'innocent',
  syn_scanner: 'scanner',
  banner_scanner: 'abuser',
  burst_bot: 'rogue',
  steady_bot: 'rogue',
  /** One mail an hour. */
  slow_bot: 'rogue',
  /** A few mails a day, over many hosts. */
  snowshoe_bot: 'rogue',
  /** All its recipients are refused. */
  refused_bot: 'rogue',
  /** A new IPv6 address every hour. */
  privacy_bot: 'rogue',
  /** A device that may use one smarthost, and uses the world. */
  abused_device: 'rogue',
  smarthost_bot: 'hidden',
} as const satisfies Record<string, Truth>;

export type Role = keyof typeof ROLES;
const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

/** How many hosts of each role; all others are clients. */
export type Mix = Partial<Record<Exclude<Role, 'client'>, number>>;

export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  readonly text: string;
}

export interface Actor {
  readonly index: number;
  readonly role: Role;
  readonly truth: Truth;
  /** The address it uses now; only privacy_bot has others after it. */
  endpoint: Endpoint;
  /** The case of the mail lab that it plays in all its sessions, if it has one. */
  readonly dialogue: Dialogue | null;
  /** Servers that its program has a TLS session with which can be resumed. */
  readonly resumes: Set<string>;
  /** When it acts for the first time, as a share of the run. */
  readonly startShare: number;
  /** Acts so far. */
  acts: number;
}

export interface Network {
  readonly actors: readonly Actor[];
  readonly byRole: ReadonlyMap<Role, readonly Actor[]>;
  /** Every internal address that was ever used, by its text. */
  readonly owners: Map<string, Actor>;
  readonly config: ConfigInput;
  /** The provider's smarthost that devices may use. */
  readonly provider: Endpoint;
  outside(index: number, ipv6?: boolean): Endpoint;
}

/** Outside servers that can be told apart. */
export const OUTSIDE_SERVERS = 100_000;

export function createNetwork(hosts: number, mix: Mix, chance: Chance): Network {
  const actors: Actor[] = [];
  const byRole = new Map<Role, Actor[]>();
  const owners = new Map<string, Actor>();
  const outsiders = new Map<number, Endpoint>();

  /** Where the turns of the cases begin, so that small networks do not all play the same ones. */
  const firstCase = chance.below(100_000);

  function add(role: Role): void {
    const index = actors.length;
    const endpoint = role === 'privacy_bot' ? privacyAddress(index, 0) : internalAddress(index);
    const dialogue = programOf(role, firstCase + index);
    const actor = {
      index,
      role,
      truth: ROLES[role],
      dialogue,
      resumes: new Set<string>(),
      endpoint,
      startShare: chance.next(),
      acts: 0,
    };
    actors.push(actor);
    owners.set(endpoint.text, actor);
    const others = byRole.get(role);
    if (others === undefined) byRole.set(role, [actor]);
    else others.push(actor);
  }

  for (const role of ROLE_NAMES) {
    if (role === 'client') continue;
    for (let n = mix[role] ?? 0; n > 0; n--) add(role);
  }
  while (actors.length < hosts) add('client');

  function outside(index: number, ipv6 = false): Endpoint {
    const key = 2 * index + (ipv6 ? 1 : 0);
    const known = outsiders.get(key);
    if (known !== undefined) return known;
    const made = ipv6
      ? endpointOf(`2001:db8:ffff::${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}`)
      : endpointOf(`198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`);
    outsiders.set(key, made);
    return made;
  }

  const provider = endpointOf('203.0.113.25');
  const hostsOf = (...roles: Role[]) =>
    roles.flatMap((role) => (byRole.get(role) ?? []).map((actor) => actor.endpoint.text));
  const senders = [
    { name: 'mail', hosts: hostsOf('mail_server', 'backup_mx', 'smarthost') },
    { name: 'monitoring', hosts: hostsOf('monitor'), reason: 'checks the mail exchangers of partners' },
    {
      name: 'devices',
      hosts: hostsOf('printer', 'abused_device', 'smarthost_bot'),
      to: [provider.text],
      reason: 'scan to mail',
    },
  ];
  return {
    actors,
    byRole,
    owners,
    provider,
    outside,
    config: {
      networks: { internal: ['10.0.0.0/8', '2001:db8:1::/48'] },
      senders: senders.filter((sender) => sender.hosts.length > 0),
      // The caps would hide wrong blocks behind right ones.
      block: { mode: 'publish', max_entries: MAX_OFFENDERS, max_new_per_hour: 1_000_000 },
    },
  };
}

function internalAddress(index: number): Endpoint {
  const at = index + 257;
  return endpointOf(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
}

/** RFC 8981: another interface identifier each time, in the /64 of the host's own segment. */
export function privacyAddress(index: number, turn: number): Endpoint {
  const mixed = (Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(turn + 1, 0x85ebca6b)) >>> 0;
  const group = (value: number) => (value & 0xffff).toString(16);
  return endpointOf(
    `2001:db8:1:${group(index + 1)}:${group(turn + 1)}:${group(mixed >>> 16)}:${group(mixed)}:1`,
  );
}

function endpointOf(literal: string): Endpoint {
  const bytes = parseAddress(literal);
  if (bytes === null) throw new Error(`${literal} is not an address`);
  return { bytes: literal.includes(':') ? bytes : bytes.slice(12), text: formatAddress(bytes) };
}
