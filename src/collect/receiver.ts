/** What receives for a listener: one datagram a call through Node, or many through the C library. */

import type { SocketAddress } from '../config/values.ts';
import type { ListenTarget } from './listen-targets.ts';

export interface Receiver {
  readonly address: SocketAddress;
  /** Bytes of receive buffer that the kernel gave, as it counts them when asked for so many. */
  readonly receiveBuffer: number;
  /** Why it takes one datagram a call, in plain words; null where it takes many. */
  readonly oneByOne: string | null;
  /** Hands on what waits in the socket now, where that can be done at once. */
  drain(): void;
  /** What the kernel dropped since the socket was opened, modulo 2^32; null where only /proc tells. */
  drops(): number | null;
  close(): Promise<void>;
}

export interface ReceiverOptions {
  readonly target: ListenTarget;
  /** Bytes asked of the kernel; a passed socket has what its unit says (ReceiveBuffer=), which may be more. */
  readonly receiveBuffer: number;
  /** Other processes may listen on the same port. */
  readonly reusePort: boolean;
}

export interface ReceiverEvents {
  /**
   * `bytes` are the receiver's and are overwritten after the call: what is kept must be copied. `host` is text as the
   * system gives it, a zone index possibly included. `isCut`: the datagram was longer than there was room for.
   */
  readonly onDatagram: (bytes: Buffer, host: string, port: number, isCut: boolean) => void;
  readonly onError: (error: Error) => void;
  /** How long the oldest datagram of a batch was in the socket, in ms, where the kernel tells; one call a batch. */
  readonly onWait?: ((ms: number) => void) | undefined;
}

/** setsockopt takes a signed 32-bit integer, and the kernel doubles it. */
export const MAX_RECEIVE_BUFFER = 2 ** 30 - 1;
