/**
 * Builds captures byte by byte: pcap and pcapng files, frames of each link type, IP packets, fragments.
 *
 * Only what the tests need; lengths and checksums may be set wrong on purpose by patching the result.
 */

export interface UdpFields {
  readonly source?: string;
  readonly destination?: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly payload: Uint8Array;
}

export function udpHeader(fields: UdpFields): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(fields.sourcePort ?? 50_000, 0);
  header.writeUInt16BE(fields.destinationPort ?? 2055, 2);
  header.writeUInt16BE(8 + fields.payload.length, 4);
  return Buffer.concat([header, fields.payload]);
}

export interface IPv4Fields {
  readonly id?: number;
  readonly offset?: number;
  readonly more?: boolean;
  readonly protocol?: number;
  readonly options?: number;
}

export function ipv4(
  payload: Uint8Array,
  source = '192.0.2.1',
  destination = '198.51.100.1',
  fields: IPv4Fields = {},
): Buffer {
  const headerBytes = 20 + (fields.options ?? 0);
  const header = Buffer.alloc(headerBytes);
  header[0] = 0x40 | (headerBytes / 4);
  header.writeUInt16BE(headerBytes + payload.length, 2);
  header.writeUInt16BE(fields.id ?? 1, 4);
  header.writeUInt16BE(((fields.offset ?? 0) / 8) | (fields.more ? 0x2000 : 0), 6);
  header[8] = 64;
  header[9] = fields.protocol ?? 17;
  header.set(source.split('.').map(Number), 12);
  header.set(destination.split('.').map(Number), 16);
  return Buffer.concat([header, payload]);
}

/** `source` and `destination` are 16 bytes; `extensions` are [next header number, bytes without the next field]. */
export function ipv6(
  payload: Uint8Array,
  source: Uint8Array,
  destination: Uint8Array,
  extensions: readonly { readonly number: number; readonly bytes: Buffer }[] = [],
  protocol = 17,
): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  const chain = extensions.map((extension, i) => {
    const bytes = Buffer.from(extension.bytes);
    bytes[0] = extensions[i + 1]?.number ?? protocol;
    return bytes;
  });
  header[6] = extensions[0]?.number ?? protocol;
  header[7] = 64;
  header.set(source, 8);
  header.set(destination, 24);
  const rest = Buffer.concat([...chain, payload]);
  header.writeUInt16BE(rest.length, 4);
  return Buffer.concat([header, rest]);
}

export function udp4(fields: UdpFields): Buffer {
  return ipv4(udpHeader(fields), fields.source, fields.destination);
}

/** The IPv4 fragments of one datagram, each of at most `size` payload bytes (a multiple of 8). */
export function fragments4(fields: UdpFields, size: number, id: number): Buffer[] {
  const whole = udpHeader(fields);
  const out: Buffer[] = [];
  for (let offset = 0; offset < whole.length; offset += size) {
    const part = whole.subarray(offset, offset + size);
    out.push(
      ipv4(part, fields.source, fields.destination, {
        id,
        offset,
        more: offset + size < whole.length,
      }),
    );
  }
  return out;
}

export function ethernet(packet: Uint8Array, tags: readonly number[] = [], etherType?: number): Buffer {
  const header = Buffer.alloc(12, 2);
  const vlans = tags.map((tag) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt16BE(tag, 0);
    bytes.writeUInt16BE(100, 2);
    return bytes;
  });
  return Buffer.concat([header, ...vlans, etherTypeOf(packet, etherType), packet]);
}

export function etherTypeOf(packet: Uint8Array, etherType?: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(etherType ?? (packet[0] >> 4 === 6 ? 0x86dd : 0x0800));
  return bytes;
}

export interface PcapPacket {
  readonly bytes: Uint8Array;
  /** Milliseconds; the fraction goes into the file as far as it can. */
  readonly timeMs?: number;
  readonly wireLength?: number;
}

export interface PcapOptions {
  readonly linkType?: number;
  readonly bigEndian?: boolean;
  readonly nanoseconds?: boolean;
}

export function pcap(packets: readonly PcapPacket[], options: PcapOptions = {}): Buffer {
  const words = (...values: number[]) => wordsOf(values, options.bigEndian ?? false);
  const magic = options.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
  const perMs = options.nanoseconds ? 1e6 : 1e3;
  const header = words(
    magic,
    options.bigEndian ? 0x00020004 : 0x00040002,
    0,
    0,
    65_535,
    options.linkType ?? 1,
  );
  const records = packets.map((packet) => {
    const timeMs = packet.timeMs ?? 1_700_000_000_000;
    const seconds = Math.floor(timeMs / 1000);
    const ticks = Math.round((timeMs - seconds * 1000) * perMs);
    return Buffer.concat([
      words(seconds, ticks, packet.bytes.length, packet.wireLength ?? packet.bytes.length),
      packet.bytes,
    ]);
  });
  return Buffer.concat([header, ...records]);
}

export function wordsOf(values: readonly number[], bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    if (bigEndian) bytes.writeUInt32BE(value >>> 0, 4 * i);
    else bytes.writeUInt32LE(value >>> 0, 4 * i);
  });
  return bytes;
}

/** Writers of pcapng blocks in one byte order. */
export function pcapngBlocks(bigEndian = false) {
  const u16 = (...values: number[]) => {
    const bytes = Buffer.alloc(2 * values.length);
    values.forEach((value, i) => {
      if (bigEndian) bytes.writeUInt16BE(value, 2 * i);
      else bytes.writeUInt16LE(value, 2 * i);
    });
    return bytes;
  };
  const u32 = (...values: number[]) => wordsOf(values, bigEndian);
  const padded = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const block = (type: number, body: Buffer) => {
    const length = 12 + body.length;
    return Buffer.concat([u32(type, length), body, u32(length)]);
  };
  const option = (code: number, value: Uint8Array) => Buffer.concat([u16(code, value.length), padded(value)]);
  return {
    block,
    option,
    section: () =>
      block(0x0a0d0d0a, Buffer.concat([u32(0x1a2b3c4d), u16(1, 0), u32(0xffffffff, 0xffffffff)])),
    interface: (linkType: number, options: readonly Buffer[] = [], snapLength = 0) =>
      block(
        1,
        Buffer.concat([
          u16(linkType, 0),
          u32(snapLength),
          ...options,
          ...(options.length > 0 ? [u16(0, 0)] : []),
        ]),
      ),
    enhanced: (id: number, ticks: bigint, bytes: Uint8Array, wireLength = bytes.length) =>
      block(
        6,
        Buffer.concat([
          u32(id, Number(ticks >> 32n), Number(ticks & 0xffffffffn), bytes.length, wireLength),
          padded(bytes),
        ]),
      ),
    simple: (bytes: Uint8Array, wireLength = bytes.length) =>
      block(3, Buffer.concat([u32(wireLength), padded(bytes)])),
    obsolete: (id: number, ticks: bigint, bytes: Uint8Array) =>
      block(
        2,
        Buffer.concat([
          u16(id, 0),
          u32(Number(ticks >> 32n), Number(ticks & 0xffffffffn), bytes.length, bytes.length),
          padded(bytes),
        ]),
      ),
  };
}
