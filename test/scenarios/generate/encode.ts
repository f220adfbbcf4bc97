/**
 * Flow records as datagrams of v5, v9, IPFIX and sFlow: headers, templates and frames as test/support makes them.
 *
 * One encoder is one router's export process: it counts its sequence by the rules of its version, tells its templates
 * and sampling as real ones do, and forgets all of it when it restarts. Its clock is the router's, not ours.
 */

import { type Field, ipfix, set, template, u16, u32, v5, v9 } from '../../support/datagrams.ts';
import { flowSample, ipPacket, rawHeader, sflow } from '../../support/sflow-datagrams.ts';
import type { ExportFormat, FlowRecord } from './router.ts';

/** Records that fit into 1500 bytes. */
export const RECORDS_PER_DATAGRAM: Readonly<Record<ExportFormat, number>> = {
  v5: 30,
  v9: 20,
  ipfix: 20,
  sflow: 9,
};

const TEMPLATES_EVERY_MS = 300_000;
const V4_TEMPLATE = 256;
const V6_TEMPLATE = 257;
const INSIDE_IF = 3;
const OUTSIDE_IF = 4;

export interface Encoder {
  /** A datagram that leaves the router at `atMs` of the true time. */
  encode(records: readonly FlowRecord[], atMs: number): Buffer;
  restart(atMs: number): void;
}

export function createEncoder(
  format: ExportFormat,
  options: {
    readonly sampling: number;
    readonly skewMs: number;
    readonly domain: number;
    readonly bootMs: number;
  },
): Encoder {
  const { sampling, skewMs, domain } = options;
  let { bootMs } = options;
  let sequence = 0;
  let toldMs = Number.NEGATIVE_INFINITY;

  const uptime = (atMs: number) => Math.max(0, Math.round(atMs - bootMs));

  function templates(atMs: number): Buffer[] {
    if (atMs - toldMs < TEMPLATES_EVERY_MS) return [];
    toldMs = atMs;
    const v9Form = format === 'v9';
    return [
      set(
        v9Form ? 0 : 2,
        template(V4_TEMPLATE, fields(false, v9Form)),
        template(V6_TEMPLATE, fields(true, v9Form)),
      ),
    ];
  }

  function dataSets(records: readonly FlowRecord[]): Buffer[] {
    const sets: Buffer[] = [];
    for (const ipv6 of [false, true]) {
      const ours = records.filter((r) => (r.conversation.client.bytes.length === 16) === ipv6);
      if (ours.length === 0) continue;
      const rows = ours.map((r) => dataRecord(r, ipv6));
      sets.push(set(ipv6 ? V6_TEMPLATE : V4_TEMPLATE, ...rows));
    }
    return sets;
  }

  function dataRecord(record: FlowRecord, ipv6: boolean): Buffer {
    const v9Form = format === 'v9';
    const [source, destination, sourcePort, destinationPort] = ends(record);
    const size = (ipv6 ? 32 : 8) + 4 + 2 + 8 + 8 + 1 + 4 + (v9Form ? 8 : 16);
    const out = Buffer.allocUnsafe(size);
    let at = 0;
    out.set(source.bytes, at);
    at += source.bytes.length;
    out.set(destination.bytes, at);
    at += destination.bytes.length;
    at = out.writeUInt16BE(sourcePort, at);
    at = out.writeUInt16BE(destinationPort, at);
    at = out.writeUInt8(record.conversation.protocol, at);
    at = out.writeUInt8(record.flags, at);
    at = out.writeUInt32BE(record.packets, at);
    at = out.writeUInt32BE(record.bytes, at);
    at = out.writeUInt32BE(record.forward ? INSIDE_IF : OUTSIDE_IF, at);
    at = out.writeUInt32BE(record.forward ? OUTSIDE_IF : INSIDE_IF, at);
    at = out.writeUInt8(record.direction, at);
    at = out.writeUInt32BE(sampling, at);
    if (v9Form) {
      at = out.writeUInt32BE(uptime(record.lastMs) >>> 0, at);
      out.writeUInt32BE(uptime(record.firstMs) >>> 0, at);
    } else {
      at = out.writeBigUInt64BE(BigInt(Math.round(record.lastMs + skewMs)), at);
      out.writeBigUInt64BE(BigInt(Math.round(record.firstMs + skewMs)), at);
    }
    return out;
  }

  return {
    encode(records, atMs) {
      const seconds = Math.floor((atMs + skewMs) / 1000);
      const before = sequence;
      switch (format) {
        case 'v5':
          sequence = (sequence + records.length) >>> 0;
          return v5(
            records.map((record) => {
              const [source, destination, srcPort, dstPort] = ends(record);
              return {
                src: source.text,
                dst: destination.text,
                srcPort,
                dstPort,
                packets: record.packets,
                bytes: record.bytes,
                first: uptime(record.firstMs),
                last: uptime(record.lastMs),
                flags: record.flags,
                protocol: record.conversation.protocol,
              };
            }),
            {
              sequence: before,
              seconds,
              uptimeMs: uptime(atMs),
              // Mode 1 (random) and the interval.
              sampling: sampling > 1 ? 0x4000 | sampling : 0,
            },
          );
        case 'v9': {
          sequence = (sequence + 1) >>> 0;
          const sets = [...templates(atMs), ...dataSets(records)];
          return v9(sets, { sequence: before, domain, seconds, uptimeMs: uptime(atMs) });
        }
        case 'ipfix': {
          sequence = (sequence + records.length) >>> 0;
          return ipfix([...templates(atMs), ...dataSets(records)], { sequence: before, domain, seconds });
        }
        case 'sflow':
          sequence = (sequence + 1) >>> 0;
          return sflow(
            records.map((record) => sample(record, sampling)),
            { sequence: before, subAgent: domain, uptimeMs: uptime(atMs) },
          );
      }
    },
    restart(atMs) {
      bootMs = atMs;
      sequence = 0;
      toldMs = Number.NEGATIVE_INFINITY;
    },
  };
}

