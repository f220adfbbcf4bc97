/** Sockets for several receiver threads: for each address as many as there are threads, one source at one socket. */

import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { describeListenError, messageOf, RogueSmtpError } from '../errors.ts';
import { type ListenTarget, listenTargets } from './listen-targets.ts';
import { BIND_HINTS, whyOneByOne } from './listener.ts';
import { MAX_RECEIVE_BUFFER } from './receiver.ts';
import { steeringProgram } from './source-steering.ts';
import { loadUdpCalls, type UdpCalls } from './udp-socket.ts';

export interface SharedSockets {
  readonly addresses: readonly SocketAddress[];
  /** What each thread listens on. It closes these sockets. */
  readonly targets: readonly (readonly ListenTarget[])[];
  /** Nothing was taken before; from now on each datagram goes to the thread of its source. */
  admit(): void;
  /** Takes no more, so that no datagram goes astray while one thread closes before another. Sockets of systemd go on. */
  refuse(): void;
}

/** Why `collector.threads` is not followed with these settings, in plain words; null where it is. */
export async function whyOneThread({
  receiver,
}: Pick<Config['collector'], 'receiver'>): Promise<string | null> {
  const reason = await whyOneByOne(receiver);
  return reason === null ? null : `datagrams are received one by one: ${reason}`;
}

/** In plain words why there can be only one thread, or the sockets. Throws RogueSmtpError `io` for an address that cannot be had. */
export async function openSharedSockets(
  settings: Config['collector'],
  environment: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Promise<SharedSockets | string> {
  const reason = await whyOneThread(settings);
  const calls = await loadUdpCalls();
  if (reason !== null || typeof calls === 'string') return reason ?? String(calls);
  const wanted = await listenTargets(settings.listen, environment, process.pid, log);
  const inherited = wanted.filter((target) => target.kind === 'inherited');
  return inherited.length > 0
    ? takeInherited(calls, inherited, settings.threads)
    : openAll(calls, wanted, settings);
}

type Bound = Extract<ListenTarget, { kind: 'bind' }>;
type Inherited = Extract<ListenTarget, { kind: 'inherited' }>;

function openAll(
  calls: UdpCalls,
  wanted: readonly ListenTarget[],
  { threads, receive_buffer }: Config['collector'],
): SharedSockets {
  const descriptors: number[] = [];
  const groups: Inherited[][] = [];
  const addresses: SocketAddress[] = [];
  const close = () => descriptors.splice(0).forEach(calls.close);
  for (const target of wanted.filter((one): one is Bound => one.kind === 'bind')) {
    const name = formatSocketAddress(target.address);
    try {
      const address = freeAddress(calls, target);
      groups.push(
        Array.from({ length: threads }, () => {
          const options = { ipv6Only: target.ipv6Only, reusePort: true, refusing: true };
          const fd = calls.open(address, options);
          descriptors.push(fd);
          calls.askReceiveBuffer(fd, Math.min(receive_buffer, MAX_RECEIVE_BUFFER));
          return { kind: 'inherited', fd, name, inode: 0, family: address.host.includes(':') ? 6 : 4 };
        }),
      );
      calls.steer(descriptors[descriptors.length - 1], steeringProgram(threads));
      addresses.push(address);
    } catch (error) {
      close();
      throw new RogueSmtpError('io', describeListenError(`UDP ${name}`, error, BIND_HINTS), { cause: error });
    }
  }
  return {
    addresses,
    targets: byThread(groups, threads),
    admit: () => descriptors.forEach(calls.admit),
    refuse: () => descriptors.forEach(calls.refuse),
  };
}

/**
 * SO_REUSEPORT would let this process join another one that has the port: a socket without it finds out. It also gets a
 * port where none is named.
 */
function freeAddress(calls: UdpCalls, { address, ipv6Only }: Bound): SocketAddress {
  const probe = calls.open(address, { ipv6Only, reusePort: false, refusing: true });
  try {
    return { host: address.host, port: calls.boundAddress(probe).port };
  } finally {
    calls.close(probe);
  }
}

/**
 * Sockets of systemd must be one for each thread at each address (ReusePort=yes): the kernel goes on to queue in them while
 * nothing runs, and what waits there must belong to the thread that reads it.
 */
function takeInherited(
  calls: UdpCalls,
  inherited: readonly Inherited[],
  threads: number,
): SharedSockets | string {
  const byAddress = new Map<string, Inherited[]>();
  for (const target of inherited) {
    const name = formatSocketAddress(calls.boundAddress(target.fd));
    byAddress.set(name, [...(byAddress.get(name) ?? []), target]);
  }
  for (const [name, group] of byAddress)
    if (group.length !== threads)
      return `systemd passed ${group.length} of ${threads} sockets for ${name}: each thread needs one (ReusePort=yes)`;
  const groups = [...byAddress.values()];
  try {
    for (const [{ fd }] of groups) calls.steer(fd, steeringProgram(threads));
  } catch (error) {
    return `the sockets of systemd cannot be shared (${messageOf(error)}): they need ReusePort=yes`;
  }
  return {
    addresses: groups.map(([{ fd }]) => calls.boundAddress(fd)),
    targets: byThread(groups, threads),
    admit: () => undefined,
    refuse: () => undefined,
  };
}

function byThread(groups: readonly Inherited[][], threads: number): ListenTarget[][] {
  return Array.from({ length: threads }, (_, thread) => groups.map((group) => group[thread]));
}
