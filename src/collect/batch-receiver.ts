/**
 * Receives many datagrams a call (`recvmmsg`) into a ring of slots. Of the cost of a datagram, Node's own way (a call, a
 * buffer, an object and a text for each) is 70 to 80 percent.
 *
 * The event loop tells when the first datagram is there. From then on a timer looks every millisecond, so that many have
 * come by then, until it finds nothing: then the event loop watches again, and nothing runs while it is quiet. A datagram
 * waits a millisecond at most. Only one reader takes from the socket, so each is handed on once, in the order of arrival.
 */

import { clearImmediate, clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { DatagramRing } from './datagram-ring.ts';
import type { Receiver, ReceiverEvents, ReceiverOptions } from './receiver.ts';
import { EAGAIN, EINTR, SocketCallError, type UdpCalls } from './udp-socket.ts';

/** Measured with 30-record v5 datagrams: 32, 64 and 128 slots do equally well. */
const SLOTS = 64;
/** Calls in a row before others get a turn of the event loop: 512 datagrams, a millisecond or two of work. */
const CALLS_A_TURN = 8;
const LOOK_MS = 1;
/** After an error, which is told each time. */
const PAUSE_MS = 100;

/** Opens the socket, or takes over the one that was passed. Throws SocketCallError when the address cannot be had. */
export function openBatchReceiver(
  calls: UdpCalls,
  { target, receiveBuffer, reusePort }: ReceiverOptions,
  events: ReceiverEvents,
): Receiver {
  if (target.kind === 'inherited') return createBatchReceiver(calls, target.fd, events);
  const descriptor = calls.open(target.address, { ipv6Only: target.ipv6Only, reusePort });
  calls.askReceiveBuffer(descriptor, receiveBuffer);
  return createBatchReceiver(calls, descriptor, events);
}

/** Takes over an open socket, and closes it in the end. */
export function createBatchReceiver(
  calls: UdpCalls,
  descriptor: number,
  { onDatagram, onError, onWait }: ReceiverEvents,
  ring = new DatagramRing(calls, SLOTS),
): Receiver {
  let isClosed = false;
  let timer: NodeJS.Timeout | null = null;
  let pause: NodeJS.Timeout | null = null;
  let immediate: NodeJS.Immediate | null = null;
  let hasFailed = false;
  const address = calls.boundAddress(descriptor);
  if (onWait !== undefined) calls.stampArrivals(descriptor);
  const watch = calls.watch(descriptor, onReadable);

  /** The callback of the watch is not a turn of its own; what follows in this very turn of the event loop is. */
  function onReadable(): void {
    watch.stop();
    immediate ??= setImmediate(look);
  }

  /** What waits now, at most CALLS_A_TURN rings full; how many of them were taken. */
  function take(): number {
    let taken = 0;
    hasFailed = false;
    for (let call = 0; call < CALLS_A_TURN && !isClosed; call++) {
      const count = ring.receive(descriptor);
      if (count < 0) {
        if (count === -EINTR) continue;
        hasFailed = count !== -EAGAIN;
        if (hasFailed) onError(new SocketCallError('recvmmsg', -count));
        break;
      }
      const arrivedMs = onWait === undefined ? null : ring.oldestArrivalMs();
      if (arrivedMs !== null) onWait?.(Date.now() - arrivedMs);
      for (let slot = 0; slot < count; slot++)
        onDatagram(ring.bytes(slot), ring.source(slot), ring.sourcePort(slot), ring.isCut(slot));
      taken += count;
      if (count < ring.slots) break;
    }
    return taken;
  }

  function look(): void {
    immediate = null;
    const taken = take();
    if (isClosed) return;
    if (hasFailed) pause = setTimeout(look, PAUSE_MS);
    else if (taken === 0) watch.start(onReadable);
    else if (taken === CALLS_A_TURN * ring.slots) immediate = setImmediate(look);
    else if (timer === null) timer = setTimeout(look, LOOK_MS);
    else timer.refresh();
  }

  return {
    address,
    receiveBuffer: calls.receiveBuffer(descriptor),
    oneByOne: null,
    drain: take,
    drops: () => calls.drops(descriptor),
    async close() {
      if (isClosed) return;
      isClosed = true;
      if (timer !== null) clearTimeout(timer);
      if (pause !== null) clearTimeout(pause);
      if (immediate !== null) clearImmediate(immediate);
      watch.close();
      calls.close(descriptor);
    },
  };
}
