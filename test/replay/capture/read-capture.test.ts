import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RogueSmtpError } from '../../../src/errors.ts';
import { formatAddress, parseAddress } from '../../../src/flow/address.ts';
import type { CaptureCounters, CapturedDatagram } from '../../../src/replay/capture/capture.ts';
import { readCapture } from '../../../src/replay/capture/read-capture.ts';
import {
  ethernet,
  etherTypeOf,
  fragments4,
  ipv4,
  ipv6,
  pcap,
  pcapngBlocks,
  udp4,
  udpHeader,
  wordsOf,
} from '../../support/capture-builder.ts';
import { haveVectors, VECTORS_DIR } from '../../support/vectors.ts';

let directory = '';
let files = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'rogue-smtp-capture-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Outcome {
  readonly datagrams: CapturedDatagram[];
  readonly counters: CaptureCounters;
  readonly error: unknown;
  readonly path: string;
}

async function read(bytes: Uint8Array): Promise<Outcome> {
  const path = join(directory, `capture-${files++}`);
  await writeFile(path, bytes);
  const capture = readCapture(path);
  const datagrams: CapturedDatagram[] = [];
  let error: unknown = null;
  try {
    for await (const datagram of capture) datagrams.push(datagram);
  } catch (thrown) {
    error = thrown;
  }
  await rm(path);
  return { datagrams, counters: capture.counters, error, path };
}

/** Every packet is a datagram, joined into one, or skipped under a reason. */
function expectWholeAccount({ counters }: Outcome): void {
  const skipped = Object.values(counters.skipped).reduce((sum, n) => sum + n, 0);
  expect(counters.datagrams + counters.joined + skipped).toBe(counters.packets);
}

function skippedOf({ counters }: Outcome): Record<string, number> {
  return Object.fromEntries(Object.entries(counters.skipped).filter(([, n]) => n > 0));
}

const payload = Buffer.from('an export datagram');
const fields = { source: '192.0.2.7', destination: '198.51.100.9', sourcePort: 4321, payload };
const v6Source = parseAddress('2001:db8::7') as Uint8Array;
const v6Destination = parseAddress('2001:db8::9') as Uint8Array;

describe('pcap', () => {
  test.each([
    { bigEndian: false, nanoseconds: false },
    { bigEndian: true, nanoseconds: false },
    { bigEndian: false, nanoseconds: true },
    { bigEndian: true, nanoseconds: true },
  ])('is read in either byte order, with micro- or nanoseconds: %o', async (options) => {
    const outcome = await read(
      pcap([{ bytes: ethernet(udp4(fields)), timeMs: 1_700_000_000_123.75 }], options),
    );
    expect(outcome.error).toBeNull();
    expect(outcome.datagrams).toHaveLength(1);
    const [datagram] = outcome.datagrams;
    expect(datagram.timeMs).toBe(1_700_000_000_123);
    expect(formatAddress(datagram.source)).toBe('192.0.2.7');
    expect(datagram.sourcePort).toBe(4321);
    expect(datagram.destinationPort).toBe(2055);
    expect(datagram.payload.toString()).toBe('an export datagram');
    expectWholeAccount(outcome);
  });

  test('padding of short Ethernet frames is not taken for payload', async () => {
    const frame = Buffer.concat([ethernet(udp4({ ...fields, payload: Buffer.from('x') })), Buffer.alloc(17)]);
    const outcome = await read(pcap([{ bytes: frame }]));
    expect(outcome.datagrams[0].payload.toString()).toBe('x');
  });

  test('a length field that no packet can have ends the reading with file and offset, after what came before', async () => {
    const good = pcap([{ bytes: ethernet(udp4(fields)) }]);
    const outcome = await read(Buffer.concat([good, wordsOf([1, 2, 0x7fffffff, 60], false)]));
    expect(outcome.datagrams).toHaveLength(1);
    expect(outcome.error).toBeInstanceOf(RogueSmtpError);
    expect(outcome.error).toMatchObject({ code: 'io' });
    expect(String(outcome.error)).toContain(outcome.path);
    expect(String(outcome.error)).toContain(`byte ${good.length}`);
  });

  test('a file that ends within a packet gives what is whole and counts the cut', async () => {
    const whole = pcap([{ bytes: ethernet(udp4(fields)) }, { bytes: ethernet(udp4(fields)) }]);
    const outcome = await read(whole.subarray(0, whole.length - 5));
    expect(outcome.error).toBeNull();
    expect(outcome.datagrams).toHaveLength(1);
    expect(skippedOf(outcome)).toEqual({ cut_file: 1 });
    expectWholeAccount(outcome);
  });

  test('a packet cut by the snap length is counted as truncated', async () => {
    const frame = ethernet(udp4(fields));
    const cuts = [5, 13, 20, 38, frame.length - 1];
    const outcome = await read(
      pcap(cuts.map((length) => ({ bytes: frame.subarray(0, length), wireLength: frame.length }))),
    );
    expect(skippedOf(outcome)).toEqual({ truncated: cuts.length });
    expectWholeAccount(outcome);
  });

  test('an unknown link type is counted', async () => {
    const outcome = await read(pcap([{ bytes: udp4(fields) }], { linkType: 147 }));
    expect(outcome.error).toBeNull();
    expect(skippedOf(outcome)).toEqual({ link_type: 1 });
  });

  test('a capture without packets is no error', async () => {
    const outcome = await read(pcap([]));
    expect(outcome.error).toBeNull();
    expect(outcome.counters.packets).toBe(0);
  });

  test('packets that lie across the pieces a file is read in are whole', async () => {
    const frames = Array.from({ length: 600 }, (_, i) =>
      ethernet(udp4({ ...fields, payload: Buffer.alloc(1400, i & 0xff) })),
    );
    const outcome = await read(pcap(frames.map((bytes) => ({ bytes }))));
    expect(outcome.datagrams).toHaveLength(600);
    expect(
      outcome.datagrams.every((datagram, i) => datagram.payload.every((byte) => byte === (i & 0xff))),
    ).toBe(true);
  });
});

