/**
 * What to listen on: the sockets that systemd passed, or else the addresses of the configuration.
 *
 * Passed sockets replace the configured addresses, since a socket unit says where to listen. A passed socket that is
 * not UDP belongs to somebody else and is left alone.
 */

import type { Logger } from 'pino';
import type { SocketAddress } from '../config/values.ts';
import { inheritedSockets } from './inherited-sockets.ts';
import { readUdpSockets, socketInode } from './kernel-drops.ts';

export type ListenTarget =
  | {
      readonly kind: 'bind';
      readonly address: SocketAddress;
      /** An IPv6 socket takes IPv4 too, unless another listener has the same port on IPv4. */
      readonly ipv6Only: boolean;
    }
  /** A socket that systemd opened. */
  | {
      readonly kind: 'inherited';
      readonly fd: number;
      readonly name: string;
      readonly inode: number;
      readonly family: 4 | 6;
    };

export async function listenTargets(
  listen: readonly SocketAddress[],
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
  log: Logger,
): Promise<readonly ListenTarget[]> {
  const passed = inheritedSockets(environment, pid);
  if (passed.length === 0) return bindTargets(listen);
  const sockets = await readUdpSockets();
  const targets: ListenTarget[] = [];
  for (const { fd, name } of passed) {
    const inode = await socketInode(fd);
    const entry = sockets.find((socket) => socket.inode === inode);
    if (entry === undefined) log.warn({ name }, 'a socket passed by systemd is not UDP and is left alone');
    else targets.push({ kind: 'inherited', fd, name, inode, family: entry.family });
  }
  return targets.length > 0 ? targets : bindTargets(listen);
}

/** An IPv6 socket takes IPv4 too, unless another one has the same port on IPv4: both would not open. */
export function bindTargets(listen: readonly SocketAddress[]): ListenTarget[] {
  return listen.map((address) => ({
    kind: 'bind',
    address,
    ipv6Only: listen.some((other) => other.port === address.port && !other.host.includes(':')),
  }));
}
