/** Receives through node:dgram, one datagram a call: wherever Node runs, with nothing to install. */

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { platform } from 'node:os';
import type { ListenTarget } from './listen-targets.ts';
import type { Receiver, ReceiverEvents, ReceiverOptions } from './receiver.ts';

/** `reason`: why not in batches. Throws what Node throws when the address cannot be had. */
export async function openNodeReceiver(
  { target, receiveBuffer, reusePort }: ReceiverOptions,
  { onDatagram, onError }: ReceiverEvents,
  reason: string,
): Promise<Receiver> {
  const isIPv6Target = target.kind === 'bind' ? isIPv6(target.address.host) : target.family === 6;
  const socket = createSocket({
    type: isIPv6Target ? 'udp6' : 'udp4',
    ...(target.kind === 'bind' && isIPv6Target && { ipv6Only: target.ipv6Only }),
    // Unknown to Node 20, which then refuses the second socket.
    ...(reusePort && { reusePort: true }),
  });
  // Node's own room is that of the largest datagram.
  socket.on('message', (bytes, from) => onDatagram(bytes, from.address, from.port, false));
  try {
    await bind(socket, target);
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', onError);
  if (target.kind === 'bind') askReceiveBuffer(socket, receiveBuffer);
  const { address, port } = socket.address();
  return {
    address: { host: address, port },
    receiveBuffer: grantedReceiveBuffer(socket),
    oneByOne: reason,
    // Node reads when the event loop comes to it.
    drain: () => undefined,
    drops: () => null,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
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