describe('link types', () => {
  const packet = udp4(fields);
  const packet6 = ipv6(udpHeader(fields), v6Source, v6Destination);
  const cooked = (bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]), etherTypeOf(bytes), bytes]);
  const cooked2 = (bytes: Uint8Array) =>
    Buffer.concat([
      etherTypeOf(bytes),
      Buffer.from([0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]),
      bytes,
    ]);
  const cookedVlan = Buffer.concat([
    Buffer.from([0x81, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]),
    Buffer.from([0, 100]),
    etherTypeOf(packet),
    packet,
  ]);
  test.each<[string, number, Uint8Array]>([
    ['Ethernet', 1, ethernet(packet)],
    ['Ethernet with IPv6', 1, ethernet(packet6)],
    ['a VLAN tag', 1, ethernet(packet, [0x8100])],
    ['QinQ', 1, ethernet(packet6, [0x88a8, 0x8100])],
    ['old QinQ', 1, ethernet(packet, [0x9100, 0x8100])],
    ['Linux cooked', 113, cooked(packet)],
    ['Linux cooked with IPv6', 113, cooked(packet6)],
    ['Linux cooked v2', 276, cooked2(packet)],
    ['Linux cooked v2 with IPv6', 276, cooked2(packet6)],
    ['Linux cooked v2 with a VLAN tag', 276, cookedVlan],
    ['raw IP', 101, packet],
    ['raw IP with IPv6', 101, packet6],
    ['raw IP of BSD', 12, packet],
    ['raw IP of OpenBSD', 14, packet],
    ['raw IPv4', 228, packet],
    ['raw IPv6', 229, packet6],
    ['BSD loopback, little endian', 0, Buffer.concat([wordsOf([2], false), packet])],
    ['BSD loopback, big endian', 0, Buffer.concat([wordsOf([2], true), packet])],
    ['BSD loopback with IPv6 of macOS', 0, Buffer.concat([wordsOf([30], false), packet6])],
    ['OpenBSD loopback', 108, Buffer.concat([wordsOf([24], true), packet6])],
  ])('%s', async (_name, linkType, bytes) => {
    const outcome = await read(pcap([{ bytes }], { linkType }));
    expect(skippedOf(outcome)).toEqual({});
    expect(outcome.datagrams[0].payload.toString()).toBe('an export datagram');
    expect(formatAddress(outcome.datagrams[0].source)).toMatch(/^(192\.0\.2\.7|2001:db8::7)$/);
  });

  test('what is no IP is counted', async () => {
    const arp = ethernet(Buffer.alloc(28), [], 0x0806);
    const outcome = await read(
      pcap([{ bytes: arp }, { bytes: ethernet(packet, [0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100]) }]),
    );
    expect(skippedOf(outcome)).toEqual({ not_ip: 1 });
  });
});

