/** Requests for access lists, with the addresses of the lab: 55 is the rogue host, 100 the mail server. */

import { ACL_PLATFORMS, type AclForm, type AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import type { SenderConfig } from '../../src/config/schema.ts';
import { type Prefix, parsePrefix } from '../../src/flow/prefix.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { readAwsNacl } from './acl-evaluators/aws-nacl.ts';
import { readAsa } from './acl-evaluators/cisco-asa.ts';
import { judgeIos, readIos } from './acl-evaluators/cisco-ios.ts';
import type { Flow, Verdict } from './acl-evaluators/flow.ts';
import { readBird, readExabgp, readGobgp } from './acl-evaluators/flowspec.ts';
import { readFortios } from './acl-evaluators/fortios.ts';
import { readHuawei } from './acl-evaluators/huawei-vrp.ts';
import { GRAMMARS, readIosLike } from './acl-evaluators/ios-like.ts';
import { readIptables } from './acl-evaluators/iptables.ts';
import { readJunos } from './acl-evaluators/junos.ts';
import { readJunosHierarchical } from './acl-evaluators/junos-hierarchical.ts';
import { readMikrotik } from './acl-evaluators/mikrotik.ts';
import { judgeNftables, readNftables } from './acl-evaluators/nftables.ts';
import { readNokia } from './acl-evaluators/nokia-sros.ts';
import { readOpenConfig } from './acl-evaluators/openconfig.ts';
import { readPanos } from './acl-evaluators/panos.ts';
import { readPf } from './acl-evaluators/pf.ts';
import type { Judge } from './acl-evaluators/rules.ts';
import { readVyos } from './acl-evaluators/vyos.ts';

type AclRequest = Parameters<typeof renderAcl>[0];

export const NOW_MS = Date.parse('2026-03-01T12:00:00.000Z');

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
}

export function sender(
  hosts: readonly string[],
  more: Partial<Omit<SenderConfig, 'hosts' | 'to'>> & { readonly to?: readonly string[] } = {},
): SenderConfig {
  const { to, ...rest } = more;
  return {
    name: 'mail',
    to_lists: [],
    owner: '',
    reason: '',
    ...rest,
    hosts: hosts.map(prefix),
    to: to === undefined ? 'any' : to.map(prefix),
  };
}

/** An incident whose block is in force. */
export function offender(host: string, more: Partial<Incident> = {}): Incident {
  const at = '2026-03-01T10:00:00.000Z';
  return {
    schema: 'rogue-smtp.incident',
    schema_version: 1,
    incident_id: 'a1b2c3d4e5f6',
    host,
    site: '',
    grade: 'conversed',
    flags: [],
    first_seen: at,
    last_seen: at,
    sessions: 1,
    attempts: 0,
    destinations: { count: 1, exact: true, top: [] },
    packets: 20,
    bytes: 2000,
    ports: [25],
    exporters: [],
    sampling: [],
    reasons: [],
    missing: [],
    policy_version: '0',
    block: { state: 'published', reason: '', since: at, until: null },
    state: 'open',
    opened_at: at,
    updated_at: at,
    closed_at: null,
    revision: 1,
    recurrence: 0,
    resume: null,
    ...more,
  };
}

export function request(more: Partial<AclRequest> = {}): AclRequest {
  return {
    platform: 'cisco-ios',
    kind: 'policy',
    family: '4',
    nowMs: NOW_MS,
    internal: ['192.0.2.0/24', '2001:db8:1::/64'].map(prefix),
    senders: [sender(['192.0.2.100', '2001:db8:1::100'])],
    never: [],
    maxEntries: 500,
    offenders: [],
    ...more,
  };
}

/** A connection from the LAN, to port 25 of the world if nothing else is said. */
export function flow(source: string, more: Partial<Flow> = {}): Flow {
  return {
    protocol: 'tcp',
    source,
    destination: source.includes(':') ? '2001:db8:ffff::25' : '198.51.100.25',
    sourcePort: 40_000,
    port: 25,
    from: 'lan0',
    ...more,
  };
}

const READERS: Readonly<Record<AclPlatform, (text: string) => Judge>> = {
  'cisco-ios': (text) => {
    const config = readIos(text);
    return (one) => judgeIos(config, one);
  },
  'cisco-iosxr': (text) => readIosLike(text, GRAMMARS['cisco-iosxr']),
  'cisco-nxos': (text) => readIosLike(text, GRAMMARS['cisco-nxos']),
  'cisco-asa': readAsa,
  junos: readJunos,
  'arista-eos': (text) => readIosLike(text, GRAMMARS['arista-eos']),
  'nokia-sros': readNokia,
  'huawei-vrp': readHuawei,
  mikrotik: readMikrotik,
  vyos: readVyos,
  nftables: (text) => {
    const table = readNftables(text);
    return (one) => judgeNftables(table, one);
  },
  iptables: readIptables,
  pf: readPf,
  fortios: readFortios,
  panos: readPanos,
  'aws-nacl': readAwsNacl,
  openconfig: readOpenConfig,
  exabgp: readExabgp,
  gobgp: readGobgp,
  bird: readBird,
};

/** Every platform in its default form, and in each other that it has. */
export const LISTS: readonly { readonly platform: AclPlatform; readonly form?: AclForm }[] = [
  ...ACL_PLATFORMS.map((platform) => ({ platform })),
  { platform: 'junos', form: 'hierarchical' },
];

/** Reads the text by the grammar of its platform and judges flows by it. */
export function judge(text: string, platform: AclPlatform, form?: AclForm): (flow: Flow) => Verdict {
  return form === 'hierarchical' ? readJunosHierarchical(text) : READERS[platform](text);
}

export function rendered(more: Partial<AclRequest> = {}): (flow: Flow) => Verdict {
  const asked = request(more);
  return judge(renderAcl(asked).text, asked.platform, asked.form);
}

/** Platforms whose list is bound to an interface: it judges every source that comes in there. */
export const BOUND: ReadonlySet<AclPlatform> = new Set([
  'cisco-ios',
  'cisco-iosxr',
  'cisco-nxos',
  'cisco-asa',
  'junos',
  'arista-eos',
  'nokia-sros',
  'huawei-vrp',
  'openconfig',
]);

/** Platforms that refuse a policy. */
export const OFFENDERS_ONLY: ReadonlySet<AclPlatform> = new Set(['aws-nacl', 'exabgp', 'gobgp', 'bird']);
