/**
 * Mail flows for measuring the detector: an endless stream of batches with a given part of rogue records.
 *
 * The rest is what a mail stream holds anyhow: the authorised servers' own sessions, and mail that comes in to them.
 * Seeded, so that each run has the same; batches are made anew in place, so that memory holds one only. It must never
 * repeat a record: a repeated record costs less than a new one.
 */

import { parseAddress } from '../../src/flow/address.ts';
import { createFlowBatch, type FlowBatch, type FlowColumns, writeWide } from '../../src/flow/batch.ts';
import { FLOW_VERSION, PRESENT } from '../../src/flow/columns.ts';
import { randomBelow } from '../support/random.ts';

export const MAIL_SERVERS = ['10.0.0.25', '10.0.0.26', '10.0.0.27', '10.0.0.28'];

export interface TrafficOptions {
  readonly rows: number;
  /** 0 to 1: part of the records that belong to sessions of rogue hosts. */
  readonly rogue: number;
  readonly rogueHosts: number;
  /** Records a second by the receive times. */
  readonly flowsPerSecond: number;
}

export interface MailTraffic {
  /** Fills the batch with the next records and returns it. */
  next(): FlowBatch;
}

const T0 = Date.UTC(2026, 0, 1);
const SYN = 2;
const MAIL = 0x1b;
const RECORDS_A_DATAGRAM = 30;
const FIELDS =
  PRESENT.SRC_ADDR |
  PRESENT.DST_ADDR |
  PRESENT.SRC_PORT |
  PRESENT.DST_PORT |
  PRESENT.PROTOCOL |
  PRESENT.PACKETS |
  PRESENT.BYTES |
  PRESENT.TCP_FLAGS |
  PRESENT.START |
  PRESENT.END;

export function createMailTraffic(options: TrafficOptions): MailTraffic {
  const { rows, rogue, rogueHosts, flowsPerSecond } = options;
  const batch = createFlowBatch(rows);
  const exporter = parseAddress('192.0.2.1') ?? new Uint8Array(16);
  const rogueBase = 0x0a40_0000;
  const serverBase = 0x0a00_0019;
  let made = 0;
  let sessions = 0;
  const below = randomBelow(12345);

  for (let row = 0; row < rows; row++) {
    batch.columns.exporter.set(exporter, 16 * row);
    batch.columns.exporter_port[row] = 2055;
    batch.columns.version[row] = FLOW_VERSION.v9;
    batch.columns.protocol[row] = 6;
    batch.columns.present[row] = FIELDS;
    batch.columns.in_if[row] = 1;
    batch.columns.out_if[row] = 2;
    batch.columns.sampling_rate[row] = 1;
    for (const column of [batch.columns.src_addr, batch.columns.dst_addr]) {
      column.fill(0, 16 * row, 16 * row + 10);
      column.fill(0xff, 16 * row + 10, 16 * row + 12);
    }
  }

  /** The client's half in one row, the server's in the next; an attempt has no answer and stands alone. */
  function writeSession(columns: FlowColumns, row: number): number {
    sessions++;
    const isRogue = below(1_000_000) < 1_000_000 * rogue;
    const attempt = isRogue && below(4) === 0;
    const inbound = !isRogue && below(2) === 0;
    const outside = (0xc6000000 + below(2_000_000)) >>> 0;
    // Hosts take turns, so that so many have traffic, and none a second session before all had one.
    const inside = isRogue ? rogueBase + (sessions % rogueHosts) : serverBase + below(MAIL_SERVERS.length);
    const [client, server] = inbound ? [outside, inside] : [inside, outside];
    const clientPort = 1024 + (sessions % 60_000);
    writeRow(columns, row, client, server, clientPort, 25, attempt ? SYN : MAIL, attempt ? 1 : 14);
    if (attempt || row + 1 >= rows) return row + 1;
    writeRow(columns, row + 1, server, client, 25, clientPort, MAIL, 12);
    return row + 2;
  }

  function writeRow(
    columns: FlowColumns,
    row: number,
    from: number,
    to: number,
    fromPort: number,
    toPort: number,
    flags: number,
    packets: number,
  ): void {
    const atMs = T0 + Math.floor((made * 1000) / flowsPerSecond);
    writeWide(columns.received_at, row, atMs);
    writeAddress(columns.src_addr, row, from);
    writeAddress(columns.dst_addr, row, to);
    columns.src_port[row] = fromPort;
    columns.dst_port[row] = toPort;
    columns.tcp_flags[row] = flags;
    columns.sequence[row] = Math.floor(made / RECORDS_A_DATAGRAM);
    columns.record[row] = 20 + 48 * (made % RECORDS_A_DATAGRAM);
    columns.packets[2 * row] = packets;
    columns.bytes[2 * row] = packets * (packets > 1 ? 210 : 60);
    writeWide(columns.start, row, atMs - 2000);
    writeWide(columns.end, row, atMs - 1000);
    made++;
  }

  return {
    next() {
      for (let row = 0; row < rows; ) row = writeSession(batch.columns, row);
      batch.length = rows;
      return batch;
    },
  };
}

function writeAddress(column: Uint8Array, row: number, address: number): void {
  const at = 16 * row + 12;
  column[at] = address >>> 24;
  column[at + 1] = address >>> 16;
  column[at + 2] = address >>> 8;
  column[at + 3] = address;
}