describe('IP', () => {
  test('other protocols are counted as not UDP', async () => {
    const tcp = ipv4(Buffer.alloc(20), '192.0.2.1', '192.0.2.2', { protocol: 6 });
    const outcome = await read(pcap([{ bytes: ethernet(tcp) }]));
    expect(skippedOf(outcome)).toEqual({ not_udp: 1 });
  });

  test('IPv4 options are passed over', async () => {
    const packet = ipv4(udpHeader(fields), '192.0.2.7', '192.0.2.8', { options: 12 });
    const outcome = await read(pcap([{ bytes: ethernet(packet) }]));
    expect(outcome.datagrams[0].payload.toString()).toBe('an export datagram');
  });

  test('IPv6 extension headers are passed over', async () => {
    const packet = ipv6(udpHeader(fields), v6Source, v6Destination, [
      { number: 0, bytes: Buffer.alloc(8) },
      { number: 60, bytes: Buffer.from([0, 1, ...Array(14).fill(0)]) },
      { number: 51, bytes: Buffer.from([0, 1, ...Array(10).fill(0)]) },
    ]);
    const outcome = await read(pcap([{ bytes: ethernet(packet) }]));
    expect(outcome.datagrams[0].payload.toString()).toBe('an export datagram');
  });

  test('a UDP length that the packet does not have is counted', async () => {
    const long = udp4(fields);
    long.writeUInt16BE(5000, 24);
    const short = udp4(fields);
    short.writeUInt16BE(7, 24);
    const outcome = await read(pcap([{ bytes: ethernet(long) }, { bytes: ethernet(short) }]));
    expect(skippedOf(outcome)).toEqual({ bad_packet: 2 });
  });
});

describe('fragments', () => {
  const large = { ...fields, payload: Buffer.from(Array.from({ length: 4000 }, (_, i) => i & 0xff)) };
  const frames = (packets: readonly Uint8Array[], timeMs?: number) =>
    packets.map((bytes) => ({ bytes: ethernet(bytes), ...(timeMs !== undefined && { timeMs }) }));

  test('are put together in any order, repeated ones too', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }),
        fc.integer({ min: 0, max: 5 }),
        async (order, again) => {
          const parts = fragments4(large, 800, 77);
          const sent = order.map((i) => parts[i]);
          sent.splice(1, 0, parts[again]);
          const outcome = await read(pcap(frames(sent)));
          expect(outcome.datagrams.length).toBe(1);
          expect(outcome.datagrams[0].payload.equals(large.payload)).toBe(true);
          expectWholeAccount(outcome);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('of IPv6 are put together', async () => {
    const whole = udpHeader(large);
    const parts = [0, 1600, 3200].map((offset) => {
      const more = offset + 1600 < whole.length ? 1 : 0;
      const header = Buffer.alloc(8);
      header.writeUInt16BE(offset | more, 2);
      header.writeUInt32BE(0xdeadbeef, 4);
      return ipv6(whole.subarray(offset, offset + 1600), v6Source, v6Destination, [
        { number: 44, bytes: header },
      ]);
    });
    const outcome = await read(pcap(frames([parts[2], parts[0], parts[1]])));
    expect(outcome.datagrams[0].payload.equals(large.payload)).toBe(true);
    expect(formatAddress(outcome.datagrams[0].source)).toBe('2001:db8::7');
    expectWholeAccount(outcome);
  });

  test('of two datagrams of one host are kept apart by their id', async () => {
    const other = { ...large, payload: Buffer.alloc(3000, 9) };
    const a = fragments4(large, 1480, 1);
    const b = fragments4(other, 1480, 2);
    const outcome = await read(pcap(frames([a[0], b[0], a[1], b[1], b[2], a[2]])));
    expect(outcome.datagrams.map((datagram) => datagram.payload.length)).toEqual([3000, 4000]);
  });

  test('that stay alone are counted', async () => {
    const parts = fragments4(large, 800, 5);
    const outcome = await read(pcap(frames([parts[0], parts[2]])));
    expect(skippedOf(outcome)).toEqual({ fragment_incomplete: 2 });
    expectWholeAccount(outcome);
  });

  test('that come minutes apart do not belong together', async () => {
    const parts = fragments4(large, 2000, 5);
    const outcome = await read(
      pcap([...frames(parts.slice(0, 1), 1_700_000_000_000), ...frames(parts.slice(1), 1_700_000_300_000)]),
    );
    expect(outcome.datagrams).toHaveLength(0);
    expectWholeAccount(outcome);
  });

  test('that overlap spoil their datagram (RFC 5722)', async () => {
    const parts = fragments4(large, 800, 5);
    const overlap = ipv4(Buffer.alloc(16), fields.source, fields.destination, {
      id: 5,
      offset: 792,
      more: true,
    });
    const outcome = await read(pcap(frames([parts[0], overlap, ...parts.slice(1)])));
    expect(outcome.datagrams).toHaveLength(0);
    expectWholeAccount(outcome);
  });

  test('that never end do not fill the memory', async () => {
    const packets = Array.from({ length: 3000 }, (_, id) =>
      ipv4(Buffer.alloc(1480), fields.source, fields.destination, { id, more: true }),
    );
    const outcome = await read(pcap(frames(packets)));
    expect(skippedOf(outcome)).toEqual({ fragment_incomplete: 3000 });
    const good = await read(pcap(frames([...packets, ...fragments4(large, 1480, 9999)])));
    expect(good.datagrams).toHaveLength(1);
    expectWholeAccount(good);
  });
});

