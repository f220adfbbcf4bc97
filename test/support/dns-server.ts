/**
 * A DNS server on a port of its own for tests: it answers A and AAAA questions from a table, as RFC 1035 says, and nothing
 * else. One question a datagram, no compression but of the name asked for.
 */

import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { parseAddress } from '../../src/flow/address.ts';

interface Zone {
  readonly addresses?: readonly string[];
  readonly ttl?: number;
  /** The addresses are those of this name. */
  readonly cname?: string;
  /** 2: the server failed, 3: there is no such name. */
  readonly rcode?: number;
}

export interface DnsServer {
  /** `127.0.0.1:PORT`, as `dns.servers` takes it. */
  readonly address: string;
  /** By name; what is not in it does not exist. A name with `null` is never answered. */
  readonly zones: Map<string, Zone | null>;
  /** How often a name was asked for. */
  readonly asked: Map<string, number>;
  stop(): Promise<void>;
}

const A = 1;
const CNAME = 5;
const AAAA = 28;
const NO_SUCH_NAME: Zone = { rcode: 3 };

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const zones = new Map<string, Zone | null>();
  const asked = new Map<string, number>();
  socket.on('message', (question, { port, address }) => {
    const { name, end } = readName(question);
    asked.set(name, (asked.get(name) ?? 0) + 1);
    const zone = zones.has(name) ? zones.get(name) : NO_SUCH_NAME;
    if (zone) socket.send(answerTo(question, end, zone), port, address);
  });
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound));
  return { address: `127.0.0.1:${socket.address().port}`, zones, asked, stop: () => stopped(socket) };
}

const stopped = (socket: Socket) => new Promise<void>((closed) => socket.close(() => closed()));

/** The name of the question, in lower case, and where it ends. */
function readName(question: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  while (question[at] !== 0) {
    labels.push(question.toString('latin1', at + 1, at + 1 + question[at]));
    at += 1 + question[at];
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function answerTo(question: Buffer, nameEnd: number, zone: Zone): Buffer {
  const { addresses = [], ttl = 60, cname, rcode = 0 } = zone;
  const type = question.readUInt16BE(nameEnd);
  const records: Buffer[] = [];
  const alias = cname === undefined ? null : encodeName(cname);
  const own = Buffer.of(0xc0, 12);
  if (alias !== null) records.push(record(own, CNAME, ttl, alias));
  for (const address of addresses) {
    if ((type === AAAA) !== isIPv6(address) || (type !== A && type !== AAAA)) continue;
    const bytes = Buffer.from(parseAddress(address) ?? []);
    records.push(record(alias ?? own, type, ttl, type === A ? bytes.subarray(12) : bytes));
  }
  const header = Buffer.from(question.subarray(0, 12));
  header.writeUInt16BE(0x8180 | rcode, 2);
  [1, records.length, 0, 0].forEach((count, i) => {
    header.writeUInt16BE(count, 4 + 2 * i);
  });
  return Buffer.concat([header, question.subarray(12, nameEnd + 4), ...records]);
}

function record(name: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(1, 2);
  fields.writeUInt32BE(ttl, 4);
  fields.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, fields, data]);
}

const encodeName = (name: string) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
