/**
 * A UDP socket that export datagrams arrive on.
 *
 * It hands each datagram on and counts; it never looks inside. The receive buffer is what carries the collector over
 * moments in which it is busy, so what the kernel really gave is read back and told.
 */

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { platform } from 'node:os';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { describeListenError, RogueSmtpError } from '../errors.ts';
import { socketsOfProcess, type UdpSocketEntry } from './kernel-drops.ts';

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

export interface ListenerOptions {
  readonly target: ListenTarget;
  /** Bytes asked of the kernel. */
  readonly receiveBuffer: number;
  /** Other processes may listen on the same port. */
  readonly reusePort: boolean;
}

export interface ListenerCounters {
  /** Address and port, or the name that systemd gave. */
  readonly name: string;
  datagrams: number;
  bytes: number;
  /** Datagrams that the kernel threw away because the receive buffer was full, over the life of the socket. */
  kernelDrops: number;
  /** Errors of the socket after it was opened. */
  errors: number;
}

export interface Listener {
  /** Resolves with the address bound. Throws RogueSmtpError `io` when the address cannot be had. */
  start(): Promise<SocketAddress>;
  stop(): Promise<void>;
  /** Bytes of receive buffer that the kernel gave, as it counts them when asked for so many; 0 before the start. */
  receiveBuffer(): number;
  /** Takes the drops of this socket out of all UDP sockets of the system. */
  noteDrops(sockets: readonly UdpSocketEntry[]): void;
  readonly counters: ListenerCounters;
}

/** `bytes` is the receiver's to keep. `address` is text as the system gives it, a zone index possibly included. */
export type OnDatagram = (bytes: Buffer, address: string, port: number) => void;

const BIND_HINTS = {
  taken: 'ss -lunp shows which. collector.reuse_port shares it between collectors on Node 22.12 and newer',
  low: 'CAP_NET_BIND_SERVICE or a systemd socket',
};

/** setsockopt takes a signed 32-bit integer, and the kernel doubles it. */
const MAX_RECEIVE_BUFFER = 2 ** 30 - 1;

export function createListener(
  options: ListenerOptions,
  onDatagram: OnDatagram,
  onError: (error: Error) => void,
): Listener {
  const { target } = options;
  const asked = Math.min(options.receiveBuffer, MAX_RECEIVE_BUFFER);
  const name = target.kind === 'bind' ? formatSocketAddress(target.address) : target.name;
  const counters: ListenerCounters = { name, datagrams: 0, bytes: 0, kernelDrops: 0, errors: 0 };
  let socket: Socket | null = null;
  let granted = 0;
  let bound: SocketAddress = { host: '', port: 0 };
  let lastDrops = 0;
  /** Where others may have the port too: what tells this process' sockets from theirs. */
  let ownInodes: ReadonlySet<number> | null = null;

  function isIPv6Target(): boolean {
    return target.kind === 'bind' ? isIPv6(target.address.host) : target.family === 6;
  }

  return {
    counters,
    receiveBuffer: () => granted,
    async start() {
      const opened = createSocket({
        type: isIPv6Target() ? 'udp6' : 'udp4',
        ...(target.kind === 'bind' && isIPv6Target() && { ipv6Only: target.ipv6Only }),
        // Unknown to Node 20, which then refuses the second socket.
        ...(options.reusePort && { reusePort: true }),
      });
      opened.on('message', (bytes, from) => {
        counters.datagrams++;
        counters.bytes += bytes.length;
        onDatagram(bytes, from.address, from.port);
      });
      try {
        await bind(opened, target);
      } catch (error) {
        opened.close();
        throw new RogueSmtpError('io', describeListenError(`UDP ${name}`, error, BIND_HINTS), {
          cause: error,
        });
      }
      socket = opened;
      if (options.reusePort) ownInodes = await socketsOfProcess();
      opened.on('error', (error) => {
        counters.errors++;
        onError(error);
      });
      // A passed socket has what its unit says (ReceiveBuffer=), which may be more than we could ask for.
      if (target.kind === 'bind') askReceiveBuffer(opened, asked);
      granted = grantedReceiveBuffer(opened);
      const address = opened.address();
      bound = { host: address.address, port: address.port };
      return bound;
    },
    async stop() {
      const closing = socket;
      if (closing === null) return;
      socket = null;
      await new Promise<void>((resolve) => closing.close(() => resolve()));
    },
    noteDrops(sockets) {
      if (socket === null) return;
      const family = isIPv6Target() ? 6 : 4;
      const own = sockets.find((entry) =>
        target.kind === 'inherited'
          ? entry.inode === target.inode
          : entry.family === family &&
            entry.port === bound.port &&
            entry.address === bound.host &&
            (ownInodes?.has(entry.inode) ?? true),
      );
      if (own === undefined) return;
      // The kernel counts in 32 bits.
      counters.kernelDrops += (own.drops - lastDrops) >>> 0;
      lastDrops = own.drops;
    },
  };
}

function bind(socket: Socket, target: ListenTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('listening', () => {
      socket.off('error', reject);
      resolve();
    });
    if (target.kind === 'inherited') socket.bind({ fd: target.fd });
    else socket.bind({ address: target.address.host, port: target.address.port, exclusive: true });
  });
}

function askReceiveBuffer(socket: Socket, bytes: number): void {
  try {
    socket.setRecvBufferSize(bytes);
  } catch {
    // BSD and macOS refuse what is over kern.ipc.maxsockbuf instead of giving that much.
  }
}

/** Linux answers with twice of what it was asked for, the other half being for its own book-keeping (socket(7)). */
function grantedReceiveBuffer(socket: Socket): number {
  const got = socket.getRecvBufferSize();
  return platform() === 'linux' ? got / 2 : got;
}