describe('pcapng', () => {
  const frame = ethernet(udp4(fields));

  test.each([false, true])(
    'big endian %s: sections, interfaces and packet blocks of each kind',
    async (big) => {
      const b = pcapngBlocks(big);
      const outcome = await read(
        Buffer.concat([
          b.section(),
          b.interface(1),
          b.interface(101, [b.option(9, Buffer.from([9]))]),
          b.enhanced(0, 1_700_000_000_123_456n, frame),
          b.enhanced(1, 1_700_000_000_456_789_123n, udp4(fields)),
          b.simple(frame),
          b.obsolete(0, 1_700_000_000_789_000n, frame),
          b.block(5, Buffer.alloc(200_000)),
        ]),
      );
      expect(outcome.error).toBeNull();
      expect(outcome.datagrams.map((datagram) => datagram.timeMs - 1_700_000_000_000)).toEqual([
        123, 456, 456, 789,
      ]);
      expect(outcome.datagrams.every((datagram) => datagram.payload.equals(payload))).toBe(true);
      expectWholeAccount(outcome);
    },
  );

  test('time resolutions of powers of two, and time offsets', async () => {
    const b = pcapngBlocks();
    const offset = Buffer.alloc(8);
    offset.writeBigInt64LE(1_700_000_000n);
    const outcome = await read(
      Buffer.concat([
        b.section(),
        b.interface(1, [b.option(9, Buffer.from([0x80 | 10])), b.option(14, offset)]),
        b.enhanced(0, 512n, frame),
      ]),
    );
    expect(outcome.datagrams[0].timeMs).toBe(1_700_000_000_500);
  });

  test('a later section of the other byte order forgets the interfaces of the one before', async () => {
    const a = pcapngBlocks(false);
    const b = pcapngBlocks(true);
    const outcome = await read(
      Buffer.concat([
        a.section(),
        a.interface(1),
        a.enhanced(0, 1_000_000n, frame),
        b.section(),
        b.enhanced(0, 1_000_000n, frame),
        b.interface(101),
        b.enhanced(0, 2_000_000n, udp4(fields)),
      ]),
    );
    expect(outcome.datagrams.map((datagram) => datagram.timeMs)).toEqual([1000, 2000]);
    expect(skippedOf(outcome)).toEqual({ unknown_interface: 1 });
    expectWholeAccount(outcome);
  });

  test('times that no clock shows are counted', async () => {
    const b = pcapngBlocks();
    const outcome = await read(
      Buffer.concat([
        b.section(),
        b.interface(1, [b.option(9, Buffer.from([0]))]),
        b.interface(1, [b.option(9, Buffer.from([127]))]),
        b.enhanced(0, 0xffffffffffffffffn, frame),
        b.enhanced(1, 0xffffffffffffffffn, frame),
      ]),
    );
    expect(skippedOf(outcome)).toEqual({ bad_time: 1 });
    expect(outcome.datagrams.map((datagram) => datagram.timeMs)).toEqual([0]);
  });

  test('lengths that contradict each other end the reading with the offset', async () => {
    const b = pcapngBlocks();
    const head = Buffer.concat([b.section(), b.interface(1)]);
    const trailer = b.enhanced(0, 1n, frame);
    trailer.writeUInt32LE(4, trailer.length - 4);
    const tiny = Buffer.from(b.block(6, Buffer.alloc(0)));
    const odd = Buffer.from(b.block(99, Buffer.alloc(8)));
    odd.writeUInt32LE(19, 4);
    for (const broken of [trailer, tiny, odd]) {
      const outcome = await read(Buffer.concat([head, b.enhanced(0, 1n, frame), broken, head]));
      expect(outcome.datagrams).toHaveLength(1);
      expect(outcome.error).toMatchObject({ code: 'io' });
      expect(String(outcome.error)).toMatch(/block at byte \d+/);
    }
  });

  test('a block that claims gigabytes is passed over without being loaded', async () => {
    const b = pcapngBlocks();
    const claim = Buffer.concat([wordsOf([6, 0xfffffff0], false), Buffer.alloc(64)]);
    const outcome = await read(Buffer.concat([b.section(), b.interface(1), b.enhanced(0, 1n, frame), claim]));
    expect(outcome.error).toBeNull();
    expect(outcome.datagrams).toHaveLength(1);
    expect(outcome.counters.skipped.cut_file).toBe(1);
    expectWholeAccount(outcome);
  });

  test('a packet longer than its block is counted', async () => {
    const b = pcapngBlocks();
    const liar = b.enhanced(0, 1n, frame);
    liar.writeUInt32LE(5000, 20);
    const outcome = await read(Buffer.concat([b.section(), b.interface(1), liar, b.enhanced(0, 1n, frame)]));
    expect(skippedOf(outcome)).toEqual({ bad_packet: 1 });
    expect(outcome.datagrams).toHaveLength(1);
  });
});

