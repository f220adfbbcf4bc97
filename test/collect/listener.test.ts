import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { readUdpSockets } from '../../src/collect/kernel-drops.ts';
import { createListener, type Listener, type OnDatagram } from '../../src/collect/listener.ts';
import { batchObstacle } from '../support/udp-batches.ts';

const haveIPv6 = networkInterfaces().lo?.some((address) => address.family === 'IPv6') ?? false;

const [major, minor] = process.versions.node.split('.').map(Number);
const canShare = major > 22 || (major === 22 && minor >= 12);

describe.each([
  { receiver: 'auto', obstacle: batchObstacle },
  { receiver: 'node', obstacle: null },
] as const)('receiver: $receiver', ({ receiver, obstacle }) => {
  describe.skipIf(obstacle !== null)(`(skipped: ${obstacle ?? 'no'})`, () => {
    const open: Listener[] = [];
    afterEach(async () => {
      await Promise.all(open.splice(0).map((listener) => listener.stop()));
    });

    function listenerOn(
      host: string,
      port: number,
      onDatagram: OnDatagram = () => undefined,
      receiveBuffer = 65_536,
      reusePort = false,
    ) {
      const target = { kind: 'bind', address: { host, port }, ipv6Only: false } as const;
      const listener = createListener(
        { target, receiveBuffer, reusePort, receiver },
        onDatagram,
        () => undefined,
      );
      open.push(listener);
      return listener;
    }

    async function send(host: string, port: number, payloads: readonly string[]): Promise<void> {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      for (const payload of payloads) {
        await new Promise<void>((resolve, reject) =>
          socket.send(payload, port, host, (error) => (error ? reject(error) : resolve())),
        );
      }
      socket.close();
    }

    async function until(condition: () => boolean): Promise<void> {
      for (let i = 0; i < 500 && !condition(); i++) await sleep(10);
      expect(condition()).toBe(true);
    }

    test('datagrams are handed on with their sender, and counted', async () => {
      const seen: string[] = [];
      const listener = listenerOn('127.0.0.1', 0, (bytes, address) => seen.push(`${address} ${bytes}`));
      const { port } = await listener.start();
      await send('127.0.0.1', port, ['one', 'four']);
      await until(() => seen.length === 2);
      expect(seen).toEqual(['127.0.0.1 one', '127.0.0.1 four']);
      expect(listener.counters).toMatchObject({ datagrams: 2, bytes: 7, errors: 0 });
    });

    test('the receive buffer that was given is told', async () => {
      const listener = listenerOn('127.0.0.1', 0, () => undefined, 100_000);
      expect(listener.receiveBuffer()).toBe(0);
      await listener.start();
      expect(listener.receiveBuffer()).toBe(100_000);
      const greedy = listenerOn('127.0.0.1', 0, () => undefined, 2 ** 34);
      await greedy.start();
      expect(greedy.receiveBuffer()).toBeGreaterThan(0);
    });

    test('an address that is taken is an error that says so', async () => {
      const first = listenerOn('127.0.0.1', 0);
      const { port } = await first.start();
      await expect(listenerOn('127.0.0.1', port).start()).rejects.toMatchObject({
        code: 'io',
        message: expect.stringContaining(`127.0.0.1:${port} is taken`),
      });
    });

    test('an address that this machine does not have is an error that says so', async () => {
      await expect(listenerOn('192.0.2.254', 0).start()).rejects.toMatchObject({
        code: 'io',
        message: expect.stringContaining('no interface'),
      });
    });

    test('stopping twice, or before the start, does nothing', async () => {
      const listener = listenerOn('127.0.0.1', 0);
      await listener.stop();
      await listener.start();
      await listener.stop();
      await listener.stop();
    });

    describe.skipIf(!existsSync('/proc/net/udp'))(
      'drops of the kernel (skipped without /proc/net/udp)',
      () => {
        test('are taken from the line of the own socket, growing only', async () => {
          const listener = listenerOn('127.0.0.1', 0);
          const { port } = await listener.start();
          const own = { family: 4, address: '127.0.0.1', port, inode: 5 } as const;
          const other = { ...own, address: '127.0.0.2', drops: 1000 };
          listener.noteDrops([other, { ...own, drops: 4294967290 }]);
          expect(listener.counters.kernelDrops).toBe(4294967290);
          listener.noteDrops([{ ...own, drops: 4 }]);
          expect(listener.counters.kernelDrops).toBe(4294967300);
          listener.noteDrops([]);
          expect(listener.counters.kernelDrops).toBe(4294967300);
        });

        test('and what was received add up to what was sent into a small buffer', async () => {
          const listener = listenerOn('127.0.0.1', 0, () => undefined, 4096);
          const { port } = await listener.start();
          const sender = createSocket('udp4');
          await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
          // Sent without giving the listener a turn, so that its buffer overflows.
          const sent = 500;
          let done = 0;
          for (let i = 0; i < sent; i++) sender.send(Buffer.alloc(1400), port, '127.0.0.1', () => done++);
          await until(() => done === sent);
          await sleep(100);
          listener.noteDrops(await readUdpSockets());
          sender.close();
          expect(listener.counters.kernelDrops).toBeGreaterThan(0);
          expect(listener.counters.datagrams + listener.counters.kernelDrops).toBe(sent);
        });

        test.skipIf(!haveIPv6)('are known for an IPv6 socket too (skipped without IPv6)', async () => {
          const listener = listenerOn('::1', 0);
          const { port } = await listener.start();
          const sockets = await readUdpSockets();
          expect(sockets.find((entry) => entry.port === port)).toMatchObject({ family: 6, address: '::1' });
        });
      },
    );

    test.skipIf(receiver === 'node' && !canShare)(
      'a port that is shared: each sender stays at one listener (skipped before Node 22.12 without batches)',
      async () => {
        const seen = [new Map<number, number>(), new Map<number, number>()];
        const share = (i: number, port: number) =>
          listenerOn(
            '127.0.0.1',
            port,
            (_bytes, _address, from) => seen[i].set(from, (seen[i].get(from) ?? 0) + 1),
            65_536,
            true,
          );
        const { port } = await share(0, 0).start();
        await share(1, port).start();
        for (let i = 0; i < 32; i++) await send('127.0.0.1', port, ['a', 'b', 'c']);
        const received = () => seen.flatMap((senders) => [...senders.values()]);
        await until(() => received().reduce((sum, n) => sum + n, 0) === 96);
        expect(received().every((n) => n === 3)).toBe(true);
        expect(seen.every((senders) => senders.size > 0)).toBe(true);
      },
    );

    test('says whether it receives one by one', async () => {
      const listener = listenerOn('127.0.0.1', 0);
      await listener.start();
      expect(listener.oneByOne() === null).toBe(receiver === 'auto');
    });

    test.skipIf(!haveIPv6)(
      'an IPv6 socket takes IPv4 as well, and IPv6 alone when asked (skipped without IPv6)',
      async () => {
        const seen: string[] = [];
        const both = listenerOn('::', 0, (_bytes, address) => seen.push(address.replace('::ffff:', '')));
        const { port } = await both.start();
        await send('127.0.0.1', port, ['one']);
        await until(() => seen.length === 1);
        await send('::1', port, ['two']);
        await until(() => seen.length === 2);
        expect(seen).toEqual(['127.0.0.1', '::1']);
        const target = { kind: 'bind', address: { host: '::', port: 0 }, ipv6Only: true } as const;
        const alone = createListener(
          { target, receiveBuffer: 65_536, reusePort: false, receiver },
          () => undefined,
          () => undefined,
        );
        open.push(alone);
        const taken = await alone.start();
        // Free for IPv4 still.
        await listenerOn('0.0.0.0', taken.port).start();
      },
    );

    test('datagrams without a byte, and of the largest size, arrive as they are', async () => {
      const seen: string[] = [];
      const listener = listenerOn('127.0.0.1', 0, (bytes) => seen.push(bytes.toString('latin1')), 1_000_000);
      const { port } = await listener.start();
      const sizes = [0, 65_507, 1472, 0, 1];
      await send(
        '127.0.0.1',
        port,
        sizes.map((size) => 'x'.repeat(size)),
      );
      await until(() => seen.length === sizes.length);
      expect(seen.map((text) => text.length)).toEqual(sizes);
      expect(listener.counters).toMatchObject({ datagrams: 5, bytes: 66_980, cut: 0 });
    });

    test('what waits when it stops is not handed on later, and the port is free again', async () => {
      let seen = 0;
      const listener = listenerOn('127.0.0.1', 0, () => seen++);
      const { port } = await listener.start();
      await listener.stop();
      const again = listenerOn('127.0.0.1', port);
      await again.start();
      await send('127.0.0.1', port, ['late']);
      await until(() => again.counters.datagrams === 1);
      expect(seen).toBe(0);
    });

    test.skipIf(!existsSync('/proc/net/udp'))(
      'its drops are those of /proc, asked of the socket or noted (skipped without /proc)',
      async () => {
        const listener = listenerOn('127.0.0.1', 0, () => undefined, 4096);
        const { port } = await listener.start();
        const sender = createSocket('udp4');
        let done = 0;
        for (let i = 0; i < 300; i++) sender.send(Buffer.alloc(1400), port, '127.0.0.1', () => done++);
        await until(() => done === 300);
        sender.close();
        await sleep(50);
        expect(listener.readDrops()).toBe(receiver === 'auto');
        const { kernelDrops } = listener.counters;
        const inKernel = (await readUdpSockets()).find((entry) => entry.port === port)?.drops;
        listener.noteDrops(await readUdpSockets());
        expect(inKernel).toBeGreaterThan(0);
        expect(listener.counters.kernelDrops).toBe(inKernel);
        if (receiver === 'auto') expect(kernelDrops).toBe(inKernel);
      },
    );
  });
});
