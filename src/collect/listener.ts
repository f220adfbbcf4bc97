/**
 * A UDP socket that export datagrams arrive on.
 *
 * It hands each datagram on and counts; it never looks inside. The receive buffer is what carries the collector over
 * moments in which it is busy, so what the kernel really gave is read back and told.
 */

import { isIPv6 } from 'node:net';
import { formatSocketAddress, type SocketAddress } from '../config/values.ts';
import { describeListenError, RogueSmtpError } from '../errors.ts';
import { openBatchReceiver } from './batch-receiver.ts';
import { socketsOfProcess, type UdpSocketEntry } from './kernel-drops.ts';
import { openNodeReceiver } from './node-receiver.ts';
import { MAX_RECEIVE_BUFFER, type Receiver, type ReceiverEvents, type ReceiverOptions } from './receiver.ts';
import { loadUdpCalls, type UdpCalls } from './udp-socket.ts';

export interface ListenerOptions extends ReceiverOptions {
  /** `auto`, the default: many datagrams a call where that can be had. `node`: by node:dgram. */
  readonly receiver?: ReceiverChoice | undefined;
}

export type ReceiverChoice = 'auto' | 'node';

/** The calls that receive many datagrams at once; else, in plain words, why they are not used. */
async function batchCalls(choice: ReceiverChoice = 'auto'): Promise<UdpCalls | string> {
  return choice === 'node' ? 'collector.receiver is set to node' : loadUdpCalls();
}

/** Why datagrams are received one by one here, in plain words; null where they are not. */
export async function whyOneByOne(choice: ReceiverChoice): Promise<string | null> {
  const calls = await batchCalls(choice);
  return typeof calls === 'string' ? calls : null;
}

export interface ListenerCounters {
  /** Address and port, or the name that systemd gave. */
  readonly name: string;
  datagrams: number;
  bytes: number;
  /** Datagrams that the kernel threw away because the receive buffer was full, over the life of the socket. */
  kernelDrops: number;
  /** Datagrams whose end was lost because they were longer than the room for one. */
  cut: number;
  /** Errors of the socket after it was opened. */
  errors: number;
}

export interface Listener {
  /** Resolves with the address bound. Throws RogueSmtpError `io` when the address cannot be had. */
  start(): Promise<SocketAddress>;
  stop(): Promise<void>;
  /** Hands on what waits in the socket now, where that can be done at once. */
  drain(): void;
  /** Bytes of receive buffer that the kernel gave, as it counts them when asked for so many; 0 before the start. */
  receiveBuffer(): number;
  /** Why datagrams are received one by one, in plain words; null where many are received in a call. Known once started. */
  oneByOne(): string | null;
  /** Asks the socket itself for its drops; false when it does not tell, and `noteDrops` is needed. */
  readDrops(): boolean;
  /** Takes the drops of this socket out of all UDP sockets of the system. */
  noteDrops(sockets: readonly UdpSocketEntry[]): void;
  readonly counters: ListenerCounters;
}

/**
 * `bytes` are overwritten after the call: what is kept of them must be copied. `address` is text as the system gives it, a
 * zone index possibly included.
 */
export type OnDatagram = (bytes: Buffer, address: string, port: number) => void;

/** What helps when an address cannot be had. */
export const BIND_HINTS = {
  taken: 'ss -lunp shows which. collector.reuse_port shares it between collectors',
  low: 'CAP_NET_BIND_SERVICE or a systemd socket',
};

export function createListener(
  options: ListenerOptions,
  onDatagram: OnDatagram,
  onError: (error: Error) => void,
  onWait?: (ms: number) => void,
): Listener {
  const { target, reusePort } = options;
  const receiveBuffer = Math.min(options.receiveBuffer, MAX_RECEIVE_BUFFER);
  const name = target.kind === 'bind' ? formatSocketAddress(target.address) : target.name;
  const counters: ListenerCounters = { name, datagrams: 0, bytes: 0, kernelDrops: 0, cut: 0, errors: 0 };
  const events: ReceiverEvents = {
    onDatagram(bytes, address, port, isCut) {
      counters.datagrams++;
      counters.bytes += bytes.length;
      if (isCut) counters.cut++;
      onDatagram(bytes, address, port);
    },
    onError(error) {
      counters.errors++;
      onError(error);
    },
    onWait,
  };
  let receiver: Receiver | null = null;
  let granted = 0;
  let lastDrops = 0;
  /** Where others may have the port too: what tells this process' sockets from theirs. */
  let ownInodes: ReadonlySet<number> | null = null;

  async function open(): Promise<Receiver> {
    const calls = await batchCalls(options.receiver);
    if (typeof calls !== 'string')
      return openBatchReceiver(calls, { target, receiveBuffer, reusePort }, events);
    const opened = await openNodeReceiver({ target, receiveBuffer, reusePort }, events, calls);
    if (reusePort) ownInodes = await socketsOfProcess();
    return opened;
  }

  /** The kernel counts in 32 bits. */
  function takeDrops(drops: number): void {
    counters.kernelDrops += (drops - lastDrops) >>> 0;
    lastDrops = drops;
  }

  return {
    counters,
    receiveBuffer: () => granted,
    oneByOne: () => receiver?.oneByOne ?? null,
    async start() {
      try {
        receiver = await open();
      } catch (error) {
        throw new RogueSmtpError('io', describeListenError(`UDP ${name}`, error, BIND_HINTS), {
          cause: error,
        });
      }
      granted = receiver.receiveBuffer;
      return receiver.address;
    },
    async stop() {
      const closing = receiver;
      receiver = null;
      await closing?.close();
    },
    drain: () => receiver?.drain(),
    readDrops() {
      const drops = receiver?.drops() ?? null;
      if (drops !== null) takeDrops(drops);
      return drops !== null;
    },
    noteDrops(sockets) {
      if (receiver === null) return;
      const { host, port } = receiver.address;
      const family = target.kind === 'inherited' || isIPv6(target.address.host) ? 6 : 4;
      const own = sockets.find((entry) =>
        target.kind === 'inherited'
          ? entry.inode === target.inode
          : entry.family === family &&
            entry.port === port &&
            entry.address === host &&
            (ownInodes?.has(entry.inode) ?? true),
      );
      if (own !== undefined) takeDrops(own.drops);
    },
  };
}