describe('raw IPFIX files (RFC 5655)', () => {
  const message = (length: number, time = 1_700_000_000) => {
    const bytes = Buffer.alloc(length);
    bytes.writeUInt16BE(10, 0);
    bytes.writeUInt16BE(length, 2);
    bytes.writeUInt32BE(time, 4);
    return bytes;
  };

  test('give one datagram a message, at its export time, of an unknown exporter', async () => {
    const outcome = await read(Buffer.concat([message(16), message(100, 1_700_000_007)]));
    expect(outcome.datagrams.map((datagram) => [datagram.timeMs, datagram.payload.length])).toEqual([
      [1_700_000_000_000, 16],
      [1_700_000_007_000, 100],
    ]);
    expect(formatAddress(outcome.datagrams[0].source)).toBe('0.0.0.0');
  });

  test('end with the offset where no message is', async () => {
    const outcome = await read(Buffer.concat([message(16), Buffer.alloc(20)]));
    expect(outcome.datagrams).toHaveLength(1);
    expect(String(outcome.error)).toContain('byte 16');
  });
});

describe('gzip', () => {
  const whole = pcap(Array.from({ length: 50 }, () => ({ bytes: ethernet(udp4(fields)) })));

  test('is seen by its first bytes, also in several members', async () => {
    const outcome = await read(
      Buffer.concat([gzipSync(whole.subarray(0, 1000)), gzipSync(whole.subarray(1000))]),
    );
    expect(outcome.error).toBeNull();
    expect(outcome.datagrams).toHaveLength(50);
    expect(outcome.counters.bytes).toBeLessThan(whole.length);
  });

  test('that was cut gives what came before the cut', async () => {
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 2654435761) >>> 13));
    const frames = Array.from({ length: 100 }, (_, i) =>
      ethernet(udp4({ ...fields, payload: noise.subarray(i * 1400, i * 1400 + 1400) })),
    );
    const packed = gzipSync(pcap(frames.map((bytes) => ({ bytes }))));
    const outcome = await read(packed.subarray(0, packed.length >> 1));
    expect(outcome.error).toBeNull();
    expect(outcome.datagrams.length).toBeGreaterThan(10);
    expect(outcome.counters.skipped.cut_file).toBe(1);
    expectWholeAccount(outcome);
  });

  test('that is damaged is an error with the file', async () => {
    const packed = gzipSync(whole);
    packed.fill(0xff, 20, 40);
    const outcome = await read(packed);
    expect(outcome.error).toMatchObject({ code: 'io' });
    expect(String(outcome.error)).toContain(outcome.path);
  });

  test('of gzip is no capture', async () => {
    const outcome = await read(gzipSync(gzipSync(whole)));
    expect(outcome.error).toMatchObject({ code: 'io' });
  });
});

