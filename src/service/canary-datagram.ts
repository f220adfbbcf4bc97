/** A NetFlow v9 datagram (RFC 3954) of one canary: its template, and one flow as a mail session has it. */

import { CANARY_DOMAIN, canaryHost, canaryServer } from '../flow/canary.ts';

const TEMPLATE_ID = 256;
/** Element and length in bytes: RFC 3954 section 8. */
const FIELDS = [
  [27, 16],
  [28, 16],
  [7, 2],
  [11, 2],
  [4, 1],
  [6, 1],
  [2, 4],
  [1, 4],
  [22, 4],
  [21, 4],
] as const;
const UPTIME_MS = 600_000;
const SESSION_MS = 2000;
/** As a short mail: twenty packets, and far more octets of payload than greetings take. */
const PACKETS = 20;
const BYTES = 6000;
const TCP = 6;
/** FIN, SYN, PSH and ACK were seen. */
const FLAGS = 0x1b;

/** `number`: 8 bytes that tell this canary from others. */
export function canaryDatagram(number: Uint8Array, nowMs: number): Buffer {
  const seconds = Math.floor(nowMs / 1000);
  const template = Buffer.concat([
    u16(TEMPLATE_ID, FIELDS.length),
    ...FIELDS.map(([id, length]) => u16(id, length)),
  ]);
  const record = Buffer.concat([
    canaryHost(),
    canaryServer(number),
    u16(40_000 + (number[7] ?? 0), 25),
    Buffer.of(TCP, FLAGS),
    u32(PACKETS, BYTES, UPTIME_MS - SESSION_MS, UPTIME_MS),
  ]);
  const padding = Buffer.alloc((4 - (record.length % 4)) % 4);
  return Buffer.concat([
    u16(9, 2),
    u32(UPTIME_MS, seconds, 0, CANARY_DOMAIN),
    set(0, template),
    set(TEMPLATE_ID, Buffer.concat([record, padding])),
  ]);
}

function set(id: number, content: Buffer): Buffer {
  return Buffer.concat([u16(id, 4 + content.length), content]);
}

function u16(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => void out.writeUInt16BE(value, 2 * i));
  return out;
}

function u32(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => void out.writeUInt32BE(value, 4 * i));
  return out;
}
