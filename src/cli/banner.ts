/** The first screen of `rogue-smtp run`: how to point a router here, and what is still to be said by the operator. */

import { networkInterfaces } from 'node:os';
import type { LoadedConfig } from '../config/load.ts';
import { formatPrefix, formatSocketAddress, type SocketAddress } from '../config/values.ts';

export function firstScreen(
  loaded: LoadedConfig,
  version: string,
  udp: readonly SocketAddress[],
  http: SocketAddress,
): string {
  const { config, file, warnings } = loaded;
  const { host: here, port, loopback } = routersTarget(udp);
  const todo = [
    ...(file === null ? ['no configuration file: everything is default (rogue-smtp init writes one)'] : []),
    ...(config.senders.length === 0
      ? [
          'no senders: your mail servers are not known yet, so nothing is ever blocked (rogue-smtp inventory proposes them)',
        ]
      : []),
    ...(config.collector.exporters.length === 0
      ? ['collector.exporters is empty: flow exports are taken from anyone']
      : []),
    ...(loopback ? ['collector.listen is loopback only: no router can reach it'] : []),
    ...(config.acl.targets.length === 0
      ? ['no acl.targets: no ACL file is written (rogue-smtp acl render prints one)']
      : []),
    ...(config.block.mode === 'publish'
      ? []
      : [`block.mode is ${config.block.mode}: nothing is blocked by itself`]),
    ...warnings,
  ];
  return `rogue-smtp ${version}
  listening for NetFlow v1 v5 v7 v9, IPFIX and sFlow v5 on udp ${udp.map(formatSocketAddress).join(' ')}
  internal networks  ${config.networks.internal.map(formatPrefix).join(' ')}
  may send mail      ${config.senders.length === 0 ? 'nobody known yet' : config.senders.map(({ name, hosts }) => `${name} (${hosts.length === 0 ? 'no address known yet' : hosts.map(formatPrefix).join(' ')})`).join(', ')}
  API and metrics    http://${formatSocketAddress(http)}
  data               ${config.data}

Point a router here (more in deploy/routers/):
  Cisco IOS          ip flow-export version 9
                     ip flow-export destination ${here} ${port}
                     interface <LAN interface>
                      ip flow ingress
  Linux              pmacctd with nfprobe, or softflowd -i <LAN interface> -v 9 -n ${here}:${port}
${todo.length === 0 ? '' : `\nStill to do:\n${todo.map((line) => `  - ${line}\n`).join('')}`}
`;
}

interface RoutersTarget {
  readonly host: string;
  readonly port: number;
  /** True when nothing else listens. */
  readonly loopback: boolean;
}

/** Where to point a router, as a hint: a listener that others can reach, by an address of this machine if it has all. */
function routersTarget(udp: readonly SocketAddress[]): RoutersTarget {
  const open = udp.find(({ host }) => !isLoopback(host));
  const { host, port } = open ?? udp[0] ?? { host: '0.0.0.0', port: 2055 };
  const any = host === '0.0.0.0' || host === '::';
  return {
    host: any ? (outerAddress() ?? '<address of this machine>') : host,
    port,
    loopback: open === undefined,
  };
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

/** The first address of this machine that is not its own loopback. */
function outerAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}