function fields(ipv6: boolean, v9Form: boolean): readonly Field[] {
  return [
    ipv6 ? [27, 16] : [8, 4],
    ipv6 ? [28, 16] : [12, 4],
    [7, 2],
    [11, 2],
    [4, 1],
    [6, 1],
    [2, 4],
    [1, 4],
    [10, 4],
    [14, 4],
    [61, 1],
    [v9Form ? 34 : 305, 4],
    v9Form ? [21, 4] : [153, 8],
    v9Form ? [22, 4] : [152, 8],
  ];
}

/** ICMP has its type and code where other records have the destination port: here an echo reply of code 25. */
function ends({ conversation, forward }: FlowRecord) {
  const { client, server, clientPort, serverPort, protocol } = conversation;
  const nearPort = protocol === 6 ? clientPort : 0;
  return forward
    ? ([client, server, nearPort, serverPort] as const)
    : ([server, client, serverPort, nearPort] as const);
}

/** An sFlow sample of one packet: the frame up to its TCP header, and the length that it had. */
function sample(record: FlowRecord, sampling: number): Buffer {
  const [source, destination, sourcePort, destinationPort] = ends(record);
  const { protocol } = record.conversation;
  const transport =
    protocol === 6
      ? Buffer.concat([
          u16(sourcePort, destinationPort),
          u32(0, 0),
          Buffer.from([0x50, record.flags]),
          u16(1000, 0, 0),
        ])
      : Buffer.from([0, 25, 0, 0, 0, 0, 0, 0]);
  const packet = ipPacket(Buffer.from(source.bytes), Buffer.from(destination.bytes), protocol, transport);
  // The length that the whole packet had: of IPv6 its payload's, behind the Ethernet type and four octets.
  if (source.bytes.length === 16) packet.writeUInt16BE(record.bytes - 40, 6);
  else packet.writeUInt16BE(record.bytes, 4);
  const frame = Buffer.concat([Buffer.alloc(12, 2), packet]);
  const inside = record.forward ? INSIDE_IF : OUTSIDE_IF;
  return flowSample([rawHeader(1, frame, record.bytes)], {
    rate: sampling,
    input: inside,
    output: inside === INSIDE_IF ? OUTSIDE_IF : INSIDE_IF,
  });
}
