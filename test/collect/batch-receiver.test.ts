import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createBatchReceiver } from '../../src/collect/batch-receiver.ts';
import type { Receiver } from '../../src/collect/receiver.ts';
import type { UdpCalls } from '../../src/collect/udp-socket.ts';
import { batchObstacle, udpCalls } from '../support/udp-batches.ts';

const EBADF = 9;

describe.skipIf(batchObstacle !== null)(`receiving in batches (skipped: ${batchObstacle ?? 'no'})`, () => {
  let sender: Socket;
  let receiver: Receiver | null = null;
  let seen: number[] = [];
  let errors: string[] = [];
  /** Calls of recvmmsg. */
  let looks = 0;
  let closed = 0;
  /** What the next calls answer instead of the kernel. */
  let answers: number[] = [];

  beforeEach(async () => {
    [seen, errors, looks, closed, answers] = [[], [], 0, 0, []];
    sender = createSocket('udp4');
    await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await receiver?.close();
    receiver = null;
    sender.close();
  });

  function open(onNumber: (n: number) => void = () => undefined): Receiver {
    const real = udpCalls();
    const calls: UdpCalls = {
      ...real,
      receive(descriptor, messages, slots) {
        looks++;
        return answers.shift() ?? real.receive(descriptor, messages, slots);
      },
      close(descriptor) {
        closed++;
        real.close(descriptor);
      },
    };
    const descriptor = calls.open({ host: '127.0.0.1', port: 0 }, { ipv6Only: false, reusePort: false });
    calls.askReceiveBuffer(descriptor, 4 * 1024 * 1024);
    receiver = createBatchReceiver(calls, descriptor, {
      onDatagram(bytes) {
        seen.push(bytes.readUInt32BE());
        onNumber(seen.length);
      },
      onError: (error) => errors.push(error.message),
    });
    return receiver;
  }

  async function send(from: number, to: number): Promise<void> {
    const { port } = (receiver as Receiver).address;
    const sends: Promise<void>[] = [];
    for (let n = from; n < to; n++) {
      const bytes = Buffer.alloc(20);
      bytes.writeUInt32BE(n);
      sends.push(new Promise<void>((resolve) => sender.send(bytes, port, '127.0.0.1', () => resolve())));
    }
    await Promise.all(sends);
  }

  async function until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < 500 && !condition(); i++) await sleep(5);
    expect(condition()).toBe(true);
  }

  const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

  test('bursts larger than a turn takes arrive whole, each once and in order, and so does what comes later', async () => {
    open();
    await send(0, 1500);
    await until(() => seen.length >= 1500);
    await sleep(20);
    await send(1500, 1501);
    await until(() => seen.length >= 1501);
    await send(1501, 1600);
    await until(() => seen.length >= 1600);
    await sleep(20);
    expect(seen).toEqual(upTo(1600));
  });

  test('while it is quiet nothing looks, and a single datagram takes two looks', async () => {
    open();
    await sleep(60);
    expect(looks).toBe(0);
    await send(0, 1);
    await until(() => seen.length === 1);
    await sleep(60);
    expect(looks).toBeLessThanOrEqual(3);
  });

  test('an error is told, and receiving goes on behind it', async () => {
    open();
    answers = [-EBADF];
    await send(0, 3);
    await until(() => seen.length === 3);
    expect(errors).toEqual(['recvmmsg EBADF']);
    expect(seen).toEqual([0, 1, 2]);
  });

  test('an error that stays is told now and then, not in every turn', async () => {
    open();
    answers = Array.from({ length: 10_000 }, () => -EBADF);
    await send(0, 1);
    await sleep(350);
    expect(errors.length).toBeGreaterThanOrEqual(1);
    expect(errors.length).toBeLessThanOrEqual(5);
  });

  test('draining takes at once what the socket holds', async () => {
    const { drain } = open();
    await send(0, 100);
    drain();
    expect(seen).toEqual(upTo(100));
  });

  test('closing in the middle of a batch ends it; nothing is handed on, nor closed, after it', async () => {
    const opened = open((n) => {
      if (n === 5) void opened.close();
    });
    await send(0, 200);
    opened.drain();
    await opened.close();
    const taken = seen.length;
    await sleep(30);
    expect(seen).toEqual(upTo(taken));
    expect(taken).toBeLessThanOrEqual(64);
    expect(closed).toBe(1);
    opened.drain();
    expect(seen.length).toBe(taken);
  });
});
