/**
 * Remotely triggered black holes: a host cut off from everything, on the express wish of a person and for hosts that he named.
 *
 * This is no access list and never follows from an incident: nothing automatic may call it. It cuts all traffic *to* the
 * host, and with uRPF on the edge routers all traffic *from* it. The interlocks of the lists hold here too, and one host
 * that must not be cut off refuses the whole text.
 */

import { RogueSmtpError } from '../errors.ts';
import { type AddressBytes, compareAddresses, formatAddress, isIPv4, parseAddress } from '../flow/address.ts';
import { createInterlock, type InterlockInput } from './interlocks.ts';
import { comment } from './platforms/artefact.ts';
import { revisionOf } from './revision.ts';

export const QUARANTINE_PLATFORMS = ['cisco-ios', 'frr', 'junos', 'exabgp', 'bird'] as const;
export type QuarantinePlatform = (typeof QUARANTINE_PLATFORMS)[number];

export interface QuarantineRequest extends InterlockInput {
  readonly platform: QuarantinePlatform;
  /** Addresses of single hosts, of either family. */
  readonly hosts: readonly string[];
  /** What edge routers route to nowhere; only ExaBGP announces it. Default: the discard addresses of RFC 5635 and 6666. */
  readonly nextHop?: { readonly v4: string; readonly v6: string };
}

/** RFC 7999 BLACKHOLE, and NO_EXPORT: the neighbor's networks are not meant. */
const COMMUNITIES = ['65535:666', '65535:65281'] as const;
const TAG = 666;
const DISCARD = { v4: '192.0.2.1', v6: '100::1' } as const;

interface Host {
  readonly bytes: AddressBytes;
  readonly text: string;
  readonly v6: boolean;
}

/**
 * Throws RogueSmtpError `usage` for no host or what is no address, and `refused` for an authorised sender, a host on the
 * never-block list, one that is not internal, or when no sender is in force.
 */
export function renderQuarantine(request: QuarantineRequest): string {
  const hosts = namedHosts(request.hosts);
  const refusal = createInterlock(request);
  for (const { bytes, text } of hosts) {
    const why = refusal(bytes);
    if (why !== null) throw new RogueSmtpError('refused', `the quarantine is refused: ${text} ${why}`);
  }
  const { first, last, line, mark } = FORMS[request.platform];
  const nextHop = request.nextHop ?? DISCARD;
  const routes = hosts.map((host) => line(host, host.v6 ? nextHop.v6 : nextHop.v4));
  const body = [...first, ...routes, ...last];
  const guide = [
    `rogue-smtp quarantine, revision ${revisionOf(body.join('\n'))}`,
    '',
    'Cuts these hosts off from everything, not only from port 25: all traffic to them, and where the edge routers check',
    'sources (uRPF, "ip verify unicast source reachable-via any") all traffic from them. Not undone by itself.',
    ...(request.platform === 'cisco-ios' || request.platform === 'frr' || request.platform === 'junos'
      ? [
          `Belongs on the trigger router, whose BGP announces static routes with the tag ${TAG} and these communities: ${COMMUNITIES.join(' ')}`,
        ]
      : [
          `Announced with the communities ${COMMUNITIES.join(' ')}; edge routers must route them to nowhere.`,
        ]),
    'rollback: take the routes out again, each in the same words',
    'Not verified: no router has dropped a packet by it.',
    '',
  ];
  return `${[...comment(mark, guide), ...body].join('\n')}\n`;
}

function namedHosts(texts: readonly string[]): readonly Host[] {
  const known = new Map<string, Host>();
  for (const text of texts) {
    const bytes = parseAddress(text);
    if (bytes === null)
      throw new RogueSmtpError('usage', `${JSON.stringify(text)} is not the address of a single host`);
    const canonical = formatAddress(bytes);
    known.set(canonical, { bytes, text: canonical, v6: !isIPv4(bytes) });
  }
  if (known.size === 0) throw new RogueSmtpError('usage', 'a quarantine needs the hosts by name');
  return [...known.values()].sort((a, b) => compareAddresses(a.bytes, b.bytes));
}

const withLength = ({ text, v6 }: Host) => `${text}/${v6 ? 128 : 32}`;

interface Form {
  readonly mark: string;
  readonly first: readonly string[];
  readonly last: readonly string[];
  readonly line: (host: Host, nextHop: string) => string;
}

const FORMS: Readonly<Record<QuarantinePlatform, Form>> = {
  'cisco-ios': {
    mark: '!',
    first: [],
    last: [],
    line: (host) =>
      host.v6
        ? `ipv6 route ${withLength(host)} Null0 tag ${TAG}`
        : `ip route ${host.text} 255.255.255.255 Null0 tag ${TAG}`,
  },
  frr: {
    mark: '!',
    first: [],
    last: [],
    line: (host) => `${host.v6 ? 'ipv6' : 'ip'} route ${withLength(host)} blackhole tag ${TAG}`,
  },
  junos: {
    mark: '#',
    first: [],
    last: [],
    line: (host) =>
      `set routing-options ${host.v6 ? 'rib inet6.0 ' : ''}static route ${withLength(host)} discard tag ${TAG} community [ ${COMMUNITIES.join(' ')} ]`,
  },
  exabgp: {
    mark: '#',
    first: ['template {', '\tneighbor rogue-smtp-quarantine {', '\t\tstatic {'],
    last: ['\t\t}', '\t}', '}'],
    line: (host, nextHop) =>
      `\t\t\troute ${withLength(host)} next-hop ${nextHop} community [ ${COMMUNITIES.join(' ')} ];`,
  },
  bird: {
    mark: '#',
    first: [],
    last: [],
    line: (host) =>
      `protocol static { ipv${host.v6 ? 6 : 4}; route ${withLength(host)} blackhole { ${COMMUNITIES.map((one) => `bgp_community.add((${one.replace(':', ', ')}));`).join(' ')} }; }`,
  },
};
