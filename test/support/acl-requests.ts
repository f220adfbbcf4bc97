/** Requests for access lists, with the addresses of the lab: 55 is the rogue host, 100 the mail server. */

import { renderAcl } from '../../src/acl/render.ts';
import type { SenderConfig } from '../../src/config/schema.ts';
import { type Prefix, parsePrefix } from '../../src/flow/prefix.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { judgeIos, readIos } from './acl-evaluators/cisco-ios.ts';
import type { Flow, Verdict } from './acl-evaluators/flow.ts';
import { judgeNftables, readNftables } from './acl-evaluators/nftables.ts';

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

/** Reads the text of either platform and judges flows by it. */
export function judge(text: string): (flow: Flow) => Verdict {
  if (text.startsWith('#!/usr/sbin/nft')) {
    const table = readNftables(text);
    return (one) => judgeNftables(table, one);
  }
  const config = readIos(text);
  return (one) => judgeIos(config, one);
}

export function rendered(more: Partial<AclRequest> = {}): (flow: Flow) => Verdict {
  return judge(renderAcl(request(more)).text);
}
