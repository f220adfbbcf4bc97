/**
 * Export datagrams made by hand, so that tests can say exactly what is in them.
 */

/** A field specifier: element, length, and enterprise number where there is one (IPFIX only). */
export type Field = readonly [id: number, length: number, pen?: number];

export function u16(...values: number[]): Buffer {
  const out = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) out.writeUInt16BE(value, 2 * i);
  return out;
}

export function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) out.writeUInt32BE(value, 4 * i);
  return out;
}

/** Big-endian integer of any length. */
export function integer(value: number | bigint, length: number): Buffer {
  const out = Buffer.alloc(length);
  let rest = BigInt(value);
  for (let i = length - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

export function ipv4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** A set (IPFIX) or flowset (v9) with its header. */
export function set(id: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([u16(id, 4 + body.length), body]);
}

function specifiers(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.map(([id, length, pen]) =>
      pen === undefined ? u16(id, length) : Buffer.concat([u16(id | 0x8000, length), u32(pen)]),
    ),
  );
}

/** A template record, v9 and IPFIX alike. */
export function template(id: number, fields: readonly Field[]): Buffer {
  return Buffer.concat([u16(id, fields.length), specifiers(fields)]);
}

export function v9OptionsTemplate(id: number, scope: readonly Field[], options: readonly Field[]): Buffer {
  return Buffer.concat([u16(id, 4 * scope.length, 4 * options.length), specifiers([...scope, ...options])]);
}

export function ipfixOptionsTemplate(id: number, scope: readonly Field[], options: readonly Field[]): Buffer {
  const fields = [...scope, ...options];
  return Buffer.concat([u16(id, fields.length, scope.length), specifiers(fields)]);
}

interface Header {
  readonly sequence?: number;
  readonly domain?: number;
  readonly seconds?: number;
  readonly uptimeMs?: number;
}

export const EXPORT_SECONDS = 1_767_225_590;
export const UPTIME_MS = 1_000_000;

export function v9(
  sets: readonly Buffer[],
  { sequence = 0, domain = 0, seconds = EXPORT_SECONDS, uptimeMs = UPTIME_MS }: Header = {},
): Buffer {
  return Buffer.concat([u16(9, sets.length), u32(uptimeMs, seconds, sequence, domain), ...sets]);
}

export function ipfix(
  sets: readonly Buffer[],
  { sequence = 0, domain = 0, seconds = EXPORT_SECONDS }: Header = {},
): Buffer {
  const body = Buffer.concat(sets);
  return Buffer.concat([u16(10, 16 + body.length), u32(seconds, sequence, domain), body]);
}

export interface V5Flow {
  readonly src?: string;
  readonly dst?: string;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly packets?: number;
  readonly bytes?: number;
  readonly first?: number;
  readonly last?: number;
  readonly flags?: number;
  readonly protocol?: number;
}

function upToPorts(flow: V5Flow): Buffer {
  const { src = '10.0.0.1', dst = '192.0.2.25', srcPort = 40000, dstPort = 25 } = flow;
  const { packets = 10, bytes = 1000, first = UPTIME_MS - 5000, last = UPTIME_MS - 1000 } = flow;
  return Buffer.concat([
    ipv4(src),
    ipv4(dst),
    Buffer.alloc(4),
    u16(3, 4),
    u32(packets, bytes, first, last),
    u16(srcPort, dstPort),
  ]);
}

export function v5(
  flows: readonly V5Flow[],
  {
    sequence = 0,
    engine = 0,
    sampling = 0,
    seconds = EXPORT_SECONDS,
    uptimeMs = UPTIME_MS,
    count = flows.length,
  } = {},
): Buffer {
  const header = [u16(5, count), u32(uptimeMs, seconds, 0, sequence), u16(engine, sampling)];
  const records = flows.map((flow) =>
    Buffer.concat([
      upToPorts(flow),
      Buffer.from([0, flow.flags ?? 0x1b, flow.protocol ?? 6]),
      Buffer.alloc(9),
    ]),
  );
  return Buffer.concat([...header, ...records]);
}

export function v1(flows: readonly V5Flow[]): Buffer {
  const records = flows.map((flow) =>
    Buffer.concat([
      upToPorts(flow),
      Buffer.from([0, 0, flow.protocol ?? 6, 0, flow.flags ?? 0x1b]),
      Buffer.alloc(11),
    ]),
  );
  return Buffer.concat([u16(1, flows.length), u32(UPTIME_MS, EXPORT_SECONDS, 0), ...records]);
}

export function v7(flows: readonly V5Flow[], { sequence = 0 } = {}): Buffer {
  const records = flows.map((flow) =>
    Buffer.concat([
      upToPorts(flow),
      Buffer.from([0, flow.flags ?? 0x1b, flow.protocol ?? 6]),
      Buffer.alloc(13),
    ]),
  );
  return Buffer.concat([u16(7, flows.length), u32(UPTIME_MS, EXPORT_SECONDS, 0, sequence, 0), ...records]);
}

/** Addresses, ports, protocol, flags, packets, bytes: what a mail session needs. */
export const TUPLE: readonly Field[] = [
  [8, 4],
  [12, 4],
  [7, 2],
  [11, 2],
  [4, 1],
  [6, 1],
  [2, 4],
  [1, 4],
];

export function tuple(
  src = '10.0.0.1',
  dst = '192.0.2.25',
  srcPort = 40000,
  dstPort = 25,
  packets = 10,
  bytes = 1000,
): Buffer {
  const counters = u32(packets, bytes);
  return Buffer.concat([ipv4(src), ipv4(dst), u16(srcPort, dstPort), Buffer.from([6, 0x1b]), counters]);
}