describe('what is no capture', () => {
  test.each([
    ['an empty file', Buffer.alloc(0), 'empty'],
    ['three bytes', Buffer.from([1, 2, 3]), 'too short'],
    ['text', Buffer.from('hello, world'), 'neither pcap'],
  ])('%s is refused', async (_name, bytes, words) => {
    const outcome = await read(bytes);
    expect(outcome.error).toMatchObject({ code: 'io' });
    expect(String(outcome.error)).toContain(words);
  });

  test('a file that is not there, or a directory, is refused', async () => {
    for (const path of [join(directory, 'none'), directory]) {
      const iterator = readCapture(path)[Symbol.asyncIterator]();
      await expect(iterator.next()).rejects.toMatchObject({
        code: 'io',
        message: expect.stringContaining(path),
      });
    }
  });
});

describe('hostile files', () => {
  const b = pcapngBlocks();
  const frame = ethernet(udp4(fields), [0x8100]);
  const v6 = ethernet(
    ipv6(udpHeader(fields), v6Source, v6Destination, [{ number: 0, bytes: Buffer.alloc(8) }]),
  );
  const good: readonly Buffer[] = [
    pcap([
      { bytes: frame },
      { bytes: v6 },
      ...fragments4(fields, 8, 3).map((bytes) => ({ bytes: ethernet(bytes) })),
    ]),
    Buffer.concat([
      b.section(),
      b.interface(1, [b.option(9, Buffer.from([6])), b.option(2, Buffer.from('eth0'))]),
      b.enhanced(0, 1_700_000_000_000_000n, frame),
      b.simple(v6),
      b.obsolete(0, 5n, frame),
    ]),
  ];

  test('mutations of good captures never crash, hang or break the account', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...good),
        fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        fc.nat(500),
        async (base, changes, cut) => {
          const bytes = Buffer.from(base);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          const outcome = await read(cut < 250 ? bytes.subarray(0, cut) : bytes);
          if (outcome.error === null) expectWholeAccount(outcome);
          else expect(outcome.error).toBeInstanceOf(RogueSmtpError);
        },
      ),
      { numRuns: 1500 },
    );
  });

  test('garbage behind a good header never crashes or breaks the account', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(1, 0, 12, 101, 108, 113, 276),
        fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 10 }),
        async (linkType, frames) => {
          const outcome = await read(
            pcap(
              frames.map((bytes) => ({ bytes })),
              { linkType },
            ),
          );
          expect(outcome.error).toBeNull();
          expect(outcome.counters.packets).toBe(frames.length);
          expectWholeAccount(outcome);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe.skipIf(!haveVectors)('captures of real devices (skipped without the shared vectors)', () => {
  const packets = new Map<string, number>();
  if (haveVectors) {
    for (const line of readFileSync(join(VECTORS_DIR, 'README.md'), 'utf8').split('\n')) {
      const match = /^\| (\S+\/\S+) \| \S+ \| (\d+) \|/.exec(line);
      if (match !== null) packets.set(match[1], Number(match[2]));
    }
  }

  test('give every datagram that their list tells', async () => {
    expect(packets.size).toBeGreaterThan(80);
    for (const [name, count] of packets) {
      const capture = readCapture(join(VECTORS_DIR, `${name}.pcap`));
      let datagrams = 0;
      for await (const _ of capture) datagrams++;
      expect([name, datagrams]).toEqual([name, count]);
    }
  });

  test('of hostile sequences are read as well', async () => {
    const names = readdirSync(join(VECTORS_DIR, 'malformed')).filter((name) => name.endsWith('.pcap'));
    for (const name of names) {
      const capture = readCapture(join(VECTORS_DIR, 'malformed', name));
      let datagrams = 0;
      for await (const _ of capture) datagrams++;
      expect(datagrams).toBeGreaterThan(0);
    }
  });
});
