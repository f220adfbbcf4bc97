import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DatagramRing } from '../../src/collect/datagram-ring.ts';
import { EAGAIN } from '../../src/collect/udp-socket.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import type { Decoder, DecoderOptions } from '../../src/decode/types.ts';
import { createFlowBatch, type FlowBatch } from '../../src/flow/batch.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { createGrammar } from '../fuzz/grammar.ts';
import { mutate } from '../fuzz/mutate.ts';
import { createRandom } from '../fuzz/random.ts';
import { batchObstacle, udpCalls } from '../support/udp-batches.ts';

const LARGEST = 65_507;
const LOOPBACK = { host: '127.0.0.1', port: 0 };

describe.skipIf(batchObstacle !== null)(`a ring (skipped: ${batchObstacle ?? 'no'})`, () => {
  let descriptor = -1;
  let port = 0;
  let sender: Socket;

  beforeEach(async () => {
    const calls = udpCalls();
    descriptor = calls.open(LOOPBACK, { ipv6Only: false, reusePort: false });
    calls.askReceiveBuffer(descriptor, 4 * 1024 * 1024);
    port = calls.boundAddress(descriptor).port;
    sender = createSocket('udp4');
    await new Promise<void>((resolve) => sender.bind(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    udpCalls().close(descriptor);
    sender.close();
  });

  async function send(datagrams: readonly Buffer[]): Promise<void> {
    await Promise.all(
      datagrams.map(
        (bytes) =>
          new Promise<void>((resolve, reject) =>
            sender.send(bytes, port, '127.0.0.1', (error) => (error ? reject(error) : resolve())),
          ),
      ),
    );
  }

  /** Calls back for every datagram that waits, in the order of arrival. */
  function take(ring: DatagramRing, each: (slot: number) => void): number[] {
    const calls: number[] = [];
    for (;;) {
      const count = ring.receive(descriptor);
      if (count < 0) {
        expect(count).toBe(-EAGAIN);
        return calls;
      }
      calls.push(count);
      for (let slot = 0; slot < count; slot++) each(slot);
    }
  }

  /** Each byte says whose it is: no two datagrams in a row agree anywhere. */
  function filled(size: number, n: number): Buffer {
    return Buffer.alloc(size, (n % 255) + 1);
  }

  test('nothing waits: it says so at once', () => {
    expect(new DatagramRing(udpCalls(), 4).receive(descriptor)).toBe(-EAGAIN);
  });

  test('a datagram never sees the bytes of its neighbours, whatever the sizes, and is cut at the end of its slot', async () => {
    const sizes = fc.oneof(
      { arbitrary: fc.nat(100), weight: 4 },
      { arbitrary: fc.constantFrom(0, 1, 1471, 1472, 1473, 4096), weight: 4 },
      { arbitrary: fc.constantFrom(LARGEST, LARGEST - 1), weight: 1 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(1, 3, 64),
        fc.constantFrom(65_536, LARGEST, 1472, 1, 64),
        async (lengths, slots, slotBytes) => {
          const ring = new DatagramRing(udpCalls(), slots, slotBytes);
          // Twice, so that every slot is used again, by a shorter or a longer one.
          for (const order of [lengths, lengths.toReversed()]) {
            const sent = order.map(filled);
            await send(sent);
            let n = 0;
            take(ring, (slot) => {
              const whole = sent[n++];
              const bytes = ring.bytes(slot);
              expect(bytes.length).toBe(Math.min(whole.length, slotBytes));
              expect(bytes.equals(whole.subarray(0, slotBytes))).toBe(true);
              expect(ring.isCut(slot)).toBe(whole.length > slotBytes);
              expect(ring.source(slot)).toBe('127.0.0.1');
              expect(ring.sourcePort(slot)).toBe(sender.address().port);
            });
            expect(n).toBe(sent.length);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the arrival of the oldest datagram is told where it was asked for', async () => {
    const ring = new DatagramRing(udpCalls(), 4);
    await send([filled(1, 1)]);
    take(ring, () => expect(ring.oldestArrivalMs()).toBeNull());
    udpCalls().stampArrivals(descriptor);
    // The first sockets that ask switch it on for packets to come, a moment later.
    await sleep(50);
    const fromMs = Date.now();
    await send([filled(1, 1), filled(70, 2)]);
    await sleep(30);
    let taken = 0;
    take(ring, () => {
      taken++;
      const arrivedMs = ring.oldestArrivalMs() ?? 0;
      expect(arrivedMs).toBeGreaterThan(fromMs - 5);
      expect(arrivedMs).toBeLessThan(Date.now() - 10);
    });
    expect(taken).toBe(2);
  });

  test('one call takes as many as there are slots', async () => {
    await send(Array.from({ length: 10 }, (_, n) => filled(10, n)));
    expect(take(new DatagramRing(udpCalls(), 4), () => undefined)).toEqual([4, 4, 2]);
  });

  const OPTIONS: DecoderOptions = {
    templateScope: 'address',
    tunnels: 'both',
    limits: {
      exporters: 16,
      templatesPerExporter: 64,
      templates: 256,
      fieldsPerTemplate: 64,
      pendingBytes: 65_536,
      pendingAgeMs: 60_000,
    },
  };

  function decoding(seen: unknown[]): { decoder: Decoder; batch: FlowBatch } {
    const sink = {
      batch: createFlowBatch(65_536),
      flush: () => {
        throw new Error('the batch is full');
      },
    };
    return {
      decoder: createDecoder({ ...OPTIONS, onOptions: (record) => seen.push(record) }, sink),
      ...sink,
    };
  }

  test('flows, templates, options and data that waits are those of datagrams in memory of their own', async () => {
    for (const seed of [1, 2, 3]) {
      const random = createRandom(seed);
      const grammar = createGrammar(random);
      const ring = new DatagramRing(udpCalls(), 7);
      const [own, shared]: [unknown[], unknown[]] = [[], []];
      const apart = decoding(own);
      const through = decoding(shared);
      const exporter = new Uint8Array(16).fill(9);
      for (let round = 0; round < 20; round++) {
        const datagrams = Array.from({ length: 20 }, () => {
          const datagram = grammar.datagram(1);
          return random.oneIn(4)
            ? mutate(datagram, grammar.datagram(1), random).subarray(0, LARGEST)
            : datagram;
        });
        await send(datagrams);
        let n = 0;
        take(ring, (slot) => {
          const nowMs = 1_767_225_600_000 + round;
          const expected = apart.decoder.decode(Buffer.from(datagrams[n++]), exporter, 2055, nowMs);
          expect(through.decoder.decode(ring.bytes(slot), exporter, 2055, nowMs)).toEqual(expected);
        });
        expect(n).toBe(datagrams.length);
      }
      expect(through.decoder.counters).toEqual(apart.decoder.counters);
      expect(shared).toEqual(own);
      expect(apart.batch.length).toBeGreaterThan(0);
      expect(encodeNative(through.batch).equals(encodeNative(apart.batch))).toBe(true);
      expect(through.decoder.snapshot()).toEqual(apart.decoder.snapshot());
    }
  });
});
